"""A question about a lesson in, an answer out: quotes, or a kind reason why there are none.

Nothing here makes up a sentence about the subject. What a learner reads is the lesson's passages
word for word, introduced by a few fixed phrases that are true whatever is quoted. A written answer
adds sentences of a model's to them, which writing.py has checked.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tutor import followups, gate, intents, quizhelp, text, verdict
from tutor.index import LessonIndex, Quotable
from tutor.ranking import Asked, Ranking, rank, read_closely


class Reader(Protocol):
    """The embedder, in this process or behind the engine."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384), each row of length 1: questions, to be compared with passages' vectors."""

    def judge(self, question: str, passages: Sequence[str]) -> NDArray[np.float64]:
        """(n,): as quant.cross_encoder.CrossEncoder.scores."""


class NoReader(Exception):
    """Raised by a Reader that can't: the answer then rests on words alone."""


NEAR = 0.3  # a further quote must score within this of the best, by words and vectors alone,
NEAR_READ = 1.0  # and within this once the passages have been read
QUOTES = 3
ASK_WHOLE = "I need a little more than that: ask me a whole question about this lesson, please."
MATCHES = 0.4  # another lesson is read only if it scores this: 95% of covered questions do
NEAREST = 3  # other lessons that are read: the right one is among them for 92% of questions
SURE = 0.7  # how likely another lesson must cover a question to be named
DOUBT = 0.8  # how likely this one must cover it for an answer that does not say that it is unsure
UNSURE = "I am not sure that this answers your question."
SHORT = 9  # words; shorter passages rarely say enough alone
REQUIRED = ("The premise", verdict.DOES_WELL, verdict.CANNOT, "Practice this safely")
_LEANS = re.compile(
    r"^(?:It|Its|This|That|These|Those|They|Their|Then|There|Such|Here|Another|Otherwise|So|But|And|"
    r"Both|The (?:same|other|second|first|two|three|result)|In th(?:at|is|ese)|For an?)\b"
)


@dataclass(frozen=True)
class Citation:
    anchor: str
    section: str
    quote: str
    lead: str = ""  # the words before the quote
    note: str = ""  # for a table's row: what its columns are


@dataclass(frozen=True)
class Link:
    href: str
    text: str


@dataclass(frozen=True)
class Answer:
    """kind: quote, written, not_covered, small_talk or hint. opening: before the quotes.
    written: a model's sentences about the quotes, each of which passed every check."""

    kind: str
    opening: str = ""
    citations: tuple[Citation, ...] = ()
    links: tuple[Link, ...] = ()
    offers: tuple[str, ...] = ()  # what the learner may ask next
    about: str = ""  # the key of the quiz question that a hint is for
    without_model: bool = False
    written: tuple[str, ...] = ()
    probability: float = field(default=0.0, compare=False)

    @property
    def covered(self) -> bool:
        return self.kind in ("quote", "written")

    def with_written(self, sentences: Sequence[str]) -> "Answer":
        return replace(self, kind="written", written=tuple(sentences)) if sentences else self

    @property
    def plain(self) -> str:
        """What the learner reads, as plain text."""
        lines = [self.opening] if self.opening else []
        for citation in self.citations:
            note = f" ({citation.note})" if citation.note else ""
            lines.append(f"{citation.lead} “{citation.quote}”{note}".strip())
        first, rest = (lines[:2], lines[2:]) if self.opening in ("Yes.", "No.") else ([], lines)
        rest = [*rest, " ".join(self.written)] if self.written else rest
        return "\n".join([" ".join(first), *rest] if first else rest)

    def as_json(self) -> dict[str, object]:
        return {
            "covered": self.covered,
            "kind": self.kind,
            "answer": self.plain,
            "citations": [
                {"anchor": c.anchor, "section": c.section, "quote": c.quote} for c in self.citations
            ],
        }


