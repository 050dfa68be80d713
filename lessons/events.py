"""Events of a learner's progress: what one may look like, and the state that a list of them means.

An event is never changed once written, so lists from any number of devices merge as sets, and
every device that holds the same events computes the same state. `progress.erased` alone reaches
back: an event that it covers keeps its id and loses its data.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

TYPES = frozenset(
    {
        "lesson.opened",
        "lesson.completed",
        "quiz.scored",
        "review.answered",
        "lesson.reset",
        "progress.erased",
    }
)
EVERYTHING = "*"
MAX_DATA_BYTES = 16_384
MAX_DATA_DEPTH = 20  # levels; deeper, some reader of the answer would give up
FIELDS = frozenset({"id", "type", "lesson", "at", "data"})
SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,199}")
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Malformed(ValueError):
    """Why one event can't be kept; the rest of its request can."""


class Event(NamedTuple):
    """One checked event. `at` is kept as written; `instant` is what it means."""

    id: str
    type: str
    lesson: str
    at: str
    instant: datetime
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": self.type,
            "lesson": self.lesson,
            "at": self.at,
            "data": self.data,
        }


def parse(raw: object) -> Event:
    """Check one event as it came in.

    Raises:
        Malformed: with a reason that names the field.
    """
    if not isinstance(raw, dict):
        raise Malformed("an event must be an object")
    if unknown := set(raw) - FIELDS:
        raise Malformed(f"unknown field {sorted(unknown)[0][:40]!r}")
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise Malformed(f"type must be one of {', '.join(sorted(TYPES))}")
    at = raw.get("at")
    return Event(
        id=_uuid(raw.get("id")),
        type=kind,
        lesson=_lesson(raw.get("lesson"), kind),
        at=str(at),
        instant=_instant(at),
        data=_data(raw.get("data", {}), kind),
    )


def _uuid(value: object) -> str:
    if not isinstance(value, str) or not UUID_TEXT.fullmatch(value):
        raise Malformed("id must be a UUID")
    return value.lower()


def _lesson(value: object, kind: str) -> str:
    if isinstance(value, str) and SLUG.fullmatch(value):
        return value
    if value == EVERYTHING and kind == "progress.erased":
        return EVERYTHING
    raise Malformed("lesson must be a lesson's slug")


def _instant(value: object) -> datetime:
    if isinstance(value, str) and INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Malformed('at must be a time such as "2026-11-23T10:00:00.000Z"')


