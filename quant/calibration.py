"""What flows into every matrix of a model while it reads a sample text: what the methods go by.

    child.run("quant.calibration:gather", {"source": ..., "text_file": ..., "folder": ...})
    statistics = Calibration.open(folder)["blk.3.ffn_up.weight"]
    statistics.mean_abs, statistics.mean_square, statistics.xtx

A folder holds one .npz for each distinct input (query, key and value read the same one) and
info.json, written last: without it the folder is unfinished. The text's last window is kept apart;
of its inputs `sample` holds some, for judging results on text that the sums have not seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from gguf import GGUFWriter
from numpy.typing import NDArray

from quant import gguf_file
from quant.child import ChildProgress

DEFAULT_TEXT = Path(__file__).with_name("calibration.txt")
N_CTX = 512
WINDOWS = 24
SAMPLE = 128  # tokens of the window kept apart
BUDGET = 1 << 30  # bytes of sums held at once; larger models are read several times
KEPT = 2  # folders of other models or texts that stay when a new one is made
Array = NDArray[np.float32]


class CalibrationError(ValueError):
    """The inputs can't be gathered; the message says what to do."""


@dataclass(frozen=True)
class Statistics:
    """Of one input: sums over `tokens` positions of the sample text."""

    tokens: int
    mean_abs: Array  # (columns,) mean |x|
    xtx: Array  # (columns, columns) sum of the outer products of x with itself
    sample: Array  # (tokens kept apart, columns)

    @cached_property
    def mean_square(self) -> Array:
        """(columns,) mean x²: llama.cpp's importance matrix."""
        return np.diag(self.xtx) / np.float32(self.tokens)


class Calibration(Mapping[str, Statistics]):
    """The gathered statistics by the names of the weights."""

    def __init__(self, folder: Path, info: dict[str, Any]) -> None:
        self.folder, self.info = folder, info
        self._inputs: dict[str, str] = info["inputs"]

    @classmethod
    def open(cls, folder: Path) -> Calibration:
        try:
            return cls(folder, json.loads((folder / "info.json").read_text()))
        except FileNotFoundError as error:
            raise CalibrationError(f"{folder} holds no finished calibration") from error

    def __getitem__(self, weight: str) -> Statistics:
        with np.load(self.folder / f"{self._inputs[weight]}.npz") as kept:
            return Statistics(
                int(kept["tokens"]), *(kept[n] for n in ("mean_abs", "xtx", "sample"))
            )

    def input_of(self, weight: str) -> str:
        """The first of the matrices that read the same input."""
        return self._inputs[weight]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


def folder_for(source: Path, text_file: Path, windows: int = WINDOWS, n_ctx: int = N_CTX) -> Path:
    """Where the statistics of this model and this text are kept."""
    file = source.stat()
    text = hashlib.sha256(text_file.read_bytes()).hexdigest()
    key = f"{source.resolve()} {file.st_size} {file.st_mtime_ns} {text} {windows} {n_ctx}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return Path(settings.DATA_DIR) / "calibration" / f"{source.stem}-{digest}"


def is_finished(folder: Path) -> bool:
    return (folder / "info.json").is_file()


class _Sums:
    """The sums of one input, growing window by window."""

    def __init__(self, columns: int) -> None:
        self.tokens = 0
        self.abs = np.zeros(columns, np.float64)
        self.xtx = np.zeros((columns, columns), np.float32)
        self.sample = np.zeros((0, columns), np.float32)

    def add(self, inputs: Array) -> None:
        self.tokens += len(inputs)
        self.abs += np.abs(inputs).sum(0, dtype=np.float64)
        self.xtx += inputs.T @ inputs

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part.npz")
        mean_abs = (self.abs / self.tokens).astype(np.float32)
        np.savez(part, tokens=self.tokens, mean_abs=mean_abs, xtx=self.xtx, sample=self.sample)
        part.rename(path)


class _Collector:
    """Sorts what llama.cpp shows of each matrix's inputs into sums."""

    def __init__(self, wanted: set[str]) -> None:
        self.wanted = wanted
        self.sums: dict[str, _Sums] = {}
        self.inputs: dict[str, str] = {}  # weight: the first one that reads the same input
        self.keep_apart = False
        self._last = ("", np.empty((0, 0), np.float32))

    def see(self, weight: str, inputs: Array) -> None:
        if weight not in self.wanted:
            return
        first, before = self._last
        if weight not in self.inputs:
            self.inputs[weight] = first if np.array_equal(before, inputs) else weight
        if self.inputs[weight] != weight:
            return
        self._last = (weight, inputs.copy())
        if not np.isfinite(inputs).all():
            raise CalibrationError(
                f"the inputs of {weight} are not all numbers: the model is broken"
            )
        sums = self.sums.setdefault(weight, _Sums(inputs.shape[1]))
        if self.keep_apart:
            sums.sample = self._last[1][-SAMPLE:]
        else:
            sums.add(self._last[1])


