"""Measure what this machine needs for a token, on models of random weights, and check it.

Two constants make the planner's line for this machine: what a layer costs however small it is, and
how fast weights of each type are read while they are multiplied. Both come from models made for the
purpose, one deep and narrow, one shallow and wide. Then the line predicts the embedded model, which
had no part in it, and the embedded model is measured: the error is kept and shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import gguf
import numpy as np
from django.conf import settings

from quant import gguf_file, llama, machine, measure, registry
from quant.machine import Check, Measured
from quant.planner import estimate, here
from quant.planner.tensors import Dimensions, tensors_of

Report = Callable[[str], None]

EMBEDDED = "smollm2-135m-instruct-f16"
CHECKED = ("F16", "Q8_0", "Q4_0")
# Recipes that, pure, store every matrix in the type named.
TYPES = {
    "F16": "F16",
    "Q8_0": "Q8_0",
    "Q6_K": "Q6_K",
    "Q5_K": "Q5_K_S",
    "Q5_0": "Q5_0",
    "Q4_K": "Q4_K_S",
    "Q4_0": "Q4_0",
    "Q3_K": "Q3_K_S",
    "Q2_K": "Q2_K",
}
# Deep: as good as nothing to read. Wide: more to read than most caches hold, in rows between those
# of small models and large ones (short rows cost more for each byte).
DEEP = Dimensions("llama", 30, 64, 64, 1, 1, 64, 256)
WIDE = Dimensions("llama", 20, 768, 2048, 12, 4, 64, 256)
PROMPT, GENERATED, RUNS = 64, 32, 5
STEADY = 1.15  # two measurements of the same thing may differ by this factor


def write_random_model(path: Path, dims: Dimensions) -> Path:
    """A model of random F16 weights; its matrices repeat one block, which costs the same time.

    GGUF aligns data to 32 bytes and processors read 64 at once, so half of all files lie across
    the lines of the cache, which is slower. These models do too: the careful half of the guess.
    """
    for padding in ("", "x" * 32):
        _write(path, dims, padding)
        if gguf_file.read(path).tensors[0].offset % 64:
            break
    return path


def _write(path: Path, dims: Dimensions, padding: str) -> None:
    writer = gguf.GGUFWriter(path, dims.architecture)
    writer.add_block_count(dims.layers)
    writer.add_context_length(2048)
    writer.add_embedding_length(dims.width)
    writer.add_feed_forward_length(dims.feed_forward)
    writer.add_head_count(dims.heads)
    writer.add_head_count_kv(dims.kv_heads)
    writer.add_rope_dimension_count(dims.head_size)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_description(f"random {padding}")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([f"t{number}" for number in range(dims.vocabulary)])
    writer.add_token_types([gguf.TokenType.NORMAL] * dims.vocabulary)
    writer.add_token_merges(["a b"])
    tensors = tensors_of(dims)
    largest = max(tensor.elements for tensor in tensors)
    values = np.random.default_rng(1).standard_normal(largest, np.float32)
    block = (values / np.sqrt(dims.width)).astype(np.float16)
    for tensor in tensors:
        if tensor.rows:
            weights = block[: tensor.elements].reshape(tensor.rows, tensor.columns)
        else:
            weights = np.ones(tensor.columns, np.float32)
        writer.add_tensor(tensor.name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def measure_machine(report: Report) -> Measured:
    """Takes one to three minutes. Raises registry.StoreError if the embedded model is missing."""
    embedded = registry.path_of(EMBEDDED)
    threads = machine.processors()
    report(f"Reading memory with {threads} threads")
    bandwidth = machine.bandwidth(threads)
    with tempfile.TemporaryDirectory(prefix=".measure-", dir=settings.DATA_DIR) as folder:
        bench = _Bench(Path(folder), threads, report)
        layer = bench.seconds(write_random_model(Path(folder) / "deep.gguf", DEEP)) / DEEP.layers
        wide = write_random_model(Path(folder) / "wide.gguf", WIDE)
        first = bench.seconds(wide)
        rates = {}
        for type_name, recipe_name in TYPES.items():
            file = bench.quantized(wide, recipe_name, pure=True)
            read = sum(t.bytes for t in gguf_file.read(file).tensors if "token_embd" not in t.name)
            seconds = bench.seconds(file)
            # At least half of it is reading, even if a busy moment made the layers seem slow.
            rates[type_name] = read / max(seconds - WIDE.layers * layer, seconds / 2) / 1e9
            if type_name == "Q8_0":
                operations = bench.prompt_rate * _operations(WIDE) / 1e9
        found = Measured(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            processor=machine.processor(),
            threads=threads,
            memory_bytes=machine.memory_bytes(),
            bandwidth=bandwidth,
            layer_ms=1000 * layer,
            rates=rates,
            operations=operations,
            steady=True,
        )
        checks = [bench.check(embedded, quant, found) for quant in CHECKED]
        again = bench.seconds(wide)
    steady = max(first, again) / min(first, again) < STEADY
    return Measured(**{**vars(found), "checks": checks, "steady": steady})


def _operations(dims: Dimensions) -> int:
    """Multiplications and additions for a token."""
    return 2 * sum(t.elements for t in tensors_of(dims) if t.name != "token_embd.weight")


class _Bench:
    """Times model files, and quantizes them into its folder."""

    def __init__(self, folder: Path, threads: int, report: Report) -> None:
        self.folder, self.threads, self.report = folder, threads, report
        self.prompt_rate = 0.0  # of the last file, tokens a second

    def seconds(self, file: Path) -> float:
        """For a token, with PROMPT to PROMPT + GENERATED tokens in the cache."""
        self.report(f"Timing {file.stem}")
        found = measure.speed(
            str(file),
            self.threads,
            lambda done, total, detail: None,
            n_prompt=PROMPT,
            n_generate=GENERATED,
            runs=RUNS,
        )
        self.prompt_rate = found["prompt_tokens_per_second"]
        return 1 / float(found["generation_tokens_per_second"])

    def quantized(self, source: Path, recipe_name: str, *, pure: bool) -> Path:
        if recipe_name == "F16":
            return source
        target = self.folder / f"{source.stem.removesuffix('-F16')}-{recipe_name}.gguf"
        self.report(f"Quantizing to {recipe_name}")
        llama.quantize(source, target, recipe_name, n_threads=self.threads, pure=pure)
        return target

    def check(self, source: Path, quant: str, found: Measured) -> Check:
        model, line = here.from_file(source), here.machine_of(found)
        predicted = estimate.step_seconds(
            line,
            line.kind,
            estimate.weights_of(model, quant),
            estimate.cache_bytes(model.dims, PROMPT + GENERATED // 2),
        )
        measured = self.seconds(self.quantized(source, quant, pure=False))
        return Check(quant, predicted=1 / predicted, measured=1 / measured)
