"""Our quantizing and measuring against llama.cpp's own programs: same model, text and threads.

    bench/quantize.py [quantizing] [measuring] [bytes] [figures]      all unless some are named

quantizing, measuring      wall time, taking turns
bytes     whether every tensor of every variant is the same, byte for byte
figures   perplexity and divergence of every variant, and how far theirs lie from ours

llama-quantize and llama-perplexity are looked for on the PATH and in the folder LLAMA_CPP_BIN.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "site"), str(ROOT)]
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

import django  # noqa: E402

django.setup()

from lib import llama_cpp  # noqa: E402

from quant import calibration, child, gguf_file, registry, variants  # noqa: E402
from quant.experiment_plan import make_plan  # noqa: E402
from quant.quantize import TYPES, quantize  # noqa: E402

SOURCE = "smollm2-135m-instruct-f16"
THREADS = len(os.sched_getaffinity(0))
TIMED = ("Q8_0", "Q4_K_M", "Q4_0", "IQ4_XS", "Q2_K")
METHODS = ("RTN-Q4_1", "AWQ-Q4_1", "GPTQ-Q4_1", "ROT-GPTQ-Q4_1", "IMATRIX-Q4_1")
RUNS = 3
QUANTIZE_LIMIT, CHILD_SECONDS, MEASURE_LIMIT, FIGURE_LIMIT = 1.05, 0.5, 1.15, 0.01
WINDOWS, N_CTX = 12, 512


class Bench:
    """Both sides' programs and a folder for what they make."""

    def __init__(self, folder: Path) -> None:
        self.quantizer, self.perplexity = llama_cpp.find("llama-quantize", "llama-perplexity")
        self.folder = folder
        self.source = registry.path_of(SOURCE)
        self.text = Path(make_plan(SOURCE, []).text_file)
        self.missed: list[str] = []

    def judge(self, what: str, good: bool) -> str:
        if not good:
            self.missed.append(what)
        return "" if good else "  MISSED"

    def imatrix(self) -> Path:
        inputs = variants.gather_inputs(self.source, calibration.DEFAULT_TEXT, n_threads=THREADS)
        target = self.folder / "imatrix.gguf"
        if not target.exists():
            calibration.write_imatrix(calibration.Calibration.open(inputs), target)
        return target

    # Each of the two sides returns the seconds it took.

    def quantize_ours(self, kind: str, target: Path, **options: Any) -> float:
        began = time.perf_counter()
        quantize(self.source, kind, target, n_threads=THREADS, **options)
        return time.perf_counter() - began

    def quantize_theirs(self, kind: str, target: Path, *options: object) -> float:
        return llama_cpp.run(self.quantizer, *options, self.source, target, kind, THREADS)[0]

    def measure_ours(self, function: str, model: Path, **options: Any) -> tuple[float, Any]:
        began = time.perf_counter()
        arguments = {"model": str(model), "store": str(self.folder / "ours.logits"), **options}
        found = child.run(f"quant.measure:{function}", arguments | {"n_threads": THREADS})
        return time.perf_counter() - began, found

    def measure_theirs(self, model: Path, *options: object) -> tuple[float, str]:
        base = ("--kl-divergence-base", self.folder / "theirs.logits")
        size = ("-c", N_CTX, "--chunks", WINDOWS, "-t", THREADS)
        return llama_cpp.run(self.perplexity, "-m", model, *size, *base, *options)

    def references(self) -> tuple[float, float]:
        text = {"text_file": str(self.text), "n_ctx": N_CTX, "windows": WINDOWS}
        ours, _ = self.measure_ours("reference", self.source, **text)
        theirs, _ = self.measure_theirs(self.source, "-f", self.text)
        return ours, theirs

    def compared(self, model: Path) -> tuple[tuple[float, Any], tuple[float, str]]:
        return self.measure_ours("compare", model), self.measure_theirs(model, "--kl-divergence")


HEAD = f"{f'seconds, {THREADS} threads':28} {'ours':>8} {'theirs':>8}  ratio"


def quantizing(bench: Bench) -> None:
    print(HEAD)
    target = bench.folder / "timed.gguf"
    for kind in TIMED:
        pairs = [
            (bench.quantize_ours(kind, target), bench.quantize_theirs(kind, target))
            for _ in range(RUNS)
        ]
        report_times(bench, f"quantize to {kind}", pairs, QUANTIZE_LIMIT, CHILD_SECONDS)


