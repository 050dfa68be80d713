"""A 16-bit reference out of a 4-bit model: the same function in another basis.

Expanded plainly, a quantized model is a crooked reference: its weights still lie on the 4-bit
grid, and formats with that grid look better than they are. RMSNorm does not see a rotation of the
residual stream, so once its scales are absorbed into the matrices behind it, any orthogonal Q may
be slipped in without changing what the model computes:

    embedding        E -> E Q             attention output, down   W -> Q^T W
    q, k, v, gate, up  W -> W Q           output head (untied)     E diag(g) -> E diag(g) Q

Q turns random pairs of channels by 22 to 68 degrees: enough to leave the grid, and too little to
spread outlier channels, so the result behaves as a natural 16-bit model does. (Turning all
channels into each other would: every format then gets better, the idea behind QuaRot and
SpinQuant.) Pairs also need no matrix product, so the file is the same on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import dequantize
from numpy.typing import NDArray

from quant.gguf_file import BadGguf, GgufFile, Tensor, copy_values, read

Array = NDArray[np.float64]

SEED = 20240
DEGREES = (22.0, 68.0)
# Which norm's scale each matrix takes in, by the last part of its name.
READS = {
    "attn_q": "attn_norm",
    "attn_k": "attn_norm",
    "attn_v": "attn_norm",
    "ffn_gate": "ffn_norm",
    "ffn_up": "ffn_norm",
}
WRITES = ("attn_output", "ffn_down")
NORMS = ("attn_norm", "ffn_norm", "output_norm")


@dataclass(frozen=True)
class PairRotation:
    """An orthogonal matrix Q made of plane rotations of disjoint pairs of channels."""

    left: NDArray[np.intp]  # (n / 2,)
    right: NDArray[np.intp]
    cos: Array
    sin: Array

    @classmethod
    def random(cls, channels: int, seed: int = SEED) -> PairRotation:
        rng = np.random.default_rng(seed)
        order = rng.permutation(channels)
        half = channels // 2
        angle = np.deg2rad(rng.uniform(*DEGREES, half))
        return cls(order[:half], order[half : 2 * half], np.cos(angle), np.sin(angle))

    def columns(self, matrix: Array) -> Array:
        """(rows, channels) times Q."""
        result = matrix.copy()
        left, right = matrix[..., self.left], matrix[..., self.right]
        result[..., self.left] = left * self.cos + right * self.sin
        result[..., self.right] = right * self.cos - left * self.sin
        return result

    def rows(self, matrix: Array) -> Array:
        """Q transposed times (channels, columns)."""
        return self.columns(matrix.T).T


class Tensors:
    """The source's tensors, dequantized when asked for."""

    def __init__(self, file: GgufFile) -> None:
        self.by_name = {tensor.name: tensor for tensor in file.tensors}
        self.data = np.memmap(file.path, np.uint8, "r")

    def __getitem__(self, name: str) -> Array:
        tensor: Tensor = self.by_name[name]
        kind = GGMLQuantizationType[tensor.type]
        raw = self.data[tensor.offset : tensor.offset + tensor.bytes]
        if kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
            values = raw.view(np.float32 if tensor.type == "F32" else np.float16)
        else:
            values = dequantize(raw.reshape(*tensor.shape[:-1], -1), kind)
        return values.reshape(tensor.shape).astype(np.float64)


def rotated(file: GgufFile, rotation: PairRotation) -> Iterator[tuple[str, Array]]:
    """The tensors of the same function in the other basis; the last two are norm and head."""
    tensors = Tensors(file)
    for name in tensors.by_name:
        *block, kind, _ = name.split(".")  # blk.7.attn_q.weight
        if name in ("output_norm.weight", "output.weight"):
            continue
        if name == "token_embd.weight":
            yield name, rotation.columns(tensors[name])
        elif kind in NORMS:
            yield name, np.ones_like(tensors[name])
        elif kind in READS:
            scale = tensors[".".join((*block, READS[kind], "weight"))]
            yield name, rotation.columns(tensors[name] * scale)
        elif kind in WRITES:
            yield name, rotation.rows(tensors[name])
        else:
            raise BadGguf(f"{file.path.name}: no rule for rotating the tensor {name}")
    head = tensors["output.weight" if "output.weight" in tensors.by_name else "token_embd.weight"]
    yield "output_norm.weight", np.ones_like(tensors["output_norm.weight"])
    yield "output.weight", rotation.columns(head * tensors["output_norm.weight"])


def build_reference(
    source: Path, target: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write `target`, the F16 model that computes what `source` computes, in another basis."""
    file = read(source)
    if file.architecture != "llama" or file.get("llama.expert_count", 0):
        raise BadGguf(f"{source.name}: only dense models of the architecture 'llama' are rotated")
    writer = GGUFWriter(target, "llama")
    copy_values(file, writer, without=("general.name", "general.file_type"))
    writer.add_name(f"{file.get('general.name', source.stem)}, expanded to 16 bits and rotated")
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    rotation = PairRotation.random(file.get("llama.embedding_length"))
    total = len({tensor.name for tensor in file.tensors} | {"output.weight"})
    for done, (name, values) in enumerate(rotated(file, rotation), 1):
        # As llama.cpp keeps them: matrices in 16 bits, vectors in 32.
        writer.add_tensor(name, values.astype(np.float16 if values.ndim > 1 else np.float32))
        progress(done, total)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with target.open("rb") as written:
        os.fsync(written.fileno())
