"""A tiny model with random weights, for everything that needs no sense, and the real ones."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from django.conf import settings

EMBD, FF, HEADS, HEADS_KV, LAYERS, CONTEXT = 64, 96, 4, 2, 2, 256
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _byte_alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def write_tiny_model(
    path: Path,
    *,
    embd: int = EMBD,
    ff: int = FF,
    seed: int = 1,
    tied: bool = True,
    add_bos: bool = False,
) -> Path:
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(embd)
    writer.add_feed_forward_length(ff)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS_KV)
    writer.add_rope_dimension_count(embd // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    tokens = SPECIAL + _byte_alphabet()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL] * len(SPECIAL) + [gguf.TokenType.NORMAL] * 256
    writer.add_token_types(kinds)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(add_bos)
    writer.add_chat_template(TEMPLATE)

    def matrix(name: str, rows: int, columns: int) -> None:
        scale = 1.5 / np.sqrt(columns)
        values = rng.normal(0, scale, (rows, columns)).astype(np.float32)
        writer.add_tensor(f"{name}.weight", values)

    def norm(name: str) -> None:
        values = rng.uniform(0.5, 1.5, embd).astype(np.float32)
        writer.add_tensor(f"{name}.weight", values)

    matrix("token_embd", len(tokens), embd)
    norm("output_norm")
    if not tied:
        matrix("output", len(tokens), embd)
    kv = embd // HEADS * HEADS_KV
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm")
        norm(f"{block}.ffn_norm")
        matrix(f"{block}.attn_q", embd, embd)
        matrix(f"{block}.attn_k", kv, embd)
        matrix(f"{block}.attn_v", kv, embd)
        matrix(f"{block}.attn_output", embd, embd)
        matrix(f"{block}.ffn_gate", ff, embd)
        matrix(f"{block}.ffn_up", ff, embd)
        matrix(f"{block}.ffn_down", embd, ff)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model in FP32 whose vocabulary is the bytes; do not change the file."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny-F32.gguf")


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """Path of a real model file: `make setup` fetched them."""
    store = settings.MODELS_DIR  # before a test puts another in its place

    def path(name: str) -> Path:
        found = store / name
        assert found.is_file(), f"{found} is missing: run 'manage.py fetch_models'"
        return found

    return path


@pytest.fixture
def store(settings, tmp_path: Path, tiny: Path) -> Path:
    """A data folder with one model; no Redis."""
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.REDIS_URL = f"unix://{tmp_path}/redis.sock"
    settings.MODELS_DIR.mkdir()
    (settings.MODELS_DIR / "tiny-F32.gguf").symlink_to(tiny)
    return settings.MODELS_DIR
