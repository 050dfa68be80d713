"""What an experiment is to do, checked before anything heavy begins."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.utils.module_loading import import_string
from gguf import LlamaFileType

from quant import gguf_file, registry, variants
from quant.calibration import DEFAULT_TEXT
from quant.sources import warning
from quant.variants import BLOCK_TYPES, IMATRIX, Recipe

REFERENCE = "F16"
WIDE_TYPES = ("F16", "BF16", "F32")
PROMPTS = (
    "What is the capital of France?",
    "Explain in two sentences why the sky is blue.",
    "A shirt costs 20 euros and is now sold for a quarter less. What does it cost?",
)
QUESTIONS = (  # about FALLBACK_TEXT, for an embedder
    "Why should one write a notebook when there is a gauge?",
    "How does a boat rise in the lock?",
    "What did the first fish ladder do wrong?",
    "How much power does the turbine give?",
)
MAX_QUESTIONS = 40  # with fewer than 35 the interval is too wide to say 90%
FALLBACK_TEXT = Path(__file__).with_name("eval.txt")


class PlanError(ValueError):
    """The plan can't be run; the message says what to change."""


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
    tasks: list[dict[str, Any]] = field(default_factory=list)  # quant/evals.py
    warning: str = ""  # what the reader should know about the source
    embedder: bool = False  # then prompts are questions, and the text is searched for answers
    calibration: str = str(DEFAULT_TEXT)  # the text that methods gather inputs from


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
    """Check all that can be checked beforehand.

    Default prompts: three of ours, for an embedder the lessons' quiz questions. Default text: the
    lessons'.

    types: llama.cpp's, and names such as GPTQ-Q4_1 (quant/variants.py).
    `options` are Plan's other fields (n_ctx, windows, n_predict, n_threads, pure, tasks).
    """
    try:
        path = registry.path_of(source)
        file = gguf_file.check_source(path)
    except (registry.StoreError, gguf_file.BadGguf, OSError) as error:
        raise PlanError(str(error)) from error
    embedder = file.get("{arch}.pooling_type") is not None
    if prompts is None:
        prompts = _questions() if embedder else PROMPTS
    asked = [prompt.strip() for prompt in prompts]
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
        warning=warning(file),
        embedder=embedder,
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
    text = _provided(settings.QUANT_TEXT_PROVIDER)
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


def _questions() -> list[str]:
    tasks = _provided(settings.QUANT_TASK_PROVIDER) or []
    return [task["question"] for task in tasks[:MAX_QUESTIONS]] or list(QUESTIONS)


def _provided(dotted_path: str) -> Any:
    try:
        return import_string(dotted_path)()
    except DatabaseError:  # no lessons yet: the lab's commands need no database
        return None


def _same(one: str, other: str) -> bool:
    return Path(one).read_bytes() == Path(other).read_bytes()


def variant_path(plan: Plan, kind: str) -> Path:
    """Where the variant's file is. The reference is the source itself where that has 16 bits."""
    source = Path(plan.source)
    stem, _, suffix = source.stem.rpartition("-")
    if suffix.upper() not in WIDE_TYPES:
        stem = source.stem
    if kind == REFERENCE and suffix.upper() == REFERENCE:
        return source
    recipe = Recipe.parse(kind)
    has_pure = not recipe or (recipe.method == IMATRIX and recipe.type not in BLOCK_TYPES)
    if plan.pure and kind != REFERENCE and has_pure:
        stem += "-pure"
    return Path(plan.out) / f"{stem}-{kind}.gguf"
