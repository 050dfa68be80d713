"""Statistics of what flows into each matrix, gathered through llama.cpp itself."""

from pathlib import Path

import numpy as np
import pytest

from quant import calibration, gguf_file, llama
from quant.calibration import Calibration, CalibrationError, gather, read_imatrix, write_imatrix
from tests.quant.conftest import EMBD, FF, LAYERS

TEXT = "The quick brown fox jumps over the lazy dog; 0123456789 times, they say. " * 12
WINDOW, WINDOWS = 64, 4


def quiet(done: int, total: int, detail: str) -> None:
    pass


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "sample.txt"
    path.write_text(TEXT)
    return path


def gathered(tiny: Path, text: Path, folder: Path, **options) -> Calibration:
    options = {"windows": WINDOWS, "n_ctx": WINDOW, "n_threads": 1, "progress": quiet} | options
    gather(str(tiny), str(text), str(folder), **options)
    return Calibration.open(folder)


@pytest.fixture(scope="module")
def kept(tiny: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    return gathered(tiny, text, tmp_path_factory.mktemp("calibration") / "tiny")


def inputs_of(tiny: Path, tokens: list[int]) -> dict[str, np.ndarray]:
    """Each matrix's inputs for one window, as llama.cpp shows them."""
    seen = {}
    with (
        llama.Model(tiny) as model,
        llama.Context(
            model,
            n_ctx=WINDOW,
            n_threads=1,
            on_input=lambda weight, x: seen.update({weight: x.copy()}),
        ) as context,
    ):
        batch = llama.Batch(len(tokens))
        batch.add(tokens, 0, n_logits=len(tokens))
        context.decode(batch)
    return seen


def test_the_first_input_is_the_normed_embedding(tiny: Path):
    """Computed here from the file: llama.cpp shows what the model's definition says."""
    tokens = [40, 60, 80, 100]
    file = {tensor.name: tensor for tensor in gguf_file.read(tiny).tensors}
    data = np.memmap(tiny, np.uint8, "r")

    def values(name: str) -> np.ndarray:
        tensor = file[name]
        return data[tensor.offset :][: tensor.bytes].view(np.float32).reshape(tensor.shape)

    x = values("token_embd.weight")[tokens]
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * values("blk.0.attn_norm.weight")
    assert np.allclose(inputs_of(tiny, tokens)["blk.0.attn_q.weight"], x, atol=1e-5)


def test_sums_are_those_of_every_token_of_every_window(tiny: Path, text: Path, kept: Calibration):
    with llama.Model(tiny, vocab_only=True) as model:
        tokens = np.array(model.tokenize(TEXT)[: (WINDOWS + 1) * WINDOW]).reshape(-1, WINDOW)
    windows = [inputs_of(tiny, list(window)) for window in tokens]
    for weight in ("blk.0.attn_k.weight", "blk.1.attn_output.weight", "blk.1.ffn_down.weight"):
        x = np.concatenate([window[weight] for window in windows[:WINDOWS]]).astype(np.float64)
        found = kept[weight]
        assert found.tokens == WINDOWS * WINDOW == len(x)
        assert np.allclose(found.xtx, x.T @ x, rtol=1e-4, atol=1e-3)
        assert np.allclose(found.mean_abs, np.abs(x).mean(0), rtol=1e-5)
        assert np.allclose(found.mean_square, (x**2).mean(0), rtol=1e-4)
        assert np.allclose(found.sample, windows[WINDOWS][weight], atol=1e-5)


def test_matrices_with_one_input_share_their_statistics(kept: Calibration):
    assert len(kept) == 7 * LAYERS
    assert len(list(kept.folder.glob("*.npz"))) == 4 * LAYERS
    assert np.array_equal(kept["blk.1.attn_q.weight"].xtx, kept["blk.1.attn_v.weight"].xtx)
    assert kept["blk.0.ffn_up.weight"].xtx.shape == (EMBD, EMBD)
    assert kept["blk.0.ffn_down.weight"].xtx.shape == (FF, FF)


def test_with_little_memory_the_text_is_read_once_for_every_block(
    tiny: Path, text: Path, kept: Calibration, tmp_path: Path
):
    steps: list[tuple[int, int]] = []
    again = gathered(
        tiny, text, tmp_path / "one", budget=1, progress=lambda d, t, _: steps.append((d, t))
    )
    total = LAYERS * (WINDOWS + 1)
    assert steps == [(n, total) for n in range(1, total + 1)]
    for weight in kept:
        assert np.array_equal(again[weight].xtx, kept[weight].xtx)


def test_work_that_was_stopped_goes_on_at_the_next_block(tiny: Path, text: Path, tmp_path: Path):
    class Stop(Exception):
        pass

    def stop(done: int, total: int, detail: str) -> None:
        if done > WINDOWS + 1:
            raise Stop

    with pytest.raises(Stop):
        gathered(tiny, text, tmp_path / "c", budget=1, progress=stop)
    assert not calibration.is_finished(tmp_path / "c")
    with pytest.raises(CalibrationError, match="no finished calibration"):
        Calibration.open(tmp_path / "c")
    first = (tmp_path / "c" / "blk.0.attn_q.weight.npz").stat().st_mtime_ns
    seen: list[int] = []
    gathered(tiny, text, tmp_path / "c", budget=1, progress=lambda d, t, _: seen.append(d))
    assert seen[0] == WINDOWS + 2
    assert (tmp_path / "c" / "blk.0.attn_q.weight.npz").stat().st_mtime_ns == first


def test_only_the_newest_folders_stay(tiny: Path, text: Path, tmp_path: Path):
    for number in range(calibration.KEPT + 2):
        gathered(tiny, text, tmp_path / f"c{number}")
    assert len(list(tmp_path.iterdir())) == calibration.KEPT + 1


def test_model_text_and_windows_decide_the_folder(tiny: Path, text: Path, tmp_path: Path):
    other = tmp_path / "other.txt"
    other.write_text(TEXT + "!")
    folders = {
        calibration.folder_for(tiny, text),
        calibration.folder_for(tiny, other),
        calibration.folder_for(tiny, text, windows=3),
    }
    assert len(folders) == 3
    copy = tmp_path / "copy.txt"
    copy.write_text(TEXT)
    assert calibration.folder_for(tiny, text) == calibration.folder_for(tiny, copy)


def test_a_text_too_short_or_not_utf_8_is_refused_with_what_to_do(tiny: Path, tmp_path: Path):
    short = tmp_path / "short.txt"
    short.write_text("too short")
    with pytest.raises(ValueError, match="take a longer text"):
        gathered(tiny, short, tmp_path / "c")
    short.write_bytes(b"\xff\xfe")
    with pytest.raises(CalibrationError, match="not UTF-8"):
        gathered(tiny, short, tmp_path / "c")


def test_a_failure_while_inputs_are_seen_reaches_the_caller(tiny: Path):
    def fail(weight: str, inputs: np.ndarray) -> None:
        raise OverflowError(weight)

    with (
        llama.Model(tiny) as model,
        llama.Context(model, n_ctx=WINDOW, n_threads=1, on_input=fail) as context,
    ):
        batch = llama.Batch(4)
        batch.add([5, 6, 7, 8], 0, n_logits=1)
        with pytest.raises(OverflowError, match=r"blk\.0\.attn_q"):
            context.decode(batch)


def test_the_importance_matrix_reads_back_and_changes_what_llama_cpp_quantizes(
    tiny: Path, kept: Calibration, tmp_path: Path
):
    write_imatrix(kept, tmp_path / "imatrix.gguf")
    matrix = read_imatrix(tmp_path / "imatrix.gguf")
    assert matrix.keys() == set(kept)
    for weight, squares in matrix.items():
        assert np.allclose(squares, kept[weight].mean_square)
    llama.quantize(tiny, tmp_path / "plain.gguf", "Q4_1", n_threads=1, tables="Q8_0")
    llama.quantize(tiny, tmp_path / "with.gguf", "Q4_1", n_threads=1, tables="Q8_0", imatrix=matrix)
    plain, better = (gguf_file.read(tmp_path / name) for name in ("plain.gguf", "with.gguf"))
    kinds = {tensor.name: tensor.type for tensor in better.tensors}
    assert kinds["token_embd.weight"] == "Q8_0"
    assert kinds["blk.0.attn_q.weight"] == "Q4_1"
    assert plain.tensor_bytes == better.tensor_bytes
    assert plain.path.read_bytes()[-1000:] != better.path.read_bytes()[-1000:]


def test_a_file_of_another_kind_is_no_importance_matrix(tiny: Path):
    with pytest.raises(CalibrationError, match="no importance matrix"):
        read_imatrix(tiny)


def test_the_shipped_text_is_long_enough_and_not_the_lessons():
    text = calibration.DEFAULT_TEXT.read_text(encoding="utf-8")
    assert len(text.split()) > 5000
    assert "quantiz" not in text
