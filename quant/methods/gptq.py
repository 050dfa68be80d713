"""GPTQ: each column's rounding error is passed on to the columns that are not rounded yet.

Frantar et al., GPTQ: Accurate Post-Training Quantization, ICLR 2023, arXiv:2210.17323.

What counts is the error of the output, |X (W - W')^T|², not of the weights. Its shape is given by
H = X^T X. If column j has been rounded and missed by e, the other free columns F can make up for
part of it; the best they can do (Hassibi and Stork's optimal brain surgeon) is to move by

    -e / [H_F^-1]_jj * [H_F^-1]_j,:        H_F: H of the columns not rounded so far

Those inverses are all at hand in one matrix: with H^-1 = U^T U and U upper triangular, row j of U
is [H_F^-1]_j,: / sqrt([H_F^-1]_jj). So one Cholesky factor serves for all columns and all rows.

By hand: weights 1.4 and 2.3, whole numbers only; two inputs that are nearly always equal,
H = [[1.0, 0.9], [0.9, 1.0]], H^-1 = [[5.26, -4.74], [-4.74, 5.26]]:

    1.4 -> 1, missed by 0.4
    the second moves by -0.4 / 5.26 * -4.74 = +0.36: 2.66 -> 3 (not 2, which was nearer to 2.3)
    output for inputs 1, 1:  4, was 3.7; round to nearest gives 3
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quant.methods.grid import Array, Grid, Quantized, nearest
from quant.methods.round_to_nearest import fit

DAMPING = 0.01
BLOCK = 128


@dataclass(frozen=True)
class Prepared:
    """What GPTQ goes by; the same for all matrices that read the same input."""

    order: NDArray[np.intp]  # (columns,) the column rounded first, second, ...
    factor: Array  # (columns, columns), in that order


def prepare(xtx: Array, damping: float = DAMPING, *, strongest_first: bool = True) -> Prepared:
    """xtx (columns, columns): X^T X or any multiple of it.

    strongest_first (act-order): columns with the strongest inputs are rounded while there are most
    others left to make up for them.
    """
    order = np.arange(len(xtx))
    if strongest_first:
        order = np.argsort(-np.diag(xtx), kind="stable")
    return Prepared(order, inverse_factor(xtx[np.ix_(order, order)], damping))


def inverse_factor(xtx: Array, damping: float = DAMPING) -> Array:
    """U, upper triangular, with U^T U = (H + damping)^-1; xtx and U are (columns, columns).

    Inputs that never were anything but 0 say nothing: their columns are simply rounded.
    """
    damped = xtx.astype(np.float64)
    diagonal = np.einsum("ii->i", damped)  # a view
    diagonal[diagonal == 0] = 1
    diagonal += damping * diagonal.mean()
    return np.linalg.cholesky(np.linalg.inv(damped)).T


def gptq(
    weights: Array,
    prepared: Prepared,
    grid: Grid,
    *,
    block: int = BLOCK,
    grids: tuple[Array, Array] | None = None,
) -> Quantized:
    """weights (rows, columns).

    grids: scale and offset of each group; round to nearest's if none are given. They are laid
    beforehand, for the weights as they were, so that neighbours in the file share a scale whatever
    the order (static groups).
    block: columns whose errors are passed on to the rest in one go; only the speed depends on it.
    """
    rows, columns = weights.shape
    scale, offset = grids if grids is not None else fit(grid.split(weights), grid)
    order, factor = prepared.order, prepared.factor
    # Transposed, so that a column of weights lies in one piece of memory.
    left = weights.T[order].astype(np.float64)
    codes = np.empty((columns, rows), np.uint8)
    errors = np.empty_like(left)
    for start in range(0, columns, block):
        end = min(start + block, columns)
        for j in range(start, end):
            s, o = scale[:, order[j] // grid.group], offset[:, order[j] // grid.group]
            codes[order[j]] = nearest(left[j], s, o, grid)
            errors[j] = (left[j] - (codes[order[j]] * s + o)) / factor[j, j]
            left[j + 1 : end] -= np.outer(factor[j, j + 1 : end], errors[j])
        left[end:] -= factor[start:end, end:].T @ errors[start:end]
    return Quantized(codes.T.copy(), scale, offset)
