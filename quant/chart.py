"""Where things stand in a plot of size against KL divergence, or against right answers.

The template draws them.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 30, 36  # room for what stands around the plot
MARGIN = 0.12  # decades above and below the points
Box = tuple[float, float, float, float]  # left, top, right, bottom
Place = tuple[str, str, float, float]  # name, value, x, y


@dataclass(frozen=True)
class Point:
    name: str
    megabytes: float
    kl: float


@dataclass(frozen=True)
class ScorePoint:
    """A share of right answers with its interval, all from 0 to 1."""

    name: str
    megabytes: float
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Bar:
    """An interval, upright."""

    x: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Dot:
    name: str
    value: str  # in words: "125 MB, KL 0.112"
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass
class Chart:
    """Everything in the units of the SVG's viewBox."""

    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    bars: list[Bar] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    line: str = field(init=False)

    def __post_init__(self) -> None:
        self.line = " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def chart(points: Iterable[Point]) -> Chart | None:
    """Sizes to the right, KL upwards on a logarithmic scale; None for fewer than two points."""
    ordered = sorted((p for p in points if p.kl > 0), key=lambda point: point.megabytes)
    if len(ordered) < 2:
        return None
    x_values, across = _sizes([point.megabytes for point in ordered])
    logs = [math.log10(point.kl) for point in ordered]
    low, high = min(logs) - MARGIN, max(logs) + MARGIN
    y_values = [value for value in _decimals(low, high) if low <= math.log10(value) <= high]

    def up(kl: float) -> float:
        return _up((math.log10(kl) - low) / (high - low))

    return Chart(
        dots=_label(
            (p.name, f"{p.megabytes:.0f} MB, KL {p.kl:.3g}", across(p.megabytes), up(p.kl))
            for p in ordered
        ),
        x_ticks=[Tick(across(value), f"{value:g}") for value in x_values],
        y_ticks=[Tick(up(value), f"{value:g}") for value in y_values],
    )


def score_chart(points: Iterable[ScorePoint]) -> Chart | None:
    """Sizes to the right, right answers upwards from 0 to 100%; None for fewer than two points."""
    ordered = sorted(points, key=lambda point: point.megabytes)
    if len(ordered) < 2:
        return None
    x_values, across = _sizes([point.megabytes for point in ordered])
    bars = [Bar(across(p.megabytes), _up(p.high), _up(p.low)) for p in ordered]
    return Chart(
        dots=_label(
            (
                (
                    p.name,
                    f"{p.megabytes:.0f} MB, {p.share:.0%} right "
                    f"(95% interval {p.low:.0%} to {p.high:.0%})",
                    across(p.megabytes),
                    _up(p.share),
                )
                for p in ordered
            ),
            covered=[(bar.x - 4, bar.top, bar.x + 4, bar.bottom) for bar in bars],
        ),
        x_ticks=[Tick(across(value), f"{value:g}") for value in x_values],
        y_ticks=[Tick(_up(value / 100), f"{value}%") for value in range(0, 101, 25)],
        bars=bars,
    )


def _sizes(megabytes: list[float]) -> tuple[list[float], Callable[[float], float]]:
    """Round sizes around these, in ascending order, and where a size stands between them."""
    values = _round_values(megabytes[0], megabytes[-1])

    def across(size: float) -> float:
        share = (size - values[0]) / (values[-1] - values[0])
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    return values, across


def _up(share: float) -> float:
    """Where a share of the plot's height stands, 0 at its foot."""
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _round_values(low: float, high: float) -> list[float]:
    """A few round numbers in equal steps, the first below `low` and the last above `high`."""
    rough = max((high - low) / 4, high / 100)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [index * step for index in range(first, last + 1)]


def _decimals(low: float, high: float) -> list[float]:
    """Powers of ten around the range; with 2 and 5 times each where it is short."""
    factors = (1,) if high - low > 1.5 else (1, 2, 5)
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [float(f"{factor}e{power}") for power in powers for factor in factors]


def _label(given: Iterable[Place], covered: Iterable[Box] = ()) -> list[Dot]:
    """Each dot's name beside it, where it covers the least."""
    places = list(given)
    taken = [(x - 6, y - 6, x + 6, y + 6) for *_, x, y in places] + list(covered)
    dots = []
    for name, value, x, y in places:
        width = 11.0 * len(name)  # as large as it is on a phone
        options = [
            (x + 10, y - 8, "start"),
            (x - 10, y + 20, "end"),
            (x + 10, y + 20, "start"),
            (x - 10, y - 8, "end"),
            (x + 12, y + 5, "start"),
            (x - 12, y + 5, "end"),
        ]
        boxes = [
            (
                left := (at_x if anchor == "start" else at_x - width),
                at_y - 14,
                left + width,
                at_y + 4,
            )
            for at_x, at_y, anchor in options
        ]
        costs = [_cost(box, taken) for box in boxes]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        label_x, label_y, anchor = options[best]
        dots.append(Dot(name, value, x, y, round(label_x, 1), round(label_y, 1), anchor))
    return dots


def _box(left: float, baseline: float, width: float) -> Box:
    return left, baseline - 14, left + width, baseline + 4


def _cost(box: Box, taken: list[Box]) -> float:
    """Area covered of others, and much for leaving the plot."""
    left, top, right, bottom = box
    outside = (LEFT - left, right - WIDTH, -top, bottom - HEIGHT + BOTTOM)
    covered = sum(
        max(0.0, min(right, other[2]) - max(left, other[0]))
        * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in taken
    )
    return covered + 100 * sum(max(0.0, over) for over in outside)
