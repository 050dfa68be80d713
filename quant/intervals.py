"""How sure a rate is."""

import math

Z95 = 1.959964


def wilson(hits: float, of: int) -> tuple[float, float]:
    """The 95% interval of a rate (Wilson 1927): wilson(9, 10) is about (0.60, 0.98)."""
    if of <= 0:
        return 0.0, 1.0
    rate, z2 = hits / of, Z95**2
    middle = (rate + z2 / (2 * of)) / (1 + z2 / of)
    half = Z95 / (1 + z2 / of) * math.sqrt(rate * (1 - rate) / of + z2 / (4 * of**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def mcnemar(lost: int, won: int) -> float:
    """Exact two-sided p of a paired comparison: how likely flips this uneven are by chance.

    mcnemar(3, 0) is 0.25: three lost answers and none won can well be chance.
    """
    flips = lost + won
    if flips == 0:
        return 1.0
    tail = sum(math.comb(flips, k) for k in range(min(lost, won) + 1)) / 2**flips
    return min(1.0, 2 * tail)
