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

    source        {"sha256", "bytes", "changed"}
    inputs        {"text", "windows", "n_ctx"}              (only if a method goes by them)
    quantize:T    {"file", "bytes", "bits_per_weight", "seconds", "tensors": {type: count},
                   "fallbacks": {"Q4_K -> Q5_0": count}}        (T = F16: the reference)
    measure:T     {"perplexity", "perplexity_error", "mean_kl", "mean_kl_error", "median_kl",
                   "p99_kl", "max_kl", "same_top", "positions", "n_ctx", "windows"}
    speed:T       {"prompt_tokens_per_second", "generation_tokens_per_second",
                   "memory_bytes", "memory_n_ctx"}
    tasks:T       {"tasks": [{"id", "right", "given"}]}
    generate:T    {"outputs": [{"prompt", "text", "first_difference",
                   "tokens": [{"text", "p", "kl", "top": [[text, p], ...]}]}]}
    search:T      (for an embedder, instead of the three before) {"passages", "mean_cosine",
                   "min_cosine", "same_first", "prompt_tokens_per_second",
                   "outputs": [{"prompt", "text", "first_difference": None, "rank", "cosine"}]}
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from quant import child, gguf_file, variants
from quant.calibration import Calibration, CalibrationError
from quant.child import Cancelled, ChildFailed, ChildKilled, ChildProgress
from quant.experiment_plan import REFERENCE, Plan, PlanError, make_plan, variant_path
from quant.quantize import QuantizeError, remove_leftovers
from quant.rows import rows_of
from quant.source_check import SourceChanged, require_unchanged

__all__ = ["Cancelled", "Plan", "PlanError", "Step", "StepFailed", "StepKilled", "clean_up"]
__all__ += ["make_plan", "report", "run_step", "steps", "variant_path"]

SOURCE = "source"
FAILURES = (
    ChildFailed, QuantizeError, CalibrationError, SourceChanged, gguf_file.BadGguf, OSError,
)  # fmt: skip
Progress = Callable[[str, int, int, str], None]
Results = Mapping[str, dict[str, Any]]


class StepFailed(RuntimeError):
    """A step can't be done; the message is the real reason. Trying again may help."""


class StepKilled(StepFailed):
    """The step's process was killed from outside."""


@dataclass(frozen=True)
class Step:
    key: str  # "quantize:Q4_K_M"
    title: str  # "Quantize to Q4_K_M"
    unit: str  # what progress counts: "tensors", "windows", "prompts", "runs"

    @property
    def type(self) -> str:
        return self.key.partition(":")[2]


def steps(plan: Plan) -> list[Step]:
    """In the order in which they are to be done."""
    result = [Step(SOURCE, "Check every weight of the source", "MB")]
    if variants.need_inputs(plan.types):
        title = "Gather the inputs of every matrix"
        result.append(Step("inputs", title, "windows"))
    for kind in plan.types:
        title = f"Quantize to {kind}" if kind != REFERENCE else "Prepare the 16-bit reference"
        result.append(Step(f"quantize:{kind}", title, "tensors"))
    if plan.embedder:
        return result + [Step(f"search:{k}", f"Search with {k}", "passages") for k in plan.types]
    if plan.prompts:
        result += [Step(f"generate:{k}", f"Answer with {k}", "prompts") for k in plan.types]
    result += [Step(f"measure:{k}", f"Measure {k}", "windows") for k in plan.types]
    if plan.tasks:
        result += [Step(f"tasks:{k}", f"Put the questions to {k}", "questions") for k in plan.types]
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
        SOURCE: _source,
        "inputs": _inputs,
        "quantize": _quantize,
        "generate": _generate,
        "measure": _measure,
        "tasks": _tasks,
        "speed": _speed,
        "search": _search,
    }
    try:
        if kept := results.get(SOURCE):
            require_unchanged(Path(plan.source), kept, progress=shown, cancelled=cancelled)
        return do[step.key.split(":")[0]](plan, step.type, results, shown, cancelled)
    except ChildKilled as error:
        raise StepKilled(str(error)) from error
    except FAILURES as error:
        raise StepFailed(str(error)) from error


