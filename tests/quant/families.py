"""Tiny models of each family: random weights in 16 bits, the family's own architecture, kind of
vocabulary and chat markup. Rows are multiples of 256, as in the real ones."""

from pathlib import Path

import gguf
import numpy as np

from quant.planner.tensors import Dimensions, tensors_of
from tests.quant.conftest import _byte_alphabet

CHATML = """\
{%- if messages[0].role != 'system' %}<|im_start|>system
Be helpful.<|im_end|>
{% endif %}{%- for m in messages %}<|im_start|>{{ m['role'] }}
{{ m['content'] }}<|im_end|>
{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{%- endif %}"""
LLAMA_3 = """\
{%- for m in messages %}{%- if loop.first %}{{- bos_token }}{%- endif %}
{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim }}
{{- '<|eot_id|>' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""
MISTRAL = """\
{{- bos_token }}{%- for m in messages %}
{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must be user and assistant in turn') }}{%- endif %}
{%- if m['role'] == 'user' %}{{- '[INST] ' + m['content'] + '[/INST]' }}
{%- else %}{{- ' ' + m['content'] + eos_token }}{%- endif %}{%- endfor %}"""

# family: (architecture, special tokens: begin, end and the rest, pre-tokenizer, template)
FAMILIES = {
    "llama": (
        "llama",
        ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
        "llama-bpe",
        LLAMA_3,
    ),
    "mistral": ("llama", ["<s>", "</s>", "[INST]", "[/INST]"], "", MISTRAL),
    "qwen2": ("qwen2", ["<|endoftext|>", "<|im_end|>", "<|im_start|>"], "qwen2", CHATML),
    "qwen3": (
        "qwen3",
        ["<|endoftext|>", "<|im_end|>", "<|im_start|>", "<think>", "</think>"],
        "qwen2",
        CHATML,
    ),
}
# What the markup of a question begins with, special tokens spelled out.
MARKUP = {
    "llama": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>",
    "mistral": "<s>[INST]",
    "qwen2": "<|im_start|>system\n",
    "qwen3": "<|im_start|>system\n",
}


def dimensions(family: str, vocabulary: int) -> Dimensions:
    architecture = FAMILIES[family][0]
    tied = family in ("qwen2", "qwen3")  # as the small ones are
    return Dimensions(
        architecture,
        layers=2,
        width=256,
        feed_forward=512,
        heads=4,
        kv_heads=2,
        head_size=64,
        vocabulary=vocabulary,
        tied=tied,
        rope_factors=family == "llama",
    )


def write_family_model(path: Path, family: str) -> Path:
    architecture, special, pre, template = FAMILIES[family]
    writer = gguf.GGUFWriter(path, architecture)
    size = _add_spm(writer, special) if family == "mistral" else _add_bpe(writer, special, pre)
    dims = dimensions(family, size)
    writer.add_name(f"tiny {family}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_block_count(dims.layers)
    writer.add_context_length(512)
    writer.add_embedding_length(dims.width)
    writer.add_feed_forward_length(dims.feed_forward)
    writer.add_head_count(dims.heads)
    writer.add_head_count_kv(dims.kv_heads)
    writer.add_key_length(dims.head_size)
    writer.add_value_length(dims.head_size)
    writer.add_rope_dimension_count(dims.head_size)
    writer.add_rope_freq_base(1_000_000.0 if "qwen" in family else 500_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_chat_template(template)
    rng = np.random.default_rng(7)
    for tensor in tensors_of(dims):
        if tensor.rows:
            scale = 1.5 / np.sqrt(tensor.columns)
            shape = (tensor.rows, tensor.columns)
            writer.add_tensor(tensor.name, rng.normal(0, scale, shape).astype(np.float16))
        elif tensor.name.endswith(".bias"):
            writer.add_tensor(tensor.name, rng.normal(0, 0.1, tensor.columns).astype(np.float32))
        else:
            writer.add_tensor(tensor.name, np.ones(tensor.columns, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_bpe(writer: gguf.GGUFWriter, special: list[str], pre: str) -> int:
    """Byte-level BPE, as Llama 3 and Qwen have it; the number of tokens."""
    tokens = special + _byte_alphabet()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    control = [gguf.TokenType.CONTROL] * len(special)
    writer.add_token_types(control + [gguf.TokenType.NORMAL] * 256)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(pre == "llama-bpe")
    return len(tokens)


def _add_spm(writer: gguf.GGUFWriter, special: list[str]) -> int:
    """SentencePiece with scores and bytes to fall back on, as Mistral 7B has it."""
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁a", "th", "he"]
    tokens = ["<unk>", *special, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * len(special)]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(letters)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * (len(tokens) - len(letters)) + [-1.0] * len(letters))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    return len(tokens)
