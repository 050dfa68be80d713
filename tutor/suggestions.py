"""Questions to begin with, made from the lesson itself and tried: each is answered."""

import re
from functools import lru_cache

from tutor import gate, text
from tutor.index import LessonIndex, of
from tutor.ranking import Asked, rank

COUNT = 3
LIMITS = "What can AI not do here?"
_TERM = r"(?P<subject>{article}[A-Za-z][\w-]*(?: [\w-]+)?)"
# What kind of thing it is, and which: not "Perplexity is an average, so ...". Nor "The interval
# means ...": which one, only the sentence before tells.
_DEFINED = re.compile(
    rf"^(?!The ){_TERM.format(article='(?:An? )?')} (?:(?:means|stands for) \w|is (?:an?|the) "
    r"(?:(?:[\w.-]+ ){1,4}?(?:of|that|which|in|for|with|to|from|used|who|where)\b"
    r"|(?:(?!and |or |not )[\w.-]+ )+[\w-]+[,:.]))"
)
_CALLED = re.compile(rf"\b(?:is|are) called {_TERM.format(article='(?:[Aa]n? |[Tt]he )?')}[,.]")
# Words that carry no subject are found by the tutor's own list; these carry too little of one.
_VAGUE = re.compile(
    r"\b(?:one|each|another|within|beyond|small|new|honest|whole|greedy|\d+|word|dash|number|difference|answer)\b",
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
        if passage.kind != "sentence" or not match or not _is_term(match["subject"]):
            continue
        asks = f"What is {_named(match['subject'], index)}?"
        if asks not in found and _is_answered(asks, index, passage.anchor):
            term = set(text.stems(match["subject"]))
            found[asks] = sum(term <= counts.keys() for counts in index.alone.counts)
    return (*sorted(found, key=lambda asks: -found[asks])[: COUNT - 1], LIMITS)


def _is_term(subject: str) -> bool:
    """Whether every word carries a subject: not "so Q4_K_M". And it is no program's variable."""
    words = _without_article(subject).split()
    is_plain = all(text.stems(word) and not re.search(r"^[a-z]+_", word) for word in words)
    return is_plain and not _VAGUE.search(subject)


def _named(subject: str, index: LessonIndex) -> str:
    """ "A flip" -> "a flip"; "Tool calling" -> "tool calling"; "GPTQ" and "Hermes" stay."""
    term = _without_article(subject)
    article = subject[: -len(term)].lower()
    if article:
        return article + term
    first = term.split()[0]
    inside = rf"(?<=[a-z,] ){re.escape(first)}\b"  # of a sentence
    common = rf"(?<![\w-]){re.escape(first.lower())}(?![\w-])"  # in "hermes-3-8b" it may be a name
    is_name = any(c.isupper() or c.isdigit() for c in first[1:]) or (
        any(re.search(inside, passage.text) for passage in index.passages)
        and not any(re.search(common, passage.text) for passage in index.passages)
    )
    return term if is_name else term[0].lower() + term[1:]


def _without_article(subject: str) -> str:
    return re.sub(r"^(?:an?|the) ", "", subject, flags=re.IGNORECASE)


def _is_answered(asks: str, index: LessonIndex, anchor: str) -> bool:
    asked = Asked.of(asks, index)
    ranking = rank(index, asked, None)
    return gate.covers(asked, ranking) and ranking.best(1)[0][0].anchor == anchor