def _source(
    plan: Plan, _: str, __: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    """Whatever way the file came here, nothing is made from it that was not looked at."""
    arguments = {"path": plan.source}
    return child.run("quant.source_check:check", arguments, progress=progress, cancelled=cancelled)


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


def _tasks(
    plan: Plan, kind: str, _: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    arguments = {
        "model": _variant(plan, kind),
        "tasks": plan.tasks,
        "n_threads": plan.n_threads,
    }
    return child.run("quant.ask:answers", arguments, progress=progress, cancelled=cancelled)


def _speed(
    plan: Plan, kind: str, _: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    arguments = {"model": _variant(plan, kind), "n_threads": plan.n_threads}
    return child.run("quant.measure:speed", arguments, progress=progress, cancelled=cancelled)


def _search(
    plan: Plan, kind: str, _: Results, progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    store = Path(plan.work) / "reference.npz"

    def search(kind: str) -> dict[str, Any]:
        arguments = {
            "model": _variant(plan, kind),
            "text_file": plan.text_file,
            "questions": plan.prompts,
            "n_threads": plan.n_threads,
            "store": str(store),
            "is_reference": kind == REFERENCE,
        }
        return child.run(
            "quant.retrieval:search", arguments, progress=progress, cancelled=cancelled
        )

    store.parent.mkdir(parents=True, exist_ok=True)
    if kind != REFERENCE and not store.exists():
        search(REFERENCE)
    return search(kind)


def report(plan: Plan, results: Results) -> dict[str, Any]:
    """DESIGN §10's object; what is not known yet is None."""
    measured = results.get(f"measure:{REFERENCE}", {})
    found = results.get(f"search:{REFERENCE}", {})
    text = {"text": plan.text_file}
    rows = rows_of(plan.types, results)
    answer = {
        "source": plan.name,
        "eval": text | {"passages": found.get("passages")}
        if plan.embedder
        else text | {"n_ctx": plan.n_ctx, "windows": measured.get("windows")},
        "variants": [
            _variant_report(plan, row.type, results)
            | ({"tasks": row.score.as_json} if row.score else {})
            for row in rows
        ],
    }
    if checked := results.get(SOURCE):
        answer["source_sha256"] = checked["sha256"]
    if inputs := results.get("inputs"):
        answer["calibration"] = inputs
    return answer | ({"warning": plan.warning} if plan.warning else {})


FIGURES = {
    "quantize": ("file", "bytes", "bits_per_weight", "seconds"),
    "measure": ("perplexity", "mean_kl", "median_kl", "p99_kl", "max_kl", "same_top"),
    "speed": ("prompt_tokens_per_second", "generation_tokens_per_second", "memory_bytes"),
}


EMBEDDER_FIGURES = {
    "quantize": FIGURES["quantize"],
    "search": ("mean_cosine", "min_cosine", "same_first", "prompt_tokens_per_second"),
}


def _variant_report(plan: Plan, kind: str, results: Results) -> dict[str, Any]:
    variant: dict[str, Any] = {"type": kind}
    for step, keys in (EMBEDDER_FIGURES if plan.embedder else FIGURES).items():
        result = results.get(f"{step}:{kind}", {})
        variant |= {key: result.get(key) for key in keys}
    quantized = results.get(f"quantize:{kind}", {})
    variant |= {key: quantized.get(key) for key in ("tensors", "fallbacks")}
    step = "search" if plan.embedder else "generate"
    outputs = results.get(f"{step}:{kind}", {}).get("outputs", [])
    variant["outputs"] = [{k: v for k, v in o.items() if k != "tokens"} for o in outputs]
    return variant


def clean_up(plan: Plan, *, keep_blocks: bool = False) -> None:
    """Remove the work folder and what a killed process left half done. The variants stay.

    Good at any time between steps: a later one makes again what it needs.
    keep_blocks: leave a method's finished blocks, so that the same plan goes on there.
    """
    shutil.rmtree(plan.work, ignore_errors=True)
    if Path(plan.out).is_dir():
        for kind in plan.types:
            remove_leftovers(variant_path(plan, kind), keep_blocks=keep_blocks)
