"""Which type each tensor gets in a file of a given quant: llama.cpp's rules, and the file's size.

A name such as Q4_K_M is a recipe: most matrices get Q4_K, some more bits, and those whose rows 256
does not divide another type. The rules are those of llama.cpp's src/llama-quant.cpp for dense
models without an importance matrix; tests/quant/test_planner_sizes.py holds them against
llama.cpp's own dry run for every model in planner.toml and every quant here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from quant.planner.tensors import Dimensions, Tensor

# What most matrices get; from large files to small.
BASE = {
    "F16": "F16",
    "BF16": "BF16",
    "Q8_0": "Q8_0",
    "Q6_K": "Q6_K",
    "Q5_K_M": "Q5_K",
    "Q5_K_S": "Q5_K",
    "Q5_0": "Q5_0",
    "Q4_1": "Q4_1",
    "Q4_K_M": "Q4_K",
    "Q4_K_S": "Q4_K",
    "IQ4_NL": "IQ4_NL",
    "Q4_0": "Q4_0",
    "IQ4_XS": "IQ4_XS",
    "Q3_K_L": "Q3_K",
    "Q3_K_M": "Q3_K",
    "Q3_K_S": "Q3_K",
    "Q2_K": "Q2_K",
}
QUANTS = tuple(BASE)
# Where blocks of 256 don't divide a row.
FALLBACK = {
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
    "IQ4_XS": "IQ4_NL",
}
ALIGNMENT = 32  # of each tensor in the file, bytes


def block_of(type_name: str) -> tuple[int, int]:
    """(weights in a block, bytes of a block)."""
    return GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]


def bytes_of(tensor: Tensor, type_name: str) -> int:
    weights, size = block_of(type_name)
    return tensor.elements // weights * size


def types_of(tensors: Sequence[Tensor], dims: Dimensions, quant: str) -> dict[str, str]:
    """Each tensor's type by its name."""
    return {tensor.name: _type(tensor, dims, quant) for tensor in tensors}


def fallbacks(tensors: Sequence[Tensor], dims: Dimensions, quant: str) -> dict[str, int]:
    """How many tensors get another type than the one meant for them: {"Q4_K → Q5_0": 61}."""
    found: Counter[str] = Counter()
    for tensor in tensors:
        meant, given = _wanted(tensor, dims, quant), _type(tensor, dims, quant)
        if meant != given:
            found[f"{meant} → {given}"] += 1
    return dict(found.most_common())


def _type(tensor: Tensor, dims: Dimensions, quant: str) -> str:
    wanted = _wanted(tensor, dims, quant)
    if tensor.columns % block_of(wanted)[0] == 0:
        return wanted
    instead = FALLBACK.get(wanted, wanted)
    return instead if tensor.columns % block_of(instead)[0] == 0 else "F16"


def _wanted(tensor: Tensor, dims: Dimensions, quant: str) -> str:
    """The type that the recipe means for the tensor, whatever its rows."""
    base = BASE[quant]
    if not tensor.rows:
        return "F32"
    if base in ("F16", "BF16"):
        return base
    name = tensor.name.removesuffix(".weight").split(".")[-1]
    if name == "output" or (name == "token_embd" and dims.tied):
        fits = tensor.columns % block_of(base)[0] == 0
        return "Q6_K" if fits and base != "Q8_0" else "Q8_0"
    if name == "attn_v":
        wanted = _attention_value(quant, tensor.layer, dims) or base
        seventy_b = dims.layers == 80 and dims.query_heads_each > 1
        return "Q5_K" if seventy_b and wanted in ("Q3_K", "Q4_K") else wanted
    if name == "ffn_down":
        return _feed_forward_down(quant, tensor.layer, dims.layers) or base
    if name == "attn_output":
        return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(quant, base)
    return base


def _attention_value(quant: str, layer: int, dims: Dimensions) -> str | None:
    match quant:
        case "Q2_K":
            return "Q4_K" if dims.query_heads_each >= 4 else "Q3_K"
        case "Q3_K_M":
            return "Q5_K" if layer < 2 else "Q4_K"
        case "Q3_K_L":
            return "Q5_K"
        case "IQ4_NL" | "IQ4_XS" if dims.query_heads_each >= 4:
            return "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if _more_bits(layer, dims.layers):
            return "Q6_K"
        case "Q4_K_S" if layer < 4:
            return "Q5_K"
    return None


def _feed_forward_down(quant: str, layer: int, layers: int) -> str | None:
    match quant:
        case "Q2_K":
            return "Q3_K"
        case "Q3_K_M":
            return "Q5_K" if layer < layers // 16 else "Q4_K"
        case "Q3_K_L":
            return "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if _more_bits(layer, layers):
            return "Q6_K"
        case "Q4_K_S" | "IQ4_NL" | "IQ4_XS" if layer < layers // 8:
            return "Q5_K"
    return None


def _more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth, and every third layer between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def header_bytes(tensors: Sequence[Tensor], vocabulary_bytes: int) -> int:
    """What stands in the file before the tensors: the vocabulary and a record for each tensor."""
    dims = [2 if tensor.rows else 1 for tensor in tensors]
    records = sum(24 + len(t.name) + 8 * n for t, n in zip(tensors, dims, strict=True))
    return _aligned(vocabulary_bytes + records)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def tensor_bytes(tensors: Sequence[Tensor], types: dict[str, str]) -> int:
    """As llama.cpp counts a model's size: the tensors without padding or header."""
    return sum(bytes_of(tensor, types[tensor.name]) for tensor in tensors)


def file_bytes(tensors: Sequence[Tensor], types: dict[str, str], vocabulary_bytes: int) -> int:
    padded = sum(_aligned(bytes_of(tensor, types[tensor.name])) for tensor in tensors)
    return header_bytes(tensors, vocabulary_bytes) + padded
