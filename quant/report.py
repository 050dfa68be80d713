"""What an experiment found, ready to be shown: table, plot, verdict, outputs side by side."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from quant import experiment as run
from quant.chart import Chart, Point, chart
from quant.intervals import wilson
from quant.lab import plan_of
from quant.models import Experiment, results

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
CSV_FIELDS = (
    "type", "file", "bytes", "bits_per_weight", "seconds",
    "perplexity", "perplexity_error", "mean_kl", "mean_kl_error", "median_kl", "p99_kl", "max_kl",
    "same_top", "positions", "windows", "n_ctx",
    "prompt_tokens_per_second", "generation_tokens_per_second", "peak_memory_bytes",
)  # fmt: skip
SHADES = (0.1, 0.5, 1.5)  # nats of KL divergence at one token; darker above each


class Row:
    """One variant's figures; what is not measured yet is None."""

    def __init__(self, figures: dict[str, Any], reference: dict[str, Any]) -> None:
        self.figures, self.reference = figures, reference
        self.type: str = figures["type"]
        self.is_reference = figures is reference
        self.is_pick = False

    @property
    def is_compared(self) -> bool:
        """Whether what the properties below need is there."""
        return not self.is_reference and {"same_top", "bytes"} <= self.figures.keys()

    @property
    def bytes(self) -> int:
        return self.figures["bytes"]

    @property
    def share(self) -> float:
        """Of the reference's size, in percent."""
        return 100 * self.bytes / self.reference["bytes"]

    @property
    def same_percent(self) -> float:
        return 100 * self.figures["same_top"]

    @cached_property
    def same_interval(self) -> tuple[float, float]:
        """95%, as shares of 1."""
        places = self.figures["positions"]
        return wilson(self.figures["same_top"] * places, places)

    @property
    def same_range(self) -> str:
        low, high = self.same_interval
        return f"{100 * low:.1f} to {100 * high:.1f}%"


@dataclass(frozen=True)
class Piece:
    """One token of an output, as it is shown: white space before it is never marked."""

    space: str
    text: str
    classes: str


@dataclass(frozen=True)
class Column:
    """One variant's answer to one prompt; no pieces until there is one."""

    row: Row
    pieces: list[Piece]
    is_same: bool
    is_cut: bool  # it had more to say


@dataclass(frozen=True)
class Side:
    prompt: str
    columns: list[Column]


@dataclass(frozen=True)
class Composition:
    """What a variant's tensors really became."""

    type: str
    counts: str
    fallbacks: list[str]


class Report:
    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.plan = plan_of(experiment)
        self._steps = list(experiment.steps.defer("log"))

    @property
    def data(self) -> dict[str, Any]:
        """DESIGN §10's object, as `manage.py quantize --json` prints it."""
        return run.report(self.plan, results(self._steps))

    @property
    def title(self) -> str:
        count = len(self.plan.types)
        ways = NUMBERS[count] if count < len(NUMBERS) else str(count)
        return f"{self.experiment.title}, {ways} ways"

    @property
    def seconds(self) -> float:
        """Of work; waiting is not counted."""
        return sum(step.seconds or 0.0 for step in self._steps)

    @property
    def again(self) -> str:
        """The query that fills the form with this experiment's source and types."""
        types = ",".join(self.plan.types[1:])
        return urlencode({"source": self.experiment.source, "types": types})

    @property
    def has_speed(self) -> bool:
        return any(step.kind == "speed" for step in self._steps)

    @cached_property
    def rows(self) -> list[Row]:
        variants = [self._figures(type_) for type_ in self.plan.types]
        rows = [Row(figures, variants[0]) for figures in variants]
        pick = smallest_within(rows, self.experiment.limit)
        if pick and self.experiment.ended:
            pick.is_pick = True
        return rows

    def _figures(self, type_: str) -> dict[str, Any]:
        """All that the steps of one variant found."""
        figures: dict[str, Any] = {"type": type_}
        for step in self._steps:
            if step.type == type_ and step.result:
                figures |= step.result
        return figures

    @cached_property
    def measured(self) -> Row | None:
        """A row that knows how many windows there were."""
        return next((row for row in self.rows if "windows" in row.figures), None)

    @property
    def verdict(self) -> str:
        return verdict(self.rows, self.experiment.limit) if self.experiment.ended else ""

    @cached_property
    def chart(self) -> Chart | None:
        return chart(
            Point(row.type, row.bytes / 1e6, row.figures["mean_kl"])
            for row in self.rows
            if row.is_compared
        )

    @cached_property
    def sides(self) -> list[Side]:
        shown = [row for row in self.rows if "outputs" in row.figures]
        if shown and not self.experiment.ended:
            shown = self.rows  # those that have not answered yet keep their places
        return [
            Side(prompt, [_column(row, index) for row in shown])
            for index, prompt in enumerate(self.plan.prompts if shown else ())
        ]

    @property
    def has_shades(self) -> bool:
        sides = (column for side in self.sides for column in side.columns)
        return any(" " in piece.classes for column in sides for piece in column.pieces)

    @property
    def compositions(self) -> list[Composition]:
        return [
            Composition(
                row.type,
                counted(row.figures["tensors"]),
                list(_explained(row.figures.get("fallbacks", {}))),
            )
            for row in self.rows
            if "tensors" in row.figures
        ]

    @property
    def files(self) -> list[Path]:
        return [Path(row.figures["file"]) for row in self.rows if "file" in row.figures]


