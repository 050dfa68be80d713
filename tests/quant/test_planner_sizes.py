"""File sizes by tensor types: against llama.cpp's own dry run, real files and published sizes."""

import re
from pathlib import Path

import gguf
import numpy as np
import pytest

from quant import gguf_file, llama
from quant.planner import estimate, here, recipe
from quant.planner.data import GIB, data
from quant.planner.tensors import Dimensions, Tensor, UnknownModel, tensors_of

LINE = re.compile(r"\[ *\d+/ *\d+\] +(\S+) .*type = *(\w+),.*?(?:\((\w+)\))?$")


def write_hollow_model(path: Path, dims: Dimensions) -> Path:
    """A GGUF file with the model's metadata and no data: its weights are a hole in the file."""
    writer = gguf.GGUFWriter(path, dims.architecture)
    writer.add_block_count(dims.layers)
    writer.add_context_length(4096)
    writer.add_embedding_length(dims.width)
    writer.add_feed_forward_length(dims.feed_forward)
    writer.add_head_count(dims.heads)
    writer.add_head_count_kv(dims.kv_heads)
    writer.add_key_length(dims.head_size)
    writer.add_value_length(dims.head_size)
    writer.add_vocab_size(dims.vocabulary)
    writer.add_layer_norm_rms_eps(1e-5)
    size = 0
    for tensor in tensors_of(dims):
        kind = np.dtype(np.float16 if tensor.rows else np.float32)
        shape = (tensor.rows, tensor.columns) if tensor.rows else (tensor.columns,)
        writer.add_tensor_info(tensor.name, shape, kind, tensor.elements * kind.itemsize)
        size += -(-tensor.elements * kind.itemsize // 32) * 32
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate(-(-path.stat().st_size // 32) * 32 + size)
    return path


def llama_types(source: Path, quant: str) -> dict[str, str]:
    """The types that llama.cpp would give the tensors."""
    lines: list[str] = []
    with llama.log_lines(lines.append):
        llama.quantize(source, source.with_suffix(".none"), quant, n_threads=1, dry_run=True)
    found = [match for line in lines if (match := LINE.match(line))]
    return {match[1]: (match[3] or match[2]).upper() for match in found}


def shapes() -> list[Dimensions]:
    odd = Dimensions("llama", 5, 96, 160, 3, 1, 32, 300)  # 256 divides no row, 32 not always
    odder = Dimensions("qwen2", 9, 48, 80, 3, 3, 16, 300, tied=True)
    few = Dimensions("llama", 80, 512, 1024, 8, 8, 64, 300)  # 80 layers, but no shared heads
    return [*dict.fromkeys(model.dims for model in data().models.values()), odd, odder, few]


@pytest.mark.parametrize("dims", shapes(), ids=lambda d: f"{d.architecture}-{d.layers}-{d.width}")
def test_every_tensor_gets_the_type_that_llama_cpp_gives_it(dims, tmp_path):
    hollow = write_hollow_model(tmp_path / "hollow.gguf", dims)
    for quant in recipe.QUANTS:
        if quant != "F16":  # what the file is
            assert recipe.types_of(tensors_of(dims), dims, quant) == llama_types(hollow, quant)


@pytest.mark.parametrize("model", data().models.values(), ids=lambda model: model.name)
def test_the_dimensions_add_up_to_the_published_number_of_weights(model):
    tensors = [t for t in tensors_of(model.dims) if t.name != "rope_freqs.weight"]
    assert sum(tensor.elements for tensor in tensors) == model.parameters


# GiB from llama.cpp's perplexity README and dranger003, GB and MB from publishers' file lists.
PUBLISHED = {
    ("llama-3-8b", GIB): {
        "F16": 14.97, "Q8_0": 7.96, "Q6_K": 6.14, "Q5_K_M": 5.33, "Q5_K_S": 5.21, "Q5_0": 5.21,
        "Q4_K_M": 4.58, "Q4_K_S": 4.37, "Q4_1": 4.78, "Q4_0": 4.34, "Q3_K_L": 4.03,
        "Q3_K_M": 3.74, "Q3_K_S": 3.41, "Q2_K": 2.96,
    },
    ("llama-3-70b", GIB): {
        "F16": 131.43, "Q8_0": 69.83, "Q6_K": 53.91, "Q5_K_M": 46.52, "Q4_K_M": 39.60,
        "Q3_K_M": 31.91, "Q2_K": 24.56,
    },
    ("mistral-7b-v0.3", GIB): {"F16": 13.50, "Q6_K": 5.54},  # Mozilla
    ("mistral-nemo-12b", GIB): {"BF16": 22.81},
    ("mistral-small-22b", 1e9): {"Q4_K_S": 12.7},  # bartowski
    ("mistral-small-24b", 1e9): {"Q8_0": 25.1, "Q4_K_S": 13.5, "Q3_K_M": 11.5, "Q2_K": 8.89},
    ("qwen2-0.5b", 1e6): {"Q8_0": 531, "Q6_K": 506, "Q5_K_M": 420, "Q4_K_M": 398, "Q3_K_L": 369},
    ("qwen2-7b", 1e9): {"Q5_0": 5.32, "Q4_K_M": 4.68, "Q4_0": 4.43, "Q3_K_M": 3.81, "Q2_K": 3.02},
    ("qwen2.5-3b", 1e9): {"Q8_0": 3.29},
    ("qwen3-8b", 1e9): {"F16": 16.4, "Q8_0": 8.71, "Q6_K": 6.73, "Q4_0": 4.77, "Q2_K": 3.28},
    ("hermes-3-llama-3.1-8b", 1e9): {"Q8_0": 8.54, "Q6_K": 6.6, "Q5_K_M": 5.73, "Q4_K_M": 4.92},
    ("llama-3.1-70b", 1e9): {"Q4_K_M": 42.5},
}  # fmt: skip


@pytest.mark.parametrize(("name", "unit"), PUBLISHED)
def test_sizes_are_those_that_were_published(name, unit):
    for quant, published in PUBLISHED[name, unit].items():
        predicted = estimate.weights_of(data().models[name], quant).file_bytes / unit
        assert predicted == pytest.approx(published, rel=0.005), quant


def test_a_published_file_is_predicted_to_a_few_kilobytes():
    weights = estimate.weights_of(data().models["llama-3.1-8b"], "Q4_K_M")
    assert abs(weights.file_bytes - 4_920_739_232) < 10_000  # Meta-Llama-3.1-8B-Instruct-Q4_K_M


def test_a_files_own_metadata_predicts_its_variants_to_the_byte(tiny, tmp_path):
    model = here.from_file(tiny)
    for quant in ("Q8_0", "Q4_K_M"):
        target = tmp_path / f"{quant}.gguf"
        llama.quantize(tiny, target, quant, n_threads=1)
        made = gguf_file.read(target)
        weights = estimate.weights_of(model, quant)
        assert weights.tensor_bytes == made.tensor_bytes
        assert weights.bits_per_weight == pytest.approx(made.bits_per_weight)
        assert {part.type: part.tensors for part in weights.parts} == made.type_counts
        # llama.cpp adds two keys to the metadata.
        assert weights.file_bytes == pytest.approx(made.size, abs=256)


def test_rows_that_256_does_not_divide_are_told():
    model = data().models["qwen2.5-0.5b"]
    assert estimate.weights_of(model, "Q4_K_M").fallbacks == {
        "Q4_K → Q5_0": 132,
        "Q6_K → Q8_0": 12,
    }
    assert not estimate.weights_of(data().models["llama-3-8b"], "Q4_K_M").fallbacks


def test_a_file_of_another_architecture_is_refused_in_a_line(tmp_path):
    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(path, "gemma2")
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnknownModel, match=r"^other.gguf is a 'gemma2' model; .* llama, qwen2"):
        here.find_model(str(path))


def test_a_mixture_of_experts_is_refused_in_a_line(tmp_path):
    path = tmp_path / "moe.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_expert_count(8)
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnknownModel, match="mixture of experts"):
        here.find_model(str(path))


def test_a_file_that_lacks_a_number_says_which(tmp_path):
    path = tmp_path / "bare.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UnknownModel, match=r"llama\.embedding_length is missing"):
        here.find_model(str(path))


def test_a_tensor_knows_its_layer():
    assert Tensor("blk.17.attn_v.weight", 8, 8).layer == 17
    assert Tensor("output.weight", 8, 8).layer == 0
