"""Where things stand in the pictures of one matrix. The template draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quant.layer import METHODS, Look, Result, exponents
from quant.methods.grid import Array

LEVELS = 7  # shades on either side of zero
ROWS, COLUMNS = 24, 64  # of the heat maps
CHANNELS = 8  # of AWQ's table
FIRST = 6  # rows of GPTQ's table
BINS = 32  # of the plot of how far weights were moved
PLOT = 300  # side of a plot, in its own units
MARGIN = 52


@dataclass(frozen=True)
class Shade:
    """All cells of one shade: a class of the stylesheet and a path of unit squares."""

    name: str
    path: str


@dataclass(frozen=True)
class Map:
    """A heat map; one unit is one cell."""

    shades: list[Shade]
    columns: int
    rows: int
    limit: float  # the strongest shade stands for this and more


@dataclass(frozen=True)
class Plot:
    points: list[tuple[float, float]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]

    @property
    def line(self) -> str:
        return " ".join(f"{x},{y}" for x, y in self.points)


@dataclass(frozen=True)
class Line:
    """A method's row of the table."""

    key: str
    name: str
    result: Result
    against_rtn: float  # output error on unseen text over that of round to nearest


@dataclass(frozen=True)
class Channel:
    number: int
    strength: float
    factor: float


@dataclass(frozen=True)
class Turn:
    """One column's turn in GPTQ."""

    column: int
    before: float
    moved: float
    after: float
    alone: float

    @property
    def differs(self) -> bool:
        """Whether it is not rounded to its own nearest point."""
        return self.after != self.alone


class Figures:
    """The pictures of a look, with one method's result in front."""

    def __init__(self, look: Look, method: str) -> None:
        self.look, self.method = look, method
        self.result = look.results[method]
        strongest = int(look.scaled.strength.argmax())
        last = look.weights.shape[1] - COLUMNS
        self.first_column = max(min(strongest // COLUMNS * COLUMNS, last), 0)
        self._part = (slice(ROWS), slice(self.first_column, self.first_column + COLUMNS))

    @property
    def last_column(self) -> int:
        return self.first_column + self.before.columns - 1

    @property
    def name(self) -> str:
        return METHODS[self.method]

    @property
    def lines(self) -> list[Line]:
        plain = self.look.results["RTN"].unseen_error
        return [
            Line(key, METHODS[key], result, result.unseen_error / plain)
            for key, result in self.look.results.items()
        ]

    @property
    def before(self) -> Map:
        return heat_map(self.look.weights[self._part], self._limit)

    @property
    def after(self) -> Map:
        return heat_map(self.result.weights[self._part], self._limit)

    @property
    def change(self) -> Map:
        change = (self.result.weights - self.look.weights)[self._part]
        return heat_map(change, float(np.quantile(np.abs(change), 0.99)))

    @property
    def _limit(self) -> float:
        return float(np.quantile(np.abs(self.look.weights), 0.99))

    @property
    def by_output(self) -> Plot:
        """Each output's error: to the right round to nearest's, upwards this method's."""
        plain, this = self.look.results["RTN"].by_output, self.result.by_output
        top = float(max(plain.max(), this.max())) or 1.0
        ticks = [(top * share, f"{100 * top * share:.2g}%") for share in (0, 0.5, 1)]
        return Plot(
            [(_right(x / top), _up(y / top)) for x, y in zip(plain, this, strict=True)],
            [(_right(value / top), text) for value, text in ticks],
            [(_up(value / top), text) for value, text in ticks],
        )

    @property
    def better(self) -> int:
        """Outputs with a smaller error than round to nearest gives them."""
        return int((self.result.by_output < self.look.results["RTN"].by_output).sum())

    @property
    def search(self) -> Plot:
        """AWQ's search: exponent to the right, output error upwards from 0."""
        errors = self.look.scaled.errors
        # Large exponents can be off the scale: the picture is about the best ones.
        top = 2 * errors[0]
        return Plot(
            [
                (_right(exponent), _up(min(error / top, 1)))
                for exponent, error in zip(exponents(), errors, strict=True)
            ],
            [(_right(value), f"{value:g}") for value in (0, 0.25, 0.5, 0.75, 1)],
            [(_up(share), f"{100 * top * share:.2g}%") for share in (0, 0.5, 1)],
        )

    @property
    def best(self) -> tuple[float, float]:
        return self.search.points[exponents().index(self.look.scaled.exponent)]

    @property
    def channels(self) -> list[Channel]:
        """The strongest inputs and the factors by which AWQ enlarges their weights."""
        scaled = self.look.scaled
        order = np.argsort(-scaled.strength)[:CHANNELS]
        return [
            Channel(int(each), float(scaled.strength[each]), float(scaled.factors[each]))
            for each in order
        ]

    @property
    def pushes(self) -> Map:
        pushes = self.look.trace.pushes
        limit = float(np.quantile(np.abs(pushes[np.triu_indices(len(pushes), 1)]), 0.99))
        return heat_map(pushes, limit)

    @property
    def moved(self) -> Plot:
        """How far weights had been moved at their turn (mean size), over the order of rounding."""
        t = self.look.trace
        parts = [part.mean() for part in np.array_split(np.abs(t.turn - t.before), BINS)]
        top, count = float(max(parts)) or 1.0, len(t.columns)
        return Plot(
            [(_right((n + 0.5) / BINS), _up(part / top)) for n, part in enumerate(parts)],
            [(_right(share), f"{round(share * count)}") for share in (0, 0.5, 1)],
            [(_up(share), f"{share * top:.2g}") for share in (0, 0.5, 1)],
        )

    @property
    def differing(self) -> int:
        """Weights that did not go to their own nearest point."""
        return int((self.look.trace.after != self.look.trace.alone).sum())

    @property
    def turns(self) -> list[Turn]:
        """Those in which a weight did not go to its own nearest point; if none, the first."""
        t = self.look.trace
        moved = t.turn - t.before
        kept = zip(t.columns, t.before, moved, t.after, t.alone, strict=True)
        turns = [Turn(int(column), *map(float, rest)) for column, *rest in kept]
        return ([turn for turn in turns if turn.differs] or turns)[:FIRST]


def heat_map(values: Array, limit: float) -> Map:
    """values (rows, columns); `limit` and more get the strongest shade."""
    levels = np.zeros(values.shape, int)
    if limit:
        levels = np.clip(np.rint(values / limit * LEVELS), -LEVELS, LEVELS).astype(int)
    shades = []
    for level in [*range(-LEVELS, 0), *range(1, LEVELS + 1)]:
        cells = "".join(_runs(levels == level))
        if cells:
            shades.append(Shade(f"{'below' if level < 0 else 'above'}-{abs(level)}", cells))
    rows, columns = values.shape
    return Map(shades, columns, rows, limit)


def _runs(mask: np.ndarray) -> list[str]:
    """Neighbouring cells of a row as one rectangle each."""
    runs = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            runs.append(f"M{start} {y}h{end - start}v1H{start}z")
    return runs


def _right(share: float) -> float:
    return round(MARGIN + share * (PLOT - MARGIN - 12), 1)


def _up(share: float) -> float:
    return round(PLOT - MARGIN + 6 - share * (PLOT - MARGIN - 12), 1)
