"""A BERT sentence embedder's safetensors as a GGUF file that llama.cpp reads."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gguf
from safetensors.numpy import load_file

DROPPED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


def convert(weights: Path, tokenizer: Path, config: Path, target: Path, *, name: str) -> None:
    """Write `target` from model.safetensors, tokenizer.json and config.json; FP32, mean pooling."""
    settings = json.loads(config.read_text())
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(settings["num_hidden_layers"])
    writer.add_context_length(settings["max_position_embeddings"])
    writer.add_embedding_length(settings["hidden_size"])
    writer.add_feed_forward_length(settings["intermediate_size"])
    writer.add_head_count(settings["num_attention_heads"])
    writer.add_layer_norm_eps(settings["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(settings["type_vocab_size"])
    _add_vocabulary(writer, json.loads(tokenizer.read_text()))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, settings["num_hidden_layers"])
    for name, values in sorted(load_file(weights).items()):
        if name in DROPPED:
            continue
        mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if mapped is None:
            raise ValueError(f"{weights.name}: no place in a BERT model for the tensor {name}")
        writer.add_tensor(mapped, values.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _add_vocabulary(writer: gguf.GGUFWriter, tokenizer: dict) -> None:
    """WordPiece as llama.cpp has it: words begin with U+2581, their later pieces with nothing."""
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    words = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])

    def piece(word: str) -> str:
        if word in special:
            return word
        return word[2:] if word.startswith("##") else "\u2581" + word

    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece(word) for word, _ in words])
    kinds = (gguf.TokenType.CONTROL if w in special else gguf.TokenType.NORMAL for w, _ in words)
    writer.add_token_types(list(kinds))
    writer.add_unk_token_id(special["[UNK]"])
    writer.add_sep_token_id(special["[SEP]"])
    writer.add_pad_token_id(special["[PAD]"])
    writer.add_bos_token_id(special["[CLS]"])
    writer.add_mask_token_id(special["[MASK]"])
