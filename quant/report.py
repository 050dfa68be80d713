"""What an experiment found, ready to be shown."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from quant import experiment as run
from quant.calibration import DEFAULT_TEXT
from quant.chart import Chart, Point, ScorePoint, chart, score_chart
from quant.lab import plan_of
from quant.models import Experiment, results
from quant.rows import Flip, Row, rows_of
from quant.search_report import SearchReport
from quant.sides import Side, side
from quant.verdict import smallest_within, verdict

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
CSV_FIELDS = (
    "type", "file", "bytes", "bits_per_weight", "seconds",
    "perplexity", "perplexity_error", "mean_kl", "mean_kl_error", "median_kl", "p99_kl", "max_kl",
    "same_top", "positions", "windows", "n_ctx", "tasks_right", "tasks_of",
    "passages", "mean_cosine", "min_cosine", "same_first",
    "prompt_tokens_per_second", "generation_tokens_per_second", "memory_bytes", "memory_n_ctx",
)  # fmt: skip


@dataclass(frozen=True)
class Composition:
    """What a variant's tensors really became."""

    type: str
    file: Path
    counts: str  # 166 × Q5_0, 61 × F32
    fallbacks: list[str]


class Report:
    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.plan = plan_of(experiment)
        self._steps = list(experiment.steps.defer("log"))

    @property
    def title(self) -> str:
        count = len(self.plan.types)
        ways = NUMBERS[count] if count < len(NUMBERS) else str(count)
        return f"{self.experiment.title}, {ways} ways"

    @cached_property
    def source_sha256(self) -> str:
        """Of the file that it began with; empty until that was checked."""
        return results(self._steps).get(run.SOURCE, {}).get("sha256", "")

    @property
    def seconds(self) -> float:
        """Of work; waiting is not counted."""
        return sum(step.seconds or 0.0 for step in self._steps)

    @property
    def sample_name(self) -> str:
        """Whose text the methods gathered inputs from; empty if none did."""
        if not any(step.kind == "inputs" for step in self._steps):
            return ""
        return "ours" if Path(self.plan.calibration) == DEFAULT_TEXT else "your own"

    @property
    def has_speed(self) -> bool:
        return any(step.kind == "speed" for step in self._steps)

    @cached_property
    def rows(self) -> list[Row]:
        return rows_of(self.plan.types, results(self._steps))

    @cached_property
    def pick(self) -> Row | None:
        return smallest_within(self.rows, self.experiment.limit) if self.experiment.ended else None

    @cached_property
    def measured(self) -> Row | None:
        """A row that knows how many windows there were."""
        return next((row for row in self.rows if "windows" in row.figures), None)

    @cached_property
    def timed(self) -> Row | None:
        """A row that knows how long a conversation its memory was measured with."""
        return next((row for row in self.rows if "memory_n_ctx" in row.figures), None)

    @property
    def verdict(self) -> str:
        if not self.experiment.ended:
            return ""
        if self.search:
            return self.search.verdict
        return verdict(self.rows, self.plan.tasks, self.experiment.limit)

    @cached_property
    def search(self) -> SearchReport | None:
        """For an embedder, in place of what only a chat model has."""
        return SearchReport(self.rows, self.experiment.limit) if self.plan.embedder else None

    @cached_property
    def chart(self) -> Chart | None:
        return chart(
            Point(row.type, row.bytes / 1e6, row.figures["mean_kl"])
            for row in self.rows
            if row.is_compared
        )

    @cached_property
    def score_chart(self) -> Chart | None:
        return score_chart(
            ScorePoint(
                row.type, row.bytes / 1e6, row.score.right / row.score.of, *row.score.interval
            )
            for row in self.scored
            if row.score and "bytes" in row.figures
        )

    @cached_property
    def scored(self) -> list[Row]:
        return [row for row in self.rows if row.score]

    @cached_property
    def flips(self) -> list[tuple[Row, list[Flip]]]:
        """What each variant lost and won against the reference, where there is any."""
        questions = {task["id"]: task["question"] for task in self.plan.tasks}
        found = [(row, row.flips(questions)) for row in self.scored]
        return [(row, flips) for row, flips in found if flips]

    @cached_property
    def sides(self) -> list[Side]:
        shown = [row for row in self.rows if "outputs" in row.figures]
        if shown and not self.experiment.ended:
            shown = self.rows  # those that have not answered yet keep their places
        prompts = self.plan.prompts if shown and not self.search else ()
        return [side(prompt, index, shown) for index, prompt in enumerate(prompts)]

    @property
    def tokens(self) -> dict[str, list[list[dict[str, Any]]]]:
        """For each variant and prompt its tokens, with what else they might have been."""
        if self.search:
            return {}
        return {
            row.type: [output["tokens"] for output in row.figures.get("outputs", ())]
            for row in self.rows
        }

    @property
    def compositions(self) -> list[Composition]:
        return [
            Composition(
                row.type,
                Path(row.figures["file"]),
                ", ".join(f"{count} × {name}" for name, count in row.figures["tensors"].items()),
                list(_explained(row.figures["fallbacks"])),
            )
            for row in self.rows
            if "tensors" in row.figures
        ]

    @property
    def files(self) -> dict[str, Path]:
        """The variants' files by their types."""
        return {row.type: Path(row.figures["file"]) for row in self.rows if "file" in row.figures}

    @property
    def data(self) -> dict[str, Any]:
        """DESIGN §10's object, as `manage.py quantize --json` prints it, and the notes."""
        found = run.report(self.plan, results(self._steps))
        return found | ({"notes": self.experiment.notes} if self.experiment.notes else {})

    def as_csv(self) -> str:
        """One line per variant, a header first."""
        out = io.StringIO()
        writer = csv.DictWriter(out, CSV_FIELDS, extrasaction="ignore")
        writer.writeheader()
        for row in self.rows:
            right = {"tasks_right": row.score.right, "tasks_of": row.score.of} if row.score else {}
            writer.writerow(row.figures | right)
        return out.getvalue()


def _explained(fallbacks: dict[str, int]) -> Iterator[str]:
    for change, count in fallbacks.items():
        meant, became = change.split(" -> ")
        yield f"{count} meant to be {meant} became {became}"