def answer(
    question: str,
    index: LessonIndex,
    quiz: Sequence[quizhelp.Question] = (),
    others: Callable[[], Sequence[LessonIndex]] = tuple,
    reader: Reader | None = None,
    previous: str = "",
    helped: quizhelp.Helped = quizhelp.NOTHING_YET,
    related: Callable[[], Sequence[Link]] = tuple,
) -> Answer:
    """reader: None without the model. others: all lessons, asked for only where this one has no
    answer. previous: the question before, for "and for 8-bit?". related: the lessons that the page
    ends with."""
    if reply := intents.small_talk(question):
        return Answer("small_talk", reply)
    if wanted := quizhelp.wanted(question, quiz, helped):
        return _hint(quizhelp.hint(wanted.number, quiz, index, helped))
    if quizhelp.wants_one(question) and (one := quizhelp.to_try(quiz, helped)):
        return _quiz_me(one)
    if not previous and followups.is_bare(question):
        return Answer("small_talk", ASK_WHOLE)
    if page := intents.about_page(question):
        return _about_page(page, index, others, related)
    more = bool(previous) and followups.wants_more(question)
    asking = intents.without_orders(previous if more else question)
    asked = followups.continued(Asked.of(asking, index), "" if more else previous, index)
    if not asked.words and not asked.defines:
        return _not_covered(index, orders=asking != question)
    try:
        found = _judged(asked, index, reader)
    except NoReader:
        reader = None
        found = _judged(asked, index, reader)
    if not found.covered:
        other = _elsewhere(asking, index, others(), reader)
        return _not_covered(index, other, asked.original, found.by_words)
    if more:
        return _more(found)
    quoted = _quoted(found)
    if quoted.opening or not found.doubtful:
        return quoted
    return _unsure(quoted, _elsewhere(asking, index, others(), reader, max(SURE, found.chance)))


@dataclass(frozen=True)
class _Found:
    asked: Asked
    ranking: Ranking
    chance: float
    covered: bool

    @property
    def by_words(self) -> bool:
        return self.ranking.cosines is None

    @property
    def doubtful(self) -> bool:
        """By words alone every answer is, and the page says so itself."""
        return not self.by_words and self.chance < DOUBT


def _judged(asked: Asked, index: LessonIndex, reader: Reader | None) -> _Found:
    """The lesson's passages ranked for the question, and whether it is covered."""
    vector = reader.embed([asked.mended])[0] if reader and index.vectors is not None else None
    ranking = rank(index, asked, vector)
    if reader and vector is not None:
        ranking = read_closely(ranking, asked, reader.judge)
    return _Found(asked, ranking, gate.probability(asked, ranking), gate.covers(asked, ranking))


def _quoted(found: _Found) -> Answer:
    chosen = choose(found.ranking)
    opening = verdict.opener(found.asked, chosen[0])
    return Answer(
        "quote",
        f"{opening}." if opening else "",
        cite(chosen),
        without_model=found.by_words,
        probability=found.chance,
    )


def _unsure(quoted: Answer, other: LessonIndex | None) -> Answer:
    if other is None:
        return replace(quoted, opening=UNSURE)
    said = f"{UNSURE} Another lesson may do it better: “{other.title}”."
    return replace(quoted, opening=said, links=(Link(f"/lessons/{other.slug}/", other.title),))


def _more(found: _Found) -> Answer:
    """What else there is on a question that was answered: the passages that come next."""
    said = choose(found.ranking)
    further = choose(found.ranking, said)
    if not further:
        return Answer("small_talk", "That is all that I find in this lesson about it.")
    return Answer("quote", "", cite(further), without_model=found.by_words)


def choose(ranking: Ranking, said: Sequence[Quotable] = ()) -> list[Quotable]:
    """The best passage, and others that match nearly as well; three at most.

    A passage that leans on the one before it ("That makes 34 bytes") brings that one along, and a
    short one ("A quantized file is quantized again.") the one that goes on to explain it. Where
    there is room the best brings it too: the sentence that is most like "Why is X?" says that X is.
    said: passages to leave out.
    """
    best = ranking.best(QUOTES + len(said))
    near_enough = best[0][1] - (NEAR if ranking.judged is None else NEAR_READ)
    near = [best[0][0]] + [
        passage
        for passage, score in best[1:]
        if score >= near_enough and len(passage.text.split()) > 4
    ]
    chosen: list[Quotable] = []
    for passage in near:
        for part in _with_support(passage, ranking.index) if passage not in said else ():
            if part not in (*chosen, *said) and len(chosen) < QUOTES:
                chosen.append(part)
    _, after = _beside(near[0], ranking.index)
    if after and near[0] in chosen and after not in (*chosen, *said) and len(chosen) < QUOTES:
        chosen.insert(chosen.index(near[0]) + 1, after)
    return chosen


