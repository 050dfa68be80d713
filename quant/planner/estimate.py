"""Memory, speed and cost, computed from tensors, machine and published rates.

Speed of generation. A step makes one token for each user. It reads every matrix once and each
user's cache, so it takes

    layers × layer time + bytes / (efficiency × bandwidth)      seconds,

or as long as its arithmetic, if that is longer. The constants of a kind of machine are in
planner.toml. How far published rates lie from this line gives the range: of the same machine where
somebody has published its rates, of all machines of its kind otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from quant.planner import recipe
from quant.planner.data import MIB, Data, Kind, Machine, Model, Rate, data
from quant.planner.tensors import Dimensions, tensors_of

CACHE_TYPES = ("F16", "Q8_0", "Q4_0")
CELL_STEP = 256  # llama.cpp rounds a context up to a multiple of this
PUBLISHED_DEPTH = 512  # tokens: about the mean depth of published generation rates
OWN_MARGIN = 1.10  # other versions and settings than those of the published rates
KIND_MARGIN = 1.25  # other machines than those with published rates


@dataclass(frozen=True)
class Range:
    low: float
    high: float

    def __post_init__(self) -> None:
        assert 0 <= self.low <= self.high, (self.low, self.high)

    def scaled(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)

    def inverse(self, numerator: float) -> Range:
        """numerator / value: what took longest is slowest."""
        return Range(numerator / self.high, numerator / self.low)

    @property
    def middle(self) -> float:
        """The geometric mean: as many times above the low end as below the high one."""
        return float((self.low * self.high) ** 0.5)


@dataclass(frozen=True)
class Part:
    """The tensors of one type."""

    type: str
    tensors: int
    bytes: int


@dataclass(frozen=True)
class Weights:
    """A model at one quant: what stands in the file and what a step reads."""

    layers: int
    elements: int
    read: dict[str, int]  # bytes read in a step, by tensor type
    operations: int  # multiplications and additions for a token
    file_bytes: int
    parts: list[Part]  # from many bytes to few
    fallbacks: dict[str, int]  # tensors that could not get the type meant for them

    @property
    def read_bytes(self) -> int:
        return sum(self.read.values())

    @property
    def tensor_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.tensor_bytes / self.elements


@lru_cache(maxsize=512)
def weights_of(model: Model, quant: str) -> Weights:
    dims, tensors = model.dims, model.tensors or tensors_of(model.dims)
    types = recipe.types_of(tensors, dims, quant)
    sizes: dict[str, list[int]] = {}
    read: dict[str, int] = {}
    operations = 0
    for tensor in tensors:
        kind = types[tensor.name]
        size = recipe.bytes_of(tensor, kind)
        sizes.setdefault(kind, []).append(size)
        # Of the embedding one row is looked up; tied, it is the output matrix too.
        if tensor.name != "token_embd.weight" or dims.tied:
            read[kind] = read.get(kind, 0) + size
            operations += 2 * tensor.elements
    parts = [Part(kind, len(each), sum(each)) for kind, each in sizes.items()]
    return Weights(
        layers=dims.layers,
        elements=sum(tensor.elements for tensor in tensors),
        read=read,
        operations=operations,
        file_bytes=recipe.file_bytes(tensors, types, model.vocabulary_bytes),
        parts=sorted(parts, key=lambda part: -part.bytes),
        fallbacks=recipe.fallbacks(tensors, dims, quant),
    )


def cache_bytes(dims: Dimensions, tokens: int, cache_type: str = "F16") -> int:
    """Keys and values of `tokens` tokens in every layer."""
    per_block, size = recipe.block_of(cache_type)
    row = dims.kv_heads * dims.head_size
    return 2 * dims.layers * tokens * row // per_block * size


def overhead_bytes(dims: Dimensions, context: int, users: int, cache_type: str) -> int:
    """What llama.cpp takes beside weights and cache.

    Logits and states of a batch in 32 bits, its attention mask in 16, the cells by which it rounds
    the context up, and the program.
    """
    known = data()
    cells = -(-context // CELL_STEP) * CELL_STEP
    buffer = known.batch * (4 * (dims.vocabulary + dims.width) + 2 * cells * users)
    rounding = cache_bytes(dims, (cells - context) * users, cache_type)
    return buffer + rounding + known.base_mib * MIB


def step_seconds(machine: Machine, kind: Kind, weights: Weights, cache: float) -> float:
    """Seconds of a step that reads the weights and `cache` bytes, as the line has it."""
    here = machine.measured
    if here:
        read = sum(size / here.rate(type_name) for type_name, size in weights.read.items())
        return weights.layers * here.layer_ms / 1e3 + (read + cache / here.bandwidth) / 1e9
    read = (weights.read_bytes + cache) / (kind.efficiency * machine.bandwidth)
    return weights.layers * kind.layer_ms / 1e3 + read / 1e9


def published_ratio(rate: Rate, machine: Machine, kind: Kind) -> float:
    """Seconds a token that were measured over those that the line of `kind` gives."""
    model = data().model(rate.model)
    cache = cache_bytes(model.dims, PUBLISHED_DEPTH)
    return 1 / rate.generation / step_seconds(machine, kind, weights_of(model, rate.quant), cache)


def spread(machine: Machine) -> Range:
    """How many times as long as the line a step may take."""
    here = machine.measured
    if here:
        ratios = [1.0, *(check.predicted / check.measured for check in here.checks)]
        return _around(ratios, OWN_MARGIN if here.steady else KIND_MARGIN)
    if machine.rates:
        ratios = [published_ratio(rate, machine, machine.kind) for rate in machine.rates]
        return _around(ratios, OWN_MARGIN)
    return _kind_spread(machine.kind.name)


@lru_cache
def _kind_spread(kind_name: str) -> Range:
    known: Data = data()
    kind = known.kinds[kind_name]
    alike = [m for m in known.machines.values() if m.kind == kind or kind_name == "other"]
    return _around(
        [published_ratio(rate, machine, kind) for machine in alike for rate in machine.rates],
        KIND_MARGIN,
    )


def _around(values: Iterable[float], margin: float) -> Range:
    found = sorted(values)
    return Range(found[0] / margin, found[-1] * margin)


def operations_per_second(machine: Machine) -> Range | None:
    """Arithmetic that the machine was seen to do in reading prompts; None: nobody published it."""
    if machine.measured:
        return _around([machine.measured.operations * 1e9], OWN_MARGIN)
    rates = [rate for rate in machine.rates if rate.prompt]
    if not rates:
        return None
    return _around(
        [
            weights_of(data().model(rate.model), rate.quant).operations * rate.prompt
            for rate in rates
        ],
        OWN_MARGIN,
    )


@dataclass(frozen=True)
class Speed:
    """Tokens a second. Each is None where it can't be told."""

    each: Range | None  # for each user
    together: Range | None
    prompt: Range | None
    bound_by: str  # "bandwidth", "arithmetic" or "" (unknown)


