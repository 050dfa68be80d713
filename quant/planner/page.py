"""What the planner's page shows of a plan: its parts in order, and its sources numbered."""

from __future__ import annotations

from functools import cached_property

from quant import machine
from quant.machine import Check, Measured
from quant.planner import estimate, here
from quant.planner.chart import Chart, chart
from quant.planner.data import Figures, Source, data
from quant.planner.estimate import Range
from quant.planner.plan import Option, Plan, chart_figures, guide


class PlanPage:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chosen = plan.chosen
        self.known = data()

    @cached_property
    def chart(self) -> Chart:
        return chart(self.plan)

    @cached_property
    def columns(self) -> list[Figures]:
        """The published figures that the table compares the quants by."""
        return self.known.published(guide(self.plan.model, self.known))

    @property
    def columns_of(self) -> str:
        """Whose figures those are, if not this model's own."""
        name = guide(self.plan.model, self.known)
        return "" if name == self.plan.model.name else self.known.models[name].title

    @property
    def rows(self) -> list[tuple[Option, list[float | None]]]:
        return [
            (option, [figures.values.get(option.quant) for figures in self.columns])
            for option in self.plan.options
        ]

    @property
    def parts(self) -> list[tuple[str, int]]:
        """What the memory is for, in bytes."""
        return [
            ("weights", self.chosen.weights.tensor_bytes),
            ("KV cache", self.chosen.cache_bytes),
            ("buffers", self.chosen.overhead_bytes),
        ]

    @property
    def bar(self) -> list[tuple[str, float, float]]:
        """(part, from, width) of 1,000, the machine's memory or what is needed, if that is more."""
        whole = max(self.chosen.usable_bytes, self.chosen.memory_bytes)
        at, drawn = 0.0, []
        for name, size in self.parts:
            width = 1000 * size / whole
            drawn.append((name, round(at, 1), round(width, 1)))
            at += width
        return drawn

    @property
    def bar_limit(self) -> float:
        """Where the machine's memory ends, of 1,000."""
        whole = max(self.chosen.usable_bytes, self.chosen.memory_bytes)
        return round(1000 * self.chosen.usable_bytes / whole, 1)

    @property
    def missing_bytes(self) -> int:
        return -self.chosen.spare_bytes

    @property
    def operations(self) -> str:
        """For a token, in 10^9."""
        billions = self.chosen.weights.operations / 1e9
        return f"{billions:.0f}" if billions >= 10 else f"{billions:.1f}"

    @property
    def recipe_source(self) -> Source:
        return self.known.sources["llama-quant"]

    @property
    def vocabulary_source(self) -> Source | None:
        """None: it stands in the file."""
        return None if self.plan.model.tensors else self.known.sources["llama-vocab"]

    @property
    def chart_source(self) -> Source:
        return chart_figures(self.plan.model).source

    @cached_property
    def measured(self) -> Measured | None:
        return machine.measured()

    @property
    def checks(self) -> list[Check]:
        return self.measured.checks if self.measured else []

    @property
    def steady(self) -> bool:
        return bool(self.measured and self.measured.steady)

    @property
    def here_source(self) -> Source | None:
        return here.machine_of(self.measured).source if self.measured else None

    @property
    def published_rates(self) -> list[tuple[str, str, Range | None, float]]:
        """(model, quant, predicted with 1,024 tokens of context, published) for this machine."""
        rows = []
        for rate in self.plan.machine.rates:
            model = self.known.model(rate.model)
            weights = estimate.weights_of(model, rate.quant)
            speed = estimate.speed(weights, model.dims, self.plan.machine, context=1024)
            rows.append((model.title, rate.quant, speed.each, rate.generation))
        return rows

    @property
    def spread(self) -> Range:
        return estimate.spread(self.plan.machine)

    @property
    def rate_source(self) -> Source:
        """What the range of the rates rests on."""
        machine = self.plan.machine
        if machine.measured:
            return machine.source
        return machine.rates_source or machine.kind.source

    @cached_property
    def sources(self) -> list[Source]:
        """Every source of a figure on the page, once, in the order of the page."""
        plan, known = self.plan, self.known
        found = [
            plan.model.source,
            self.recipe_source,
            self.vocabulary_source,
            known.overhead_source,
            plan.machine.source,
            plan.machine.kind.reserve_source,
            self.rate_source,
            *plan.price.sources,
            *(figures.source for figures in self.columns),
            self.chart_source,
            self.here_source,
        ]
        return list(dict.fromkeys(source for source in found if source))
