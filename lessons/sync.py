"""Keeping learners' events: the server's half of the sync contract."""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from lessons import events
from lessons.events import EVERYTHING, Event, Malformed, Reach
from lessons.models import DeletedLog, ProgressEvent, ProgressLog

MAX_EVENTS = 1000
MAX_BYTES = 1_048_576
MAX_CURSOR = 2**63 - 1
DEEPEST = 100  # levels; Python's JSON reader manages some hundred


class BadRequest(ValueError):
    """The request as a whole makes no sense; its text says why."""


class TooLarge(ValueError):
    """More than one request may carry."""


class SomebodyElse(ValueError):
    """The page belongs to another account than the one that is signed in now."""


class Deleted(ValueError):
    """The device holds a log of an account that was deleted."""


@dataclass(frozen=True)
class Request:
    device: str
    cursor: int
    events: list[Event]
    rejected: list[dict[str, Any]]
    account: str | None = None  # whose page it comes from: a tab may be older than the sign-in
    log: str | None = None  # which log the events belong to, if the device has met it


@dataclass(frozen=True)
class Answer:
    cursor: int
    events: list[Event]
    rejected: list[dict[str, Any]]
    log: str
    more: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "cursor": self.cursor,
            "events": [event.as_json() for event in self.events],
            "rejected": self.rejected,
            "log": self.log,
            "more": self.more,
        }


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole_number(digits: str) -> int | float:
    """Python refuses to read endless numbers; as infinity, they spoil their own event only."""
    return int(digits) if len(digits) <= 400 else float("inf")


def _without_depths(body: bytes) -> bytes:
    """What is nested deeper than can be read becomes a number that no event may hold."""
    kept, depth, start = [], 0, 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', body, re.DOTALL):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth == DEEPEST:
                kept.append(body[start : token.start()])
        elif token[0] in (b"]", b"}"):
            if depth == DEEPEST:
                kept.append(b"1e999")
                start = token.end()
            depth -= 1
    if depth >= DEEPEST:
        raise BadRequest("the body is not JSON")
    return b"".join([*kept, body[start:]])


