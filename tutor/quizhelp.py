"""Help with the quiz that gives nothing away: where to look, never what to choose."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lessons.models import Lesson
from tutor import text
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


def of(lesson: Lesson) -> list[Question]:
    anchors = {heading["title"]: heading["anchor"] for heading in lesson.headings}
    rows = lesson.questions.select_related("passage").prefetch_related("choices")
    return [
        Question(
            row.position,
            row.ask,
            tuple(choice.text for choice in row.choices.all()),
            Section(anchors.get(row.passage.section, "content"), row.passage.section),
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


def _words(written: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.plain(written)))


def hint(number: int | None, quiz: Sequence[Question]) -> tuple[str, Section | None]:
    """What to say, and the section to point to where a question is named."""
    one = next((q for q in quiz if q.number == number), None)
    if one is None:
        asked = f"The quiz has no question {number}. " if number and quiz else ""
        return (
            f"{asked}I don't give away the quiz's answers, but I can help you find them: tell me "
            "a question's number and I'll say where to look, or ask about what you're unsure of.",
            None,
        )
    where = one.section.title
    if any(_words(choice) in _words(where) for choice in one.choices):
        return f"For question {number}, read again from the top. Then decide for yourself.", None
    return (
        f"For question {number}, read “{where}” again. Then go through the options and ask of "
        "each one what the page says about it.",
        one.section,
    )


def leaks(said: str, quiz: Sequence[Question]) -> bool:
    """Whether the tutor's own words (not a quote) hold an option's text."""
    words = _words(said)
    return any(
        _words(choice) in words for one in quiz for choice in one.choices if len(choice) > 18
    )
