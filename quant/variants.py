"""What a variant's name asks for: one of llama.cpp's types, or a method and a type.

    Q4_K_M          as llama-quantize makes it
    IMATRIX-Q4_1    the same with an importance matrix
    GPTQ-Q4_1       rounded by our own method (quant/methods) into blocks of that type
    ROT-GPTQ-Q4_1   the same, with the model rotated first

Variants of Q4_1 and Q4_0 keep token embeddings and output head at Q8_0, so that they are equally
large and differ by their method alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quant import calibration, child, gguf_file
from quant.child import ChildProgress
from quant.quantize import TYPES, Quantized, blocks_folder, exclusive, make, quantize

BLOCK_TYPES = ("Q4_1", "Q4_0")
IMATRIX = "IMATRIX"
METHODS = {
    "RTN": "round to nearest",
    IMATRIX: "llama.cpp’s own, with an importance matrix",
    "WEIGHTED": "grids weighted by importance",
    "AWQ": "strong inputs’ weights scaled up",
    "GPTQ": "rounding errors passed on",
    "ROT-RTN": "turned, then round to nearest",
    "ROT-GPTQ": "turned, then GPTQ",
}


# Models made of blocks as Llama's: a norm before the matrices that read it.
ARCHITECTURES = ("llama", "qwen2", "qwen3")
GROUP = 32  # weights in a block of BLOCK_TYPES


class MethodError(ValueError):
    """The model can't be rounded this way; the message says why."""


@dataclass(frozen=True)
class Recipe:
    method: str
    type: str

    @classmethod
    def parse(cls, name: str) -> Recipe | None:
        """The recipe that a name stands for; None if it is none (say, a type of llama.cpp)."""
        method, _, kind = name.rpartition("-")
        kinds = (*BLOCK_TYPES, *TYPES) if method == IMATRIX else BLOCK_TYPES
        return cls(method, kind) if method in METHODS and kind in kinds else None

    @property
    def needs_inputs(self) -> bool:
        """Whether it goes by what flows into the matrices."""
        return self.method not in ("RTN", "ROT-RTN")

    @property
    def rotates(self) -> bool:
        return self.method.startswith("ROT-")


NAMES = tuple(f"{method}-{kind}" for kind in BLOCK_TYPES for method in METHODS)


def need_inputs(names: Iterable[str]) -> bool:
    """Whether any of these variants goes by what flows into the matrices."""
    recipes = [Recipe.parse(name) for name in names]
    return any(recipe and recipe.needs_inputs for recipe in recipes)


def check(file: gguf_file.GgufFile, names: Iterable[str]) -> None:
    """Raise MethodError if the model is not one that these methods can round."""
    recipes = [recipe for name in names if (recipe := Recipe.parse(name))]
    for recipe in recipes:
        if recipe.method != IMATRIX:
            _check(file, recipe)


def _check(file: gguf_file.GgufFile, recipe: Recipe) -> None:
    name, built = file.path.name, file.architecture
    if (recipe.rotates or recipe.method == "AWQ") and built not in ARCHITECTURES:
        raise MethodError(
            f"{recipe.method} must know how a model is built, and {name} is of the architecture "
            f"{built!r}, not {', '.join(ARCHITECTURES)}. GPTQ takes any"
        )
    if file.get("{arch}.expert_count", 0):
        raise MethodError(f"{name} is a mixture of experts; {recipe.method} takes dense models")
    for tensor in file.tensors:
        if len(tensor.shape) > 1 and tensor.shape[-1] % GROUP:
            raise MethodError(
                f"{name}: the rows of {tensor.name} are {tensor.shape[-1]} long, which blocks of "
                f"{GROUP} don't divide"
            )


def gather_inputs(
    source: Path,
    text_file: Path,
    *,
    n_threads: int,
    progress: ChildProgress = lambda done, total, detail: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """The folder of the model's statistics for this text; gathered if they are not there."""
    folder = calibration.folder_for(source, text_file)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder, cancelled):
        if not calibration.is_finished(folder):
            arguments = {
                "source": str(source),
                "text_file": str(text_file),
                "folder": str(folder),
                "n_threads": n_threads,
            }
            child.run("quant.calibration:gather", arguments, progress=progress, cancelled=cancelled)
    return folder


def make_variant(
    source: Path,
    name: str,
    target: Path,
    *,
    text_file: Path,
    pure: bool = False,
    n_threads: int,
    progress: ChildProgress = lambda done, total, detail: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Quantized:
    """Write `target`, gathering the inputs first where the method needs them."""
    watched: dict[str, Any] = {"progress": progress, "cancelled": cancelled}
    recipe, folder = Recipe.parse(name), None
    if recipe is None:
        return quantize(source, name, target, pure=pure, n_threads=n_threads, **watched)
    if recipe.needs_inputs:
        folder = gather_inputs(source, text_file, n_threads=n_threads, **watched)
    if recipe.method == IMATRIX:
        assert folder
        imatrix = folder / "imatrix.gguf"
        if not imatrix.exists():
            calibration.write_imatrix(calibration.Calibration.open(folder), imatrix)
        return quantize(
            source,
            recipe.type,
            target,
            imatrix=imatrix,
            pure=pure and recipe.type not in BLOCK_TYPES,
            tables="Q8_0" if recipe.type in BLOCK_TYPES else None,
            n_threads=n_threads,
            **watched,
        )
    arguments = {
        "method": recipe.method,
        "type_name": recipe.type,
        "calibration": str(folder) if folder else "",
        "parts": str(blocks_folder(target)),
        "n_threads": n_threads,
    }
    function = "quant.methods.model:write_model"
    return make(function, arguments, source, target, **watched)
