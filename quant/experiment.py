"""One source model, several variants, one report: what `manage.py quantize` and the lab run.

A run is a list of steps, each of which can be done again with the same result. Whoever runs it (the
command in one go, the worker step by step) keeps a dict of results, one JSON-able dict a step:

    plan = make_plan("smollm2-135m-instruct-f16", ["Q8_0", "Q4_K_M"])   # PlanError: says what to do
    for step in steps(plan):
        if step.key not in results:
            results[step.key] = run_step(plan, step, results, progress=..., cancelled=...)
    report(plan, results)            # DESIGN §10's object; with steps missing, what is known so far
    clean_up(plan)                   # removes the work folder; variants stay

progress(step.key, done, total, detail) is called for each tensor, window or prompt. cancelled() is
asked at least five times a second; once it answers True the step's child process is ended, its half
file removed, and Cancelled raised. A step that can't be done raises StepFailed with the reason (the
process that calls lives on, whatever happens inside llama.cpp). A plan is JSON-able both ways:
Plan(**json.loads(json.dumps(asdict(plan)))) == plan.

What each step's result holds (the worker need not look inside):

    source        {"architecture", "parameters", "warning"}
    quantize:T    {"file", "bytes", "bits_per_weight", "seconds", "tensors": {type: count},
                   "fallbacks": {"Q4_K -> Q5_0": count}}        (T = F16: the reference)
    measure:T     {"perplexity", "perplexity_error", "mean_kl", "mean_kl_error", "median_kl",
                   "p99_kl", "max_kl", "same_top", "positions", "n_ctx", "windows"}
    speed:T       {"prompt_tokens_per_second", "generation_tokens_per_second", "peak_memory_bytes"}
    generate:T    {"outputs": [{"prompt", "text", "first_difference",
                   "tokens": [{"text", "p", "kl", "top": [[text, p], ...]}]}]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Progress = Callable[[str, int, int, str], None]
Results = Mapping[str, dict[str, Any]]


class PlanError(ValueError):
    """The plan can't be run; the message says what to change."""


class StepFailed(RuntimeError):
    """A step can't be done; the message is the real reason. Trying again may help."""


class Cancelled(Exception):
    """cancelled() answered True; nothing half done is left."""


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


@dataclass(frozen=True)
class Step:
    key: str  # "quantize:Q4_K_M"
    title: str  # "Quantize to Q4_K_M"
    unit: str  # what progress counts: "tensors", "windows", "prompts", "runs"


def make_plan(
    source: str,
    types: Sequence[str],
    *,
    prompts: Sequence[str] | None = None,
    text_file: str | None = None,
    out: str | None = None,
    **options: Any,
) -> Plan:
    """Check all that can be checked beforehand. Defaults: three prompts of ours, lessons' text.

    `options` are Plan's other fields (n_ctx, windows, n_predict, n_threads, pure, work).
    """
    raise NotImplementedError


def steps(plan: Plan) -> list[Step]:
    raise NotImplementedError


def run_step(
    plan: Plan,
    step: Step,
    results: Results,
    *,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    raise NotImplementedError


def report(plan: Plan, results: Results) -> dict[str, Any]:
    raise NotImplementedError


def clean_up(plan: Plan) -> None:
    raise NotImplementedError