def smallest_within(rows: list[Row], limit: float) -> Row | None:
    """The smallest variant that keeps within the limit even at the low end of its interval."""
    within = [row for row in rows if row.is_compared and row.same_interval[0] >= limit]
    return min(within, key=lambda row: row.bytes, default=None)


def verdict(rows: list[Row], limit: float) -> str:
    """A sentence or two that the figures bear out; it says so where they don't decide."""
    compared = [row for row in rows if row.is_compared]
    if not compared:
        return ""
    pick = smallest_within(rows, limit)
    smaller = [row for row in compared if pick is None or row.bytes < pick.bytes]
    unsure = [row for row in smaller if row.same_interval[1] >= limit]
    below = [row for row in smaller if row not in unsure]
    said = []
    if pick:
        role = "stays" if unsure else "is the smallest that stays"
        said.append(
            f"{pick.type} {role} within your limit of {limit:.0%}: it picks F16’s next token "
            f"{_percent(pick)} of the time, at {pick.share:.0f}% of the size."
        )
    elif not unsure:
        best = max(compared, key=lambda row: row.same_percent)
        below.remove(best)
        said.append(
            f"None keeps to F16’s next token {limit:.0%} of the time; {best.type} comes closest "
            f"with {_percent(best)}, at {best.share:.0f}% of the size."
        )
    if unsure:
        names, places = _or([row.type for row in unsure]), unsure[0].figures["positions"]
        limit_again = "" if pick else f" of {limit:.0%}"
        said.append(
            f"Whether {names} stays within the limit{limit_again} can’t be told from {places:,} "
            "places in the text: measure more windows."
        )
    if below:
        best = max(below, key=lambda row: row.same_percent)
        said.append(f"{best.type}, at {best.share:.0f}%, falls to {_percent(best)}.")
    return " ".join(said)


def _percent(row: Row) -> str:
    return f"{row.same_percent:.1f}%"


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _column(row: Row, index: int) -> Column:
    if "outputs" not in row.figures:
        return Column(row, [], False, False)
    output = row.figures["outputs"][index]
    first, tokens = output["first_difference"], output["tokens"]
    pieces = [_piece(token, at == first) for at, token in enumerate(tokens)]
    is_same = first is None and not row.is_reference
    return Column(row, pieces, is_same, not _is_special(tokens[-1]["text"]))


def _piece(token: dict[str, Any], is_first: bool) -> Piece:
    text, classes = token["text"], _classes(token, is_first)
    if _is_special(text):
        return Piece("", "end", f"{classes} end".strip())
    word = text.lstrip()
    return Piece(text[: len(text) - len(word)], word, classes) if word else Piece("", text, classes)


def _is_special(text: str) -> bool:
    """Whether the token is no text but a sign of the format, such as <|im_end|> or </s>."""
    return bool(re.fullmatch(r"<\|.*\|>|</?\w+>", text))


def _classes(token: dict[str, Any], is_first: bool) -> str:
    shade = sum(token["kl"] > limit for limit in SHADES)
    names = [f"shade s{shade}"] if shade else []
    return " ".join([*names, "first"] if is_first else names)


def counted(tensors: dict[str, int]) -> str:
    """166 × Q5_0, 61 × F32"""
    return ", ".join(f"{count} × {name}" for name, count in tensors.items())


def _explained(fallbacks: dict[str, int]) -> Iterator[str]:
    for change, count in fallbacks.items():
        meant, became = change.split(" -> ")
        yield f"{count} were meant to be {meant} and became {became}"


def as_csv(report: Report) -> str:
    """One line per variant, a header first."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(row.figures for row in report.rows)
    return out.getvalue()
