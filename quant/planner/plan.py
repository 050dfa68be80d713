"""The plan: what fits, how fast, what it costs, how good, and which quant to pick.

plan = make_plan(data().model("llama-3-8b"), data().machine("rtx-3090"), context=8192)
plan.pick.quant, plan.sentence
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quant.planner import estimate, recipe
from quant.planner.data import GIB, Data, Figures, Machine, Model, Source, data
from quant.planner.estimate import Range, Speed, Weights

BEST = "best"
# What "best that fits" chooses from, and what the page compares.
LADDER = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
LARGEST_PICK = "Q8_0"  # published figures find nothing to gain above it
NOT_PUBLISHED = "no figure published"
MAX_CONTEXT, MAX_USERS = 10_000_000, 10_000


class PlanError(ValueError):
    """No plan can be made of this; the message is one line that says what to change."""


@dataclass(frozen=True)
class Quality:
    """A published figure, or None with the reason in `note`."""

    measure: str
    value: float | None
    model: str  # title of the model that it was measured on
    source: Source | None
    note: str = ""
    reference: float | None = None  # the same at F16


@dataclass(frozen=True)
class Option:
    """The model at one quant on the machine."""

    quant: str
    weights: Weights
    cache_bytes: int
    cache_type: str
    overhead_bytes: int
    usable_bytes: int  # of the machine
    speed: Speed
    cost: Range | None  # for a million tokens

    @property
    def memory_bytes(self) -> int:
        return self.weights.tensor_bytes + self.cache_bytes + self.overhead_bytes

    @property
    def spare_bytes(self) -> int:
        """What is left on the machine; negative: what is missing."""
        return self.usable_bytes - self.memory_bytes

    @property
    def fits(self) -> bool:
        return self.spare_bytes >= 0


@dataclass(frozen=True)
class Price:
    """What an hour of the machine costs, and how that was found."""

    an_hour: float | None
    how: str
    sources: tuple[Source, ...] = ()
    sign: str = ""  # of the currency, where it is known


@dataclass(frozen=True)
class Plan:
    model: Model
    machine: Machine
    context: int
    users: int
    cache_type: str
    price: Price
    options: list[Option]  # LADDER's and the one asked for, from large to small
    chosen: Option  # the one asked for, or the pick
    pick: Option | None  # the best that fits; None if nothing does
    sentence: str
    notes: list[str]

    @property
    def quality(self) -> list[Quality]:
        return quality(self.model, self.chosen.quant)


def make_plan(
    model: Model,
    machine: Machine,
    *,
    quant: str = BEST,
    context: int = 8192,
    users: int = 1,
    cache_type: str = "F16",
    electricity: float | None = None,
    watts: float | None = None,
    rent: float | None = None,
) -> Plan:
    """Raises PlanError. electricity: a kWh's price, rent: an hour's; in any one currency."""
    quant = _checked(model, quant, context, users, cache_type)
    price = price_of(machine, electricity, watts, rent)
    wanted = [name for name in recipe.QUANTS if name in LADDER or name == quant]
    options = [_option(model, machine, name, context, users, cache_type, price) for name in wanted]
    by_name = {option.quant: option for option in options}
    ladder = [by_name[name] for name in LADDER]
    pick = next((o for o in ladder[LADDER.index(LARGEST_PICK) :] if o.fits), None)
    chosen = by_name.get(quant) or pick or ladder[-1]
    return Plan(
        model=model,
        machine=machine,
        context=context,
        users=users,
        cache_type=cache_type,
        price=price,
        options=options,
        chosen=chosen,
        pick=pick,
        sentence=_sentence(model, machine, ladder, pick, context),
        notes=_notes(model, context, chosen),
    )


def _checked(model: Model, quant: str, context: int, users: int, cache_type: str) -> str:
    """The quant's name as it is written here."""
    names = {name.lower(): name for name in (*recipe.QUANTS, BEST)}
    if quant.lower() not in names:
        raise PlanError(f"no quant is named {quant!r}: there are {', '.join(names.values())}")
    if not 1 <= context <= MAX_CONTEXT:
        raise PlanError(f"a context of {context:,} tokens: give 1 to {MAX_CONTEXT:,}")
    if not 1 <= users <= MAX_USERS:
        raise PlanError(f"{users:,} users at once: give 1 to {MAX_USERS:,}")
    if cache_type not in estimate.CACHE_TYPES:
        raise PlanError(
            f"no KV cache type is named {cache_type!r}: there are {', '.join(estimate.CACHE_TYPES)}"
        )
    if model.dims.kv_heads * model.dims.head_size % recipe.block_of(cache_type)[0]:
        raise PlanError(f"{model.title}: its cache can't be {cache_type}; choose F16")
    return names[quant.lower()]


