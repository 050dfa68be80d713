"""What can be planned for beside planner.toml: a GGUF file, five numbers, this or any machine."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from quant import gguf_file, machine, registry
from quant.machine import Measured
from quant.planner import recipe
from quant.planner.data import GIB, Machine, Model, Source, data
from quant.planner.plan import PlanError
from quant.planner.tensors import Dimensions, UnknownModel, dimensions_in, tensors_in

THIS = "this"
FIVE = "layers, width, feed-forward length, key-value heads, vocabulary"
HEAD_SIZE = 128  # of every model here from 3 billion weights up


def find_model(name: str) -> Model:
    """A model's name, a GGUF file's path or name in the store, or five numbers with commas.

    Raises UnknownModel or PlanError with one line that says what to do.
    """
    if "," in name:
        return from_numbers(name.split(","))
    if name.endswith(".gguf") or name in registry.entries() or Path(name).is_file():
        try:
            return from_file(registry.path_of(name))
        except registry.StoreError as error:
            raise UnknownModel(str(error)) from error
    return data().model(name)


def from_numbers(numbers: list[str]) -> Model:
    try:
        layers, width, feed_forward, kv_heads, vocabulary = (int(number) for number in numbers)
    except ValueError as error:
        raise PlanError(f"five whole numbers are needed: {FIVE}") from error
    head_size = HEAD_SIZE if width % HEAD_SIZE == 0 else 64
    if not (1 <= layers <= 1000 and 64 <= width <= 10**6 and width % head_size == 0):
        raise PlanError(f"{layers} layers of width {width}: the width must be a multiple of 64")
    if not (1 <= feed_forward <= 10**7 and 1 <= vocabulary <= 10**7 and feed_forward % 32 == 0):
        raise PlanError("the feed-forward length must be a multiple of 32, the vocabulary positive")
    heads = width // head_size
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise PlanError(f"{kv_heads} key-value heads: give a divisor of the {heads} query heads")
    dims = Dimensions("llama", layers, width, feed_forward, heads, kv_heads, head_size, vocabulary)
    return Model(
        name=",".join(map(str, (layers, width, feed_forward, kv_heads, vocabulary))),
        title="The model of your five numbers",
        family="Own",
        dims=dims,
        vocabulary_bytes=round(vocabulary * data().bytes_per_token),
        source=Source("own", f"Typed in; heads of {head_size} assumed", "", today()),
    )


def from_file(path: Path) -> Model:
    """A GGUF file of an architecture that the planner knows, whatever its present quant."""
    try:
        file = gguf_file.read(path)
    except (gguf_file.BadGguf, OSError) as error:
        raise UnknownModel(str(error)) from error
    dims = dimensions_in(file)
    tensors = tensors_in(file)
    header = min(tensor.offset for tensor in file.tensors)
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    return Model(
        name=path.name,
        title=str(file.get("general.name") or path.stem),
        family="Own",
        dims=dims,
        vocabulary_bytes=max(0, header - recipe.header_bytes(tensors, 0)),
        source=Source("own", f"metadata of {path.name}", "", changed),
        trained_context=int(file.get("{arch}.context_length", 0)),
        tensors=tuple(tensors),
    )


def find_machine(name: str) -> Machine:
    return this_machine() if name.lower() == THIS else data().machine(name)


def this_machine(*, quick: bool = False) -> Machine:
    """As measured; unmeasured, its memory and (if `quick`, in two seconds) its bandwidth."""
    found = machine.measured()
    if found:
        return machine_of(found)
    return Machine(
        name=THIS,
        title="this machine",
        group="Yours",
        kind=data().kinds["computer"],
        memory=machine.memory_bytes() / GIB,
        bandwidth=machine.bandwidth(machine.processors()) if quick else 0,
        source=Source(
            THIS,
            f"{machine.processor()}; not measured yet (manage.py measure_machine)",
            "",
            today(),
        ),
    )


def machine_of(found: Measured) -> Machine:
    return Machine(
        name=THIS,
        title="this machine",
        group="Yours",
        kind=data().kinds["computer"],
        memory=found.memory_bytes / GIB,
        bandwidth=found.bandwidth,
        source=Source(
            THIS,
            f"Measured here with manage.py measure_machine: {found.processor}, "
            f"{found.threads} threads",
            "",
            datetime.fromisoformat(found.at).date(),
        ),
        measured=found,
    )


def today() -> date:
    return datetime.now(UTC).date()


def own_machine(memory: float, bandwidth: float) -> Machine:
    """Memory in GB, bandwidth in GB a second, typed in."""
    if not 0 < memory <= 100_000:
        raise PlanError(f"{memory:g} GB of memory: give a number above 0")
    if not 0 <= bandwidth <= 1_000_000:
        raise PlanError(f"a bandwidth of {bandwidth:g} GB/s: give a number from 0 up")
    return Machine(
        name="own",
        title="your machine",
        group="Yours",
        kind=data().kinds["other"],
        memory=memory,
        bandwidth=bandwidth,
        source=Source("own-machine", "Typed in", "", today()),
    )
