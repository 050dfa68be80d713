"""AWQ: weights that meet strong inputs are made larger before rounding, their inputs smaller.

Lin et al., AWQ: Activation-aware Weight Quantization, MLSys 2024, arXiv:2306.00978.

Rounding errs by up to half a step whatever the weight's size. Multiply column j by s_j > 1 and
divide its input by s_j: the product stays, but the error counts only 1/s_j as much. Too large an
s_j widens the group's grid for its neighbours, so AWQ searches: s = mean|x|**a with a from 0 (no
scaling) to almost 1, and keeps the a whose output error on the sample text is least.

Dividing the inputs costs nothing: the layer before does it (fold). Where that is a norm, its scale
is divided by s; where it is a matrix, its rows are. At last each group's range may be clipped.

By hand: weights 1.4 and 3.0 in one group whose step is 1, inputs 10 and 1, output 17.

    rounded             1 and 3         output 10 + 3 = 13           error 4
    with s = 2 and 1    2.8 -> 3, 3     output 3 * 10/2 + 3 = 18     error 1
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quant.methods.grid import Array, Grid, Quantized, nearest
from quant.methods.round_to_nearest import fit, round_to_nearest
from quant.methods.weighted import narrower

EXPONENTS = np.arange(20) / 20
CLIP = np.arange(1.0, 0.5, -0.05)
# The layer that can divide the inputs, and the matrices that read them.
FOLDS = (
    ("attn_norm", ("attn_q", "attn_k", "attn_v")),
    ("attn_v", ("attn_output",)),
    ("ffn_norm", ("ffn_gate", "ffn_up")),
    ("ffn_up", ("ffn_down",)),
)
# Their products go through a softmax, where clipped extremes do more harm than they save.
NEVER_CLIPPED = ("attn_q", "attn_k")
Block = Mapping[str, Array]


@dataclass(frozen=True)
class Search:
    """One search for scales: what was tried, and what was best."""

    scales: Array  # (columns,)
    exponent: float
    errors: list[float]  # output error of each of EXPONENTS


def output_error(change: Array, xtx: Array) -> float:
    """Squared output error summed over rows and tokens: |X change^T|², from X^T X."""
    return float(((change @ xtx) * change).sum())


def scales_for(mean_abs: Array, exponent: float) -> Array:
    """mean|x|**a (columns,), centred so that the largest times the smallest is 1."""
    scales = np.maximum(mean_abs**exponent, 1e-4)
    return scales / np.sqrt(scales.max() * scales.min())


def search(weights: Array, mean_abs: Array, xtx: Array, grid: Grid) -> Search:
    """weights (rows, columns): all matrices that read these inputs, one above the other."""
    errors = []
    for exponent in EXPONENTS:
        scales = scales_for(mean_abs, exponent)
        rounded = round_to_nearest(weights * scales, grid).weights() / scales
        errors.append(output_error(rounded - weights, xtx))
    best = float(EXPONENTS[int(np.argmin(errors))])
    return Search(scales_for(mean_abs, best), best, errors)


def fold(block: Block, before: str, readers: tuple[str, ...], scales: Array) -> dict[str, Array]:
    """The same function: the readers' columns times `scales`, what comes before divided by them."""
    changed = {name: block[name] * scales for name in readers}
    for part in (before, f"{before}.bias"):
        if part in block:
            divisor = scales if block[part].ndim == 1 else scales[:, None]
            changed[part] = block[part] / divisor
    return {**block, **changed}


def clipped(weights: Array, xtx: Array, grid: Grid) -> Quantized:
    """Round with each group's range cut as far as lowers the group's own output error."""
    groups = grid.split(weights)
    scale, offset = fit(groups, grid)
    least = np.full(scale.shape, np.inf, groups.dtype)
    starts = range(0, len(xtx), grid.group)
    within = np.stack([xtx[i : i + grid.group, i : i + grid.group] for i in starts])
    for shrink in CLIP:
        s, o = narrower(groups, shrink, grid)
        codes = nearest(groups, s[..., None], o[..., None], grid)
        change = codes * s[..., None] + o[..., None] - groups
        pushed = (change.transpose(1, 0, 2) @ within).transpose(1, 0, 2)
        error = (pushed * change).sum(-1)
        better = error < least
        least = np.where(better, error, least)
        scale, offset = np.where(better, s, scale), np.where(better, o, offset)
    codes = nearest(groups, scale[..., None], offset[..., None], grid)
    return Quantized(codes.reshape(weights.shape), scale, offset)


def awq(
    block: Block, inputs: Mapping[str, tuple[Array, Array]], grid: Grid
) -> tuple[dict[str, Array], dict[str, Quantized]]:
    """A whole block: its tensors after folding, and the rounded matrices.

    inputs: mean|x| and X^T X by matrix name.
    """
    sums = {name: xtx for name, (_, xtx) in inputs.items()}
    for before, readers in FOLDS:
        mean_abs, xtx = inputs[readers[0]]
        if block[before].shape[0] != len(mean_abs):
            continue  # heads share values: no row for each input
        weights = np.concatenate([block[name] for name in readers])
        scales = search(weights, mean_abs, xtx, grid).scales
        block = fold(block, before, readers, scales)
        sums |= {name: xtx / np.outer(scales, scales) for name in readers}
    rounded = {
        name: round_to_nearest(block[name], grid)
        if name in NEVER_CLIPPED
        else clipped(block[name], xtx, grid)
        for name, xtx in sums.items()
    }
    return dict(block), rounded