def _option(
    model: Model,
    machine: Machine,
    quant: str,
    context: int,
    users: int,
    cache_type: str,
    price: Price,
) -> Option:
    weights = estimate.weights_of(model, quant)
    speed = estimate.speed(
        weights, model.dims, machine, context=context, users=users, cache_type=cache_type
    )
    return Option(
        quant=quant,
        weights=weights,
        cache_bytes=users * estimate.cache_bytes(model.dims, context, cache_type),
        cache_type=cache_type,
        overhead_bytes=estimate.overhead_bytes(model.dims, context, users, cache_type),
        usable_bytes=machine.usable_bytes,
        speed=speed,
        cost=estimate.cost_per_million(speed.together, price.an_hour),
    )


def price_of(
    machine: Machine, electricity: float | None, watts: float | None, rent: float | None
) -> Price:
    """What was typed in, else the machine's list price for rent, else its electricity."""
    known = data()
    for value, what in ((electricity, "electricity"), (watts, "power"), (rent, "rent")):
        if value is not None and not 0 <= value < 1e6:
            raise PlanError(f"{what}: {value:g} can't be; give a number from 0 up, or leave it out")
    if rent is not None:
        return Price(rent, f"rent: {rent:g} an hour, as you said")
    if machine.rent and electricity is None and watts is None:
        how = f"rent: ${machine.rent:.2f} an hour, list price"
        return Price(machine.rent, how, _known(machine.rent_source), "$")
    power = machine.watts if watts is None else watts
    if not power:
        return Price(None, "how much power this machine draws is not known: say it, or a rent")
    drawn = _known(machine.watts_source or machine.source) if watts is None else ()
    if electricity is not None:
        how = f"electricity only: {power:g} W at {electricity:g} a kWh"
        return Price(power / 1000 * electricity, how, drawn)
    how = f"electricity only: {power:g} W at ${known.electricity:g} a kWh"
    return Price(power / 1000 * known.electricity, how, (*drawn, known.electricity_source), "$")


def _known(source: Source | None) -> tuple[Source, ...]:
    return (source,) if source else ()


def guide(model: Model, known: Data) -> str:
    """Whose figures help with this model: its own, its relative's, else the best measured one's."""
    if known.published(model.name):
        return model.name
    return model.relative or "llama-3-8b"


def quality(model: Model, quant: str) -> list[Quality]:
    """Published figures of the model at the quant; where it has none, those of its guide too."""
    known = data()
    own = known.published(model.name)
    if own:
        return [_figure(figures, model.title, quant) for figures in own]
    other = known.models[guide(model, known)]
    none = Quality("any", None, model.title, None, NOT_PUBLISHED)
    return [none, *(_figure(f, other.title, quant) for f in known.published(other.name))]


def _figure(figures: Figures, title: str, quant: str) -> Quality:
    value = figures.values.get(quant)
    return Quality(
        figures.measure,
        value,
        title,
        figures.source,
        "" if value is not None else NOT_PUBLISHED,
        figures.values.get("F16"),
    )


def chart_figures(model: Model) -> Figures:
    """What size is compared with: mean KL divergence where published, else perplexity."""
    known = data()
    found = known.published(guide(model, known))
    return next((f for f in found if f.measure == "mean KL divergence"), found[0])


def _sentence(
    model: Model,
    machine: Machine,
    ladder: Sequence[Option],
    pick: Option | None,
    context: int,
) -> str:
    if pick is None:
        return _nothing_fits(model, machine, ladder, context)
    index = ladder.index(pick)
    figures = chart_figures(model)
    parts = [
        f"Pick {pick.quant}: it takes {gib(pick.memory_bytes)} of the "
        f"{gib(pick.usable_bytes)} that can be used.",
        _why_not_larger(model, ladder[index - 1], pick, figures),
        _why_not_smaller(ladder[index + 1 :], pick, figures),
        _with_smaller_cache(ladder, pick),
        _of_whom(model, figures),
    ]
    return " ".join(filter(None, parts))


