"""One matrix under the magnifying glass: what each method makes of it.

    look = examine(Choice(source="smollm2-135m-instruct-f16", block=10, matrix="ffn_up"))
    look.results["GPTQ"].output_error, look.results["GPTQ"].weights, ...

Only some of a matrix's outputs are examined, so that an answer takes well under a second: the
methods round each output's weights by themselves, so these are rounded as they are in a whole
model. But AWQ searches its scales there for several matrices at once, and here for these outputs;
and matrices that write to the residual stream are turned here among the outputs examined.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quant import calibration, gguf_file, registry
from quant.calibration import Calibration, Statistics
from quant.methods.awq import EXPONENTS, clipped, output_error, search
from quant.methods.gptq import Prepared, gptq, prepare
from quant.methods.grid import Array, Grid, nearest
from quant.methods.rotation import random_orthogonal, rotated_sums
from quant.methods.round_to_nearest import round_to_nearest
from quant.methods.weighted import fit_weighted, weighted
from quant.rotate import READS, WRITES, Tensors
from quant.sources import sources as all_sources

ROWS = 96
MATRICES = {
    "attn_q": "query",
    "attn_k": "key",
    "attn_v": "value",
    "attn_output": "attention output",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}
METHODS = {
    "RTN": "Round to nearest",
    "WEIGHTED": "Importance-weighted",
    "AWQ": "AWQ",
    "GPTQ": "GPTQ",
    "ROT-GPTQ": "Rotation, then GPTQ",
}
GROUPS = (16, 32, 64, 96, 192)  # each divides SmolLM2's rows of 576 and of 1536
STEPS = 40  # columns of the picture of GPTQ's pushes


class LayerError(ValueError):
    """The matrix can't be examined; the message says what to do."""


@dataclass(frozen=True)
class Choice:
    source: str  # registry name or path
    block: int = 10
    matrix: str = "ffn_up"
    bits: int = 4
    group: int = 32
    symmetric: bool = False

    @property
    def weight(self) -> str:
        return f"blk.{self.block}.{self.matrix}.weight"

    @property
    def grid(self) -> Grid:
        return Grid(self.bits, self.group, self.symmetric)

    @property
    def bits_per_weight(self) -> float:
        """With each group's scale, and offset if there is one, of 16 bits."""
        return self.bits + (16 if self.symmetric else 32) / self.group


@dataclass(frozen=True)
class Result:
    """What a method made of the matrix. Errors are relative: 0.01 is one percent."""

    weights: Array  # (rows, columns) as the model would see them, in the original basis
    weight_error: float
    output_error: float  # on the sample text
    unseen_error: float  # on text that was kept apart
    by_output: Array  # (rows,) errors on the sample text


@dataclass(frozen=True)
class Scaled:
    """What AWQ found."""

    exponent: float
    errors: list[float]  # relative output error of each exponent tried
    factors: Array  # (columns,)
    strength: Array  # (columns,) mean |x| over its median


@dataclass(frozen=True)
class Trace:
    """GPTQ at work on one output; columns in the order of rounding."""

    row: int
    columns: NDArray[np.intp]
    pushes: Array  # [i, j]: what rounding the i-th added to the j-th, of the first STEPS
    before: Array  # each weight as it was,
    turn: Array  # when its turn came,
    after: Array  # and rounded;
    alone: Array  # what it would have been rounded to without what it took over


@dataclass(frozen=True)
class Look:
    choice: Choice
    weights: Array  # (rows, columns)
    outputs: int  # of the whole matrix
    results: dict[str, Result]
    scaled: Scaled
    trace: Trace
    tokens: int


@dataclass(frozen=True)
class _Subject:
    """The matrix and what flows into it."""

    weights: Array  # of the outputs examined
    outputs: int  # of the whole matrix
    norm: Array | None
    statistics: Statistics


def sources() -> list[str]:
    """Models whose inputs have been gathered from our text."""
    return [
        source.name
        for source in all_sources()
        if source.is_here and not source.warning and calibration.is_finished(_folder(source.path))
    ]


def _folder(path: Path) -> Path:
    return calibration.folder_for(path, calibration.DEFAULT_TEXT)


def examine(choice: Choice) -> Look:
    """All methods on one matrix. Raises LayerError."""
    try:
        path = registry.path_of(choice.source)
    except registry.StoreError as error:
        raise LayerError(str(error)) from error
    folder = _folder(path)
    if not calibration.is_finished(folder):
        raise LayerError(f"what flows into the layers of {choice.source} is not gathered yet")
    return _examine(choice, path, folder)


