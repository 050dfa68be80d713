import numpy as np

from quant.methods.awq import output_error
from quant.methods.blocks import GRIDS
from quant.methods.rotation import random_orthogonal, rotated_block, rotated_sums
from quant.methods.round_to_nearest import round_to_nearest
from tests.quant.methods.samples import inputs, weights
from tests.quant.methods.test_awq import a_block


def test_the_example_of_the_docstring_comes_out_as_written():
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    assert np.allclose(hadamard @ hadamard.T, np.eye(4))
    assert np.allclose(np.array([4, 0, 0, 0]) @ hadamard, [2, 2, 2, 2])


def test_the_matrix_is_orthogonal_and_the_same_every_time():
    q = random_orthogonal(64)
    assert np.allclose(q @ q.T, np.eye(64), atol=1e-14)
    assert np.array_equal(q, random_orthogonal(64))
    assert not np.allclose(q, random_orthogonal(64, seed=2))


def test_readers_and_writers_compute_the_same_in_the_other_basis():
    block, _ = a_block()
    q = random_orthogonal(64)
    turned = rotated_block(block, q)
    stream, inner = inputs(tokens=20), inputs(tokens=20, columns=96)

    def normed(x, scale):
        return x / np.sqrt((x**2).mean(-1, keepdims=True)) * scale

    for reader, norm in (("attn_q", "attn_norm"), ("ffn_up", "ffn_norm")):
        before = normed(stream, block[norm]) @ block[reader].T
        after = normed(stream @ q, turned[norm]) @ turned[reader].T
        assert np.allclose(before, after, rtol=0, atol=1e-13 * np.abs(before).max())
    written = stream @ q + inner @ turned["ffn_down"].T
    assert np.allclose(written @ q.T, stream + inner @ block["ffn_down"].T, atol=1e-12)


def test_sums_are_those_of_the_turned_inputs():
    x, q = inputs(), random_orthogonal(64)
    norm = np.random.default_rng(3).uniform(0.5, 2, 64)
    turned = (x / norm) @ q
    assert np.allclose(rotated_sums(x.T @ x, norm, q), turned.T @ turned)


def test_outliers_are_spread_and_rounding_errs_less():
    w, x = weights(rows=100), inputs()
    w[np.random.default_rng(5).random(w.shape) < 0.02] *= 10
    q, grid = random_orthogonal(64), GRIDS["Q4_1"]
    plain = round_to_nearest(w, grid).weights() - w
    turned = round_to_nearest(w @ q, grid).weights() - w @ q
    xtx = x.T @ x
    assert output_error(turned, q.T @ xtx @ q) < 0.5 * output_error(plain, xtx)
