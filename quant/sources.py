"""What an experiment may start from: 16- and 32-bit model files in the store."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from quant import gguf_file, registry

UNQUANTIZED = ("-F16.gguf", "-BF16.gguf", "-F32.gguf")


@dataclass(frozen=True)
class Source:
    name: str
    """registry name, or the file's name in the store"""
    title: str
    what: str
    path: Path

    @property
    def is_here(self) -> bool:
        return self.path.is_file()

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size


def sources() -> list[Source]:
    """The registry's unquantized models, then other files in the store."""
    entries = registry.entries().values()
    found = [
        Source(entry.name, entry.title, entry.what, entry.target)
        for entry in entries
        if entry.file.endswith(UNQUANTIZED)
    ]
    registered = {entry.target for entry in entries}
    own = sorted(
        path
        for path in registry.models_dir().glob("*.gguf")
        if path.name.endswith(UNQUANTIZED) and path not in registered
    )
    return found + [Source(path.name, path.stem, "your own file", path) for path in own]


@lru_cache
def _read(path: Path, changed: float) -> gguf_file.GgufFile:
    return gguf_file.check_source(path)


def header(source: str) -> gguf_file.GgufFile:
    """Its file, checked; raises BadGguf, StoreError or OSError for what can't be used."""
    path = registry.path_of(source)
    return _read(path, path.stat().st_mtime)


def is_embedder(source: str) -> bool:
    """Whether it turns texts into vectors, and so is measured by searching."""
    return header(source).get("{arch}.pooling_type") is not None


def title(source: str) -> str:
    """The model's name."""
    entry = registry.entries().get(source)
    if entry and entry.title:
        return entry.title
    file = header(source)
    return str(file.get("general.name") or file.path.stem)


def what(source: str) -> str:
    """What the registry says it is, or its name."""
    entry = registry.entries().get(source)
    return entry.what if entry else source


def stored(name: str) -> Path:
    """A file in the store by its bare name; anything else raises StoreError."""
    path = registry.models_dir() / name
    if path.name != name or path.suffix != ".gguf" or not path.is_file():
        raise registry.StoreError(f"no model file {name} in the store")
    return path
