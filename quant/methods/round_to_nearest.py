"""Round to nearest: the method all others are measured by.

A group's grid reaches from its smallest weight to its largest; each weight takes the nearest point.
Symmetric grids are laid so that the weight of largest magnitude falls on the outermost point, code
0, whichever its sign (as llama.cpp's Q4_0: the scale is negative if that weight is positive).

By hand, 4 bits symmetric (codes 0 to 15, code 8 means zero), the group 0.70 -0.20 0.36 0.06:

    scale    0.70 / -8 = -0.0875                 offset -8 * scale = 0.70
    steps    (w - 0.70) / -0.0875  =  0   10.29   3.89   7.31
    codes                             0   10      4      7
    back     0.70 - 0.0875 * code  =  0.70  -0.175  0.35  0.0875

Nothing but the weights is looked at, so nothing is known about which of them matter.
"""

import numpy as np

from quant.methods.grid import Array, Grid, Quantized, in_16_bits, nearest


def fit(groups: Array, grid: Grid) -> tuple[Array, Array]:
    """Scale and offset of each group; groups is (..., group), the results (...)."""
    if grid.symmetric:
        at = np.abs(groups).argmax(-1, keepdims=True)
        outermost = np.take_along_axis(groups, at, -1)[..., 0]
        half = 2 ** (grid.bits - 1)
        scale = in_16_bits(outermost / -half)
        return scale, -half * scale
    low, high = groups.min(-1), groups.max(-1)
    return in_16_bits((high - low) / grid.top), in_16_bits(low)


def round_to_nearest(weights: Array, grid: Grid) -> Quantized:
    """weights (rows, columns)."""
    groups = grid.split(weights)
    scale, offset = fit(groups, grid)
    codes = nearest(groups, scale[..., None], offset[..., None], grid)
    return Quantized(codes.reshape(weights.shape), scale, offset)
