"""Perplexity and divergence against independent sums, and against what llama.cpp's tool printed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quant import child, measure
from quant.llama import Model
from quant.measure import MeasureError, compare, compare_row, pack, reference, speed
from quant.quantize import quantize
from tests.quant.conftest import write_tiny_model

TEXT = "The river comes down from the hills in two moods. In spring it is brown. " * 6
EVAL_TEXT = Path(measure.__file__).with_name("eval.txt")
N_CTX = 64


def silent(*state) -> None:
    pass


@pytest.fixture(scope="module")
def text_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return str(path)


@pytest.fixture(scope="module")
def variant(tiny, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("variant") / "tiny-Q4_0.gguf"
    return str(quantize(tiny, "Q4_0", path, n_threads=1).path)


def scored_by_hand(path, windows) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities (positions, vocabulary) and the tokens that follow, in float64."""
    rows, follows = [], []
    with measure.open_context(str(path), windows.shape[1], 1) as context:
        for window in windows:
            for logits, next_tokens in measure.scored_rows(context, window):
                values = logits.astype(np.float64)
                rows.append(values - np.log(np.exp(values).sum(axis=1, keepdims=True)))
                follows.append(next_tokens.copy())
    return np.concatenate(rows), np.concatenate(follows)


def test_figures_are_those_of_their_definitions(tiny, variant, text_file, tmp_path):
    store = str(tmp_path / "store")
    of_reference = reference(str(tiny), text_file, store, N_CTX, 3, 1, silent)
    of_variant = compare(variant, store, 1, silent)
    with Model(tiny) as model:
        windows = measure.windows_of(model, TEXT, N_CTX, 3)
    p, follows = scored_by_hand(tiny, windows)
    q, _ = scored_by_hand(variant, windows)
    positions = np.arange(len(follows))
    kl = (np.exp(p) * (p - q)).sum(axis=1)
    assert len(follows) == 3 * (N_CTX - 1 - N_CTX // 2) == of_variant["positions"]
    assert of_reference["perplexity"] == pytest.approx(np.exp(-p[positions, follows].mean()), 1e-5)
    assert of_variant["perplexity"] == pytest.approx(np.exp(-q[positions, follows].mean()), 1e-5)
    assert of_variant["mean_kl"] == pytest.approx(kl.mean(), 1e-3)
    assert of_variant["median_kl"] == pytest.approx(np.median(kl), 1e-3)
    assert of_variant["p99_kl"] == pytest.approx(np.quantile(kl, 0.99), 1e-3)
    assert of_variant["max_kl"] == pytest.approx(kl.max(), 1e-3)
    assert of_variant["same_top"] == (p.argmax(axis=1) == q.argmax(axis=1)).mean()
    assert of_variant["windows"] == 3


def test_the_reference_does_not_differ_from_itself(tiny, text_file, tmp_path):
    store = str(tmp_path / "store")
    told = reference(str(tiny), text_file, store, N_CTX, 2, 1, silent)
    again = compare(str(tiny), store, 1, silent)
    assert told["mean_kl"] == 0
    assert told["same_top"] == 1
    assert again["perplexity"] == pytest.approx(told["perplexity"], rel=1e-6)
    assert abs(again["mean_kl"]) < 1e-5
    assert again["same_top"] > 0.98  # two tokens within a 65,535th part may change places


def test_windows_longer_than_a_batch_are_decoded_in_slices(tiny, text_file, tmp_path, monkeypatch):
    store = str(tmp_path / "store")
    whole = reference(str(tiny), text_file, store, N_CTX, 2, 1, silent)
    monkeypatch.setattr(measure, "N_BATCH", 20)
    sliced = reference(str(tiny), text_file, store, N_CTX, 2, 1, silent)
    assert sliced["perplexity"] == pytest.approx(whole["perplexity"], rel=1e-3)
    assert sliced["positions"] == whole["positions"]


def test_a_window_begins_with_bos_where_the_model_wants_it(tmp_path):
    path = write_tiny_model(tmp_path / "bos.gguf", add_bos=True)
    with measure.open_context(str(path), N_CTX, 1) as context:
        windows = measure.windows_of(context.model, TEXT, N_CTX, 0)
        assert windows[0][0] == context.model.bos
        with_bos, _ = scored_by_hand(path, windows[1:2])
        changed = windows[1:2].copy()
        changed[0, 0] = context.model.bos
        assert changed[0, 0] != windows[1, 0]
    np.testing.assert_array_equal(scored_by_hand(path, changed)[0], with_bos)


def test_progress_counts_windows(tiny, text_file, tmp_path):
    seen = []
    reference(str(tiny), text_file, str(tmp_path / "s"), N_CTX, 3, 1, lambda *s: seen.append(s))
    assert [state[:2] for state in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert seen[-1][2].startswith("perplexity ")


def test_too_little_text_and_too_large_windows_are_refused(tiny, tmp_path):
    short = tmp_path / "short.txt"
    short.write_text("short")
    with pytest.raises(MeasureError, match="5 tokens, and two windows of 64 need 128"):
        reference(str(tiny), str(short), str(tmp_path / "s"), N_CTX, 2, 1, silent)
    with pytest.raises(MeasureError, match="choose 8 to 256"):
        reference(str(tiny), str(short), str(tmp_path / "s"), 512, 2, 1, silent)
    assert not (tmp_path / "s").exists()


def test_a_damaged_store_is_refused(variant, tiny, text_file, tmp_path):
    store = tmp_path / "store"
    reference(str(tiny), text_file, str(store), N_CTX, 2, 1, silent)
    store.write_bytes(store.read_bytes()[:-10])
    with pytest.raises(MeasureError, match="cut off"):
        compare(variant, str(store), 1, silent)
    store.write_bytes(b"something else")
    with pytest.raises(MeasureError, match="no log-probabilities"):
        compare(variant, str(store), 1, silent)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float32, 51, elements=st.floats(-40, 40, width=32)), st.integers(0, 50))
