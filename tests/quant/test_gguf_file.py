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


def record(tiny, name: bytes) -> int:
    """Where the dimensions of a tensor's record begin; its type and offset follow."""
    data = tiny.read_bytes()
    return data.index(name) + len(name) + 4


FFN_UP = b"blk.0.ffn_up.weight"


@pytest.mark.parametrize(
    ("at", "change", "message"),
    [
        (0, struct.pack("<QQ", 64, 2**61), "cut off: tensor blk.0.ffn_up"),  # more than 64 bits
        (0, struct.pack("<QQ", 2**63, 2**63), "cut off: tensor blk.0.ffn_up"),
        (0, struct.pack("<QQ", 0, 96), "don't fit blocks"),
        (0, struct.pack("<QQ", 64, 95), "type or shape is wrong"),
        (16, struct.pack("<I", 1), "type or shape is wrong"),  # F16, where F32 is
        (16, struct.pack("<I", 12), "don't fit blocks of 256"),  # Q4_K
        (16, struct.pack("<I", 4), "unknown type 4"),
        (16, struct.pack("<I", 2**31), "unknown type"),
        (20, struct.pack("<Q", 0), "overlaps another"),
        (20, struct.pack("<Q", 2**64 - 32), "cut off: tensor blk.0.ffn_up"),
        (20, struct.pack("<Q", 1 << 40), "cut off: tensor blk.0.ffn_up"),
    ],
)
def test_a_tensor_that_is_not_where_or_what_it_says_is_refused(
    tiny, tmp_path, at: int, change: bytes, message: str
):
    data, start = tiny.read_bytes(), record(tiny, FFN_UP) + at
    assert message in refused(tmp_path, data[:start] + change + data[start + len(change) :])


def value(data: bytes, key: bytes) -> int:
    """Where a value's type begins."""
    return data.index(key) + len(key)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 1 << 40])
def test_lengths_beyond_the_file_are_refused_without_taking_memory(tiny, tmp_path, length: int):
    data, huge = tiny.read_bytes(), struct.pack("<Q", length)
    text = value(data, b"general.name") + 4
    assert "cut off" in refused(tmp_path, data[:text] + huge + data[text + 8 :])
    count = value(data, b"tokenizer.ggml.tokens") + 8
    assert "cut off" in refused(tmp_path, data[:count] + huge + data[count + 8 :])
    numbers = value(data, b"tokenizer.ggml.token_type") + 8
    assert "cut off" in refused(tmp_path, data[:numbers] + huge + data[numbers + 8 :])


def test_a_header_that_would_fill_the_memory_is_refused(tiny, tmp_path):
    """A sparse file is as large as it says, and holds a text of a gigabyte."""
    data = tiny.read_bytes()
    text = value(data, b"general.name") + 4
    path = tmp_path / "file.gguf"
    path.write_bytes(data[:text] + struct.pack("<Q", 1 << 30))
    with path.open("r+b") as file:
        file.truncate(2 << 30)
    with pytest.raises(BadGguf, match="header is larger than 64 MB"):
        check_source(path)


def test_values_of_no_or_nested_type_and_twice_the_same_name_are_refused(tiny, tmp_path):
    data = tiny.read_bytes()
    at = value(data, b"general.name")
    assert "unknown value type 99" in refused(
        tmp_path, data[:at] + struct.pack("<I", 99) + data[at + 4 :]
    )
    at = value(data, b"tokenizer.ggml.tokens") + 4
    assert "arrays of arrays" in refused(
        tmp_path, data[:at] + struct.pack("<I", 9) + data[at + 4 :]
    )
    twice = data.replace(b"tokenizer.ggml.bos_token_id", b"tokenizer.ggml.eos_token_id")
    assert "two values are named" in refused(tmp_path, twice)
    assert "two tensors are named" in refused(
        tmp_path, data.replace(b"blk.0.attn_k.weight", b"blk.0.attn_v.weight")
    )


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