def parse_json(body: bytes, limit: int | None = MAX_BYTES) -> object:
    """Strict JSON: no NaN, at most `limit` bytes.

    Raises:
        TooLarge, BadRequest
    """
    if limit is not None and len(body) > limit:
        raise TooLarge(f"at most {limit} bytes in one request")
    try:
        try:
            return json.loads(body, parse_constant=_no_constant, parse_int=_whole_number)
        except RecursionError:
            body = _without_depths(body)
            return json.loads(body, parse_constant=_no_constant, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not JSON") from error


def parse_request(body: bytes) -> Request:
    """Raises: TooLarge, BadRequest"""
    raw = parse_json(body)
    if not isinstance(raw, dict):
        raise BadRequest("the body must be an object")
    device, cursor, sent = raw.get("device"), raw.get("cursor", 0), raw.get("events", [])
    if not isinstance(device, str) or not events.UUID_TEXT.fullmatch(device):
        raise BadRequest("device must be a UUID")
    if isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor <= MAX_CURSOR:
        raise BadRequest("cursor must be a whole number, 0 or more")
    if not isinstance(sent, list):
        raise BadRequest("events must be a list")
    if len(sent) > MAX_EVENTS:
        raise TooLarge(f"at most {MAX_EVENTS} events in one request")
    account = raw.get("account")
    if account is not None and not isinstance(account, str):
        raise BadRequest("account must be a user name")
    log = raw.get("log")
    if log is not None and not isinstance(log, str):
        raise BadRequest("log must be what an earlier answer said")
    good, rejected = parse_events(sent)
    return Request(device, cursor, good, rejected, account, log)


def parse_events(sent: Iterable[object]) -> tuple[list[Event], list[dict[str, Any]]]:
    """The good events, each id once, and why the others are not."""
    good: dict[str, Event] = {}
    rejected = []
    for raw in sent:
        try:
            event = events.parse(raw)
        except Malformed as error:
            name = raw.get("id") if isinstance(raw, dict) else None
            name = name[:80] if isinstance(name, str) else None
            rejected.append({"id": name, "reason": str(error)})
        else:
            good.setdefault(event.id, event)
    return list(good.values()), rejected


def sync(owner: User, request: Request) -> Answer:
    """Keep what is new, answer what the device has not seen: one page of at most MAX_EVENTS.

    Raises: SomebodyElse, Deleted
    """
    if request.account not in (None, owner.get_username()):
        raise SomebodyElse("somebody else has signed in: reload the page")
    if request.log is not None and deleted([request.log]):
        raise Deleted("this browser held the progress of an account that was deleted")
    with transaction.atomic():
        log = _locked_log(owner)
        _keep(log, request.events)
        # A cursor from before a restore points past the end: then everything is offered again.
        cursor = request.cursor if request.cursor <= log.head else 0
        sent = [event.id for event in request.events]
        rows = log.events.filter(number__gt=cursor).exclude(event_id__in=sent)
        page = list(rows.order_by("number")[: MAX_EVENTS + 1])
    more = len(page) > MAX_EVENTS
    page = page[:MAX_EVENTS]
    return Answer(
        cursor=page[-1].number if more else log.head,
        events=[event_of(row) for row in page],
        rejected=request.rejected,
        log=log.name,
        more=more,
    )


def keep(owner: User, new: list[Event]) -> int:
    """Keep events from elsewhere (an import); how many were new."""
    with transaction.atomic():
        log = _locked_log(owner)
        before = log.head
        for start in range(0, len(new), MAX_EVENTS):
            _keep(log, new[start : start + MAX_EVENTS])
        return log.head - before


def deleted(logs: Iterable[str]) -> list[str]:
    """Those of these logs whose accounts were deleted. Names that can't be guessed: no secret."""
    keys = {log: uuid.UUID(log[:36]) for log in logs if events.UUID_TEXT.fullmatch(log[:36])}
    gone = set(DeletedLog.objects.filter(key__in=keys.values()).values_list("key", flat=True))
    return [log for log, key in keys.items() if key in gone]


def delete_account(owner: User) -> None:
    """Everything goes but the log's key, by which other devices learn of it."""
    with transaction.atomic():
        log = ProgressLog.objects.filter(owner=owner).first()
        if log:
            DeletedLog.objects.get_or_create(key=log.key)
        owner.delete()


def log_of(owner: User) -> str:
    """The name of the learner's log, made if there is none."""
    return ProgressLog.objects.get_or_create(owner=owner)[0].name


def events_of(owner: User) -> list[Event]:
    """All of one learner's events, in the server's order."""
    return [event_of(row) for row in ProgressEvent.objects.filter(log__owner=owner)]


def _locked_log(owner: User) -> ProgressLog:
    """The learner's log, locked: numbers become visible in their order, so no cursor skips one."""
    ProgressLog.objects.get_or_create(owner=owner)
    return ProgressLog.objects.select_for_update().get(owner=owner)


def _keep(log: ProgressLog, new: list[Event]) -> None:
    ids = [event.id for event in new]
    # In no order: SQLite would walk the whole log to have it in the usual one.
    known = set(log.events.filter(event_id__in=ids).order_by().values_list("event_id", flat=True))
    fresh = [event for event in new if uuid.UUID(event.id) not in known]
    if not fresh:
        return
    erasures = [event for event in fresh if event.type == "progress.erased"]
    gone = _reach(log, erasures)
    rows = [
        _row(log, number, events.erased(event) if events.is_erased(event, gone) else event)
        for number, event in enumerate(fresh, start=log.head + 1)
    ]
    ProgressEvent.objects.bulk_create(rows)
    for where in _covered(events.reach(erasures)):
        log.events.filter(where & ~Q(type="progress.erased")).update(data="{}")
    log.head += len(rows)
    log.save(update_fields=["head"])


def _reach(log: ProgressLog, new: list[Event]) -> Reach:
    """What earlier erasures and these cover, together."""
    earlier = log.events.filter(type="progress.erased").order_by()
    return events.reach([*new, *(event_of(row) for row in earlier)])


def _covered(reach: Reach) -> Iterator[Q]:
    for lesson, until in reach.until.items():
        about = Q() if lesson == EVERYTHING else Q(lesson=lesson)
        yield about & Q(instant__lte=until)
    if reach.also:
        yield Q(event_id__in=reach.also)


def _row(log: ProgressLog, number: int, event: Event) -> ProgressEvent:
    return ProgressEvent(
        log=log,
        number=number,
        event_id=event.id,
        type=event.type,
        lesson=event.lesson,
        at=event.at,
        instant=event.instant,
        data=json.dumps(event.data),
    )


def event_of(row: ProgressEvent) -> Event:
    return Event(str(row.event_id), row.type, row.lesson, row.at, row.instant, json.loads(row.data))
