"""What an experiment on a sentence embedder found: figures, a verdict, each question's finds."""

from dataclasses import dataclass
from functools import cached_property

from quant.intervals import wilson
from quant.rows import Row, percent_range


@dataclass(frozen=True)
class Find:
    """The passage that one variant finds first for one question."""

    type: str
    text: str
    cosine: float  # of question and passage
    rank: int  # that it gives to the passage which the reference finds first

    @property
    def is_same(self) -> bool:
        return self.rank == 1


@dataclass(frozen=True)
class Question:
    text: str
    first: Find  # the reference's
    others: list[Find]

    @property
    def differing(self) -> int:
        return sum(not find.is_same for find in self.others)


@dataclass(frozen=True)
class Line:
    """One variant's line in the table."""

    row: Row

    @cached_property
    def of(self) -> int:
        return len(self.row.figures.get("outputs", ()))

    @cached_property
    def same(self) -> int:
        return sum(output["rank"] == 1 for output in self.row.figures.get("outputs", ()))

    @property
    def interval(self) -> tuple[float, float]:
        """95%, of the share of questions with the same passage first."""
        return wilson(self.same, self.of)

    @property
    def range(self) -> str:
        return percent_range(self.interval)

    @property
    def mean_rank(self) -> float | None:
        ranks = [output["rank"] for output in self.row.figures.get("outputs", ())]
        return sum(ranks) / len(ranks) if ranks else None


@dataclass(frozen=True)
class SearchReport:
    rows: list[Row]  # the reference first
    limit: float

    @cached_property
    def lines(self) -> list[Line]:
        return [Line(row) for row in self.rows]

    @cached_property
    def passages(self) -> int | None:
        return self.rows[0].figures.get("passages")

    @cached_property
    def questions(self) -> list[Question]:
        done = [row for row in self.rows if "outputs" in row.figures]
        if not done or not done[0].is_reference:
            return []
        finds = [
            [
                Find(row.type, output["text"], output["cosine"], output["rank"])
                for output in row.figures["outputs"]
            ]
            for row in done
        ]
        asked = [output["prompt"] for output in done[0].figures["outputs"]]
        return [
            Question(question, first, list(others))
            for question, (first, *others) in zip(asked, zip(*finds, strict=True), strict=True)
        ]

    @property
    def verdict(self) -> str:
        lines = [
            line for line in self.lines if line.of and not line.row.is_reference and line.row.bytes
        ]
        if not lines:
            return ""
        limit = f"{self.limit:.0%}"
        good = [line for line in lines if line.interval[0] >= self.limit]
        if good:
            best = min(good, key=lambda line: line.row.bytes)
            return f"{_kept(best)}: surely within your limit of {limit}.{_smaller(best, lines)}"
        if all(line.interval[1] < self.limit for line in lines):
            best = max(lines, key=lambda line: line.same)
            return f"None finds F16’s passage first {limit} of the time. {_kept(best)}."
        unsure = [line for line in lines if line.interval[1] >= self.limit]
        best = max(unsure, key=lambda line: (line.same, -line.row.bytes))
        return (
            f"{_kept(best)}; whether that stays within your limit of {limit} can’t be told from "
            f"{best.of} questions (95% interval: {best.range}).{_smaller(best, lines)}"
        )

    @property
    def differing(self) -> list[Question]:
        return [question for question in self.questions if question.differing]

    @property
    def alike(self) -> list[Question]:
        """Those for which all find the same passage."""
        return [question for question in self.questions if not question.differing]


def _kept(line: Line) -> str:
    return (
        f"{line.row.type} finds the same passage first as F16 for {line.same} of {line.of} "
        f"questions, at {line.row.share:.0f}% of the size"
    )


def _smaller(chosen: Line, lines: list[Line]) -> str:
    """What is lost with less than the chosen one."""
    below = [line for line in lines if line.row.bytes < chosen.row.bytes]
    if not below:
        return ""
    best = max(below, key=lambda line: line.same)
    change = "falls to" if best.same < chosen.same else "finds"
    return f" {best.row.type}, at {best.row.share:.0f}%, {change} {best.same}."