def _data(value: object, kind: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("data must be an object")
    try:
        size = len(json.dumps(value, allow_nan=False))
    except RecursionError as error:
        raise Malformed(f"data is nested deeper than {MAX_DATA_DEPTH} levels") from error
    except ValueError as error:
        raise Malformed("data holds a number that JSON has no word for") from error
    if size > MAX_DATA_BYTES:
        raise Malformed(f"data is larger than {MAX_DATA_BYTES} bytes")
    if _depth(value) > MAX_DATA_DEPTH:
        raise Malformed(f"data is nested deeper than {MAX_DATA_DEPTH} levels")
    if kind == "quiz.scored" and value:
        _check_score(value)
    if kind == "progress.erased" and "also" in value:
        _check_also(value["also"])
    return value


def _depth(value: object) -> int:
    """Levels of objects and lists, counted no further than is allowed."""
    level, depth = [value], 0
    while depth <= MAX_DATA_DEPTH and (
        level := [it for it in level if isinstance(it, dict | list)]
    ):
        depth += 1
        level = [one for it in level for one in (it.values() if isinstance(it, dict) else it)]
    return depth


def _check_score(data: dict[str, Any]) -> None:
    score: Any = data.get("score")
    of: Any = data.get("of")
    answers = data.get("answers", {})
    whole = _whole(score) and _whole(of)
    if not whole or not 0 <= score <= of <= 1000 or of == 0:
        raise Malformed("data.score and data.of must be whole numbers, 0 ≤ score ≤ of")
    if not isinstance(answers, dict) or not all(_whole(choice) for choice in answers.values()):
        raise Malformed("data.answers must map question ids to choice numbers")


def _check_also(ids: object) -> None:
    if not isinstance(ids, list) or not all(
        isinstance(one, str) and UUID_TEXT.fullmatch(one) for one in ids
    ):
        raise Malformed("data.also must be a list of event ids")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def erased(event: Event) -> Event:
    """The same event after an erasure: its id stays, so that no device can bring it back."""
    return event._replace(data={})


class Reach(NamedTuple):
    """What erasures cover: each lesson's events (or everything's) up to an instant, and the events
    that they name. An eraser names those that it knew and whose clocks were ahead of its own.
    """

    until: dict[str, datetime]
    also: set[str]


def reach(erasures: Iterable[Event]) -> Reach:
    """What these erasures cover together."""
    found = Reach({}, set())
    for erasure in erasures:
        known = found.until.get(erasure.lesson)
        if known is None or erasure.instant > known:
            found.until[erasure.lesson] = erasure.instant
        found.also.update(one.lower() for one in erasure.data.get("also", ()))
    return found


def is_erased(event: Event, by: Reach) -> bool:
    """Whether an erasure takes the event's data. Erasures themselves stay."""
    if event.type == "progress.erased":
        return False
    limits = (by.until.get(EVERYTHING), by.until.get(event.lesson))
    covered = any(limit is not None and event.instant <= limit for limit in limits)
    return covered or event.id in by.also


@dataclass
class LessonState:
    """What a list of events says of one lesson since its last reset; `latest` is the newest score
    whatever was reset. Times are as the events wrote them.
    """

    opened: str | None = None
    completed: str | None = None
    best: tuple[int, int] | None = None
    latest: tuple[int, int] | None = None
    latest_at: str | None = None
    attempts: int = 0
    answers: dict[str, int] = field(default_factory=dict)


def state(events: Iterable[Event]) -> dict[str, LessonState]:
    """State by lesson; the order and repetition of the events make no difference."""
    once = {event.id: event for event in events}.values()
    gone = reach(event for event in once if event.type == "progress.erased")
    kept = [
        event for event in once if event.type != "progress.erased" and not is_erased(event, gone)
    ]
    kept.sort(key=lambda event: (event.instant, event.id))
    lessons: dict[str, LessonState] = {}
    for event in kept:
        if event.type == "lesson.reset":
            before = lessons.get(event.lesson, LessonState())
            lessons[event.lesson] = LessonState(latest=before.latest, latest_at=before.latest_at)
        else:
            _add(lessons.setdefault(event.lesson, LessonState()), event)
    return lessons


def _add(lesson: LessonState, event: Event) -> None:
    if event.type == "lesson.opened":
        lesson.opened = lesson.opened or event.at
    elif event.type == "lesson.completed":
        lesson.completed = lesson.completed or event.at
    elif event.type == "quiz.scored" and event.data:
        score = (event.data["score"], event.data["of"])
        lesson.completed = lesson.completed or event.at
        lesson.attempts += 1
        lesson.latest, lesson.latest_at = score, event.at
        lesson.answers = event.data.get("answers", {})
        if lesson.best is None or score[0] * lesson.best[1] > lesson.best[0] * score[1]:
            lesson.best = score


History = dict[tuple[str, str], list[tuple[datetime, int]]]


def history(events: Iterable[Event]) -> History:
    """(lesson, question) → when which choice was given, since the lesson's last reset, in order."""
    once = {event.id: event for event in events}.values()
    gone = reach(event for event in once if event.type == "progress.erased")
    kept = [it for it in once if it.type != "progress.erased" and not is_erased(it, gone)]
    given: dict[str, dict[str, list[tuple[datetime, int]]]] = {}
    for event in sorted(kept, key=lambda it: (it.instant, it.id)):
        if event.type == "lesson.reset":
            given.pop(event.lesson, None)
        for question, choice in _answers(event).items():
            lesson = given.setdefault(event.lesson, {})
            lesson.setdefault(question, []).append((event.instant, choice))
    return {(slug, key): all_ for slug, some in given.items() for key, all_ in some.items()}


def _answers(event: Event) -> dict[str, int]:
    if event.type == "quiz.scored":
        found: dict[str, int] = event.data.get("answers", {})
        return found
    question = event.data.get("question")
    choice: Any = event.data.get("choice")
    if event.type == "review.answered" and isinstance(question, str) and _whole(choice):
        return {question: choice}
    return {}
