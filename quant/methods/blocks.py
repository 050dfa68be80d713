"""Codes into the bytes of llama.cpp's blocks of 32 weights (ggml-common.h), losing nothing.

    Q4_0   18 bytes   scale (FP16), 16 bytes of codes       weight = scale * (code - 8)
    Q4_1   20 bytes   scale, smallest weight, 16 of codes   weight = scale * code + smallest

A byte holds two codes: number i of the block in its lower half, number i + 16 in its upper half.
"""

import numpy as np
from numpy.typing import NDArray

from quant.methods.grid import Grid, Quantized

GRIDS = {"Q4_0": Grid(bits=4, group=32, symmetric=True), "Q4_1": Grid(bits=4, group=32)}


def pack(quantized: Quantized, type_name: str) -> NDArray[np.uint8]:
    """(rows, bytes of a row) for a GGUF tensor of this type."""
    rows, columns = quantized.codes.shape
    if quantized.scale.shape != (rows, columns // 32) or columns % 32:
        raise ValueError(f"{type_name} has blocks of 32: rows of {columns} in other groups")
    codes = quantized.codes.reshape(rows, -1, 2, 16)
    halves = codes[:, :, 0] | codes[:, :, 1] << 4
    numbers = [quantized.scale] + ([quantized.offset] if type_name == "Q4_1" else [])
    if not all(np.isfinite(each).all() for each in numbers):
        raise ValueError("a weight is too large for the 16 bits of a scale")
    heads = [each.astype("<f2")[..., None].view(np.uint8) for each in numbers]
    return np.concatenate([*heads, halves], -1).reshape(rows, -1)
