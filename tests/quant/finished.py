"""Experiments that are over, with made-up figures: no model was run for them."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone

from quant import experiment as run
from quant.models import Experiment, State

SIZES = {"F16": 328_000_000, "Q8_0": 175_000_000, "Q4_K_M": 125_000_000}
OWN = ("text", "state", "notes", "title")  # fields of the experiment itself
WORDS = (" Light", " is", " scattered", " by", "\n", "air", "<|im_end|>")
LIKENESS = (1.0, 0.1, 5.0, 20.0, 0.0, 1.0, 0.2)  # factors of the mean KL at each word
KL = {"F16": 0.0, "Q8_0": 0.0074, "Q4_K_M": 0.112}


def finished(**changes: Any) -> Experiment:
    """changes: fields of the plan, or OWN ones; `sha256` of the source, "" for none kept."""
    own = {key: changes.pop(key) for key in OWN if key in changes}
    sha256 = changes.pop("sha256", "ab" * 32)
    plan = {
        "source": "/models/tiny-F32.gguf",
        "name": "tiny-F32.gguf",
        "types": ["F16", "Q8_0", "Q4_K_M"],
        "prompts": ["Why is <the> sky blue?"],
        "text_file": "/data/text.txt",
        "out": "/data",
        "work": "/data/work",
        "tasks": [{"id": str(n), "question": f"Question {n}", "answers": ["a"]} for n in range(20)],
    } | changes
    experiment = Experiment.objects.create(
        **{
            "title": "Tiny",
            "source": "tiny-F32.gguf",
            "plan": asdict(run.Plan(**plan)),
            "text_name": "your text",
            "text": "Some words. " * 100,
            "state": State.DONE,
            "queued": timezone.now(),
            **own,
        }
    )
    for step in run.steps(run.Plan(**plan)):
        experiment.steps.create(
            position=experiment.steps.count(),
            key=step.key,
            title=step.title,
            state=State.DONE,
            started=experiment.queued,
            finished=experiment.queued,
            result=_source(sha256)
            if step.key == run.SOURCE
            else _result(step.key.partition(":")[0], step.type, plan),
        )
    return experiment


def _output(prompt: str, type_: str) -> dict[str, Any]:
    """The same words from each; Q4_K_M's in every shade of likeness."""
    tokens = []
    for number, (text, factor) in enumerate(zip(WORDS, LIKENESS, strict=True)):
        token = {"id": number, "text": text, "p": 0.5, "kl": KL[type_] * factor}
        token["top"] = [[text, 0.5], ["\n", 0.2]]
        if type_ != "F16":
            token["reference"] = [[" Air", 0.6], [text, 0.3]]
        tokens.append(token)
    first = None if type_ == "F16" else 0
    return {"prompt": prompt, "text": "".join(WORDS), "first_difference": first, "tokens": tokens}


def _source(sha256: str) -> dict[str, Any] | None:
    return {"sha256": sha256, "bytes": 540_000, "changed": 1} if sha256 else None


def _result(kind: str, type_: str, plan: dict[str, Any]) -> dict[str, Any]:
    is_reference = type_ == "F16"
    compared = {f"{name}_kl": KL[type_] for name in ("mean", "median", "p99", "max")}
    outputs = [_output(prompt, type_) for prompt in plan["prompts"]]
    rank = {"prompt": plan["prompts"][0], "text": "a passage", "first_difference": None}
    right = {"F16": 18, "Q8_0": 17, "Q4_K_M": 11}[type_]
    return {
        "quantize": {
            "file": f"{plan['out']}/tiny-{type_}.gguf",
            "bytes": SIZES[type_],
            "bits_per_weight": 8.5,
            "seconds": 1.0,
            "tensors": {type_: 3},
            "fallbacks": {"Q4_K -> Q5_0": 2} if type_ == "Q4_K_M" else {},
        },
        "measure": {"perplexity": 12.9, "perplexity_error": 0.2, "positions": 3060}
        | {"n_ctx": plan.get("n_ctx", 512), "windows": plan.get("windows", 12)}
        | ({} if is_reference else compared | {"mean_kl_error": 0.001, "same_top": 0.9}),
        "speed": {
            "prompt_tokens_per_second": 100.0,
            "generation_tokens_per_second": 20.0,
            "memory_bytes": 10**9,
            "memory_n_ctx": 576,
        },
        "tasks": {
            "tasks": [
                {"id": task["id"], "right": n < right, "given": "a"}
                for n, task in enumerate(plan["tasks"])
            ]
        },
        "generate": {"outputs": outputs},
        "search": {"passages": 9, "mean_cosine": 0.99, "min_cosine": 0.9, "same_first": 1.0}
        | {"prompt_tokens_per_second": 50.0, "outputs": [rank | {"rank": 1, "cosine": 0.8}]},
    }[kind]
