"""Make a variant of a model file: llama.cpp's quantizer in a child process.

    done = quantize(Path("m-F16.gguf"), "Q4_K_M", Path("m-Q4_K_M.gguf"))
    done.bits_per_weight, done.tensors, done.fallbacks
    # 6.14, {"Q5_0": 180, "F32": 61, "Q8_0": 31}, {"Q4_K -> Q5_0": 180, "Q6_K -> Q8_0": 31}

The target appears only whole and checked. Options mean what they mean for llama-quantize, and the
file has the same bytes.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from quant import child, gguf_file
from quant.child import Cancelled, ChildFailed, ChildProgress

# What the lab offers, from large to small. llama.cpp knows more, and quantize() takes them all.
TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_XS", "Q3_K_M", "Q2_K")
_TENSOR_LINE = re.compile(r"\[ *(\d+)/ *(\d+)\] +(\S+)")
_FALLBACK = re.compile(r"required for type +(\w+)\).*falling back to +(\w+)")
_FULL = 32 << 20  # with less than this left, a failed write means a full disk


class QuantizeError(RuntimeError):
    """The variant can't be made; the message is the reason."""


@dataclass(frozen=True)
class Quantized:
    """What came out. `tensors` counts by the type each really has, `fallbacks` those that could
    not get the type meant for them because its blocks of 256 don't divide their rows."""

    path: Path
    bytes: int
    bits_per_weight: float
    seconds: float
    tensors: dict[str, int]
    fallbacks: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


def quantize(
    source: Path,
    file_type: str,
    target: Path,
    *,
    pure: bool = False,
    imatrix: Path | None = None,
    tables: str | None = None,
    n_threads: int = 2,
    progress: ChildProgress = lambda done, total, name: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Quantized:
    """Write `target`. Raises QuantizeError, gguf_file.BadGguf, or Cancelled within a second.

    A source that is quantized itself is dequantized first; the result carries both losses.
    imatrix: an importance matrix in llama.cpp's format. tables: the type of token embeddings and
    output head (llama.cpp chooses one where none is named).
    """
    arguments = {
        "file_type": file_type,
        "pure": pure,
        "imatrix": str(imatrix) if imatrix else None,
        "tables": tables,
        "n_threads": n_threads,
    }
    function = "quant.quantize:child_quantize"
    return make(function, arguments, source, target, progress=progress, cancelled=cancelled)


def make(
    function: str,
    arguments: dict[str, Any],
    source: Path,
    target: Path,
    *,
    progress: ChildProgress,
    cancelled: Callable[[], bool],
) -> Quantized:
    """Have a child process write `target` from `source`: it appears only whole and checked."""
    file = gguf_file.check_source(source)
    if target.exists() and target.samefile(source):
        raise QuantizeError(f"{target} is the source itself: choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target, cancelled):
        part = _part(target)
        try:
            began = time.monotonic()
            arguments = {**arguments, "source": str(source), "target": str(part)}
            fallbacks = child.run(function, arguments, progress=progress, cancelled=cancelled)
            seconds = time.monotonic() - began
            made = gguf_file.read(part)
            _check_tensors(made, file)
            part.rename(target)
        except child.ChildKilled:
            raise
        except ChildFailed as error:
            raise QuantizeError(_reason(str(error), target)) from error
        finally:
            part.unlink(missing_ok=True)
    return Quantized(
        path=target,
        bytes=made.size,
        bits_per_weight=made.bits_per_weight,
        seconds=seconds,
        tensors=made.type_counts,
        fallbacks=fallbacks,
    )


def _check_tensors(made: gguf_file.GgufFile, source: gguf_file.GgufFile) -> None:
    shapes = {tensor.name: tensor.shape for tensor in made.tensors}
    wanted = {tensor.name: tensor.shape for tensor in source.tensors}
    if "output.weight" in shapes:  # a head that was shared with the embeddings may stand alone
        wanted.setdefault("output.weight", wanted["token_embd.weight"])
    if shapes != wanted:
        raise QuantizeError(f"{made.path.name} does not hold the tensors of {source.path.name}")


def _reason(message: str, target: Path) -> str:
    free = shutil.disk_usage(target.parent).free
    if free < _FULL:
        return f"no room for {target.name}: {free >> 20} MB are free in {target.parent}"
    return message


def child_quantize(
    source: str,
    target: str,
    file_type: str,
    progress: ChildProgress,
    imatrix: str | None = None,
    **options: Any,
) -> dict[str, int]:
    """In the child: quantize and return the fallbacks."""
    from quant import calibration, llama

    fallbacks: Counter[str] = Counter()

    def listen(line: str) -> None:
        if found := _TENSOR_LINE.match(line):
            progress(int(found[1]), int(found[2]), found[3])
        elif found := _FALLBACK.search(line):
            fallbacks[f"{found[1]} -> {found[2]}".upper()] += 1  # q4_K -> q5_0

    with llama.log_lines(listen):
        llama.quantize(
            Path(source),
            Path(target),
            file_type,
            allow_requantize=gguf_file.read(source).is_quantized,
            imatrix=calibration.read_imatrix(Path(imatrix)) if imatrix else None,
            **options,
        )
    return dict(fallbacks)


def remove_leftovers(target: Path, *, keep_blocks: bool = False) -> None:
    """Remove what a killed process left where `target` was to be: half a file, finished blocks."""
    with suppress(Cancelled), exclusive(target, cancelled=lambda: True):
        _part(target).unlink(missing_ok=True)
        if not keep_blocks:
            shutil.rmtree(blocks_folder(target), ignore_errors=True)


def blocks_folder(target: Path) -> Path:
    """Where a method keeps the blocks that it has finished."""
    return target.with_name(f".{target.name}.parts")


def _part(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


@contextmanager
def exclusive(target: Path, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Only one process at a time makes `target`, a file or folder; the lock dies with it."""
    path = target.with_name(f".{target.name}.lock")
    while True:
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if cancelled():
                    raise Cancelled from None
                time.sleep(0.1)
                continue
            if not (path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno()))):
                continue  # its last holder has just removed it
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return
