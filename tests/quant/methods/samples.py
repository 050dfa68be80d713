"""Weights and inputs with a few strong channels, as real layers have them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def weights(rows: int = 24, columns: int = 64, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, (rows, columns))


def inputs(tokens: int = 300, columns: int = 64, seed: int = 2) -> Array:
    """(tokens, columns): correlated, and three channels stronger than the others."""
    mixing = np.random.default_rng(0).normal(size=(6, columns))  # the same for every seed
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(tokens, 6)) @ mixing
    x = 0.5 * common + rng.normal(size=(tokens, columns))
    x[:, [3, 17, 40]] *= 12
    return x


def output_error(change: Array, x: Array) -> float:
    """|X change^T|² as the papers define it."""
    return float(((x @ change.T) ** 2).sum())
