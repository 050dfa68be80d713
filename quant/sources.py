"""What an experiment may start from: the model files in the store."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from quant import gguf_file, registry

UNQUANTIZED = ("-F16.gguf", "-BF16.gguf", "-F32.gguf")  # worth fetching


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

    @cached_property
    def problem(self) -> str:
        """Why a file that is here can't be used; or nothing."""
        try:
            _read(self.path, self.path.stat().st_mtime)
        except (gguf_file.BadGguf, OSError) as error:
            return str(error) if self.is_here else ""
        return ""

    @cached_property
    def warning(self) -> str:
        """What to know about a file that is quantized already; or nothing."""
        if not self.is_here or self.problem:
            return ""
        return warning(_read(self.path, self.path.stat().st_mtime))


def warning(file: gguf_file.GgufFile) -> str:
    """What the reader of a report should know about its source; or nothing."""
    if not file.is_quantized:
        return ""
    main = next(iter(file.type_counts))
    return (
        f"The source is quantized itself (mostly {main}). Its variants carry both losses, and "
        "formats that resemble it look better here than they are."
    )


def sources() -> list[Source]:
    """The registry's models, then other files in the store."""
    entries = registry.entries().values()
    found = [
        Source(entry.name, entry.title, entry.what, entry.target)
        for entry in entries
        if entry.target.is_file() or entry.file.endswith(UNQUANTIZED)
    ]
    registered = {entry.target for entry in entries}
    own = sorted(path for path in registry.models_dir().glob("*.gguf") if path not in registered)
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
