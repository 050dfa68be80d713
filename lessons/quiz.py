"""Grading a lesson's quiz. The key stays on the server until every question is answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from lessons.models import Choice, Lesson, Question

PREFIX = "quiz:"  # of its fields and their ids: no heading or other field can have one


class NotThisQuiz(ValueError):
    """A form that this lesson's quiz cannot have sent."""


@dataclass(frozen=True)
class Asked:
    """One question as the learner sees it, before or after grading."""

    question: Question
    choices: list[Choice]
    chosen: Choice | None

    @property
    def right(self) -> bool:
        return self.chosen is not None and self.chosen.correct

    @property
    def field(self) -> str:
        return PREFIX + self.question.key


@dataclass(frozen=True)
class Attempt:
    """A form that came back. Graded only when nothing is missing."""

    asked: list[Asked]

    @property
    def missing(self) -> list[Asked]:
        return [it for it in self.asked if it.chosen is None]

    @property
    def complete(self) -> bool:
        return bool(self.asked) and not self.missing

    @property
    def score(self) -> int:
        return sum(it.right for it in self.asked)

    @property
    def of(self) -> int:
        return len(self.asked)

    @property
    def answers(self) -> dict[str, int]:
        """Question key → the chosen option's position."""
        return {it.question.key: it.chosen.position for it in self.asked if it.chosen}


def questions_of(lesson: Lesson) -> list[Question]:
    """In order, with their choices and passages. Two queries."""
    found = lesson.questions.select_related("passage").prefetch_related("choices")
    return list(found.order_by("position"))


def blank(questions: Iterable[Question]) -> Attempt:
    return Attempt([Asked(it, list(it.choices.all()), None) for it in questions])


def read(questions: Iterable[Question], form: Mapping[str, str]) -> Attempt:
    """What the learner chose. Fields of questions that no longer exist are ignored (a page may
    be older than the lesson); an option that the question never had raises NotThisQuiz."""
    asked = []
    for question in questions:
        choices = list(question.choices.all())
        value = form.get(PREFIX + question.key)
        chosen = {str(it.position): it for it in choices}.get(value) if value else None
        if value and chosen is None:
            raise NotThisQuiz(f"question {question.position} has no such option")
        asked.append(Asked(question, choices, chosen))
    return Attempt(asked)


def attempt_id(form: Mapping[str, str]) -> str:
    """The id that the browser gave this attempt, so that it counts it once; "" without one."""
    try:
        return str(UUID(form.get("attempt", "")))
    except ValueError:
        return ""


def scored_event(slug: str, attempt: Attempt, identity: str = "") -> dict[str, object]:
    """What the browser records: DESIGN's quiz.scored, all but the time."""
    event: dict[str, object] = {
        "type": "quiz.scored",
        "lesson": slug,
        "data": {"score": attempt.score, "of": attempt.of, "answers": attempt.answers},
    }
    return event | ({"id": identity} if identity else {})