def measuring(bench: Bench) -> None:
    print(HEAD)
    target = bench.folder / "timed.gguf"
    report_times(bench, "measure F16", [bench.references()], MEASURE_LIMIT)
    for kind in ("Q8_0", "Q4_K_M"):
        bench.quantize_ours(kind, target)
        pairs = [(a[0], b[0]) for a, b in (bench.compared(target) for _ in range(RUNS))]
        report_times(bench, f"measure {kind}", pairs, MEASURE_LIMIT)


def report_times(
    bench: Bench,
    what: str,
    pairs: list[tuple[float, float]],
    limit: float,
    allowed: float = 0.0,
) -> None:
    ours, theirs = (median(times) for times in zip(*pairs, strict=True))
    plus = f" + {allowed:g} s" if allowed else ""
    verdict = bench.judge(what, ours <= limit * theirs + allowed)
    ratio = f"{ours / theirs:6.2f} (at most {limit}{plus})"
    print(f"{what:28} {ours:8.2f} {theirs:8.2f} {ratio}{verdict}", flush=True)


def same_bytes(bench: Bench) -> None:
    imatrix = bench.imatrix()
    tables = ("--token-embedding-type", "q8_0", "--output-tensor-type", "q8_0")
    options: dict[str, tuple[dict[str, Any], tuple[object, ...]]] = {
        "": ({}, ()),
        ", pure": ({"pure": True}, ("--pure",)),
        ", with importance matrix": ({"imatrix": imatrix}, ("--imatrix", imatrix)),
    }
    todo = [(kind, name) for kind in TYPES for name in options] + [("Q4_1", ", tables in Q8_0")]
    options[", tables in Q8_0"] = (
        {"imatrix": imatrix, "tables": "Q8_0"},
        ("--imatrix", imatrix, *tables),
    )
    ours, theirs = bench.folder / "ours.gguf", bench.folder / "theirs.gguf"
    equal = 0
    for kind, name in todo:
        mine, other = options[name]
        bench.quantize_ours(kind, ours, **mine)
        bench.quantize_theirs(kind, theirs, *other)
        differing = [tensor for tensor, same in tensors_of_both(ours, theirs) if not same]
        equal += not differing
        if differing:
            bench.judge(f"bytes of {kind}{name}", False)
            print(f"{kind}{name}: {len(differing)} tensors differ, the first is {differing[0]}")
    print(f"files with the same tensors, byte for byte: {equal} of {len(todo)}", flush=True)


def tensors_of_both(one: Path, other: Path) -> Iterator[tuple[str, bool]]:
    """Each tensor's name, and whether type, shape and bytes are the same in both files."""
    files = [gguf_file.read(path) for path in (one, other)]
    by_name = [{tensor.name: tensor for tensor in file.tensors} for file in files]
    for name in dict.fromkeys([*by_name[0], *by_name[1]]):
        found = [tensors.get(name) for tensors in by_name]
        same = None not in found and len({(t.type, t.shape) for t in found if t}) == 1
        yield (
            name,
            same and len({_bytes(f.path, t) for f, t in zip(files, found, strict=True)}) == 1,
        )


def _bytes(path: Path, tensor: Any) -> bytes:
    with path.open("rb") as file:
        file.seek(tensor.offset)
        return file.read(tensor.bytes)


def figures(bench: Bench) -> None:
    bench.references()
    shown = ("perplexity", "mean_kl", "same_top")
    print(f"{'ours (theirs off by)':16}" + "".join(f"{name:>24}" for name in shown))
    target = bench.folder / "variant.gguf"
    for kind in (*TYPES, *METHODS):
        text = calibration.DEFAULT_TEXT
        variants.make_variant(bench.source, kind, target, text_file=text, n_threads=THREADS)
        (_, ours), (_, printed) = bench.compared(target)
        theirs = llama_cpp.figures(printed)
        apart = {name: abs(theirs[name] / ours[name] - 1) for name in theirs}
        good = all(apart[name] <= FIGURE_LIMIT for name in shown)
        cells = "".join(f"{ours[name]:14.5f} ({apart[name]:7.3%})" for name in shown)
        print(f"{kind:16}{cells}{bench.judge(f'figures of {kind}', good)}", flush=True)


PARTS = {"quantizing": quantizing, "measuring": measuring, "bytes": same_bytes, "figures": figures}


def main() -> None:
    wanted = sys.argv[1:] or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="openbook-quantize-") as name:
        bench = Bench(Path(name))
        for part in wanted:
            PARTS[part](bench)
    if bench.missed:
        print(f"missed: {'; '.join(bench.missed)}")


if __name__ == "__main__":
    main()