@example(np.array([1.1754944e-38] + [0.0] * 50, np.float32), 0)
def test_packing_keeps_log_probabilities_to_half_a_step(logits, follows):
    packed = np.empty(56, np.uint16)
    nll = pack(logits, packed, follows)
    scale, offset = packed[:4].view(np.float32)
    exact = logits - np.float64(logits.max())
    exact -= np.log(np.exp(exact).sum())
    assert nll == pytest.approx(-exact[follows], abs=1e-4)
    within = logits >= logits.max() - 16
    kept = packed[4:55] * np.float64(scale) + offset
    np.testing.assert_allclose(kept[within], exact[within], atol=0.51 * 16 / 65535 + 1e-5)
    _, kl, _ = compare_row(logits, packed, follows)
    assert abs(kl) < 1e-3


def test_figures_are_those_that_llama_perplexity_printed(real, tmp_path):
    # llama-perplexity -f quant/eval.txt -c 512 --chunks 2, --kl-divergence, llama.cpp 0.5.0-dev
    source = real("smollm2-135m-instruct-F16.gguf")
    store = str(tmp_path / "store")
    told = reference(str(source), str(EVAL_TEXT), store, 512, 2, 1, silent)
    assert told["perplexity"] == pytest.approx(30.2470, rel=1e-3)
    assert told["perplexity_error"] == pytest.approx(3.77283, rel=1e-2)
    path = quantize(source, "Q4_K_M", tmp_path / "out-Q4_K_M.gguf").path
    told = compare(str(path), store, 1, silent)
    assert told["perplexity"] == pytest.approx(34.961351, rel=1e-3)
    assert told["mean_kl"] == pytest.approx(0.098972, rel=1e-2)
    assert told["mean_kl_error"] == pytest.approx(0.004348, rel=1e-2)
    assert told["median_kl"] == pytest.approx(0.073473, rel=1e-2)
    assert told["p99_kl"] == pytest.approx(0.510668, rel=1e-2)
    assert told["max_kl"] == pytest.approx(1.064307, rel=1e-2)
    assert told["same_top"] == pytest.approx(0.79020, rel=1e-2)
    path.unlink()
    Path(store).unlink()


def test_speed_counts_both_ways(tiny):
    told = speed(str(tiny), 1, silent, n_prompt=64, n_generate=16, runs=2)
    assert told["prompt_tokens_per_second"] > 0
    assert told["generation_tokens_per_second"] > 0


def test_memory_is_what_the_model_took_not_what_its_process_or_a_parent_holds(tiny, real):
    held = np.ones(1 << 29, np.uint8)  # by the parent, whose peak getrusage would report
    small = child.run("quant.measure:speed", {"model": str(tiny), "n_threads": 1})
    del held
    assert tiny.stat().st_size < small["memory_bytes"] < 60 << 20
    assert small["memory_n_ctx"] == 256  # all that the tiny model has
    path = real("smollm2-135m-instruct-Q4_1.gguf")
    large = child.run("quant.measure:speed", {"model": str(path), "n_threads": 2})
    assert path.stat().st_size < large["memory_bytes"] < 3 * path.stat().st_size
