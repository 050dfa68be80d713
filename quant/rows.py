"""One variant's figures, as the report shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from quant.intervals import mcnemar, wilson


@dataclass(frozen=True)
class Score:
    """Right answers to the tasks, and what changed against the reference."""

    right: int
    of: int
    lost: int
    won: int

    @property
    def interval(self) -> tuple[float, float]:
        """95%, as shares of 1."""
        return wilson(self.right, self.of)

    @property
    def range(self) -> str:
        return percent_range(self.interval)

    @property
    def as_json(self) -> dict[str, Any]:
        counts = {"right": self.right, "of": self.of, "lost": self.lost, "won": self.won}
        return counts | {"interval": list(self.interval), "p": self.p}

    @property
    def p(self) -> float:
        """How likely flips this uneven are by chance (McNemar, exact)."""
        return mcnemar(self.lost, self.won)


@dataclass(frozen=True)
class Flip:
    """A task that one of the two gets right and the other doesn't."""

    question: str
    is_lost: bool
    reference: str
    variant: str


def percent_range(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f}%"


class Row:
    """What is not measured yet is missing in `figures`."""

    def __init__(self, figures: dict[str, Any], reference: dict[str, Any]) -> None:
        self.figures, self.reference = figures, reference
        self.type: str = figures["type"]
        self.is_reference = figures is reference

    @property
    def is_compared(self) -> bool:
        """Whether there is all that the next properties need."""
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
        return percent_range(self.same_interval)

    def _answers(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The reference's and the variant's answer to each task."""
        mine, its = self.figures.get("tasks", ()), self.reference.get("tasks", ())
        return list(zip(its, mine, strict=True)) if mine and its else []

    @cached_property
    def score(self) -> Score | None:
        pairs = self._answers()
        if not pairs:
            return None
        return Score(
            right=sum(mine["right"] for _, mine in pairs),
            of=len(pairs),
            lost=sum(its["right"] and not mine["right"] for its, mine in pairs),
            won=sum(mine["right"] and not its["right"] for its, mine in pairs),
        )

    def flips(self, questions: dict[str, str]) -> list[Flip]:
        """What it lost, then what it won."""
        found = [
            Flip(questions[mine["id"]], its["right"], its["given"], mine["given"])
            for its, mine in self._answers()
            if its["right"] != mine["right"]
        ]
        return sorted(found, key=lambda flip: not flip.is_lost)


def rows_of(types: Iterable[str], results: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """A row for each variant, the reference first, from the results of an experiment's steps."""
    variants: list[dict[str, Any]] = []
    for kind in types:
        figures: dict[str, Any] = {"type": kind}
        for key, result in results.items():
            if key.partition(":")[2] == kind:
                figures |= result
        variants.append(figures)
    return [Row(figures, variants[0]) for figures in variants]
