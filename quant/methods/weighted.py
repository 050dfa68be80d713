"""Importance-weighted rounding: the grid moves to where errors hurt most.

An error d in a weight adds d * x to the output, x being the weight's input. If inputs vary
independently, the output's expected squared error is the sum of E[x²] * d²: so E[x²], measured on
sample text, is the importance of a column. llama.cpp keeps just these numbers in an importance
matrix (imatrix), and chooses the scales of its blocks in much this way.

For each group several grids are tried: the full range and narrower ones, which clip the outermost
weights and are finer for all others. Each is then refined: with the codes fixed, the best scale and
offset are a weighted line fit of weights against codes. The best of all is kept; the grid of round
to nearest is among them, so the weighted error never is larger than there.

By hand, symmetric 2 bits (codes 0 to 3, weight = scale * (code - 2)), the group -1.0 0.4,
importances 1 and 100:

    round to nearest  scale 0.5     -1.0 -> -1.0, 0.4 -> 0.5      1 * 0²   + 100 * 0.1² = 1
    refined           the codes are 0 and 3, that is -2 and +1 steps: the best scale is
                      (1 * -2 * -1.0 + 100 * 1 * 0.4) / (1 * 4 + 100 * 1) = 42 / 104 = 0.404
                      -1.0 -> -0.808, 0.4 -> 0.404                1 * 0.192² + 100 * 0.004² = 0.038
"""

import numpy as np

from quant.methods.grid import Array, Grid, Quantized, in_16_bits, nearest
from quant.methods.round_to_nearest import fit

SHRINK = np.linspace(1.0, 0.65, 8)


def weighted(weights: Array, importance: Array, grid: Grid) -> Quantized:
    """weights (rows, columns), importance (columns,): the mean square of each input."""
    groups = grid.split(weights)
    scale, offset = fit_weighted(groups, grid.split(importance), grid)
    codes = nearest(groups, scale[..., None], offset[..., None], grid)
    return Quantized(codes.reshape(weights.shape), scale, offset)


def fit_weighted(groups: Array, importance: Array, grid: Grid) -> tuple[Array, Array]:
    """Scale and offset of each group; groups (rows, groups, group), importance (groups, group)."""
    best = fit(groups, grid)
    least = _error(groups, importance, *best, grid)
    for shrink in SHRINK:
        tried = narrower(groups, shrink, grid)
        for _ in range(2):
            tried = _refine(groups, importance, *tried, grid)
            error = _error(groups, importance, *tried, grid)
            better = error < least
            least = np.where(better, error, least)
            best = (np.where(better, tried[0], best[0]), np.where(better, tried[1], best[1]))
    return best


def narrower(groups: Array, shrink: float, grid: Grid) -> tuple[Array, Array]:
    """Scale and offset of the grid over a part of each group's range, about its middle."""
    scale, offset = fit(groups, grid)
    # A symmetric grid has its middle at zero: offset and scale shrink together.
    middle = 0.0 if grid.symmetric else offset + scale * grid.top / 2
    return in_16_bits(scale * shrink), in_16_bits(middle + (offset - middle) * shrink)


def _refine(
    groups: Array, importance: Array, scale: Array, offset: Array, grid: Grid
) -> tuple[Array, Array]:
    """The best scale and offset for the codes that this grid gives: weighted least squares."""
    codes = nearest(groups, scale[..., None], offset[..., None], grid).astype(groups.dtype)
    if grid.symmetric:
        half = 2 ** (grid.bits - 1)
        steps = codes - half
        spread = (importance * steps**2).sum(-1)
        slope = _divide((importance * steps * groups).sum(-1), spread, scale)
        scale = in_16_bits(slope)
        return scale, -half * scale
    total = importance.sum(-1)
    mean_code = _divide((importance * codes).sum(-1), total, codes.mean(-1))
    mean_weight = _divide((importance * groups).sum(-1), total, groups.mean(-1))
    away = codes - mean_code[..., None]
    spread = (importance * away**2).sum(-1)
    # Where one code has all the importance, what is left of the spread is rounding.
    least = np.finfo(groups.dtype).eps * (importance * codes**2).sum(-1)
    spread = np.where(spread <= least, 0, spread)
    slope = _divide((importance * away * groups).sum(-1), spread, scale)
    return in_16_bits(slope), in_16_bits(mean_weight - slope * mean_code)


def _error(groups: Array, importance: Array, scale: Array, offset: Array, grid: Grid) -> Array:
    """The weighted squared error of each group."""
    scale, offset = scale[..., None], offset[..., None]
    back = nearest(groups, scale, offset, grid) * scale + offset
    return (importance * (groups - back) ** 2).sum(-1)


def _divide(top: Array, bottom: Array, otherwise: Array) -> Array:
    """top / bottom, and `otherwise` where the bottom is 0."""
    zero = bottom == 0
    return np.where(zero, otherwise, top / np.where(zero, 1, bottom))