def speed(
    weights: Weights,
    dims: Dimensions,
    machine: Machine,
    *,
    context: int,
    users: int = 1,
    cache_type: str = "F16",
) -> Speed:
    """Fast end: an empty context; slow end: a full one."""
    operations = operations_per_second(machine)
    prompt = operations.scaled(1 / weights.operations) if operations else None
    if not machine.bandwidth:
        return Speed(None, None, prompt, "")
    wide = spread(machine)
    full = users * cache_bytes(dims, context, cache_type)
    seconds = Range(
        *(
            step_seconds(machine, machine.kind, weights, cache) * factor
            for cache, factor in ((0, wide.low), (full, wide.high))
        )
    )
    bound_by = "bandwidth"
    if operations:
        arithmetic = operations.inverse(users * weights.operations)
        if arithmetic.middle > seconds.middle:
            bound_by = "arithmetic"
        seconds = Range(max(seconds.low, arithmetic.low), max(seconds.high, arithmetic.high))
    each = seconds.inverse(1)
    return Speed(each, each.scaled(users), prompt, bound_by)


def cost_per_million(together: Range | None, dollars_an_hour: float | None) -> Range | None:
    """Dollars (or whatever the price was in) for a million generated tokens."""
    if together is None or dollars_an_hour is None:
        return None
    return together.inverse(dollars_an_hour / 3600 * 1e6)
