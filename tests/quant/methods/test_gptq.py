import numpy as np
import pytest

from quant.methods.gptq import gptq, inverse_factor, prepare
from quant.methods.grid import Grid, nearest
from quant.methods.round_to_nearest import fit, round_to_nearest
from tests.quant.methods.samples import inputs, output_error, weights

GRIDS = [Grid(bits=4, group=32), Grid(bits=3, group=16, symmetric=True)]


def slow_gptq(w, h, grid, damping, order):
    """Optimal brain surgeon, column after column, with an inverse of its own at every step."""
    scale, offset = fit(grid.split(w), grid)
    h = h + damping * np.diag(h).mean() * np.eye(len(h))
    w = w.copy()
    codes = np.empty(w.shape, np.uint8)
    for step, j in enumerate(order):
        free = order[step:]
        inverse = np.linalg.inv(h[np.ix_(free, free)])
        s, o = scale[:, j // grid.group], offset[:, j // grid.group]
        codes[:, j] = nearest(w[:, j], s, o, grid)
        missed = w[:, j] - (codes[:, j] * s + o)
        w[:, free] -= np.outer(missed / inverse[0, 0], inverse[0])
    return codes


def test_the_example_of_the_docstring_comes_out_as_written():
    h = np.array([[1.0, 0.9], [0.9, 1.0]])
    assert np.allclose(np.linalg.inv(h), [[5.26, -4.74], [-4.74, 5.26]], atol=0.01)
    grids = (np.array([[1.0]]), np.array([[0.0]]))
    grid = Grid(bits=4, group=2)
    rounded = gptq(np.array([[1.4, 2.3]]), prepare(h, damping=0), grid, grids=grids)
    assert rounded.weights().tolist() == [[1.0, 3.0]]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("strongest_first", [True, False])
def test_it_agrees_with_the_papers_formulas_taken_literally(grid, strongest_first):
    w, x = weights(), inputs()
    h = x.T @ x
    order = np.argsort(-np.diag(h)) if strongest_first else np.arange(64)
    slow = slow_gptq(w, h, grid, 0.01, order)
    fast = gptq(w, prepare(h, strongest_first=strongest_first), grid)
    assert np.array_equal(fast.codes, slow)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("strongest_first", [True, False])
def test_inputs_that_dont_hang_together_give_round_to_nearest_bit_for_bit(grid, strongest_first):
    w = weights()
    plain = round_to_nearest(w, grid)
    rounded = gptq(w, prepare(np.eye(64), damping=0, strongest_first=strongest_first), grid)
    assert np.array_equal(rounded.codes, plain.codes)
    assert np.array_equal(rounded.weights(), plain.weights())


@pytest.mark.parametrize("block", [1, 7, 32, 64, 500])
def test_the_block_size_does_not_matter(block):
    w, prepared = weights(), prepare(inputs().T @ inputs())
    whole = gptq(w, prepared, GRIDS[0])
    assert np.array_equal(whole.codes, gptq(w, prepared, GRIDS[0], block=block).codes)


@pytest.mark.parametrize("grid", GRIDS)
def test_output_errors_fall_and_weight_errors_rise(grid):
    w, x, unseen = weights(), inputs(), inputs(seed=7)
    plain = round_to_nearest(w, grid).weights() - w
    change = gptq(w, prepare(x.T @ x), grid).weights() - w
    assert output_error(change, x) < 0.6 * output_error(plain, x)
    assert output_error(change, unseen) < output_error(plain, unseen)
    assert (change**2).sum() > (plain**2).sum()


def test_rounding_the_strongest_inputs_first_is_better():
    w, x = weights(rows=100), inputs()
    h = x.T @ x
    errors = [
        output_error(gptq(w, prepare(h, strongest_first=first), GRIDS[0]).weights() - w, x)
        for first in (True, False)
    ]
    assert errors[0] < errors[1]


def test_the_factor_is_triangular_and_squares_to_the_inverse():
    x = inputs()
    h = x.T @ x
    u = inverse_factor(h, damping=0.01)
    damped = h + 0.01 * np.diag(h).mean() * np.eye(64)
    assert np.array_equal(u, np.triu(u))
    assert np.allclose(u.T @ u @ damped, np.eye(64), atol=1e-9)


def test_a_silent_input_is_rounded_to_nearest_and_disturbs_nobody():
    w, x = weights(), inputs()
    x[:, 5] = 0
    rounded = gptq(w, prepare(x.T @ x), GRIDS[0])
    assert np.array_equal(rounded.codes[:, 5], round_to_nearest(w, GRIDS[0]).codes[:, 5])
    change = rounded.weights() - w
    assert output_error(change, x) < output_error(round_to_nearest(w, GRIDS[0]).weights() - w, x)


def test_the_scale_of_the_sums_does_not_matter():
    w, x = weights(), inputs()
    h = x.T @ x
    scaled = gptq(w, prepare(2 * h / 300), GRIDS[0])
    assert np.array_equal(gptq(w, prepare(h), GRIDS[0]).codes, scaled.codes)
