"""Full-text search over lessons: any string has an answer, and small spelling mistakes a good one.

>>> search("qwantization of llamas").corrections  # doctest: +SKIP
[('qwantization', 'quantization')]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import NamedTuple
from urllib.parse import urlencode

from lessons import search_index
from lessons.models import Lesson, Passage, SearchVariant, SearchWord
from lessons.words import (
    STOP_WORDS,
    WORD,
    american,
    deletions,
    distance,
    folded,
    parts,
    token,
    tokens,
    words,
)

PAGE = 8  # lessons on a page
SNIPPETS = 3  # passages shown of each
LONGEST = 300  # letters of the query that count
MOST_WORDS = 12
_ENDINGS = 40  # words that a beginning may stand for
_BEGINNING, _ALIKE = 4, 200  # letters that a misspelt word has right; words looked at for it
_SAID = ("anchor", "section", "text")
_SQUEEZE = str.maketrans("", "", "'’._‐‑–-")

Marked = list[tuple[str, bool]]  # pieces of a text, and whether each was searched for


class Said(NamedTuple):
    """A passage as it is shown: of a row, what its cells mean."""

    anchor: str
    section: str
    text: str


@dataclass(frozen=True)
class Snippet:
    anchor: str
    section: str
    text: Marked


@dataclass(frozen=True)
class Hit:
    lesson: Lesson
    title: Marked
    summary: Marked
    snippets: list[Snippet]


@dataclass
class Results:
    """corrections: (typed, taken for); unknown: words no lesson has; partly: not all words fit."""

    query: str
    hits: list[Hit] = field(default_factory=list)
    total: int = 0
    page: int = 1
    corrections: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    partly: bool = False
    cut: bool = False

    longest = LONGEST
    most_words = MOST_WORDS

    @property
    def pages(self) -> int:
        return -(-self.total // PAGE)

    @property
    def first(self) -> int:
        return (self.page - 1) * PAGE + 1

    def address(self, page: int) -> str:
        return f"?{urlencode({'q': self.query[:LONGEST], 'page': page})}"

    @property
    def previous(self) -> str:
        return self.address(self.page - 1)

    @property
    def next(self) -> str:
        return self.address(self.page + 1)


def search(query: str, page: int = 1) -> Results:
    """The lessons that hold the words of query, at most PAGE of them, the best first."""
    typed = _typed(query[:LONGEST])
    results = Results(query, cut=len(query.strip()) > LONGEST or len(typed) > MOST_WORDS)
    groups = _groups(typed[:MOST_WORDS], results)
    if not groups:
        return results
    matches = search_index.find(groups)
    results.total = matches.count()
    if not results.total and len(groups) > 1:
        matches = search_index.find(groups, every=False)
        results.total, results.partly = matches.count(), True
    results.page = min(max(page, 1), max(results.pages, 1))
    shown = matches.best((results.page - 1) * PAGE, results.page * PAGE)
    results.hits = _hits(shown, groups)
    return results


def _typed(query: str) -> list[str]:
    """The words of the query, each once; without "the" and the like unless nothing is left."""
    found = list({parts(word): word for word in words(query) if parts(word)}.values())
    telling = [word for word in found if folded(word) not in STOP_WORDS]
    return telling or found


def _groups(typed: Sequence[str], results: Results) -> list[frozenset[str]]:
    """For each word the tokens that it may stand for: its own, its endings, or its correction."""
    meant = {word: tokens(word) for word in typed}
    wanted = {found for group in meant.values() for found in group}
    known = set(
        SearchWord.objects.filter(token__in=wanted).values_list("token", flat=True).distinct()
    )
    groups: list[frozenset[str]] = []
    lost: list[str] = []
    for word in typed:
        whole, *pieces = meant[word]
        if whole in known:
            groups.append(frozenset([whole]))
        elif pieces and known.issuperset(pieces):
            groups += [frozenset([piece]) for piece in pieces]
        else:
            lost.append(word)
    groups += _endings(lost)
    groups += _corrected(lost, results)
    results.unknown = lost
    return groups


def _endings(lost: list[str]) -> list[frozenset[str]]:
    """Words that begin with what was typed; those found are taken out of lost."""
    begun = [word for word in lost if len(parts(word)[0]) > 2]
    if not begun:
        return []
    conditions = reduce(or_, (search_index.begins(parts(word)[0]) for word in begun))
    rows = list(
        SearchWord.objects.filter(conditions)
        .order_by("word")
        .values_list("word", "token")[: _ENDINGS * len(begun)]
    )
    groups = []
    for word in begun:
        found = frozenset(stem for full, stem in rows if full.startswith(parts(word)[0]))
        if found:
            groups.append(found)
            lost.remove(word)
    return groups


def _corrected(lost: list[str], results: Results) -> list[frozenset[str]]:
    """The nearest words to those misspelt; those found are taken out of lost."""
    misspelt = {w: parts(w)[0] for w in lost if search_index.can_be_misspelt(parts(w)[0])}
    if not misspelt:
        return []
    candidates = _candidates(set(misspelt.values()))
    groups = []
    for typed, word in misspelt.items():
        allowed = 1 if len(word) < 6 else 2
        alike = [
            other
            for other in candidates
            if abs(len(other) - len(word)) <= 2 and _digits(other) == _digits(word)
        ]
        near = sorted((distance(american(word), american(other)), other) for other in alike)
        near = [(steps, other) for steps, other in near if steps <= allowed]
        if near:
            nearest = [other for steps, other in near if steps == near[0][0]]
            groups.append(frozenset(token(other) for other in nearest))
            results.corrections.append((typed, nearest[0]))
            lost.remove(typed)
    return groups


def _digits(word: str) -> str:
    """Q5_K_M is no misspelt Q4_K_M."""
    return "".join(filter(str.isdigit, word))


def _candidates(misspelt: set[str]) -> set[str]:
    """Words one letter away, or two that lie apart; and all that begin with the same letters."""
    variants = {variant for word in misspelt for variant in deletions(american(word))}
    found = SearchVariant.objects.filter(variant__in=variants).values_list("word", flat=True)
    beginnings = reduce(or_, (search_index.begins(word[:_BEGINNING]) for word in misspelt))
    alike = SearchWord.objects.filter(beginnings).order_by("word").values_list("word", flat=True)
    return {*found, *alike[:_ALIKE]}


def _hits(ids: Sequence[int], groups: Sequence[frozenset[str]]) -> list[Hit]:
    lessons = Lesson.objects.defer("html", "text", "headings", "sources").in_bulk(ids)
    passages: dict[int, list[Said]] = {pk: [] for pk in ids}
    rows = Passage.objects.filter(lesson__in=ids).order_by("position")
    for pk, kind, context, *rest in rows.values_list("lesson_id", "kind", "context", *_SAID):
        anchor, section, text = rest
        passages[pk].append(Said(anchor, section, context if kind == "row" else text))
    wanted: frozenset[str] = frozenset().union(*groups)
    return [
        Hit(
            lessons[pk],
            marked(lessons[pk].title, wanted),
            marked(lessons[pk].summary, wanted),
            _snippets(passages[pk], groups),
        )
        for pk in ids
        if pk in lessons
    ]


def _snippets(passages: Iterable[Said], groups: Sequence[frozenset[str]]) -> list[Snippet]:
    """The passages with most of the words, in the order of the lesson."""
    best: list[tuple[int, int, Said]] = []
    for most, place, passage in _promising(passages, groups):
        if len(best) == SNIPPETS and best[-1][0] <= most:
            break  # nothing that follows can be better
        said = {found for word in words(passage.text) for found in tokens(word)}
        if score := sum(not group.isdisjoint(said) for group in groups):
            best = sorted([*best, (-score, place, passage)])[:SNIPPETS]
    wanted: frozenset[str] = frozenset().union(*groups)
    return [
        Snippet(passage.anchor, passage.section, marked(passage.text, wanted))
        for _, _, passage in sorted(best, key=lambda entry: entry[1])
    ]


def _promising(
    passages: Iterable[Said], groups: Sequence[frozenset[str]]
) -> list[tuple[int, int, Said]]:
    """(minus the most groups that it may hold, place, passage), most first, by a cheap look."""
    hints = [[token[:-1] or token for token in group] for group in groups]  # easi: easy, easily
    found = []
    for place, passage in enumerate(passages):
        squeezed = folded(passage.text).translate(_SQUEEZE)
        most = sum(any(hint in squeezed for hint in group) for group in hints)
        if most:
            found.append((-most, place, passage))
    return sorted(found)


def marked(text: str, wanted: frozenset[str]) -> Marked:
    """The text in pieces; those whose words were searched for are marked."""
    pieces: Marked = []
    place = 0
    for match in WORD.finditer(text):
        if not wanted.isdisjoint(tokens(match.group())):
            if place < match.start():
                pieces.append((text[place : match.start()], False))
            pieces.append((match.group(), True))
            place = match.end()
    if place < len(text):
        pieces.append((text[place:], False))
    return pieces
