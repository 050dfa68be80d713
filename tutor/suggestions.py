"""Questions to begin with, made from the lesson itself and tried: each is answered."""

import re
from functools import lru_cache

from tutor import gate, text
from tutor.index import LessonIndex, of
from tutor.ranking import Asked, rank

COUNT = 3
LIMITS = "What can AI not do here?"
_SUBJECT = r"(?P<subject>(?:[Aa]n? |[Tt]he )?[A-Za-z][\w-]*(?: [\w-]+)?)"
_DEFINED = re.compile(rf"^{_SUBJECT} (?:is an?|means|stands for)\b(?! (?:lot|hint|test more))")
_CALLED = re.compile(rf"\b(?:is|are) called {_SUBJECT}[,.]")
_VAGUE = re.compile(
    r"\b(?:it|this|that|here|there|one|each|another|what|she|he|they|whether|of|no|if|small|new|"
    r"honest|whole|greedy|\d+|word|dash|number|difference|answer|so|then|also|therefore)\b",
    re.IGNORECASE,
)


def of_lesson(lesson) -> list[str]:
    return list(_made(of(lesson)))


@lru_cache(maxsize=64)
def _made(index: LessonIndex) -> tuple[str, ...]:
    """What the lesson defines, the terms it uses most first; then its limits."""
    found: dict[str, int] = {}
    for passage in index.passages:
        match = _DEFINED.match(passage.text) or _CALLED.search(passage.text)
        if passage.kind != "sentence" or not match or _VAGUE.search(match["subject"]):
            continue
        asks = f"What is {_named(match['subject'], index)}?"
        if asks not in found and _is_answered(asks, index, passage.anchor):
            term = set(text.stems(match["subject"]))
            found[asks] = sum(term <= counts.keys() for counts in index.alone.counts)
    return (*sorted(found, key=lambda asks: -found[asks])[: COUNT - 1], LIMITS)


def _named(subject: str, index: LessonIndex) -> str:
    """ "The scale" -> "the scale"; "Quantization" -> "quantization"; "GPTQ" and "Hermes" stay."""
    first = subject.split()[0]
    is_name = any(c.isupper() or c.isdigit() for c in first[1:]) or not any(
        re.search(rf"\b{re.escape(first.lower())}\b", passage.text) for passage in index.passages
    )
    return subject if is_name else subject[0].lower() + subject[1:]


def _is_answered(asks: str, index: LessonIndex, anchor: str) -> bool:
    asked = Asked.of(asks, index)
    ranking = rank(index, asked, None)
    covered = gate.gate_for(ranking).covers(gate.signs(asked, ranking))
    return covered and ranking.best(1)[0][0].anchor == anchor
