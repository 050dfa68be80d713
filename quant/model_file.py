"""A model file for a reader: what kind of model it is, and what type each tensor has."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from quant import gguf_file
from quant.gguf_file import GgufFile, Tensor

BLOCK = 256  # K- and I-quants pack so many weights of a row together
WORDS = {
    "token_embd": "token embeddings",
    "position_embd": "position embeddings",
    "output": "output head",
    "attn_q": "attention: queries",
    "attn_k": "attention: keys",
    "attn_v": "attention: values",
    "attn_output": "attention: output",
    "ffn_gate": "feed-forward: gate",
    "ffn_up": "feed-forward: up",
    "ffn_down": "feed-forward: down",
}


@dataclass(frozen=True)
class Kind:
    """The tensors of one name, one for each layer (or just one for the whole model)."""

    name: str
    words: str
    shape: str
    types: list[str]  # in the layers' order
    bytes: int

    @property
    def summary(self) -> str:
        """30 × Q5_0, or Q8_0"""
        if len(self.types) == 1:
            return self.types[0]
        return ", ".join(f"{count} × {name}" for name, count in Counter(self.types).most_common())

    @property
    def runs(self) -> list[tuple[str, int, int]]:
        """(type, first layer, number of layers) of neighbours with the same type."""
        runs: list[tuple[str, int, int]] = []
        for layer, name in enumerate(self.types):
            if runs and runs[-1][0] == name:
                runs[-1] = (name, runs[-1][1], runs[-1][2] + 1)
            else:
                runs.append((name, layer, 1))
        return runs


@dataclass(frozen=True)
class ByType:
    name: str
    bits: float  # per weight
    tensors: int
    bytes: int
    share: float  # of the bytes, in percent


@dataclass(frozen=True)
class ModelFile:
    file: GgufFile
    kinds: list[Kind]
    small: Kind | None  # norms and biases, together
    types: list[ByType]

    @property
    def layers(self) -> int:
        return int(self.file.get("{arch}.block_count", 0))

    @property
    def facts(self) -> list[tuple[str, str]]:
        get = self.file.get
        heads, kv_heads = get("{arch}.attention.head_count"), get("{arch}.attention.head_count_kv")
        found = [
            ("Architecture", self.file.architecture),
            ("Parameters", f"{self.file.elements / 1e6:,.0f} million"),
            ("Layers", str(self.layers or "")),
            ("Width", _number(get("{arch}.embedding_length"))),
            ("Attention heads", _heads(heads, kv_heads)),
            ("Context", _number(get("{arch}.context_length"), " tokens")),
            ("Vocabulary", _number(len(get("tokenizer.ggml.tokens", [])) or None, " tokens")),
            ("Memory for each token of context", self._cache()),
            ("Bits per weight", f"{self.file.bits_per_weight:.2f}"),
        ]
        return [(name, value) for name, value in found if value]

    def _cache(self) -> str:
        """KV cache at 16 bits: 2 × layers × heads × head size × 2 bytes."""
        get = self.file.get
        heads, width = get("{arch}.attention.head_count"), get("{arch}.embedding_length")
        kv_heads = get("{arch}.attention.head_count_kv", heads)
        if get("{arch}.attention.causal") is False:  # an encoder keeps nothing
            return ""
        if not (isinstance(heads, int) and isinstance(kv_heads, int) and width):
            return ""
        size = get("{arch}.attention.key_length", width // heads)
        return f"{2 * self.layers * kv_heads * size * 2 / 1024:.1f} KiB at 16 bits"

    @property
    def licence(self) -> str:
        return str(self.file.get("general.license", ""))

    @property
    def template(self) -> str:
        return str(self.file.get("tokenizer.chat_template", ""))

    @property
    def odd_rows(self) -> list[int]:
        """Row lengths of matrices that K-quants can't have."""
        lengths = {t.shape[-1] for t in self.file.tensors if len(t.shape) > 1}
        return sorted(length for length in lengths if length % BLOCK)


def _number(value: object, unit: str = "") -> str:
    return f"{value:,}{unit}" if isinstance(value, int) else ""


def _heads(heads: object, kv_heads: object) -> str:
    if not isinstance(heads, int):
        return ""
    shared = isinstance(kv_heads, int) and kv_heads != heads
    return f"{heads}, sharing {kv_heads} for keys and values" if shared else str(heads)


def model_file(path: Path) -> ModelFile:
    """Raises BadGguf or OSError."""
    file = gguf_file.read(path)
    matrices: dict[str, list[Tensor]] = {}
    vectors = []
    for tensor in sorted(file.tensors, key=_layer):
        if len(tensor.shape) > 1:
            matrices.setdefault(_kind(tensor.name), []).append(tensor)
        else:
            vectors.append(tensor)
    return ModelFile(
        file=file,
        kinds=[_as_kind(name, tensors) for name, tensors in matrices.items()],
        small=_as_kind("norms and biases", vectors) if vectors else None,
        types=_by_type(file),
    )


def _layer(tensor: Tensor) -> int:
    found = re.match(r"blk\.(\d+)\.", tensor.name)
    return int(found[1]) if found else -1


def _kind(name: str) -> str:
    return re.sub(r"^blk\.\d+\.|\.weight$", "", name)


def _as_kind(name: str, tensors: list[Tensor]) -> Kind:
    shapes = {tensor.shape for tensor in tensors}
    shape = " × ".join(f"{size:,}" for size in shapes.pop()) if len(shapes) == 1 else "various"
    return Kind(
        name=name,
        words=WORDS.get(name, name),
        shape=shape,
        types=[tensor.type for tensor in tensors],
        bytes=sum(tensor.bytes for tensor in tensors),
    )


def _by_type(file: GgufFile) -> list[ByType]:
    found: dict[str, list[Tensor]] = {}
    for tensor in file.tensors:
        found.setdefault(tensor.type, []).append(tensor)
    types = [
        ByType(
            name,
            bits(name),
            len(tensors),
            size := sum(tensor.bytes for tensor in tensors),
            100 * size / file.tensor_bytes,
        )
        for name, tensors in found.items()
    ]
    return sorted(types, key=lambda one: -one.bytes)


def bits(type_name: str) -> float:
    """Bits per weight of a tensor type: bits("Q4_K") is 4.5."""
    weights, size = GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]
    return 8 * size / weights


@lru_cache(maxsize=64)
def _sha256(path: Path, _changed: float) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256(path: Path) -> str:
    """Reads the whole file: a second for each GB or so."""
    return _sha256(path, path.stat().st_mtime)
