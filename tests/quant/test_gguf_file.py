import struct

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant import llama
from quant.gguf_file import BadGguf, check_source, copy_values, read


def test_metadata_and_tensors_are_as_gguf_py_reads_them(real):
    path = real("smollm2-135m-instruct-Q4_1.gguf")
    file, reader = read(path), gguf.GGUFReader(path)
    assert file.architecture == "llama"
    assert file.get("{arch}.block_count") == 30
    assert file.get("tokenizer.ggml.tokens")[2] == "<|im_end|>"
    assert [(t.name, t.shape[::-1], t.type, t.offset, t.bytes) for t in file.tensors] == [
        (t.name, tuple(t.shape), t.tensor_type.name, t.data_offset, t.n_bytes)
        for t in reader.tensors
    ]


def test_bits_per_weight_are_those_that_llama_cpp_prints(real, tmp_path):
    path = real("smollm2-135m-instruct-Q4_1.gguf")
    lines: list[str] = []
    with llama.log_lines(lines.append):
        llama.quantize(path, tmp_path / "none", "Q4_1", dry_run=True, allow_requantize=True)
    (printed,) = [line for line in lines if "model size" in line]  # ... 92.10 MiB (5.74 BPW)
    assert f"({read(path).bits_per_weight:.2f} BPW)" in printed
    assert read(path).is_quantized


def test_a_copy_of_the_metadata_has_the_same_values(tiny, tmp_path):
    file = read(tiny)
    writer = gguf.GGUFWriter(tmp_path / "copy.gguf", "llama")
    copy_values(file, writer, without=("general.name",))
    writer.add_tensor("token_embd.weight", np.ones((2, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expected = {key: value for key, value in file.values.items() if key != "general.name"}
    assert read(tmp_path / "copy.gguf").values == expected


def refused(tmp_path, data: bytes) -> str:
    path = tmp_path / "file.gguf"
    path.write_bytes(data)
    with pytest.raises(BadGguf) as caught:
        check_source(path)
    assert str(caught.value).startswith("file.gguf")
    return str(caught.value)


def test_empty_cut_mislabelled_and_old_files_are_refused_with_a_reason(tiny, tmp_path):
    data = tiny.read_bytes()
    assert "0 bytes are no GGUF file" in refused(tmp_path, b"")
    assert "not a GGUF file" in refused(tmp_path, b"PK\3\4" + data[4:])
    assert "version 1" in refused(tmp_path, data[:4] + struct.pack("<I", 1) + data[8:])
    assert "cut off: the header" in refused(tmp_path, data[:1000])
    assert "cut off: tensor" in refused(tmp_path, data[:-1])


def test_hostile_counts_are_refused_without_reading_on(tiny, tmp_path):
    data = tiny.read_bytes()
    huge = struct.pack("<Q", 2**63)
    for at in (8, 16, 24):  # tensors, key-value pairs, length of the first key
        refused(tmp_path, data[:at] + huge + data[at + 8 :])


def test_what_is_no_whole_language_model_is_refused(tiny, tmp_path):
    data = tiny.read_bytes()
    assert "unknown architecture 'lmala'" in refused(tmp_path, data.replace(b"llama", b"lmala"))
    no_vocabulary = data.replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenz")
    assert "no vocabulary" in refused(tmp_path, no_vocabulary)


@pytest.fixture(scope="module")
def header(tiny) -> bytes:
    return tiny.read_bytes()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_to_the_header_gets_past_with_another_error(header, tmp_path_factory, data):
    changed = bytearray(header)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 6000))
        changed[at : at + 4] = data.draw(st.binary(min_size=1, max_size=8))
    path = tmp_path_factory.getbasetemp() / "changed.gguf"
    path.write_bytes(changed)
    try:
        file = check_source(path)
    except BadGguf:
        return
    assert all(t.offset + t.bytes <= path.stat().st_size for t in file.tensors)
