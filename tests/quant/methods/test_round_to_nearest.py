import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

from quant.methods.blocks import GRIDS, pack
from quant.methods.grid import Grid, Quantized
from quant.methods.round_to_nearest import round_to_nearest
from tests.quant.methods.samples import weights


def test_the_example_of_the_docstring_comes_out_as_written():
    row = np.array([[0.70, -0.20, 0.36, 0.06]])
    rounded = round_to_nearest(row, Grid(bits=4, group=4, symmetric=True))
    assert rounded.codes.tolist() == [[0, 10, 4, 7]]
    assert np.allclose(rounded.weights(), [[0.70, -0.175, 0.35, 0.0875]], atol=1e-3)


def test_the_example_of_the_grid_comes_out_as_written():
    rounded = round_to_nearest(np.array([[0.0, 0.7, 1.2, 3.0]]), Grid(bits=2, group=4))
    assert rounded.codes.tolist() == [[0, 1, 1, 3]]
    assert rounded.weights().tolist() == [[0.0, 1.0, 1.0, 3.0]]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group", [16, 32, 64])
@pytest.mark.parametrize("symmetric", [False, True])
def test_every_weight_takes_the_nearest_point_of_its_groups_grid(bits, group, symmetric):
    w = weights()
    grid = Grid(bits, group, symmetric)
    rounded = round_to_nearest(w, grid)
    scale, offset = (each.repeat(group, 1) for each in (rounded.scale, rounded.offset))
    points = np.arange(2**bits)[:, None, None] * scale + offset
    nearest = np.abs(points - w).min(0)
    assert np.allclose(np.abs(rounded.weights() - w), nearest, rtol=0, atol=1e-15)
    assert np.array_equal(rounded.scale, rounded.scale.astype(np.float16))
    if symmetric:
        assert np.allclose(rounded.offset, -rounded.scale * 2 ** (bits - 1), atol=0)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1"])
def test_the_grids_are_those_of_llama_cpp_and_the_rounding_no_worse(kind):
    """llama.cpp divides by the scale before rounding that to 16 bits, so few codes differ."""
    w = weights(rows=200).astype(np.float32)
    ours = pack(round_to_nearest(w, GRIDS[kind]), kind)
    theirs = quantize(w, GGMLQuantizationType[kind])
    head = 2 if kind == "Q4_0" else 4
    size = 16 + head
    ours, theirs = ours.reshape(-1, size), theirs.reshape(-1, size)
    assert np.array_equal(ours[:, :head], theirs[:, :head])
    assert (ours != theirs).mean() < 0.01
    back = [dequantize(blocks, GGMLQuantizationType[kind]) for blocks in (ours, theirs)]
    errors = [((w.reshape(-1, 32) - each) ** 2).sum(1) for each in back]
    assert (errors[0] <= errors[1] + 1e-9).all()


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1"])
def test_packed_blocks_read_back_to_exactly_the_codes(kind):
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 16, (5, 96), dtype=np.uint8)
    scale = rng.normal(size=(5, 3)).astype(np.float16).astype(np.float32)
    offset = -8 * scale if kind == "Q4_0" else rng.normal(size=(5, 3)).astype(np.float16)
    rounded = Quantized(codes, scale, offset.astype(np.float32))
    back = dequantize(pack(rounded, kind), GGMLQuantizationType[kind])
    assert np.array_equal(back, rounded.weights().astype(np.float32))


def test_a_group_of_equal_weights_stays_as_it_is():
    w = np.full((2, 32), 0.25)
    assert np.array_equal(round_to_nearest(w, GRIDS["Q4_1"]).weights(), w)
    assert np.array_equal(round_to_nearest(0 * w, GRIDS["Q4_0"]).weights(), 0 * w)


def test_rows_that_groups_dont_divide_are_refused_with_their_length():
    with pytest.raises(ValueError, match=r"rows of 40 .* groups of 32"):
        round_to_nearest(np.zeros((2, 40)), GRIDS["Q4_1"])


def test_blocks_of_another_group_size_are_refused():
    with pytest.raises(ValueError, match="blocks of 32"):
        pack(round_to_nearest(weights(), Grid(group=64)), "Q4_1")
