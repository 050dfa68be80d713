import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from quant.methods.grid import Grid
from quant.methods.round_to_nearest import fit, round_to_nearest
from quant.methods.weighted import SHRINK, narrower, weighted
from tests.quant.methods.samples import inputs, weights


def weighted_error(rounded, w, importance):
    return (importance * (rounded.weights() - w) ** 2).sum()


def test_the_example_of_the_docstring_comes_out_as_written():
    w, importance = np.array([[-1.0, 0.4]]), np.array([1.0, 100.0])
    grid = Grid(bits=2, group=2, symmetric=True)
    assert round_to_nearest(w, grid).weights().tolist() == [[-1.0, 0.5]]
    rounded = weighted(w, importance, grid)
    assert np.allclose(rounded.weights(), [[-0.808, 0.404]], atol=1e-3)
    assert weighted_error(rounded, w, importance) == pytest.approx(0.038, abs=1e-3)


def slow_weighted(group, importance, grid):
    """One group's least weighted error: every narrower grid, each refined twice by a line fit."""

    def codes_of(scale, offset):
        points = scale * np.arange(2**grid.bits) + offset
        return np.array([np.abs(points - weight).argmin() for weight in group])

    def error(scale, offset):
        return (importance * (scale * codes_of(scale, offset) + offset - group) ** 2).sum()

    errors = [error(*fit(group, grid))]
    for shrink in SHRINK:
        scale, offset = narrower(group, shrink, grid)
        for _ in range(2):
            root = np.sqrt(importance)
            if grid.symmetric:
                half = 2 ** (grid.bits - 1)
                steps = (codes_of(scale, offset) - half)[:, None]
                (slope,) = np.linalg.lstsq(root[:, None] * steps, root * group)[0]
                scale = np.float64(np.float16(slope))
                offset = -half * scale
            else:
                line = np.stack([codes_of(scale, offset), np.ones(len(group))], 1)
                found = np.linalg.lstsq(root[:, None] * line, root * group)[0]
                scale, offset = found.astype(np.float16).astype(np.float64)
            errors.append(error(scale, offset))
    return min(errors)


@pytest.mark.parametrize("symmetric", [False, True])
def test_it_agrees_with_a_slow_search_for_each_group(symmetric):
    w, importance = weights(rows=6), (inputs() ** 2).mean(0)
    grid = Grid(bits=4, group=32, symmetric=symmetric)
    change = weighted(w, importance, grid).weights() - w
    for row in range(len(w)):
        for cut in (slice(0, 32), slice(32, 64)):
            fast = (importance[cut] * change[row, cut] ** 2).sum()
            slow = slow_weighted(w[row, cut], importance[cut], grid)
            assert fast == pytest.approx(slow, rel=1e-6)


finite = st.floats(-4, 4, width=16)


def test_one_input_with_all_the_importance_is_no_division_by_rounding():
    w, importance = np.ones((1, 8)), np.zeros(8)
    w[0, 1], importance[0] = 0.0, 18.74363384
    grid = Grid(3, 4)
    assert weighted_error(weighted(w, importance, grid), w, importance) == 0


@settings(deadline=None)
@given(
    w=arrays(np.float64, (3, 8), elements=finite),
    importance=arrays(np.float64, 8, elements=st.floats(0, 100)),
    bits=st.integers(2, 5),
    symmetric=st.booleans(),
)
def test_the_weighted_error_is_never_above_round_to_nearest(w, importance, bits, symmetric):
    grid = Grid(bits, 4, symmetric)
    error = weighted_error(weighted(w, importance, grid), w, importance)
    plain = weighted_error(round_to_nearest(w, grid), w, importance)
    assert error <= plain * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("symmetric", [False, True])
def test_strong_inputs_gain_most(symmetric):
    w, x = weights(rows=60), inputs()
    importance = (x**2).mean(0)
    grid = Grid(bits=3, symmetric=symmetric)
    plain = (round_to_nearest(w, grid).weights() - w) ** 2
    better = (weighted(w, importance, grid).weights() - w) ** 2
    strong = np.argsort(importance)[-3:]
    assert better[:, strong].mean() < 0.5 * plain[:, strong].mean()
    assert (importance * better).sum() < 0.8 * (importance * plain).sum()


def test_the_best_line_through_codes_is_found():
    """Weights that lie on a grid inside their range are met exactly, outlier of no weight aside."""
    codes = np.array([[0, 1, 2, 3, 1, 2, 0, 3]])
    w = 0.25 * codes - 0.5
    w[0, 7] = 0.31
    importance = np.array([1.0] * 7 + [0.0])
    rounded = weighted(w, importance, Grid(bits=2, group=8))
    assert np.allclose(rounded.weights()[0, :7], w[0, :7], atol=1e-3)
