import shutil
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest

from quant import gguf_file
from quant.gguf_file import BadGguf
from quant.quantize import Cancelled, QuantizeError, quantize
from quant.variants import make_variant
from tests.quant.conftest import write_tiny_model


def files_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_q8_0_is_what_gguf_py_makes_of_the_same_weights(tiny, tmp_path):
    done = quantize(tiny, "Q8_0", tmp_path / "tiny-Q8_0.gguf", n_threads=1)
    assert done.tensors == {"Q8_0": 15, "F32": 5}
    assert done.bytes == done.path.stat().st_size
    assert 8.5 < done.bits_per_weight < 8.9  # 34 bytes for 32 weights, and the norms
    source = {t.name: t.data for t in gguf.GGUFReader(tiny).tensors}
    for tensor in gguf.GGUFReader(done.path).tensors:
        if tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0:
            expected = gguf.quants.quantize(source[tensor.name], tensor.tensor_type)
            np.testing.assert_array_equal(tensor.data, expected, err_msg=tensor.name)
    assert files_in(tmp_path) == ["tiny-Q8_0.gguf"]


def test_each_tensor_is_reported_and_the_metadata_kept(tiny, tmp_path):
    seen: list[tuple[int, int, str]] = []
    done = quantize(
        tiny, "Q4_0", tmp_path / "out.gguf", n_threads=1, progress=lambda *s: seen.append(s)
    )
    assert [state[:2] for state in seen] == [(i, 20) for i in range(1, 21)]
    assert {name for _, _, name in seen} == {t.name for t in gguf_file.read(tiny).tensors}
    kept, source = gguf_file.read(done.path).values, gguf_file.read(tiny).values
    assert {k: v for k, v in kept.items() if k in source and k != "general.file_type"} == {
        k: v for k, v in source.items() if k != "general.file_type"
    }


def test_rows_that_256_does_not_divide_fall_back_and_are_counted(tmp_path):
    narrow = write_tiny_model(tmp_path / "narrow.gguf", embd=64)
    done = quantize(narrow, "Q4_K_M", tmp_path / "narrow-Q4_K_M.gguf", n_threads=1)
    assert "Q4_K" not in done.tensors
    assert done.fallbacks["Q4_K -> Q5_0"] == done.tensors["Q5_0"]
    wide = write_tiny_model(tmp_path / "wide.gguf", embd=256, ff=256)
    done = quantize(wide, "Q4_K_M", tmp_path / "wide-Q4_K_M.gguf", n_threads=1)
    assert done.fallbacks == {}
    assert done.tensors["Q4_K"] > 0
    assert done.tensors["Q6_K"] > 0
    pure = quantize(wide, "Q4_K_M", tmp_path / "pure.gguf", n_threads=1, pure=True)
    assert set(pure.tensors) == {"Q4_K", "F32"}


def test_cancelling_in_the_middle_leaves_nothing(real, tmp_path):
    seen: list[int] = []
    with pytest.raises(Cancelled):
        quantize(
            real("smollm2-135m-instruct-F16.gguf"),
            "Q2_K",
            tmp_path / "out.gguf",
            n_threads=1,
            progress=lambda done, total, name: seen.append(done),
            cancelled=lambda: bool(seen),
        )
    assert max(seen) < 273
    assert files_in(tmp_path) == []


def test_an_earlier_file_is_replaced_only_by_a_whole_one(tiny, tmp_path):
    target = tmp_path / "out.gguf"
    target.write_bytes(b"the one before")
    with pytest.raises(Cancelled):
        quantize(tiny, "Q8_0", target, cancelled=lambda: True)
    assert target.read_bytes() == b"the one before"
    quantize(tiny, "Q8_0", target, n_threads=1)
    assert gguf_file.read(target).type_counts["Q8_0"] == 15


def test_two_at_once_make_one_whole_file(tiny, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(
            lambda _: quantize(tiny, "Q8_0", tmp_path / "out.gguf", n_threads=1), range(2)
        )
    assert one.bytes == two.bytes == (tmp_path / "out.gguf").stat().st_size
    assert files_in(tmp_path) == ["out.gguf"]


def test_bad_sources_are_refused_with_the_reason(tiny, tmp_path):
    target = tmp_path / "out" / "out.gguf"
    (tmp_path / "cut.gguf").write_bytes(tiny.read_bytes()[:-100])
    with pytest.raises(BadGguf, match="cut off"):
        quantize(tmp_path / "cut.gguf", "Q8_0", target)
    with pytest.raises(QuantizeError, match="is the source itself"):
        quantize(tiny, "Q8_0", tiny)
    with pytest.raises(FileNotFoundError):
        quantize(tmp_path / "none.gguf", "Q8_0", target)


def test_weights_that_are_no_numbers_are_refused(tiny, tmp_path):
    file = gguf_file.read(tiny)
    data = bytearray(tiny.read_bytes())
    offset = next(t.offset for t in file.tensors if t.name == "blk.0.ffn_up.weight")
    data[offset : offset + 4] = np.float32("nan").tobytes()
    (tmp_path / "nan.gguf").write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(QuantizeError, match=r"blk\.0\.ffn_up\.weight.* invalid|validation"):
        quantize(tmp_path / "nan.gguf", "Q8_0", tmp_path / "out" / "out.gguf", n_threads=1)
    assert files_in(tmp_path / "out") == []


def test_a_type_that_needs_an_importance_matrix_says_so(tmp_path):
    wide = write_tiny_model(tmp_path / "wide.gguf", embd=256, ff=256)
    with pytest.raises(QuantizeError, match="imatrix"):
        quantize(wide, "IQ2_XXS", tmp_path / "out.gguf", n_threads=1)


def test_a_full_disk_is_named(tiny, tmp_path, monkeypatch):
    (tmp_path / ".out.gguf.part").symlink_to("/dev/full")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1 << 20))
    with pytest.raises(QuantizeError, match=r"no room for out\.gguf: 1 MB are free"):
        quantize(tiny, "Q8_0", tmp_path / "out.gguf", n_threads=1)


def test_a_quantized_source_is_taken(tiny, tmp_path):
    quantize(tiny, "Q8_0", tmp_path / "tiny-Q8_0.gguf", n_threads=1)
    again = quantize(tmp_path / "tiny-Q8_0.gguf", "Q4_0", tmp_path / "out.gguf", n_threads=1)
    assert again.tensors["Q4_0"] == 14


def test_an_importance_matrix_may_be_pure_too(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    wide = write_tiny_model(tmp_path / "wide.gguf", embd=256, ff=256)
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 400)
    name, options = "IMATRIX-Q4_K_M", {"text_file": text, "n_threads": 1}
    mixed = make_variant(wide, name, tmp_path / "mixed.gguf", **options)
    pure = make_variant(wide, name, tmp_path / "pure.gguf", pure=True, **options)
    assert "Q6_K" in mixed.tensors
    assert set(pure.tensors) == {"Q4_K", "F32"}