def _with_support(passage: Quotable, index: LessonIndex) -> list[Quotable]:
    before, after = _beside(passage, index)
    if passage.kind == "sentence" and before and _LEANS.match(passage.text):
        return [before, passage]
    if after and len(passage.text.split()) < SHORT:
        return [passage, after]
    return [passage]


def _beside(passage: Quotable, index: LessonIndex) -> tuple[Quotable | None, Quotable | None]:
    """The whole sentences of its section before and after it, if any; a table's row has none."""
    place = index.passages.index(passage)

    def sentence(at: int) -> Quotable | None:
        if passage.kind == "row" or not 0 <= at < len(index.passages):
            return None
        found = index.passages[at]
        wanted = (passage.section, "sentence")
        fits = (found.section, found.kind) == wanted and not found.breaks_off
        return found if fits else None

    return sentence(place - 1), sentence(place + 1)


def cite(passages: Sequence[Quotable]) -> tuple[Citation, ...]:
    leads = []
    for i, passage in enumerate(passages):
        lead = _lead(passage)
        if i and _follows(passages[i - 1], passage):
            lead = "It goes on:"
        elif i and lead == _lead(passages[i - 1]):
            lead = "It also says:" if passage.kind == "sentence" else "And:"
        leads.append(lead)
    return tuple(
        Citation(p.anchor, p.section, p.text, lead, p.context if p.kind == "row" else "")
        for p, lead in zip(passages, leads, strict=True)
    )


def _follows(before: Quotable, passage: Quotable) -> bool:
    """Whether a sentence stands next in its section, by the page's anchors (p-1, p-2, …)."""
    if passage.kind != "sentence" or before.kind == "row" or before.section != passage.section:
        return False
    numbers = [int(p.anchor[2:]) for p in (before, passage) if re.fullmatch(r"p-\d+", p.anchor)]
    return len(numbers) == 2 and numbers[1] == numbers[0] + 1


def _lead(passage: Quotable) -> str:
    """A phrase from a closed set; each is true of any passage of its kind."""
    if passage.kind == "row":
        return "A table in the lesson has this row:"
    if passage.kind == "item":
        if passage.context == verdict.CANNOT:
            return "The lesson says AI cannot:"
        if passage.context == verdict.DOES_WELL:
            return "Under “What AI does well here” the lesson says:"
        if passage.section == "Practice this safely":
            return "A practice step says:"
        return f"Under “{passage.section}” the lesson says:"
    return "The lesson says:"


def _not_covered(
    index: LessonIndex,
    other: LessonIndex | None = None,
    question: str = "",
    without_model: bool = False,
    orders: bool = False,
) -> Answer:
    said = (
        "I only answer questions about this lesson."
        if orders
        else "This lesson doesn't cover that."
    )
    sections = [s for s in dict.fromkeys(p.section for p in index.passages) if s not in REQUIRED]
    covers = "; ".join(f"“{section}”" for section in (sections or list(REQUIRED[:3]))[:4])
    parts = [said, f"It does cover {covers}."]
    if other:
        parts.append(f"Another lesson may help: “{other.title}”.")
    if (language := text.language(question, index.words)) != "en":
        parts.append(text.sorry(language))
    links = (Link(f"/lessons/{other.slug}/", other.title),) if other else ()
    return Answer("not_covered", " ".join(parts), links=links, without_model=without_model)


def _elsewhere(
    question: str,
    here: LessonIndex,
    lessons: Sequence[LessonIndex],
    reader: Reader | None,
    sure: float = SURE,
) -> LessonIndex | None:
    """The lesson that most likely covers the question, if one of the NEAREST does so surely."""
    others = [index for index in lessons if index.slug != here.slug]
    vectors = [index for index in others if index.vectors is not None] if reader else []
    try:
        vector = reader.embed([question])[0] if reader and vectors else None
        matched = [
            (rank(index, Asked.of(question, index), vector).matched, index) for index in others
        ]
        matched.sort(key=lambda entry: -entry[0])
        near = [index for score, index in matched[:NEAREST] if vector is None or score >= MATCHES]
        found = [_judged(Asked.of(question, index), index, reader) for index in near]
    except NoReader:  # since this lesson was read
        return None
    likely = [f for f in found if f.covered and f.chance >= sure]
    return max(likely, key=lambda f: f.chance).ranking.index if likely else None


