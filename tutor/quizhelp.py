"""Help with the quiz that gives nothing away: a ladder from the section to the passage, never what
to choose."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lessons.models import Lesson
from tutor import intents, text
from tutor.index import LessonIndex, Quotable
from tutor.intents import Quiz


@dataclass(frozen=True)
class Section:
    anchor: str
    title: str


@dataclass(frozen=True)
class Question:
    number: int
    ask: str
    choices: tuple[str, ...]
    section: Section
    key: str = ""
    passage: str = ""  # the anchor of the sentence that holds the answer


@dataclass(frozen=True)
class Helped:
    """What this learner has had. hints: keys of the quiz questions hinted at, oldest first, with
    a "?" before those that the tutor asked ("quiz me"). graded: every answer and its reason
    already stand on the page."""

    hints: tuple[str, ...] = ()
    graded: bool = False


@dataclass(frozen=True)
class Hint:
    said: str
    question: Question | None = None
    section: Section | None = None
    passage: Quotable | None = None  # the ladder's last step
    again: bool = False  # a further step is there to ask for


NOTHING_YET = Helped()
ASKED = "?"
_NUMBERED = re.compile(r"\bquestion\s*(?:number|no\.?|nr\.?|#)?\s*\w+|\b\w+ (?:quiz )?question\b")
_HELP = re.compile(
    r"\b(?:help|stuck|hints?|clues?|where|why|explain|look|wrong|right|understand|lost|get)\b"
)
_QUIZ_ME = re.compile(r"\b(?:quiz|test) me\b")
_MORE = re.compile(
    r"\b(?:another|more|next|further|bigger|better|second|last)\b.*\bhints?\b|^hints?\W*$|"
    r"\bstill (?:stuck|lost|don'?t|do not|can'?t|cannot|unsure)\b|"
    r"\b(?:where exactly|which sentence|show me the (?:sentence|passage|place))\b"
)
_ON_OPTIONS = re.compile(
    r"\b(?:which of|these|following|which (?:statement|sentence|one)s?)\b", re.I
)


def of(lesson: Lesson) -> list[Question]:
    anchors = {heading["title"]: heading["anchor"] for heading in lesson.headings}
    rows = lesson.questions.select_related("passage").prefetch_related("choices")
    return [
        Question(
            row.position,
            row.ask,
            tuple(choice.text for choice in row.choices.all()),
            Section(anchors.get(row.passage.section, "content"), row.passage.section),
            row.key,
            row.passage.anchor,
        )
        for row in rows
    ]


def pasted(question: str, quiz: Sequence[Question]) -> Quiz | None:
    """The quiz question that a learner's text repeats, as a whole or with its options."""
    said = _words(question)
    for one in quiz:
        whole = _words(one.ask)
        if len(whole) > 6 * 3 and (
            whole in said or (said in whole and len(said) > len(whole) * 0.7)
        ):
            return Quiz(one.number)
        repeated = [choice for choice in one.choices if _words(choice) in said]
        if len(repeated) > 1 or any(len(choice) > 40 for choice in repeated):
            return Quiz(one.number)
    return None


def wanted(question: str, quiz: Sequence[Question], helped: Helped) -> Quiz | None:
    """The learner wants help with the quiz: by its number, its text, "another hint", or its key."""
    written = text.plain(question)
    if helped.hints and _MORE.search(written) and not intents.question_number(written):
        last = helped.hints[-1].removeprefix(ASKED)
        if one := next((one for one in quiz if one.key == last), None):
            return Quiz(one.number)
    if quiz and _NUMBERED.search(written) and _HELP.search(written):
        return Quiz(intents.question_number(written))
    return intents.wants_key(question) or pasted(question, quiz)


def wants_one(question: str) -> bool:
    return bool(_QUIZ_ME.search(text.plain(question)))


def _words(written: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.plain(written)))


def hint(
    number: int | None, quiz: Sequence[Question], index: LessonIndex, helped: Helped = NOTHING_YET
) -> Hint:
    """The next step for this learner: the section, then what to look for there, then the passage
    (at once where the quiz is graded)."""
    one = next((q for q in quiz if q.number == number), None)
    if one is None:
        asked = f"The quiz has no question {number}. " if number and quiz else ""
        return Hint(
            f"{asked}I don't give away the quiz's answers, but I can help you find them: tell me "
            "a question's number and I'll say where to look, or ask about what you're unsure of."
        )
    step = helped.hints.count(one.key)
    passage = next((p for p in index.passages if p.anchor == one.passage), None)
    if passage and helped.graded:
        return Hint(
            f"Question {number} rests on this sentence. Your result says of each option why it is "
            "right or wrong.",
            one,
            passage=passage,
        )
    if passage and step >= 2:
        said = f"Question {number} rests on this sentence. Read it slowly, then go through the"
        return Hint(f"{said} options: which one does it support?", one, passage=passage)
    if passage and step == 1:
        said = _narrower(one, passage, index)
        return Hint(said, one, _safe(one.section, one), again=True)
    if not _safe(one.section, one):
        said = f"For question {number}, read again from the top. Then decide for yourself."
        return Hint(said, one, again=passage is not None)
    return Hint(
        f"For question {number}, read “{one.section.title}” again. Then go through the options "
        "and ask of each one what the page says about it.",
        one,
        one.section,
        again=passage is not None,
    )


def _safe(section: Section, one: Question) -> Section | None:
    """None where the heading itself holds an option."""
    title = _words(section.title)
    return None if any(_words(choice) in title for choice in one.choices) else section


_PLACES = ("at the beginning of", "in the middle of", "towards the end of")
_KINDS = {"item": "a point of a list", "row": "a row of a table", "sentence": "a sentence"}


def _narrower(one: Question, passage: Quotable, index: LessonIndex) -> str:
    """What kind of passage, which third of its section, and a word or two that it shares with
    the question (so they can't tell one option from another)."""
    there = [p for p in index.passages if p.section == passage.section]
    third = 3 * there.index(passage) // len(there)
    place = f"{_PLACES[third]} “{passage.section}”" if _safe(one.section, one) else "on the page"
    asked = set(text.stems(one.ask))
    found = {_stem(word): word for word in re.findall(r"[^\W\d_]{4,}", passage.text)}
    words = [f"“{word}”" for stem, word in found.items() if stem in asked][:2]
    about = f" with the word{'s' if len(words) > 1 else ''} {' and '.join(words)}" if words else ""
    return (
        f"A closer hint for question {one.number}: look for {_KINDS[passage.kind]} {place}{about}. "
        "Which of the options does it support?"
    )


def _stem(word: str) -> str:
    return next(iter(text.stems(word)), "")


def to_try(quiz: Sequence[Question], helped: Helped) -> Question | None:
    """For "quiz me": another question each time, of those that make sense without options."""
    open_ones = [one for one in quiz if not _ON_OPTIONS.search(one.ask)]
    earlier = sum(key.startswith(ASKED) for key in helped.hints)
    return open_ones[earlier % len(open_ones)] if open_ones else None


def leaks(said: str, quiz: Sequence[Question]) -> bool:
    """Whether the tutor's own words (not a quote) hold an option's text."""
    words = _words(said)
    return any(
        _words(choice) in words for one in quiz for choice in one.choices if len(choice) > 18
    )
