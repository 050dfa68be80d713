"""Reading a GGUF file's header with every bound checked: files may come from anywhere.

Layout (all little-endian): magic, version, number of tensors, number of key-value pairs, the
pairs, one record per tensor (name, shape, type, offset), padding, tensor data.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.constants import MODEL_ARCH_NAMES, GGUFValueType

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_DIMS = 4
MAX_HEADER = 64 << 20  # bytes; the largest vocabularies take about 10 MB
_SCALARS = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}


class BadGguf(ValueError):
    """The file can't be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]  # as numpy has it: rows first, row length last
    type: str
    offset: int  # in the file
    bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Value:
    """A key-value pair's value with its GGUF type (for arrays the type of their elements)."""

    type: GGUFValueType
    value: Any


@dataclass(frozen=True)
class GgufFile:
    path: Path
    version: int
    values: dict[str, Value]
    tensors: list[Tensor]
    size: int

    def get(self, key: str, default: Any = None) -> Any:
        """A metadata value; `{arch}` in the key stands for the architecture."""
        found = self.values.get(key.replace("{arch}", self.architecture))
        return default if found is None else found.value

    @property
    def architecture(self) -> str:
        return self.values["general.architecture"].value

    @cached_property
    def elements(self) -> int:
        return sum(tensor.elements for tensor in self.tensors)

    @cached_property
    def tensor_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        """As llama.cpp defines it: bits of all tensors over elements of all tensors."""
        return 8 * self.tensor_bytes / self.elements

    @cached_property
    def type_counts(self) -> dict[str, int]:
        """Number of tensors by type, the most frequent first."""
        return dict(Counter(tensor.type for tensor in self.tensors).most_common())

    @property
    def is_quantized(self) -> bool:
        return any(tensor.type not in ("F32", "F16", "BF16") for tensor in self.tensors)


