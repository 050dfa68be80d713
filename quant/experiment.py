"""One source model, several variants, one report: what `manage.py quantize` and the lab run.

A run is a list of steps, each of which can be done again with the same result. Whoever runs it (the
command in one go, the worker step by step) keeps a dict of results, one JSON-able dict a step:

    plan = make_plan("smollm2-135m-instruct-f16", ["Q8_0", "Q4_K_M"])   # PlanError: says what to do
    for step in steps(plan):
        if step.key not in results:
            results[step.key] = run_step(plan, step, results, progress=..., cancelled=...)
    report(plan, results)            # DESIGN §10's object; with steps missing, what is known so far
    clean_up(plan)                   # removes the work folder and half files; variants stay

progress(step.key, done, total, detail) is called for each tensor, window or prompt. cancelled() is
asked at least five times a second; once it answers True the step's child process is ended, its half
file removed, and Cancelled raised. A step that can't be done raises StepFailed with the reason (the
process that calls lives on, whatever happens inside llama.cpp). A plan is JSON-able both ways:
Plan(**json.loads(json.dumps(asdict(plan)))) == plan.

What each step's result holds (the worker need not look inside):

    inputs:F16    {"text", "windows", "n_ctx"}       (only if a method goes by them)
    quantize:T    {"file", "bytes", "bits_per_weight", "seconds", "tensors": {type: count},
                   "fallbacks": {"Q4_K -> Q5_0": count}}        (T = F16: the reference)
    measure:T     {"perplexity", "perplexity_error", "mean_kl", "mean_kl_error", "median_kl",
                   "p99_kl", "max_kl", "same_top", "positions", "n_ctx", "windows"}
    speed:T       {"prompt_tokens_per_second", "generation_tokens_per_second", "peak_memory_bytes"}
    generate:T    {"outputs": [{"prompt", "text", "first_difference",
                   "tokens": [{"text", "p", "kl", "top": [[text, p], ...]}]}]}
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from gguf import LlamaFileType

from quant import child, gguf_file, registry, variants
from quant.calibration import DEFAULT_TEXT, Calibration, CalibrationError
from quant.child import Cancelled, ChildFailed, ChildKilled, ChildProgress
from quant.quantize import QuantizeError, remove_leftovers
from quant.variants import Recipe

__all__ = ["Cancelled", "Plan", "PlanError", "Step", "StepFailed", "StepKilled", "clean_up"]
__all__ += ["make_plan", "report", "run_step", "steps"]

REFERENCE = "F16"
WIDE_TYPES = ("F16", "BF16", "F32")
PROMPTS = (
    "What is the capital of France?",
    "Explain in two sentences why the sky is blue.",
    "A shirt costs 20 euros and is now sold for a quarter less. What does it cost?",
)
FALLBACK_TEXT = Path(__file__).with_name("eval.txt")

Progress = Callable[[str, int, int, str], None]
Results = Mapping[str, dict[str, Any]]


class PlanError(ValueError):
    """The plan can't be run; the message says what to change."""


class StepFailed(RuntimeError):
    """A step can't be done; the message is the real reason. Trying again may help."""


class StepKilled(StepFailed):
    """The step's process was killed from outside."""


@dataclass(frozen=True)
class Plan:
    """What to do. Lists, numbers and texts only."""

    source: str  # absolute path
    name: str  # how the report calls the source: registry name or path as given
    types: list[str]  # F16, the reference, first
    prompts: list[str]
    text_file: str  # absolute path of the text to measure with
    out: str  # folder of the variants' files
    work: str  # folder of what is needed only while it runs
    n_ctx: int = 512
    windows: int = 12  # at most this many; 0: all that the text has
    n_predict: int = 96
    n_threads: int = 2
    pure: bool = False
    warning: str = ""  # what the reader should know about the source
    calibration: str = str(DEFAULT_TEXT)  # the text that methods gather inputs from


@dataclass(frozen=True)
class Step:
    key: str  # "quantize:Q4_K_M"
    title: str  # "Quantize to Q4_K_M"
    unit: str  # what progress counts: "tensors", "windows", "prompts", "runs"

    @property
    def type(self) -> str:
        return self.key.split(":")[1]


