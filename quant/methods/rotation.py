"""Rotation: turn the whole model first, so that no channel stands out; then round as you like.

Ashkboos et al., QuaRot, arXiv:2404.00456; Liu et al., SpinQuant, arXiv:2405.16406.

Between its blocks a model passes on one vector for each token, the residual stream. Turn it by an
orthogonal Q and let every matrix that reads it turn it back, and nothing changes:

    embedding  E -> E Q      readers  W -> W Q      writers  W -> Q^T W      head  -> head Q

RMSNorm divides by a length, which no turn changes; only its scale must be absorbed into the
readers first. A few channels with large values become many with moderate ones: a random Q mixes
each channel into all others, so that groups of weights become alike and have no outliers that
would stretch their grids.

By hand: the row 4, 0, 0, 0 and Q, the 4 x 4 Hadamard matrix divided by 2 (all entries +-1/2), give
2, 2, 2, 2: the same length, a quarter of the range.
"""

from collections.abc import Mapping

import numpy as np

from quant.methods.grid import Array
from quant.rotate import NORMS, READS, WRITES

SEED = 1


def random_orthogonal(n: int, seed: int = SEED) -> Array:
    """(n, n), each direction equally likely: the Q of a random matrix's QR decomposition."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return q * np.sign(np.diag(r))


def rotated_block(block: Mapping[str, Array], q: Array) -> dict[str, Array]:
    """One block's tensors in the other basis, with the norms' scales absorbed."""
    result = {}
    for name, values in block.items():
        if name in NORMS:
            result[name] = np.ones_like(values)
        elif name in READS:
            result[name] = (values * block[READS[name]]) @ q
        elif name in WRITES:
            result[name] = q.T @ values
        else:
            result[name] = values
    return result


def rotated_sums(xtx: Array, norm: Array, q: Array) -> Array:
    """X^T X of a reader's inputs in the other basis: each x becomes Q^T (x / norm)."""
    back = np.divide(1, norm, out=np.zeros_like(norm), where=norm != 0)
    return q.T @ (xtx * np.outer(back, back)) @ q
