"""A lesson made ready for questions, kept in memory for as long as its files stay the same."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lessons.embeddings import vector
from lessons.models import Lesson, Passage
from tutor import text

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Quotable:
    """A passage as the page shows it. kind: sentence, item or row (of a table)."""

    anchor: str
    section: str
    kind: str
    text: str
    context: str

    @property
    def read(self) -> str:
        """Its words with those that it hangs on."""
        return f"{self.context} {self.text}".strip()

    @property
    def breaks_off(self) -> bool:
        """Half a sentence: a formula or a list follows."""
        return self.kind == "sentence" and self.text[-1:] not in ".!?…)”\"'"


class BM25:
    """How well each of some texts (as stems) matches a question (as stems)."""

    def __init__(self, texts: Sequence[list[str]], k1: float = 1.2, b: float = 0.6) -> None:
        self.counts = [Counter(stems) for stems in texts]
        found = Counter(stem for counts in self.counts for stem in counts)
        n = len(texts)
        self.idf = {s: math.log(1 + (n - df + 0.5) / (df + 0.5)) for s, df in found.items()}
        mean = sum(map(len, texts)) / max(n, 1)
        self._norms = [k1 * (1 - b + b * len(stems) / max(mean, 1)) for stems in texts]
        self._k1 = k1

    def scores(self, question: Iterable[str]) -> NDArray[np.float64]:
        """(n,) one score for each text."""
        stems = [stem for stem in set(question) if stem in self.idf]
        return np.array(
            [
                sum(
                    self.idf[s] * counts[s] * (self._k1 + 1) / (counts[s] + norm)
                    for s in stems
                    if s in counts
                )
                for counts, norm in zip(self.counts, self._norms, strict=True)
            ]
        )


class LessonIndex:
    """vectors: (n, 384), one a passage; None as long as there is no embedder."""

    def __init__(
        self,
        slug: str,
        title: str,
        summary: str,
        passages: Sequence[Quotable],
        vectors: Vectors | None,
        *,
        minutes: int = 0,
        source_hash: str = "",
    ) -> None:
        self.slug, self.title, self.summary = slug, title, summary
        self.passages, self.vectors = tuple(passages), vectors
        self.minutes, self.source_hash = minutes, source_hash

    @cached_property
    def words(self) -> Counter[str]:
        """Every word that the page's text has, and how often."""
        whole = [self.title, self.summary, *dict.fromkeys(p.section for p in self.passages)]
        whole += [p.read for p in self.passages]
        return Counter(word for part in whole for word in text.words(part))

    @cached_property
    def stems(self) -> frozenset[str]:
        return frozenset(text.stem(word) for word in self.words)

    def knows(self, stem: str) -> bool:
        """Whether the page has the word, or one that it is plainly built on ("risky": "risk")."""
        if stem in self.stems:
            return True
        return any(stem[:-cut] in self.stems for cut in (1, 2, 3) if len(stem) - cut >= 4)

    @cached_property
    def alone(self) -> BM25:
        return BM25([text.stems(p.read) for p in self.passages])

    @cached_property
    def around(self) -> BM25:
        """Each passage with its heading and the sentence before it, which "it" may refer to."""
        texts = []
        for i, passage in enumerate(self.passages):
            before = self.passages[i - 1] if i else None
            near = before.text if before and before.section == passage.section else ""
            texts.append(text.stems(f"{passage.section} {near} {passage.read}"))
        return BM25(texts)

    @cached_property
    def section_means(self) -> Vectors:
        """(n, 384) the mean vector of each passage's section."""
        assert self.vectors is not None
        sections = np.array([p.section for p in self.passages])
        return np.stack([self.vectors[sections == section].mean(0) for section in sections])

    def in_place(self, place: int) -> str:
        """A passage as one meets it on the page: its section, the end of the sentence before, and
        it with what it hangs on. The cross-encoder was trained on passages written so."""
        passage = self.passages[place]
        before = ""
        if place and passage.kind == "sentence":
            last = self.passages[place - 1]
            before = " ".join(last.text.split()[-16:]) if last.section == passage.section else ""
        return f"{passage.section}. {before} | {passage.read}"

    def find(self, anchor: str) -> Quotable | None:
        return next((p for p in self.passages if p.anchor == anchor), None)


_kept: dict[str, LessonIndex] = {}


def of(lesson: Lesson) -> LessonIndex:
    """The lesson's index; made anew only when its files changed or its vectors arrived."""
    kept = _kept.get(lesson.slug)
    if kept and kept.source_hash == lesson.source_hash and kept.vectors is not None:
        return kept
    rows = list(Passage.objects.filter(lesson=lesson))
    complete = rows and all(row.embedding is not None for row in rows)
    if kept and kept.source_hash == lesson.source_hash and not complete:
        return kept
    index = LessonIndex(
        lesson.slug,
        lesson.title,
        lesson.summary,
        [Quotable(r.anchor, r.section, r.kind, r.text, r.context) for r in rows],
        np.stack([vector(bytes(row.embedding or b"")) for row in rows]) if complete else None,
        minutes=lesson.minutes,
        source_hash=lesson.source_hash,
    )
    _kept[lesson.slug] = index
    return index


def every() -> list[LessonIndex]:
    """All lessons' indexes in the catalogue's order."""
    names = ("slug", "title", "summary", "minutes", "position", "source_hash")
    return [of(lesson) for lesson in Lesson.objects.only(*names)]