@lru_cache(maxsize=32)
def _examine(choice: Choice, path: Path, folder: Path) -> Look:
    subject = _subject(path, folder, choice.weight)
    w, grid, statistics = subject.weights, choice.grid, subject.statistics
    if w.shape[1] % grid.group:
        raise LayerError(f"groups of {grid.group} don't divide its rows of {w.shape[1]}")
    xtx: Array = statistics.xtx
    prepared = _prepared(path, folder, choice.weight)
    found = search(w, statistics.mean_abs, xtx, grid)
    scaled_sums = xtx / np.outer(found.scales, found.scales)
    grids = fit_weighted(grid.split(w), grid.split(np.diag(xtx)), grid)
    rounded = {
        "RTN": round_to_nearest(w, grid).weights(),
        "WEIGHTED": weighted(w, np.diag(xtx), grid).weights(),
        "AWQ": clipped(w * found.scales, scaled_sums, grid).weights() / found.scales,
        "GPTQ": gptq(w, prepared, grid, grids=grids).weights(),
        "ROT-GPTQ": _rotated(subject, choice, xtx, prepared),
    }
    outputs = output_error(w, xtx)
    results = {name: _result(w, back, xtx, statistics.sample) for name, back in rounded.items()}
    strength = statistics.mean_abs / max(float(np.median(statistics.mean_abs)), 1e-12)
    relative = [float(np.sqrt(error / outputs)) for error in found.errors]
    gain = results["RTN"].by_output - results["GPTQ"].by_output
    return Look(
        choice=choice,
        weights=w,
        outputs=subject.outputs,
        results=results,
        scaled=Scaled(found.exponent, relative, found.scales, strength),
        trace=_trace(w, prepared, grids, grid, int(gain.argmax())),
        tokens=statistics.tokens,
    )


@lru_cache(maxsize=4)
def _subject(path: Path, folder: Path, weight: str) -> _Subject:
    tensors = Tensors(gguf_file.read(path))
    found = Calibration.open(folder)
    if weight not in found:
        raise LayerError(f"{path.name} has no matrix {weight}")
    whole = tensors[weight]
    rows = np.linspace(0, len(whole) - 1, min(ROWS, len(whole))).astype(int)
    block, matrix = weight.rsplit(".", 2)[:2]
    norm = tensors[f"{block}.{READS[matrix]}.weight"] if matrix in READS else None
    return _Subject(whole[rows].astype(np.float32), len(whole), norm, found[weight])


@lru_cache(maxsize=4)
def _prepared(path: Path, folder: Path, weight: str) -> Prepared:
    return prepare(_subject(path, folder, weight).statistics.xtx)


def _rotated(subject: _Subject, choice: Choice, xtx: Array, prepared: Prepared) -> Array:
    """Turned, rounded by GPTQ, and turned back."""
    grid = choice.grid

    def rounded(turned: Array, sums: Array, ready: Prepared) -> Array:
        grids = fit_weighted(grid.split(turned), grid.split(np.diag(sums)), grid)
        return gptq(turned, ready, grid, grids=grids).weights()

    if subject.norm is not None:
        q = random_orthogonal(len(xtx))
        sums = rotated_sums(xtx, subject.norm, q)
        turned = (subject.weights * subject.norm) @ q
        return rounded(turned, sums, prepare(sums)) @ q.T / subject.norm
    if choice.matrix not in WRITES:
        return subject.weights
    q = random_orthogonal(len(subject.weights))
    return q @ rounded(q.T @ subject.weights, xtx, prepared)


def _result(w: Array, back: Array, xtx: Array, sample: Array) -> Result:
    change = back - w
    by_output = ((change @ xtx) * change).sum(1) / ((w @ xtx) * w).sum(1)
    unseen = ((sample @ change.T) ** 2).sum() / ((sample @ w.T) ** 2).sum()
    return Result(
        weights=back,
        weight_error=float(np.sqrt((change**2).sum() / (w**2).sum())),
        output_error=float(np.sqrt(output_error(change, xtx) / output_error(w, xtx))),
        unseen_error=float(np.sqrt(unseen)),
        by_output=np.sqrt(np.maximum(by_output, 0)),
    )


def _trace(w: Array, prepared: Prepared, grids: tuple[Array, Array], grid: Grid, row: int) -> Trace:
    """GPTQ on one output, step by step, as in quant/methods/gptq.py."""
    order, factor = prepared.order, prepared.factor
    before = w[row, order].astype(np.float64)
    left, pushes = before.copy(), np.zeros((STEPS, STEPS))
    turn, after, alone = (np.zeros(len(order)) for _ in range(3))
    for j in range(len(order)):
        group = order[j] // grid.group
        s, o = grids[0][row, group], grids[1][row, group]
        turn[j] = left[j]
        alone[j] = nearest(before[j], s, o, grid) * s + o
        after[j] = nearest(left[j], s, o, grid) * s + o
        push = -(turn[j] - after[j]) / factor[j, j] * factor[j, j + 1 :]
        left[j + 1 :] += push
        if j < STEPS:
            pushes[j, j + 1 :] = push[: STEPS - j - 1]
    return Trace(row, order, pushes, before, turn, after, alone)


def exponents() -> list[float]:
    """Those that AWQ tries."""
    return [float(exponent) for exponent in EXPONENTS]
