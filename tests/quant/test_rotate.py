import gguf
import numpy as np
import pytest

from quant import llama
from quant.gguf_file import BadGguf, read
from quant.llama import Batch, Context, Model
from quant.rotate import PairRotation, build_reference
from tests.quant.conftest import write_tiny_model

TEXT = "A model's weights are numbers. Fewer bits for each of them make the file smaller."


def log_probabilities(path, tokens) -> np.ndarray:
    with Model(path) as model, Context(model, n_ctx=256, n_threads=1) as context:
        batch = Batch(len(tokens))
        batch.add(tokens, 0, n_logits=len(tokens))
        context.decode(batch)
        logits = context.all_logits().astype(np.float64)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def divergence(path, other) -> float:
    with Model(path) as model:
        tokens = model.tokenize(TEXT)
    first, second = log_probabilities(path, tokens), log_probabilities(other, tokens)
    return float((np.exp(first) * (first - second)).sum(axis=1).mean())


def test_pairs_turn_by_22_to_68_degrees_and_keep_lengths():
    rotation = PairRotation.random(576)
    matrix = rotation.columns(np.eye(576))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(576), atol=1e-15)
    assert (np.count_nonzero(matrix, axis=0) == 2).all()
    degrees = np.rad2deg(np.arccos(np.diag(matrix)))
    assert degrees.min() >= 22
    assert degrees.max() <= 68
    other = np.random.default_rng(0).normal(size=(576, 3))
    np.testing.assert_allclose(rotation.rows(other), matrix.T @ other, atol=1e-14)


@pytest.mark.parametrize("tied", [True, False])
def test_the_function_stays_and_the_weights_move(tmp_path, tied):
    source = write_tiny_model(tmp_path / "tiny-F32.gguf", tied=tied)
    build_reference(source, tmp_path / "rotated.gguf")
    assert divergence(source, tmp_path / "rotated.gguf") < 1e-5
    first = {t.name: t.data for t in gguf.GGUFReader(source).tensors}
    second = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "rotated.gguf").tensors}
    assert set(second) == {*first, "output.weight"}
    down = "blk.0.ffn_down.weight"
    assert np.abs(first[down] - second[down].astype(np.float32)).mean() > 0.05
    assert (second["output_norm.weight"] == 1).all()


def test_a_rotation_that_misses_one_matrix_would_be_seen(tmp_path, monkeypatch):
    source = write_tiny_model(tmp_path / "tiny-F32.gguf")
    monkeypatch.setattr(PairRotation, "rows", lambda self, matrix: matrix)
    build_reference(source, tmp_path / "wrong.gguf")
    assert divergence(source, tmp_path / "wrong.gguf") > 0.01


def test_the_real_reference_computes_what_its_source_does(real, tmp_path):
    plain = tmp_path / "plain-F16.gguf"
    source = real("smollm2-135m-instruct-Q4_1.gguf")
    llama.quantize(source, plain, "F16", n_threads=1, allow_requantize=True)
    assert divergence(plain, real("smollm2-135m-instruct-F16.gguf")) < 5e-5
    plain.unlink()


def test_the_reference_says_what_it_is_and_is_the_same_every_time(real, tmp_path):
    file = read(real("smollm2-135m-instruct-F16.gguf"))
    assert file.get("general.name").endswith("expanded to 16 bits and rotated")
    assert file.type_counts == {"F16": 212, "F32": 61}
    source = write_tiny_model(tmp_path / "tiny-F32.gguf")
    build_reference(source, tmp_path / "one.gguf")
    build_reference(source, tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


def test_other_architectures_are_refused(real, tmp_path):
    with pytest.raises(BadGguf, match="only dense models of the architecture 'llama'"):
        build_reference(real("all-minilm-l6-v2-F32.gguf"), tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()
