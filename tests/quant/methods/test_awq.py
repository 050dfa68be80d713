import numpy as np
import pytest

from quant.methods.awq import (
    EXPONENTS,
    FOLDS,
    NEVER_CLIPPED,
    awq,
    clipped,
    fold,
    output_error,
    scales_for,
    search,
)
from quant.methods.blocks import GRIDS
from quant.methods.grid import Grid
from quant.methods.round_to_nearest import round_to_nearest
from quant.methods.weighted import narrower
from tests.quant.methods import samples
from tests.quant.methods.samples import inputs, weights

GRID = GRIDS["Q4_1"]


def a_block(columns=64, hidden=96):
    shapes = {
        "attn_q": (columns, columns),
        "attn_k": (32, columns),
        "attn_v": (32, columns),
        "attn_output": (columns, columns),
        "ffn_gate": (hidden, columns),
        "ffn_up": (hidden, columns),
        "ffn_down": (columns, hidden),
    }
    block = {name: weights(*shape, seed=n) for n, (name, shape) in enumerate(shapes.items())}
    rng = np.random.default_rng(9)
    block |= {name: rng.uniform(0.5, 2, columns) for name in ("attn_norm", "ffn_norm")}
    read = {name: inputs(columns=shape[1], seed=len(name)) for name, shape in shapes.items()}
    read["attn_k"] = read["attn_v"] = read["attn_q"]
    read["ffn_gate"] = read["ffn_up"]
    return block, {name: (np.abs(x).mean(0), x.T @ x) for name, x in read.items()}


def test_the_example_of_the_docstring_comes_out_as_written():
    w, x, scales = np.array([1.4, 3.0]), np.array([10.0, 1.0]), np.array([2.0, 1.0])
    assert x @ w == 17
    assert x @ np.rint(w) == 13
    assert (x / scales) @ np.rint(w * scales) == 18


def test_the_output_error_from_sums_is_that_of_the_outputs():
    x, change = inputs(), weights()
    assert output_error(change, x.T @ x) == pytest.approx(samples.output_error(change, x))


def test_exponent_zero_is_round_to_nearest():
    w, x = weights(), inputs()
    assert np.array_equal(scales_for(np.abs(x).mean(0), 0.0), np.ones(64))
    found = search(w, np.abs(x).mean(0), x.T @ x, GRID)
    plain = round_to_nearest(w, GRID).weights() - w
    assert found.errors[0] == pytest.approx(samples.output_error(plain, x))


def test_the_search_agrees_with_the_papers_formula_taken_literally():
    """argmin over a of |Q(W diag(s)) diag(s)^-1 X - W X| with s = mean|x|^a."""
    w, x = weights(), inputs()
    mean_abs = np.abs(x).mean(0)
    slow = []
    for exponent in EXPONENTS:
        s = mean_abs**exponent
        s = s / np.sqrt(s.max() * s.min())
        outputs = (x / s) @ round_to_nearest(w * s, GRID).weights().T
        slow.append(((outputs - x @ w.T) ** 2).sum())
    found = search(w, mean_abs, x.T @ x, GRID)
    assert np.allclose(found.errors, slow)
    assert found.exponent == EXPONENTS[np.argmin(slow)] > 0


@pytest.mark.parametrize(("before", "readers"), FOLDS)
def test_folding_changes_nothing_before_rounding(before, readers):
    block, _ = a_block()
    if before == "attn_v":
        block["attn_v"] = weights(64, 64)
    block[f"{before}.bias"] = weights(1, len(block[before]))[0]
    s = np.exp(np.random.default_rng(4).normal(size=len(block[before])))
    folded = fold(block, before, readers, s)
    x = inputs()
    for reader in readers:
        outputs = []
        for each in (block, folded):
            if before.endswith("norm"):
                between = x * each[before] + each[f"{before}.bias"]
            else:
                between = x @ each[before].T + each[f"{before}.bias"]
            outputs.append(between @ each[reader].T)
        size = np.abs(outputs[0]).max()
        assert np.abs(outputs[0] - outputs[1]).max() / size < 5e-15


def test_clipping_agrees_with_a_slow_search_for_each_group():
    w, x = weights(rows=6), inputs()
    h = x.T @ x
    rounded = clipped(w, h, GRID)
    for row in range(6):
        for g in range(2):
            cut = slice(32 * g, 32 * g + 32)
            group = w[row, cut]
            errors = {}
            for shrink in np.arange(1.0, 0.5, -0.05):
                scale, offset = narrower(group, shrink, GRID)
                codes = np.clip(np.rint((group - offset) / scale), 0, 15)
                change = codes * scale + offset - group
                errors[change @ h[cut, cut] @ change] = (scale, offset)
            best = errors[min(errors)]
            assert (rounded.scale[row, g], rounded.offset[row, g]) == best


def test_a_block_comes_out_better_where_it_counts():
    block, read = a_block()
    folded, rounded = awq(block, read, GRID)
    assert set(rounded) == set(read)
    for reader in ("attn_q", "ffn_up"):
        norm = "attn_norm" if reader == "attn_q" else "ffn_norm"
        s = block[norm] / folded[norm]
        change = rounded[reader].weights() / s - block[reader]
        if reader == "ffn_up":  # its rows were divided for the matrix behind it
            change = rounded[reader].weights() / s * (block[reader] / (folded[reader] / s))
            change -= block[reader]
        plain = round_to_nearest(block[reader], GRID).weights() - block[reader]
        xtx = read[reader][1]
        assert output_error(change, xtx) < 0.7 * output_error(plain, xtx)
    for name in NEVER_CLIPPED:
        assert np.array_equal(rounded[name].codes, round_to_nearest(folded[name], GRID).codes)


def test_values_that_heads_share_are_left_alone():
    block, read = a_block()
    folded, _ = awq(block, read, GRID)
    assert np.array_equal(folded["attn_output"], block["attn_output"])


def test_silent_inputs_dont_break_the_search():
    w, x = weights(), inputs()
    x[:, :4] = 0
    found = search(w, np.abs(x).mean(0), x.T @ x, Grid(bits=3))
    assert np.isfinite(found.scales).all()
    assert (found.scales > 0).all()
