"""A whole model rounded with one of the methods, as a GGUF file whose blocks hold just its codes.

Matrices of the blocks get that type; token embeddings and output head stay at Q8_0, vectors at F32.
It loads in any llama.cpp and runs at the speed of its block type. Works block by block; a finished
block is kept beside the target, so that work that was stopped goes on there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_VERSION, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize as to_type
from numpy.typing import NDArray

from quant import gguf_file
from quant.calibration import Calibration
from quant.child import ChildProgress
from quant.methods import rotation
from quant.methods.awq import awq
from quant.methods.blocks import GRIDS, pack
from quant.methods.gptq import gptq, prepare
from quant.methods.grid import Array, Quantized
from quant.methods.round_to_nearest import round_to_nearest
from quant.methods.weighted import fit_weighted, weighted
from quant.rotate import READS, Tensors
from quant.variants import Recipe

TABLES = GGMLQuantizationType.Q8_0  # the type of token embeddings and output head
Made = dict[str, NDArray[Any]]  # rows of bytes (uint8) or FP32, as they go into the file
Input = tuple[Array, Array]  # mean |x| (columns,) and X^T X (columns, columns)
NOTHING: Input = (np.empty(0), np.empty((0, 0)))  # where the method looks at the weights only
VERSION = 1  # of what a kept block holds


def write_model(
    source: str,
    target: str,
    method: str,
    type_name: str,
    calibration: str,
    parts: str,
    n_threads: int,
    progress: ChildProgress,
) -> dict[str, int]:
    """Write `target`; `parts` is the folder of finished blocks, removed at the end."""
    del n_threads  # the child has set it for numpy
    file = gguf_file.check_source(source)
    recipe = Recipe(method, type_name)
    folder = Path(parts)
    made_from = [VERSION, source, Path(source).stat().st_mtime_ns, method, type_name, calibration]
    _begin(folder, json.dumps(made_from))
    model = Rounding(file, recipe, Calibration.open(Path(calibration)) if calibration else None)
    todo: dict[str, Callable[[], Made]] = {"outside": model.outside}
    todo |= {block: partial(model.block, block) for block in model.blocks}
    done = 0
    for name, make in todo.items():
        if not (folder / name).exists():
            _keep(folder / name, make())
        done += len(model.blocks.get(name, model.outside_names))
        progress(done, len(file.tensors), name)
    _write(model, folder, Path(target))
    shutil.rmtree(folder)
    return {}


def _begin(folder: Path, made_from: str) -> None:
    """Keep the finished blocks of the same work, and none of another."""
    note = folder / "made-from.json"
    if not note.exists() or note.read_text() != made_from:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        note.write_text(made_from)


class Rounding:
    """The source's tensors, rounded by a recipe when asked for."""

    def __init__(
        self, file: gguf_file.GgufFile, recipe: Recipe, calibration: Calibration | None
    ) -> None:
        self.file, self.recipe = file, recipe
        self.calibration = calibration if recipe.needs_inputs else None
        self.tensors = Tensors(file)
        self.blocks: dict[str, list[str]] = {}  # "blk.3": ["attn_q.weight", ...]
        for name in self.tensors.by_name:
            if found := re.match(r"(blk\.\d+)\.(.+)", name):
                self.blocks.setdefault(found[1], []).append(found[2])
        self.outside_names = [name for name in self.tensors.by_name if not name.startswith("blk.")]
        if recipe.rotates:
            self.q = rotation.random_orthogonal(file.get("{arch}.embedding_length"))

    def block(self, name: str) -> Made:
        """A block's tensors as they go into the file: rows of bytes, or FP32."""
        full = {part.removesuffix(".weight"): f"{name}.{part}" for part in self.blocks[name]}
        tensors: dict[str, Array] = {short: self.tensors[each] for short, each in full.items()}
        inputs: dict[str, Input] = {}
        known: dict[str, Input] = {}
        for short in (short for short, values in tensors.items() if values.ndim == 2):
            if not self.calibration:
                inputs[short] = NOTHING
                continue
            first = self.calibration.input_of(full[short])
            if first not in known:
                known[first] = self._input(first, tensors.get(READS.get(short, "")))
            inputs[short] = known[first]
        if self.recipe.rotates:
            tensors = rotation.rotated_block(tensors, self.q)
        tensors = {short: values.astype(np.float32) for short, values in tensors.items()}
        tensors, rounded = _round(self.recipe, tensors, inputs)
        made: Made = {full[short]: values for short, values in tensors.items()}
        return made | {full[short]: pack(e, self.recipe.type) for short, e in rounded.items()}

    def _input(self, weight: str, norm: Array | None) -> Input:
        """Mean |x| and X^T X of what a matrix reads; `norm` is the scale of the norm before it."""
        assert self.calibration
        statistics = self.calibration[weight]
        xtx: Array = statistics.xtx
        if self.recipe.rotates and norm is not None:
            xtx = rotation.rotated_sums(xtx, norm, self.q)
        return statistics.mean_abs, xtx

    def outside(self) -> Made:
        """What belongs to no block: embeddings, the last norm, the head."""
        tensors = {name: self.tensors[name] for name in self.outside_names}
        if self.recipe.rotates:
            scale, embedding = tensors["output_norm.weight"], tensors["token_embd.weight"]
            # Embeddings and head are turned differently: a head that shared them gets its own.
            head = tensors.get("output.weight", embedding)
            tensors["token_embd.weight"] = embedding @ self.q
            tensors["output_norm.weight"] = np.ones_like(scale)
            tensors["output.weight"] = (head * scale) @ self.q
        wide = {name: values.astype(np.float32) for name, values in tensors.items()}
        return {
            name: values if values.ndim == 1 else to_type(values, TABLES)
            for name, values in wide.items()
        }