class _Cursor:
    """A place in the file's bytes; reading past the end raises BadGguf."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def scalar(self, layout: str) -> Any:
        (value,) = self.unpack(layout)
        return value

    def unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return values

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise BadGguf(f"cut off: the header goes on past the end at byte {len(self.data)}")
        if end > MAX_HEADER:
            raise BadGguf(f"the header is larger than {MAX_HEADER >> 20} MB")
        piece, self.at = self.data[self.at : end], end
        return piece

    def text(self) -> str:
        return self.take(self.scalar("<Q")).decode("utf-8", "replace")

    def texts(self, count: int) -> list[str]:
        """text(), `count` times, but faster: a vocabulary is long."""
        data, end, found = self.data, min(len(self.data), MAX_HEADER), list[str]()
        for _ in range(count):
            begin = self.at + 8
            after = begin + int.from_bytes(data[self.at : begin], "little")
            if begin > end or after > end:
                self.text()  # says why not
            found.append(data[begin:after].decode("utf-8", "replace"))
            self.at = after
        return found

    def value(self) -> Value:
        kind = self._type()
        if kind == GGUFValueType.ARRAY:
            kind = self._type()
            count = self.scalar("<Q")
            if kind == GGUFValueType.ARRAY:
                raise BadGguf("arrays of arrays are not supported")
            if kind == GGUFValueType.STRING:
                return Value(kind, self.texts(count))
            layout = _SCALARS[kind]
            data = self.take(count * struct.calcsize(layout))
            return Value(kind, [item for (item,) in struct.iter_unpack(layout, data)])
        if kind == GGUFValueType.STRING:
            return Value(kind, self.text())
        return Value(kind, self.scalar(_SCALARS[kind]))

    def _type(self) -> GGUFValueType:
        number = self.scalar("<I")
        try:
            return GGUFValueType(number)
        except ValueError as error:
            raise BadGguf(f"unknown value type {number} at byte {self.at - 4}") from error


def read(path: str | Path) -> GgufFile:
    """The file's metadata and tensors. Raises BadGguf, FileNotFoundError or another OSError."""
    path = Path(path)
    with path.open("rb") as file:
        size = path.stat().st_size
        if size < 24:
            raise BadGguf(f"{path.name}: {size} bytes are no GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse(path, data, size)
            except BadGguf as error:
                raise BadGguf(f"{path.name}: {error}") from error


def _parse(path: Path, data: mmap.mmap, size: int) -> GgufFile:
    cursor = _Cursor(data)
    if cursor.take(4) != MAGIC:
        raise BadGguf("not a GGUF file (the first four bytes are not 'GGUF')")
    version = cursor.scalar("<I")
    if version not in VERSIONS:
        raise BadGguf(f"GGUF version {version}; versions 2 and 3, little-endian, are supported")
    n_tensors, n_values = cursor.unpack("<QQ")
    values = {}
    for _ in range(n_values):
        key = cursor.text()
        if key in values:
            raise BadGguf(f"two values are named {key}")
        values[key] = cursor.value()
    architecture = values.get("general.architecture")
    if architecture is None or not isinstance(architecture.value, str):
        raise BadGguf("general.architecture is missing")
    records = [_tensor_record(cursor) for _ in range(n_tensors)]
    if not records:
        raise BadGguf("there are no tensors in it")
    alignment = values["general.alignment"].value if "general.alignment" in values else 32
    if not isinstance(alignment, int) or alignment < 8 or alignment % 8:
        raise BadGguf(f"alignment {alignment} is not a multiple of 8")
    start = -(-cursor.at // alignment) * alignment
    tensors = [_tensor(*record, start, size) for record in records]
    _check_places(tensors, start, alignment)
    names = Counter(tensor.name for tensor in tensors)
    if len(names) < len(tensors):
        raise BadGguf(f"two tensors are named {names.most_common(1)[0][0]}")
    return GgufFile(path, version, values, tensors, size)


def _tensor_record(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = cursor.text()
    n_dims = cursor.scalar("<I")
    if not 1 <= n_dims <= MAX_DIMS:
        raise BadGguf(f"tensor {name} has {n_dims} dimensions; 1 to {MAX_DIMS} are possible")
    dims = cursor.unpack(f"<{n_dims}Q")
    kind, offset = cursor.unpack("<IQ")
    return name, dims[::-1], kind, offset


def _tensor(name: str, shape: tuple[int, ...], kind: int, offset: int, start: int, size: int):
    try:
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError) as error:
        raise BadGguf(f"tensor {name} has the unknown type {kind}") from error
    if 0 in shape or shape[-1] % block:
        raise BadGguf(f"tensor {name}: rows of {shape[-1]} don't fit blocks of {block}")
    nbytes = math.prod(shape) // block * block_bytes
    if start + offset + nbytes > size:
        raise BadGguf(f"cut off: tensor {name} ends past the file's end at byte {size}")
    return Tensor(name, shape, GGMLQuantizationType(kind).name, start + offset, nbytes)


def _check_places(tensors: list[Tensor], start: int, alignment: int) -> None:
    """Each tensor begins where the one before it ends: a wrong type or shape shows here."""
    expected = start
    for tensor in tensors:
        if tensor.offset != expected:
            raise BadGguf(
                f"tensor {tensor.name} begins at byte {tensor.offset}, not at {expected}: it "
                "overlaps another, or one's type or shape is wrong"
            )
        expected += -(-tensor.bytes // alignment) * alignment


def check_source(path: str | Path) -> GgufFile:
    """The file, if a model that llama.cpp might load; otherwise BadGguf says what to do."""
    file = read(path)
    known = set(MODEL_ARCH_NAMES.values())
    if file.architecture not in known:
        raise BadGguf(f"{file.path.name}: unknown architecture {file.architecture!r}")
    if file.get("general.type", "model") != "model":
        kind = file.get("general.type")
        raise BadGguf(f"{file.path.name} is of type {kind!r}, not a whole model")
    if file.get("split.count", 1) > 1:
        raise BadGguf(f"{file.path.name} is one part of several: join them with llama-gguf-split")
    if "tokenizer.ggml.tokens" not in file.values:
        raise BadGguf(f"{file.path.name} has no vocabulary (tokenizer.ggml.tokens)")
    return file


def copy_values(file: GgufFile, writer: GGUFWriter, *, without: tuple[str, ...] = ()) -> None:
    """Add the file's key-value pairs to a writer, in their order, but for `without`."""
    for key, item in file.values.items():
        if key in (*without, "general.architecture"):  # the writer has added that itself
            continue
        if isinstance(item.value, list):
            writer.add_key_value(key, item.value, GGUFValueType.ARRAY, sub_type=item.type)
        else:
            writer.add_key_value(key, item.value, item.type)