def make_plan(
    source: str,
    types: Sequence[str],
    *,
    prompts: Sequence[str] | None = None,
    text_file: str | None = None,
    calibration: str | None = None,
    out: str | None = None,
    work: str | None = None,
    **options: Any,
) -> Plan:
    """Check all that can be checked beforehand. Defaults: three prompts of ours, lessons' text.

    types: llama.cpp's, and names such as GPTQ-Q4_1 (quant/variants.py).
    `options` are Plan's other fields (n_ctx, windows, n_predict, n_threads, pure).
    """
    try:
        path = registry.path_of(source)
        file = gguf_file.check_source(path)
    except (registry.StoreError, gguf_file.BadGguf, OSError) as error:
        raise PlanError(str(error)) from error
    if file.get("{arch}.pooling_type") is not None:
        raise PlanError(f"{path.name} is an embedder: it writes no text to compare")
    asked = [prompt.strip() for prompt in (PROMPTS if prompts is None else prompts)]
    options.setdefault("n_threads", _threads())
    plan = Plan(
        source=str(path),
        name=source,
        types=_checked_types(types),
        prompts=[prompt for prompt in asked if prompt],
        text_file=str(_checked_text(text_file) if text_file else _default_text()),
        calibration=str(_checked_text(calibration) if calibration else DEFAULT_TEXT),
        out=str(Path(out).expanduser().resolve() if out else registry.models_dir()),
        work=work or str(settings.DATA_DIR / "work" / uuid.uuid4().hex),
        warning=_warning(file),
        **options,
    )
    try:
        variants.check(file, plan.types)
    except variants.MethodError as error:
        raise PlanError(str(error)) from error
    if variants.need_inputs(plan.types) and _same(plan.calibration, plan.text_file):
        raise PlanError(
            "the text to measure with is the one that the methods gather inputs from, on which "
            "they look better than they are: choose another for one of the two"
        )
    registered = {entry.target for entry in registry.entries().values()}
    for kind in plan.types:
        target = variant_path(plan, kind)
        if target != path and target in registered:
            raise PlanError(f"{target} is a file of the store's own: choose another folder (--out)")
    return plan


def _threads() -> int:
    """OPENBOOK_THREADS, or every processor."""
    return int(os.environ.get("OPENBOOK_THREADS") or 0) or len(os.sched_getaffinity(0))


def _checked_types(types: Sequence[str]) -> list[str]:
    known = {kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType}
    known -= {"GUESSED"}
    aliases = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
    result = [REFERENCE]
    for given in types:
        kind = given.strip().upper()
        kind = aliases.get(kind, kind)
        if kind not in known and not Recipe.parse(kind):
            there = ", ".join([*sorted(known), *variants.NAMES])
            raise PlanError(f"no type is named {given!r}; there are {there}")
        if kind not in result:
            result.append(kind)
    return result


def _checked_text(text_file: str) -> Path:
    path = Path(text_file).expanduser().resolve()
    try:
        path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"the text can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not UTF-8 text (byte {error.start})") from error
    return path


def _default_text() -> Path:
    """The lessons' text as a file (a text of ours, as long as no lessons are loaded)."""
    text = import_string(settings.QUANT_TEXT_PROVIDER)()
    if not text:
        return FALLBACK_TEXT
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = Path(settings.DATA_DIR) / "eval" / f"lessons-{digest}.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_text(text, encoding="utf-8")
        part.rename(path)
    return path


def _same(one: str, other: str) -> bool:
    return Path(one).read_bytes() == Path(other).read_bytes()


def _warning(file: gguf_file.GgufFile) -> str:
    if not file.is_quantized:
        return ""
    main = next(iter(file.type_counts))
    return (
        f"The source is quantized itself (mostly {main}). Its variants carry both losses, and "
        "formats that resemble it look better here than they are."
    )


def variant_path(plan: Plan, kind: str) -> Path:
    """Where the variant's file is. The reference is the source itself where that has 16 bits."""
    source = Path(plan.source)
    stem, _, suffix = source.stem.rpartition("-")
    if suffix.upper() not in WIDE_TYPES:
        stem = source.stem
    if kind == REFERENCE and suffix.upper() == REFERENCE:
        return source
    if plan.pure and kind != REFERENCE and not Recipe.parse(kind):
        stem += "-pure"
    return Path(plan.out) / f"{stem}-{kind}.gguf"


def steps(plan: Plan) -> list[Step]:
    """In the order in which they are to be done."""
    result = []
    if variants.need_inputs(plan.types):
        title = "Gather the inputs of every matrix"
        result.append(Step(f"inputs:{REFERENCE}", title, "windows"))
    for kind in plan.types:
        title = f"Quantize to {kind}" if kind != REFERENCE else "Prepare the 16-bit reference"
        result.append(Step(f"quantize:{kind}", title, "tensors"))
    if plan.prompts:
        result += [Step(f"generate:{k}", f"Answer with {k}", "prompts") for k in plan.types]
    result += [Step(f"measure:{k}", f"Measure {k}", "windows") for k in plan.types]
    result += [Step(f"speed:{k}", f"Time {k}", "runs") for k in plan.types]
    return result


