"""Questions answered wrong come back, when FSRS says that they are about to be forgotten.

Computed from answers alone, so a browser that is not signed in can send its own, and any two
devices with the same events get the same schedule. A question comes in with its first wrong
answer; from then on every answer to it, in a quiz or here, is a review.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fsrs import Card, Rating, Scheduler

from lessons import events
from lessons.events import History
from lessons.models import Question
from lessons.quiz import Asked

# Steps of minutes make no sense for a page that is visited once a day; fuzz would differ each time.
SCHEDULER = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
MOST_ANSWERS = 50  # of one question: older ones change nothing that matters


@dataclass(frozen=True)
class Review:
    due: list[Question]
    later: int  # questions that come back another day
    next: datetime | None  # and when the first of them does


def due_at(given: list[tuple[datetime, int]], correct: int) -> datetime | None:
    """When the question is to be asked again; None if it was never answered wrong."""
    card = None
    for instant, choice in given[-MOST_ANSWERS:]:
        if card is None and choice == correct:
            continue
        rating = Rating.Good if choice == correct else Rating.Again
        card = card or Card(card_id=1, due=instant)
        try:
            card, _ = SCHEDULER.review_card(card, rating, instant.astimezone(UTC))
        except OverflowError:  # a clock at the end of time: it comes back after that
            return None
    return card.due if card else None


def review(history: History, until: datetime) -> Review:
    """What is due by `until`, longest overdue first. Three queries."""
    slugs = {slug for slug, _ in history if events.SLUG.fullmatch(slug)}
    questions = Question.objects.filter(lesson__slug__in=slugs)
    found = questions.select_related("lesson", "passage").prefetch_related("choices")
    dates: list[tuple[datetime, int, Question]] = []
    for question in found:
        given = history.get((question.lesson.slug, question.key))
        correct = next((it.position for it in question.choices.all() if it.correct), 0)
        if given and (when := due_at(given, correct)):
            dates.append((when, question.pk, question))
    dates.sort(key=lambda it: it[:2])
    due = [question for when, _, question in dates if when <= until]
    later = [when for when, _, _ in dates if when > until]
    return Review(due, len(later), later[0] if later else None)


def answered(slug: str, key: str, choice: str) -> Asked | None:
    """The question with the choice taken; None if there is no such question or choice."""
    if not events.SLUG.fullmatch(slug) or "\0" in key:  # PostgreSQL takes no NUL
        return None
    found = Question.objects.filter(lesson__slug=slug, key=key)
    question = found.select_related("lesson", "passage").prefetch_related("choices").first()
    if question is None:
        return None
    choices = list(question.choices.all())
    chosen = next((it for it in choices if str(it.position) == choice), None)
    return Asked(question, choices, chosen) if chosen else None


def read_history(raw: object) -> History:
    """[[lesson, question, [[milliseconds since 1970, choice], …]], …] as a browser sends it.

    Raises: ValueError
    """
    if not isinstance(raw, list) or len(raw) > 20_000:
        raise ValueError("answers must be a list")
    try:
        return {(str(slug), str(key)): _given(given) for slug, key, given in raw}
    except (TypeError, OverflowError) as error:
        raise ValueError("answers must be [lesson, question, [[time, choice]]]") from error


def _given(given: Iterable[tuple[float, int]]) -> list[tuple[datetime, int]]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [(epoch + timedelta(milliseconds=at), int(choice)) for at, choice in given]