def _round(
    recipe: Recipe, tensors: dict[str, Array], inputs: dict[str, Input]
) -> tuple[dict[str, Array], dict[str, Quantized]]:
    """The block's tensors, changed where the method folds, and its rounded matrices."""
    grid = GRIDS[recipe.type]
    method = recipe.method.removeprefix("ROT-")
    if method == "AWQ":
        return awq(tensors, inputs, grid)
    if method == "GPTQ":
        distinct = {id(xtx): xtx for _, xtx in inputs.values()}
        prepared = {key: prepare(xtx) for key, xtx in distinct.items()}
        return tensors, {
            name: gptq(
                tensors[name],
                prepared[id(xtx)],
                grid,
                # Finer where inputs are strong: by far better than round to nearest's own grids.
                grids=fit_weighted(grid.split(tensors[name]), grid.split(np.diag(xtx)), grid),
            )
            for name, (_, xtx) in inputs.items()
        }
    if method == "WEIGHTED":
        return tensors, {
            name: weighted(tensors[name], np.diag(xtx), grid) for name, (_, xtx) in inputs.items()
        }
    return tensors, {name: round_to_nearest(tensors[name], grid) for name in inputs}


def _keep(folder: Path, tensors: Made) -> None:
    """Save finished tensors; the folder is there only with all of them."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for name, values in tensors.items():
        np.save(part / f"{name}.npy", values)
    part.rename(folder)


def _write(model: Rounding, parts: Path, target: Path) -> None:
    """Put the finished tensors together in the source's order; they stay on disk until written."""
    recipe = model.recipe
    writer = GGUFWriter(target, model.file.architecture)
    without = ("general.file_type", "general.quantization_version")
    gguf_file.copy_values(model.file, writer, without=without)
    writer.add_file_type(LlamaFileType[f"MOSTLY_{recipe.type}"])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    writer.add_string("openbook.method", recipe.method)
    kept = {path.stem: path for path in parts.glob("*/*.npy")}
    for name in dict.fromkeys([*model.tensors.by_name, *kept]):
        values = np.load(kept[name], mmap_mode="r")
        packed = GGMLQuantizationType[recipe.type] if name.startswith("blk.") else TABLES
        is_packed = values.dtype == np.uint8
        writer.add_tensor(name, values, raw_dtype=packed if is_packed else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
