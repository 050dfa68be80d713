"""planner.toml as objects: models, machines, published figures, and where each is from."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from quant.machine import Measured
from quant.planner.tensors import Dimensions, Tensor, UnknownModel

FILE = Path(__file__).parents[1] / "planner.toml"
GB, GIB, MIB = 10**9, 2**30, 2**20
_DIMENSIONS = {field.name for field in fields(Dimensions)}


@dataclass(frozen=True)
class Source:
    key: str
    title: str
    url: str
    date: date

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.title} ({self.date:%Y-%m-%d}).", self.url)))


@dataclass(frozen=True)
class Model:
    """A model to plan for. `name` is the one to ask with."""

    name: str
    title: str
    family: str
    dims: Dimensions
    vocabulary_bytes: int  # of tokens and merges in the file
    source: Source
    parameters: int = 0  # as published; 0: not given
    trained_context: int = 0  # tokens; 0: not given
    relative: str = ""  # the model whose published figures are nearest
    aliases: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...] = ()  # those of a file; none: those that the dimensions give


@dataclass(frozen=True)
class Kind:
    """What machines of one kind have in common."""

    name: str
    title: str
    efficiency: float  # of the bandwidth, while weights are read
    layer_ms: float  # beside that, for each layer and step
    reserve_gib: float  # to leave free
    source: Source
    reserve_source: Source
    usable_share: float = 1.0
    usable_share_to_32_gb: float = 1.0


@dataclass(frozen=True)
class Rate:
    """Tokens a second that somebody measured and published."""

    model: str
    quant: str
    generation: float
    prompt: float  # 0: not given


@dataclass(frozen=True)
class Machine:
    name: str
    title: str
    group: str
    kind: Kind
    memory: float  # GB as sold, that is GiB
    bandwidth: float  # 10^9 bytes a second; 0: unknown
    source: Source
    watts: float = 0  # under load; 0: unknown
    watts_source: Source | None = None  # None: `source`
    rent: float = 0  # dollars an hour; 0: unknown
    rent_source: Source | None = None
    rates: tuple[Rate, ...] = ()
    rates_source: Source | None = None
    measured: Measured | None = None  # this machine

    @property
    def usable_bytes(self) -> int:
        """Memory that a model may take."""
        kind = self.kind
        share = kind.usable_share_to_32_gb if self.memory <= 32 else kind.usable_share
        return max(0, int((self.memory * share - kind.reserve_gib) * GIB))


@dataclass(frozen=True)
class Figures:
    """One measure of one model at several quants, from one source."""

    model: str
    measure: str
    better: str  # "lower" or "higher"
    source: Source
    values: dict[str, float]


@dataclass(frozen=True)
class Data:
    sources: dict[str, Source]
    models: dict[str, Model]
    kinds: dict[str, Kind]
    machines: dict[str, Machine]
    figures: list[Figures]
    bytes_per_token: float  # of a vocabulary that is not known
    batch: int
    base_mib: int
    overhead_source: Source
    electricity: float  # dollars a kWh
    electricity_source: Source

    def model(self, name: str) -> Model:
        """The model of that name, however it is written; UnknownModel names the nearest."""
        wanted = _plain(name)
        for model in self.models.values():
            if wanted in {_plain(known) for known in (model.name, model.title, *model.aliases)}:
                return model
        return nearest("model", name, self.models)

    def machine(self, name: str) -> Machine:
        return self.machines.get(name.lower()) or nearest("machine", name, self.machines)

    def published(self, model: str) -> list[Figures]:
        return [figures for figures in self.figures if figures.model == model]


def nearest(what: str, name: str, known: Iterable[str]) -> Any:
    """Raises UnknownModel with the names most like the one that was asked for."""
    names = list(known)
    plain = {_plain(other): other for other in names}
    close = [plain[key] for key in difflib.get_close_matches(_plain(name), plain, n=4, cutoff=0.4)]
    hint = f"the nearest are {', '.join(close)}" if close else f"there are {', '.join(names)}"
    raise UnknownModel(f"no {what} is named {name!r}: {hint}")


def _plain(name: str) -> str:
    """A name without what publishers add to it, and without what stands between its parts:
    meta-llama/Llama-3.1-8B-Instruct, llama 3.1 8b and Ollama's llama3.1:8b are all "llama3.18b"."""
    name = re.sub(r"[\s_:]", "-", name.lower().rsplit("/", 1)[-1]).replace("meta-llama", "llama")
    for added in ("-gguf", "-instruct", "-base", "-chat", "-hf"):
        name = name.replace(added, "")
    return re.sub(r"[-()]", "", name)


@lru_cache
def data() -> Data:
    """The file, read once. A test checks what is in it, so no mistake in it is expected here."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    sources = {key: Source(key, **entry) for key, entry in table["sources"].items()}
    kinds = {
        key: Kind(key, **_with_sources(entry, sources)) for key, entry in table["kinds"].items()
    }
    tokenizers = {
        key: entry["bytes"] / entry["tokens"] for key, entry in table["tokenizers"].items()
    }
    return Data(
        sources=sources,
        models={key: _model(key, entry, tokenizers) for key, entry in table["models"].items()},
        kinds=kinds,
        machines={
            key: _machine(key, _with_sources(entry, sources), kinds)
            for key, entry in table["machines"].items()
        },
        figures=[Figures(**_with_sources(entry, sources)) for entry in table["quality"]],
        bytes_per_token=max(tokenizers.values()),
        batch=table["overhead"]["batch"],
        base_mib=table["overhead"]["base_mib"],
        overhead_source=sources[table["overhead"]["source"]],
        electricity=table["electricity"]["price"],
        electricity_source=sources[table["electricity"]["source"]],
    )


def _with_sources(entry: dict[str, Any], sources: dict[str, Source]) -> dict[str, Any]:
    return {
        key: sources[value] if key.endswith("source") else value for key, value in entry.items()
    }


def _model(name: str, entry: dict[str, Any], tokenizers: dict[str, float]) -> Model:
    dims = Dimensions(**{key: entry[key] for key in _DIMENSIONS & entry.keys()})
    repository = entry["repository"]
    return Model(
        name=name,
        title=entry["title"],
        family=entry["family"],
        dims=dims,
        vocabulary_bytes=round(tokenizers[entry["tokenizer"]] * dims.vocabulary),
        source=Source(
            key=f"model-{name}",
            title=f"config.json and number of weights of {repository}",
            url=f"https://huggingface.co/{repository}",
            date=entry["date"],
        ),
        parameters=entry["parameters"],
        trained_context=entry["trained_context"],
        relative=entry.get("relative", ""),
        aliases=tuple(entry.get("aliases", ())),
    )


def _machine(name: str, entry: dict[str, Any], kinds: dict[str, Kind]) -> Machine:
    rates = tuple(Rate(*rate) for rate in entry.pop("rates", ()))
    return Machine(name=name, rates=rates, **{**entry, "kind": kinds[entry["kind"]]})
