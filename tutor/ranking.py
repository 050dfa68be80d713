"""Which passages answer a question: meaning and words together.

The score is 0.7 × cosine + 0.3 × cosine to the section's mean, plus 0.03 × BM25 of the passage
and 0.03 × BM25 of the passage with its surroundings. On the tuning half of tests/tutor/questions
(175 covered questions when this was chosen) it put a right passage first for 74% and among the
first three for 92%; the cosine alone 64% and 81%, BM25 alone 69% and 81%. A ranker of twelve
learnt weights did no better on lessons that it had not seen.

The question's vector is that of an encoder trained for this (reader.QUESTIONS), the passages' are
the embedder's own. The best eight are then read together with the question (quant.cross_encoder),
and its log-odds count too. tutor/EXPERIMENTS.md has the figures.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tutor import text
from tutor.index import LessonIndex, Quotable

COSINE, SECTION, ALONE, AROUND = 0.7, 0.3, 0.03, 0.03
DEFINES, COUNTS, ASIDE = 0.08, 0.04, -0.06
READ, JUDGED = 8, 0.2  # passages that are read closely; what a score of theirs counts
Judge = Callable[[str, Sequence[str]], NDArray[np.float64]]

_FILLER = re.compile(
    r"^(?:(?:hi|hello|hey|ok|okay|so|and|but|well|um|please|can you|could you|tell me|eli5|tl;?dr|"
    r"i want to know|i would like to know|do you know|quick question)\b[\s,:!.]*)+",
    re.IGNORECASE,
)
_MANNER = re.compile(
    r"[\s,:]+(?:(?:please|pls|thanks|briefly|simply|eli5|in (?:one|a|two) (?:short )?sentences?|"
    r"in (?:simple|plain|easy|other|your own|normal) (?:words|english|terms|language)|"
    r"(?:like|as if) i(?:'?m| am| was| were) (?:five|5|ten|10|a (?:child|kid|beginner)|new)|"
    r"for (?:a )?(?:beginners?|kids?|dummies))\b[\s,:!.?]*)+$",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\bhow (?:much|many|often|long|big|large|small|fast|slow|far|bad|cheap|expensive)\b"
    r"|\bwhat (?:percentage|share|fraction|size|number|speed)\b",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"^(?:what(?:'s| is| are| does| do| did)|how (?:does|do|did|is|are)|who (?:is|was|are)|define|"
    r"explain|meaning of)\s+"
    r"(?:(?:an?|the|called|exactly|by|term|word)\s+)*"
    r"(?P<subject>[^?,.]+?)"
    r"(?:\s+(?:means?|stands? for|refer to|measure|do|works?|tell (?:you|us|me)))?\W*$",
    re.IGNORECASE,
)
_DEFINING = re.compile(
    r"(?:means?|stands? for|measures?|says|tells|turns|"
    r"(?:is|are|was|were) (?:an?|the|how|what|called))\b"
)
_OPENS_ELSEWHERE = re.compile(r"^(?:Suppose|Imagine|Take|Here is|The rule is)\b|[?:]$")


@dataclass(frozen=True)
class Asked:
    """A question as it was asked, and mended so that the lesson's words are found in it."""

    original: str
    mended: str

    @classmethod
    def of(cls, question: str, index: LessonIndex) -> "Asked":
        question = " ".join(question.split())
        written = text.write_out(text.in_english(question, index.words))
        written = _MANNER.sub("", _FILLER.sub("", written)).strip()
        return cls(question, text.mend(written or question, index.words, index.stems))

    @cached_property
    def words(self) -> list[str]:
        """The words that carry a subject."""
        return [w for w in text.words(self.mended) if w not in text.STOP and "'" not in w]

    @cached_property
    def stems(self) -> list[str]:
        return [text.stem(word) for word in self.words]

    @cached_property
    def wants_number(self) -> bool:
        return bool(_NUMBER.search(self.mended))

    @cached_property
    def defines(self) -> list[str]:
        """The stems of X in "What is X?", where X is short; else nothing."""
        found = _DEFINITION.match(self.mended)
        subject = text.stems(found["subject"], kinds=False) if found else []
        return subject if len(subject) <= 3 else []


@dataclass(frozen=True)
class Ranking:
    """Scores of a lesson's passages, and their places from the best down.

    judged: log-odds that each of the best READ answers the question; None until they are read.
    matched: the best score before that.
    """

    index: LessonIndex
    scores: NDArray[np.float64]
    cosines: NDArray[np.float64] | None
    judged: NDArray[np.float64] | None = None
    matched: float = 0.0

    @cached_property
    def order(self) -> NDArray[np.intp]:
        return np.argsort(-self.scores, kind="stable")

    def best(self, count: int) -> list[tuple[Quotable, float]]:
        places = self.order[:count]
        return [(self.index.passages[i], float(self.scores[i])) for i in places]


def rank(index: LessonIndex, asked: Asked, vector: NDArray[np.float32] | None) -> Ranking:
    """Score every passage. vector: the mended question's (384,), None without the model."""
    scores = ALONE * index.alone.scores(asked.stems) + AROUND * index.around.scores(asked.stems)
    cosines = None
    if vector is not None and index.vectors is not None:
        cosines = (index.vectors @ vector).astype(np.float64)
        scores = scores + COSINE * cosines + SECTION * (index.section_means @ vector)
    scores = scores + np.array([_fit(asked, passage) for passage in index.passages])
    return Ranking(index, scores, cosines, matched=float(scores.max(initial=0)))


def read_closely(ranking: Ranking, asked: Asked, judge: Judge) -> Ranking:
    """The best READ passages judged one by one, and put in a new order among themselves."""
    places = ranking.order[:READ]
    found = judge(asked.mended, [ranking.index.in_place(int(place)) for place in places])
    scores = ranking.scores.copy()
    scores[places] += JUDGED * (found - found.min(initial=0))
    return replace(ranking, scores=scores, judged=found)


def _fit(asked: Asked, passage: Quotable) -> float:
    """What the question's form adds: a definition for "What is ...", a figure for "How much"."""
    bonus = 0.0
    if asked.defines and _is_about(asked.defines, passage):
        bonus += DEFINES
    if asked.wants_number and re.search(r"\d", passage.text):
        bonus += COUNTS
    if _OPENS_ELSEWHERE.search(passage.text):
        bonus += ASIDE
    if passage.kind == "row" and not set(asked.stems) & set(text.stems(passage.text)):
        bonus += 2 * ASIDE  # only the table's head matches: no reason for this row
    elif passage.breaks_off:
        bonus += 5 * ASIDE
    return bonus


def _is_about(subject: list[str], passage: Quotable) -> bool:
    """Whether the passage begins with the subject and goes on to say what it is, or calls it so."""
    if passage.kind == "row":
        return False
    words = text.words(re.sub(r"\([^)]*\)", "", passage.text), kinds=False)
    stems = [text.stem(word) for word in words]
    if not all(stem in stems for stem in subject):
        return False
    first, last = (pick(stems.index(stem) for stem in subject) for pick in (min, max))
    if first <= 2 and _DEFINING.match(" ".join(words[last + 1 : last + 3])):
        return True
    return bool(re.search(r"\b(?:is|are) called\b|, called\b", passage.text))
