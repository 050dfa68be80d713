"""Where the quants stand in a plot of file size against what was lost. The template draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quant.planner.data import GIB, data
from quant.planner.plan import Option, Plan, chart_figures, said

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 34, 30, 56  # room for what stands around the plot


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    quant: str
    x: float
    y: float
    picked: bool
    before: bool  # the name stands left of the dot


@dataclass(frozen=True)
class Chart:
    """Everything in the units of the SVG's viewBox."""

    title: str
    what: str  # the y axis
    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    limit: float | None  # right of it nothing fits
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM

    @property
    def line(self) -> str:
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def chart(plan: Plan) -> Chart:
    """File sizes to the right; loss upwards, each line ten times the one below."""
    figures = chart_figures(plan.model)
    losses = {quant: _loss(figures.measure, figures.values, quant) for quant in figures.values}
    shown = [o for o in plan.options if losses.get(o.quant, 0) > 0 and o.quant != "F16"]
    sizes = [option.weights.file_bytes / GIB for option in shown]
    step = _round_step(max(sizes) / 4)
    high_x = math.ceil(max(sizes) / step) * step
    powers = [math.log10(losses[option.quant]) for option in shown]
    low_y, high_y = math.floor(min(powers)), math.ceil(max(powers))

    def across(size: float) -> float:
        return round(LEFT + size / high_x * (WIDTH - LEFT - RIGHT), 1)

    def up(power: float) -> float:
        share = (power - low_y) / (high_y - low_y)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    largest = _largest_file(plan.chosen)
    what = _what(figures.measure)
    of_whom = data().models[figures.model].title
    return Chart(
        title=f"File size of {plan.model.title} against {what} of {of_whom}",
        what=what,
        dots=[
            Dot(o.quant, across(size), up(power), o is plan.pick, size > 0.88 * high_x)
            for o, size, power in zip(shown, sizes, powers, strict=True)
        ],
        x_ticks=[Tick(across(n * step), f"{n * step:g}") for n in range(round(high_x / step) + 1)],
        y_ticks=[Tick(up(p), f"{10.0**p:g}") for p in range(low_y, high_y + 1)],
        limit=across(largest) if 0 < largest < high_x else None,
        summary="; ".join(
            f"{option.quant}: {size:.2f} GiB, {said(losses[option.quant])}"
            for option, size in zip(shown, sizes, strict=True)
        ),
    )


def _loss(measure: str, values: dict[str, float], quant: str) -> float:
    """The divergence itself; of a perplexity the per cent that it lies above F16's."""
    if measure == "perplexity":
        return 100 * (values[quant] / values["F16"] - 1)
    return values[quant]


def _what(measure: str) -> str:
    return "perplexity above F16’s, %" if measure == "perplexity" else "mean KL divergence from F16"


def _largest_file(option: Option) -> float:
    """The largest file, in GiB, beside which cache and buffers have room."""
    return (option.usable_bytes - option.cache_bytes - option.overhead_bytes) / GIB


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