def run_step(
    plan: Plan,
    step: Step,
    results: Results,
    *,
    progress: Progress = lambda key, done, total, detail: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Do one step, given the results of those before it. Raises StepFailed or Cancelled."""
    shown = partial(progress, step.key)
    do = {
        "inputs": _inputs,
        "quantize": _quantize,
        "generate": _generate,
        "measure": _measure,
        "speed": _speed,
    }
    try:
        return do[step.key.split(":")[0]](plan, step.type, results, shown, cancelled)
    except ChildKilled as error:
        raise StepKilled(str(error)) from error
    except (ChildFailed, QuantizeError, CalibrationError, gguf_file.BadGguf, OSError) as error:
        raise StepFailed(str(error)) from error


def _inputs(
    plan: Plan, _: str, __: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    folder = variants.gather_inputs(
        Path(plan.source),
        Path(plan.calibration),
        n_threads=plan.n_threads,
        progress=progress,
        cancelled=cancelled,
    )
    info = Calibration.open(folder).info
    return {"text": plan.calibration, "windows": info["windows"], "n_ctx": info["n_ctx"]}


def _quantize(
    plan: Plan, kind: str, _: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    source, target = Path(plan.source), variant_path(plan, kind)
    if target == source:
        file = gguf_file.check_source(source)
        return {
            "file": str(source),
            "bytes": file.size,
            "bits_per_weight": file.bits_per_weight,
            "seconds": 0.0,
            "tensors": file.type_counts,
            "fallbacks": {},
        }
    done = variants.make_variant(
        source,
        kind,
        target,
        pure=plan.pure,
        text_file=Path(plan.calibration),
        n_threads=plan.n_threads,
        progress=progress,
        cancelled=cancelled,
    )
    return {
        "file": str(done.path),
        "bytes": done.bytes,
        "bits_per_weight": done.bits_per_weight,
        "seconds": done.seconds,
        "tensors": done.tensors,
        "fallbacks": done.fallbacks,
    }


def _variant(plan: Plan, kind: str) -> str:
    path = variant_path(plan, kind)
    if not path.is_file():
        raise StepFailed(f"{path} is gone; start the experiment again")
    return str(path)


def _generate(
    plan: Plan, kind: str, results: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": _variant(plan, kind),
        "prompts": plan.prompts,
        "n_predict": plan.n_predict,
        "n_threads": plan.n_threads,
    }
    if kind != REFERENCE:
        outputs = results[f"generate:{REFERENCE}"]["outputs"]
        arguments["reference"] = _variant(plan, REFERENCE)
        arguments["reference_tokens"] = [[t["id"] for t in o["tokens"]] for o in outputs]
    return child.run("quant.generate:answers", arguments, progress=progress, cancelled=cancelled)


def _measure(
    plan: Plan, kind: str, _: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    store = Path(plan.work) / "reference.logits"
    figures: dict[str, Any] = {}
    if kind == REFERENCE or not store.exists():  # gone, when a run goes on after a clean-up
        store.parent.mkdir(parents=True, exist_ok=True)
        arguments = {
            "model": _variant(plan, REFERENCE),
            "text_file": plan.text_file,
            "store": str(store),
            "n_ctx": plan.n_ctx,
            "windows": plan.windows,
            "n_threads": plan.n_threads,
        }
        figures = child.run(
            "quant.measure:reference", arguments, progress=progress, cancelled=cancelled
        )
    if kind != REFERENCE:
        arguments = {
            "model": _variant(plan, kind),
            "store": str(store),
            "n_threads": plan.n_threads,
        }
        figures = child.run(
            "quant.measure:compare", arguments, progress=progress, cancelled=cancelled
        )
    return figures


def _speed(
    plan: Plan, kind: str, _: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    arguments = {"model": _variant(plan, kind), "n_threads": plan.n_threads}
    return child.run("quant.measure:speed", arguments, progress=progress, cancelled=cancelled)


def report(plan: Plan, results: Results) -> dict[str, Any]:
    """DESIGN §10's object; what is not known yet is None."""
    measured = results.get(f"measure:{REFERENCE}", {})
    answer = {
        "source": plan.name,
        "eval": {
            "text": plan.text_file,
            "n_ctx": plan.n_ctx,
            "windows": measured.get("windows"),
        },
        "variants": [_variant_report(kind, results) for kind in plan.types],
    }
    if inputs := results.get(f"inputs:{REFERENCE}"):
        answer["calibration"] = inputs
    return answer | ({"warning": plan.warning} if plan.warning else {})


FIGURES = {
    "quantize": ("file", "bytes", "bits_per_weight", "seconds"),
    "measure": ("perplexity", "mean_kl", "median_kl", "p99_kl", "max_kl", "same_top"),
    "speed": ("prompt_tokens_per_second", "generation_tokens_per_second"),
}


def _variant_report(kind: str, results: Results) -> dict[str, Any]:
    variant: dict[str, Any] = {"type": kind}
    for step, keys in FIGURES.items():
        result = results.get(f"{step}:{kind}", {})
        variant |= {key: result.get(key) for key in keys}
    variant["tensors"] = results.get(f"quantize:{kind}", {}).get("tensors")
    outputs = results.get(f"generate:{kind}", {}).get("outputs", [])
    shown = ("prompt", "text", "first_difference")
    variant["outputs"] = [{key: output[key] for key in shown} for output in outputs]
    return variant


def clean_up(plan: Plan) -> None:
    """Remove the work folder and what a killed process left half done. The variants stay.

    Good at any time between steps: a later one makes again what it needs.
    """
    shutil.rmtree(plan.work, ignore_errors=True)
    if Path(plan.out).is_dir():
        for kind in plan.types:
            remove_leftovers(variant_path(plan, kind))
