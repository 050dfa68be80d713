"""The tensors of a Llama, Mistral or Qwen model, from its dimensions or from a GGUF file.

tensors = tensors_of(Dimensions("llama", layers=32, width=4096, feed_forward=14336, heads=32,
                                kv_heads=8, head_size=128, vocabulary=128256))
sum(tensor.elements for tensor in tensors)      # 8030261248: Llama 3 8B
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quant.gguf_file import GgufFile

ARCHITECTURES = ("llama", "qwen2", "qwen3")  # as GGUF names them; Mistral's is "llama"


class UnknownModel(ValueError):
    """No plan can be made for this model; the message says why and what can be asked for."""


@dataclass(frozen=True)
class Tensor:
    name: str
    columns: int  # the length of a row
    rows: int = 0  # 0: a vector

    @property
    def elements(self) -> int:
        return self.columns * max(self.rows, 1)

    @property
    def layer(self) -> int:
        """The block it belongs to; 0 where it belongs to none."""
        return int(self.name.split(".")[1]) if self.name.startswith("blk.") else 0


@dataclass(frozen=True)
class Dimensions:
    """What config.json says of a model, in its own words or llama.cpp's."""

    architecture: str
    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool = False  # the output matrix is the embedding's
    rope_factors: bool = False  # Llama 3.1 and later store them as a tensor

    @property
    def query_heads_each(self) -> int:
        """Query heads that share a key-value head (grouped-query attention)."""
        return self.heads // self.kv_heads


def tensors_of(dims: Dimensions) -> list[Tensor]:
    """Every tensor of the model, in the order in which llama.cpp quantizes them within a kind."""
    tensors = [Tensor("token_embd.weight", dims.width, dims.vocabulary)]
    if dims.rope_factors:
        tensors.append(Tensor("rope_freqs.weight", dims.head_size // 2))
    for layer in range(dims.layers):
        tensors += _block(dims, f"blk.{layer}")
    tensors.append(Tensor("output_norm.weight", dims.width))
    if not dims.tied:
        tensors.append(Tensor("output.weight", dims.width, dims.vocabulary))
    return tensors


def _block(dims: Dimensions, block: str) -> Iterator[Tensor]:
    query, key = dims.heads * dims.head_size, dims.kv_heads * dims.head_size
    yield Tensor(f"{block}.attn_norm.weight", dims.width)
    for name, rows in (("attn_q", query), ("attn_k", key), ("attn_v", key)):
        yield Tensor(f"{block}.{name}.weight", dims.width, rows)
        if dims.architecture == "qwen2":
            yield Tensor(f"{block}.{name}.bias", rows)
    if dims.architecture == "qwen3":
        yield Tensor(f"{block}.attn_q_norm.weight", dims.head_size)
        yield Tensor(f"{block}.attn_k_norm.weight", dims.head_size)
    yield Tensor(f"{block}.attn_output.weight", query, dims.width)
    yield Tensor(f"{block}.ffn_norm.weight", dims.width)
    yield Tensor(f"{block}.ffn_gate.weight", dims.width, dims.feed_forward)
    yield Tensor(f"{block}.ffn_up.weight", dims.width, dims.feed_forward)
    yield Tensor(f"{block}.ffn_down.weight", dims.feed_forward, dims.width)


def dimensions_in(file: GgufFile) -> Dimensions:
    """The dimensions that a GGUF file's metadata states. Raises UnknownModel."""
    name = file.path.name
    if file.architecture not in ARCHITECTURES:
        raise UnknownModel(
            f"{name} is a {file.architecture!r} model; the planner knows the architectures "
            f"{', '.join(ARCHITECTURES)} (Llama, Mistral, Qwen, Hermes)"
        )
    if file.get("{arch}.expert_count", 0):
        raise UnknownModel(f"{name} is a mixture of experts; the planner knows dense models only")
    keys = {
        "layers": "{arch}.block_count",
        "width": "{arch}.embedding_length",
        "feed_forward": "{arch}.feed_forward_length",
        "heads": "{arch}.attention.head_count",
    }
    found = {field: file.get(key) for field, key in keys.items()}
    for field, value in found.items():
        if not isinstance(value, int) or value < 1:
            key = keys[field].replace("{arch}", file.architecture)
            raise UnknownModel(f"{name}: {key} is missing, or not one whole number for all layers")
    kv_heads = file.get("{arch}.attention.head_count_kv", found["heads"])
    head_size = file.get("{arch}.attention.key_length", found["width"] // found["heads"])
    shapes = {tensor.name: tensor.shape for tensor in file.tensors}
    if not isinstance(kv_heads, int) or kv_heads < 1 or "token_embd.weight" not in shapes:
        raise UnknownModel(f"{name}: its key-value heads or its embedding can't be read")
    return Dimensions(
        architecture=file.architecture,
        kv_heads=kv_heads,
        head_size=head_size,
        vocabulary=shapes["token_embd.weight"][0],
        tied="output.weight" not in shapes,
        rope_factors="rope_freqs.weight" in shapes,
        **found,
    )


def tensors_in(file: GgufFile) -> list[Tensor]:
    """The tensors that really stand in a GGUF file."""
    return [
        Tensor(tensor.name, tensor.shape[-1], tensor.elements // tensor.shape[-1])
        if len(tensor.shape) > 1
        else Tensor(tensor.name, tensor.shape[0])
        for tensor in file.tensors
    ]