def _hint(hint: quizhelp.Hint) -> Answer:
    links = (Link(f"#{hint.section.anchor}", hint.section.title),) if hint.section else ()
    one = hint.question
    return Answer(
        "hint",
        hint.said,
        cite([hint.passage]) if hint.passage else (),
        links,
        offers=(f"Another hint for question {one.number}",) if one and hint.again else (),
        about=one.key if one else "",
    )


def _quiz_me(one: quizhelp.Question) -> Answer:
    """A question of the quiz, to answer from memory: the options stay in the quiz."""
    said = (
        f"Here is question {one.number}, without its options: “{one.ask}” Answer it in your own "
        "words first. Then see what the quiz offers, or ask me where to look."
    )
    offers = (f"Where do I look for question {one.number}?", "Quiz me again")
    links = (Link("#quiz", "Go to the quiz"),)
    return Answer("small_talk", said, (), links, offers, quizhelp.ASKED + one.key)


def _next(here: LessonIndex, lessons: Sequence[LessonIndex], related: Sequence[Link]) -> Answer:
    slugs = [index.slug for index in lessons]
    place = slugs.index(here.slug) + 1 if here.slug in slugs else len(slugs)
    links = [Link(f"/lessons/{it.slug}/", it.title) for it in lessons[place : place + 1]]
    said = f"The next lesson is “{links[0].text}”." if links else "This is the list's last lesson."
    further = [link for link in related if link not in links]
    if further:
        said += f" Related: {', '.join(f'“{link.text}”' for link in further)}."
    return Answer("small_talk", said, links=tuple([*links, *further] or [Link("/", "All lessons")]))


def _about_page(
    page: str,
    index: LessonIndex,
    lessons: Callable[[], Sequence[LessonIndex]],
    related: Callable[[], Sequence[Link]],
) -> Answer:
    if page == "next":
        return _next(index, lessons(), related())
    if page == "hard":
        return Answer(
            "small_talk",
            f"That depends on what you know already. Begin with “{REQUIRED[0]}”, and ask me about "
            "any word that is unclear: I'll show you where the lesson explains it.",
        )
    if page == "length":
        minutes = f"about {index.minutes} minutes" if index.minutes else "a few minutes"
        return Answer("small_talk", f"Reading this lesson takes {minutes}. A quiz follows.")
    if page == "sources":
        said = "The small numbers in the text lead to the lesson's sources, listed at its end."
        return Answer("small_talk", said, links=(Link("#sources", "Sources"),))
    if page == "quiz":
        said = "The quiz is below the lesson. Try it, and ask me where to look if you're unsure."
        return Answer("small_talk", said, links=(Link("#quiz", "Go to the quiz"),))
    if page in ("limits", "strengths", "practice"):
        heading = {"limits": verdict.CANNOT, "strengths": verdict.DOES_WELL}.get(page, REQUIRED[-1])
        found = [p for p in index.passages if p.kind == "item" and p.section == heading]
        return Answer("quote", "", cite(found[:QUOTES]))
    items = [p for p in index.passages if p.kind == "item" and p.section == verdict.DOES_WELL]
    if page == "first_point" and items:
        place = index.passages.index(items[0])
        following = index.passages[place + 1 : place + 2]
        more = [p for p in following if p.kind == "sentence" and p.section == verdict.DOES_WELL]
        return Answer("quote", "", cite([items[0], *more]))
    premise = [p for p in index.passages if p.section == REQUIRED[0]]
    cannot = [p for p in index.passages if p.kind == "item" and p.section == verdict.CANNOT]
    topic = set(text.stems(index.title + " " + index.summary))
    key = max(premise, key=lambda p: len(topic & set(text.stems(p.text))), default=None)
    return Answer("quote", "", cite([p for p in (key, *items[:1], *cannot[:1]) if p]))