def gather(
    source: str,
    text_file: str,
    folder: str,
    n_threads: int,
    progress: ChildProgress,
    windows: int = WINDOWS,
    n_ctx: int = N_CTX,
    budget: int = BUDGET,
) -> dict[str, Any]:
    """Read the text and write `folder`; returns its info. What is there already stays."""
    target = Path(folder)
    if is_finished(target):
        return Calibration.open(target).info
    target.mkdir(parents=True, exist_ok=True)
    text = _read(Path(text_file))
    passes = _passes(_matrices(Path(source)), budget)
    unfinished = target / "info.json.part"
    info = json.loads(unfinished.read_text()) if unfinished.exists() else {"inputs": {}}
    for number, wanted in enumerate(passes):
        if wanted <= info["inputs"].keys():
            continue
        collector = _Collector(wanted)
        for done, total in _read_windows(source, text, windows, n_ctx, n_threads, collector):
            progress(number * total + done, len(passes) * total, "")
        if missing := wanted - collector.inputs.keys():
            raise CalibrationError(
                f"llama.cpp did not show the inputs of {min(missing)}: only dense models whose "
                "blocks are plain matrices can be calibrated"
            )
        for weight, sums in collector.sums.items():
            sums.save(target / f"{weight}.npz")
        info = {
            "source": source,
            "text": text_file,
            "windows": total - 1,
            "n_ctx": n_ctx,
            "inputs": info["inputs"] | collector.inputs,
        }
        fresh = target / "info.json.fresh"
        fresh.write_text(json.dumps(info))
        fresh.rename(unfinished)
    unfinished.rename(target / "info.json")
    _forget_others(target)
    return info


def _read(text_file: Path) -> str:
    try:
        return text_file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{text_file} is not UTF-8 text (byte {error.start})") from error


def _read_windows(
    source: str, text: str, limit: int, n_ctx: int, n_threads: int, collector: _Collector
) -> Iterator[tuple[int, int]]:
    """Let the model read the windows, the last one for the sample; yields (done, total)."""
    from quant import llama, measure  # what the web process imports must not load llama.cpp

    with llama.Model(source) as model:
        n_ctx = min(n_ctx, model.n_ctx_train)
        context = llama.Context(
            model, n_ctx=n_ctx, n_batch=n_ctx, n_threads=n_threads, on_input=collector.see
        )
        windows = measure.windows_of(model, text, n_ctx, limit + 1)
        batch = llama.Batch(n_ctx)
        for done, window in enumerate(windows, 1):
            collector.keep_apart = done == len(windows)
            if model.adds_bos:
                window[0] = model.bos
            context.clear()
            batch.clear()
            # Without logits for each token the last block's inputs would be cut to the last token.
            batch.add(window, 0, n_logits=n_ctx)
            context.decode(batch)
            yield done, len(windows)


def _matrices(source: Path) -> dict[str, list[gguf_file.Tensor]]:
    """The matrices of each block ("blk.3"), in order."""
    blocks: dict[str, list[gguf_file.Tensor]] = {}
    for tensor in gguf_file.check_source(source).tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            blocks.setdefault(".".join(tensor.name.split(".")[:2]), []).append(tensor)
    if not blocks:
        raise CalibrationError(f"{source.name} has no blocks of matrices to calibrate")
    return blocks


def _passes(blocks: dict[str, list[gguf_file.Tensor]], budget: int) -> list[set[str]]:
    """The weights to watch in each reading: as many blocks as the budget has room for."""
    passes: list[set[str]] = []
    left = 0
    for matrices in blocks.values():
        need = sum(4 * tensor.shape[1] ** 2 for tensor in matrices)
        if not passes or need > left:
            passes.append(set())
            left = budget
        passes[-1] |= {tensor.name for tensor in matrices}
        left -= need
    return passes


def _forget_others(made: Path) -> None:
    """Sums are large: keep the newest few."""
    others = [path for path in made.parent.iterdir() if path.is_dir() and path != made]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def write_imatrix(calibration: Calibration, target: Path) -> None:
    """An importance matrix in llama.cpp's own format, for `llama-quantize --imatrix`."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    writer = GGUFWriter(part, "imatrix")
    writer.add_string("general.type", "imatrix")
    writer.add_array("imatrix.datasets", [str(calibration.info["text"])])
    writer.add_uint32("imatrix.chunk_count", calibration.info["windows"])
    writer.add_uint32("imatrix.chunk_size", calibration.info["n_ctx"])
    for weight in sorted(calibration):
        statistics = calibration[weight]
        writer.add_tensor(f"{weight}.in_sum2", np.diag(statistics.xtx).copy())
        writer.add_tensor(f"{weight}.counts", np.array([statistics.tokens], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(target)


def read_imatrix(path: Path) -> dict[str, Array]:
    """For each weight the mean squares of its inputs, out of a file as llama-imatrix writes it."""
    file = gguf_file.read(path)
    data = np.memmap(path, np.uint8, "r")
    found = {
        tensor.name: data[tensor.offset : tensor.offset + tensor.bytes].view(np.float32)
        for tensor in file.tensors
    }
    sums = {name: values for name, values in found.items() if name.endswith(".in_sum2")}
    if not sums:
        raise CalibrationError(f"{path.name} is no importance matrix of llama.cpp")
    result = {}
    for name, values in sums.items():
        weight = name.removesuffix(".in_sum2")
        counts = np.maximum(found[f"{weight}.counts"], 1)
        means = values.reshape(len(counts), -1) / counts[:, None]
        result[weight] = means.ravel().astype(np.float32)
    return result
