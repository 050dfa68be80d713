"""The grid that a group of weights is rounded to, and what rounding gives: codes on that grid.

A row of weights is cut into groups of neighbours (32 in llama.cpp's Q4_0 and Q4_1). Each group has
2**bits grid points, evenly spaced, and stores where they begin and how far apart they are:

    weight  ≈  scale * code + offset            code in 0 .. 2**bits - 1

Asymmetric grids (Q4_1) choose both numbers. Symmetric ones (Q4_0) have a point at zero and choose
the scale only: offset = -scale * 2**(bits - 1). Papers write scale * (code - zero); that is the
same grid with zero = -offset / scale.

By hand, 2 bits (codes 0 to 3), one group of four weights, asymmetric:

    weights          0.0   0.7   1.2   3.0      offset 0.0, scale (3.0 - 0.0) / 3 = 1.0
    nearest code     0     1     1     3
    read back        0.0   1.0   1.0   3.0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Grid:
    bits: int = 4
    group: int = 32  # columns that share a scale
    symmetric: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"{self.bits} bits: 1 to 8 are possible")

    @property
    def top(self) -> int:
        """The largest code."""
        return 2**self.bits - 1

    def split(self, rows: Array) -> Array:
        """(rows, columns) as (rows, groups, group)."""
        if rows.shape[-1] % self.group:
            raise ValueError(f"rows of {rows.shape[-1]} can't be cut into groups of {self.group}")
        return rows.reshape(*rows.shape[:-1], -1, self.group)


@dataclass(frozen=True)
class Quantized:
    """Rounded weights. Scales and offsets are numbers that 16 bits hold: what a file stores."""

    codes: NDArray[np.uint8]  # (rows, columns)
    scale: Array  # (rows, groups)
    offset: Array  # (rows, groups)

    def weights(self) -> Array:
        """(rows, columns): the weights as the model will see them."""
        group = self.codes.shape[1] // self.scale.shape[1]
        return self.codes * self.scale.repeat(group, 1) + self.offset.repeat(group, 1)


def in_16_bits(values: Array) -> Array:
    """Rounded to FP16, as scales and offsets are stored."""
    return values.astype(np.float16).astype(values.dtype)


def nearest(weights: Array, scale: Array, offset: Array, grid: Grid) -> NDArray[np.uint8]:
    """The code of the grid point nearest to each weight; shapes broadcast."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.rint((weights - offset) / scale)
    # A group of equal weights has scale 0: every code means the offset.
    return np.where(scale == 0, 0, np.clip(steps, 0, grid.top)).astype(np.uint8)