def _nothing_fits(model: Model, machine: Machine, ladder: Sequence[Option], context: int) -> str:
    least = ladder[-1]
    start = (
        f"Nothing fits: even {least.quant} needs {gib(least.memory_bytes)}, "
        f"{gib(-least.spare_bytes)} more than {machine.title} can give."
    )
    # The largest file beside which a useful share of the context has room.
    for option in ladder[LADDER.index(LARGEST_PICK) :]:
        share = (option.spare_bytes + option.cache_bytes) / option.cache_bytes
        if share > 0.1:
            tokens = math.floor(share * context / 256) * 256
            return f"{start} With a context of {tokens:,} tokens, {option.quant} would fit."
    smaller = [
        other
        for other in data().models.values()
        if other.family == model.family
        and 0 < other.parameters < _parameters(model)
        and estimate.weights_of(other, "Q4_K_M").tensor_bytes < 0.8 * machine.usable_bytes
    ]
    if smaller:
        best = max(smaller, key=lambda other: other.parameters)
        return f"{start} {best.title} would fit at Q4_K_M."
    return f"{start} A smaller model or a larger machine is needed."


def _parameters(model: Model) -> int:
    return estimate.weights_of(model, "F16").elements


def _why_not_larger(model: Model, larger: Option, pick: Option, figures: Figures) -> str:
    if not larger.fits:
        return f"{larger.quant} would need {gib(-larger.spare_bytes)} more than there is."
    # F16's divergence from itself says nothing: its perplexity does.
    found = data().published(figures.model)
    figures = next((f for f in found if f.measure == "perplexity"), figures)
    text = f"{larger.quant} fits too, but takes {gib(larger.memory_bytes - pick.memory_bytes)} more"
    if larger.speed.each and pick.speed.each:
        share = larger.speed.each.middle / pick.speed.each.middle
        text += f" and makes tokens at {share:.0%} of the speed"
    return f"{text}{_compared(figures, larger, pick, 'for')}."


def _why_not_smaller(smaller: Sequence[Option], pick: Option, figures: Figures) -> str:
    if not smaller:
        return "Nothing smaller is worth having."
    saved = gib(pick.memory_bytes - smaller[0].memory_bytes)
    compared = _compared(figures, smaller[0], pick, "at")
    return f"{smaller[0].quant} would free {saved} that is not needed{compared}."


def _with_smaller_cache(ladder: Sequence[Option], pick: Option) -> str:
    """Below Q4_K_M much is lost: say so where a cache in 8 bits would spare it."""
    wanted = ladder[LADDER.index("Q4_K_M")]
    weights, size = recipe.block_of("Q8_0")
    saved = pick.cache_bytes * (1 - size / (2 * weights))
    if ladder.index(pick) <= ladder.index(wanted) or pick.cache_type != "F16":
        return ""
    return f"With a Q8_0 cache {wanted.quant} would fit." if wanted.spare_bytes + saved > 0 else ""


def _compared(figures: Figures, other: Option, pick: Option, word: str) -> str:
    theirs, ours = figures.values.get(other.quant), figures.values.get(pick.quant)
    if theirs is None:
        return f"; {NOT_PUBLISHED} for it"
    if ours is None:
        return ""
    return f", {word} a {figures.measure} of {said(theirs)} instead of {said(ours)}"


def _of_whom(model: Model, figures: Figures) -> str:
    if figures.model == model.name:
        return ""
    title = data().models[figures.model].title
    return f"(Measured on {title}: {NOT_PUBLISHED} for {model.title}.)"


def _notes(model: Model, context: int, chosen: Option) -> list[str]:
    notes = []
    if model.trained_context and context > model.trained_context:
        notes.append(
            f"{model.title} was trained on contexts of up to {model.trained_context:,} tokens; "
            f"with {context:,} its answers may fall apart."
        )
    if chosen.weights.fallbacks:
        listed = ", ".join(f"{n} × {name}" for name, n in chosen.weights.fallbacks.items())
        notes.append(
            f"256 does not divide every row of this model, so {chosen.quant} stores some tensors "
            f"in other types: {listed}."
        )
    return notes


def said(value: float) -> str:
    """A figure with as many digits as tell neighbours apart: 6.233, 65.2, 0.0108."""
    return f"{value:.4g}" if value >= 1 else f"{value:.3g}"


def gib(size: float) -> str:
    """A size as it is said: 3.4 GiB, 780 MiB."""
    if size < GIB:
        return f"{size / 2**20:.0f} MiB"
    return f"{size / GIB:.{2 if size < 10 * GIB else 1}f} GiB"
