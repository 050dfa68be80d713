"""What a variant's name asks for: one of llama.cpp's types, or a method and a type.

    Q4_K_M          as llama-quantize makes it
    IMATRIX-Q4_1    the same with an importance matrix
    GPTQ-Q4_1       rounded by our own method (quant/methods) into blocks of that type
    ROT-GPTQ-Q4_1   the same, with the model rotated first

Variants of Q4_1 and Q4_0 keep token embeddings and output head at Q8_0, so that they are equally
large and differ by their method alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quant import calibration, child
from quant.child import ChildProgress
from quant.quantize import TYPES, Quantized, exclusive, make, quantize

BLOCK_TYPES = ("Q4_1", "Q4_0")
IMATRIX = "IMATRIX"
METHODS = {
    "RTN": "round to nearest",
    "WEIGHTED": "grids weighted by importance",
    IMATRIX: "llama.cpp's own quantizer with an importance matrix",
    "AWQ": "AWQ: weights of strong inputs scaled up",
    "GPTQ": "GPTQ: rounding errors passed on",
    "ROT-RTN": "rotated, then rounded to nearest",
    "ROT-GPTQ": "rotated, then GPTQ",
}


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
    recipe: Recipe,
    target: Path,
    *,
    text_file: Path,
    n_threads: int,
    progress: ChildProgress = lambda done, total, detail: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Quantized:
    """Write `target`, gathering the inputs first where the method needs them."""
    folder = None
    if recipe.needs_inputs:
        folder = gather_inputs(
            source, text_file, n_threads=n_threads, progress=progress, cancelled=cancelled
        )
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
            tables="Q8_0" if recipe.type in BLOCK_TYPES else None,
            n_threads=n_threads,
            progress=progress,
            cancelled=cancelled,
        )
    arguments = {
        "method": recipe.method,
        "type_name": recipe.type,
        "calibration": str(folder) if folder else "",
        "parts": str(target.with_name(f".{target.name}.parts")),
        "n_threads": n_threads,
    }
    function = "quant.methods.model:write_model"
    return make(function, arguments, source, target, progress=progress, cancelled=cancelled)
