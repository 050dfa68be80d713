"""A learner's progress as a file: the events themselves, and the same as xAPI statements."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lessons import events
from lessons.events import Event
from lessons.sync import BadRequest, parse_events, parse_json

FORMAT = "openbook-progress-1"
VERBS = {  # the ADL vocabulary, where it has a word
    "lesson.opened": ("http://adlnet.gov/expapi/verbs/launched", "launched"),
    "lesson.completed": ("http://adlnet.gov/expapi/verbs/completed", "completed"),
    "quiz.scored": ("http://adlnet.gov/expapi/verbs/scored", "scored"),
    "review.answered": ("http://adlnet.gov/expapi/verbs/answered", "answered"),
    "lesson.reset": ("https://w3id.org/xapi/adl/verbs/abandoned", "abandoned"),
}
LESSON_TYPE = "http://adlnet.gov/expapi/activities/lesson"


def document(learner: dict[str, str], kept: Iterable[Event], site: str) -> dict[str, Any]:
    """Everything in one object. `site` is the address that lesson ids start with."""
    kept = list(kept)
    return {
        "format": FORMAT,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "learner": learner,
        "events": [event.as_json() for event in kept],
        "statements": statements(learner, kept, site),
    }


def statements(learner: dict[str, str], kept: Iterable[Event], site: str) -> list[dict[str, Any]]:
    """xAPI 1.0.3 statements, one for each event that an erasure has not taken."""
    kept = list(kept)
    gone = events.reach(event for event in kept if event.type == "progress.erased")
    actor = {
        "objectType": "Agent",
        "account": {"homePage": site, "name": learner.get("username") or "this browser"},
    }
    return [
        _statement(event, actor, site)
        for event in kept
        if event.type in VERBS and not events.is_erased(event, gone)
    ]


def _statement(event: Event, actor: dict[str, Any], site: str) -> dict[str, Any]:
    verb, word = VERBS[event.type]
    statement: dict[str, Any] = {
        "id": event.id,
        "actor": actor,
        "verb": {"id": verb, "display": {"en": word}},
        "object": {
            "objectType": "Activity",
            "id": f"{site}/lessons/{event.lesson}/",
            "definition": {"type": LESSON_TYPE},
        },
        "timestamp": event.at,
    }
    if event.type == "quiz.scored" and event.data:
        score, of = event.data["score"], event.data["of"]
        statement["result"] = {
            "score": {"raw": score, "min": 0, "max": of, "scaled": round(score / of, 4)},
            "completion": True,
        }
    return statement


def parse_file(body: bytes) -> tuple[list[Event], list[dict[str, Any]]]:
    """The events of an exported file, and which of them can't be read.

    Raises:
        BadRequest: not such a file.
    """
    raw = parse_json(body, limit=None)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BadRequest("this is not a file that Openbook exported")
    if not isinstance(raw.get("events"), list):
        raise BadRequest("the file has no list of events")
    return parse_events(raw["events"])
