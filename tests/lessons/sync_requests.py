"""Anything at all for POST /progress/sync. REQUEST and EVENTS describe what it takes; strategies
(what fits, what nearly fits, what does not) and the judge of what must be kept derive from them.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from lessons import events

DEVICE = "00000000-0000-4000-8000-00000000000d"
SCHEMA = dict[str, Any]

# A subset of JSON Schema. An object's other members must fit "others"; False: there may be none.
ID = {"format": "uuid"}
WHOLE = {"type": "integer"}
ANY = {"type": "anything"}
PLAIN = {"properties": {}, "others": ANY}
SCORE = {
    "properties": {
        "score": WHOLE | {"from": 0, "to": 1000},
        "of": WHOLE | {"from": 1, "to": 1000},
        "answers": {"properties": {}, "others": WHOLE},
    },
    "required": ("score", "of"),
    "others": ANY,
}
NAMED = {"properties": {"also": {"items": ID}}, "others": ANY}
EMPTY = {"properties": {}, "others": False}
DATA = {
    "lesson.opened": PLAIN,
    "lesson.completed": PLAIN,
    "review.answered": PLAIN,
    "lesson.reset": PLAIN,
    "quiz.scored": {"any": (EMPTY, SCORE)},
    "progress.erased": NAMED,
}


def event_schema(kind: str) -> SCHEMA:
    slug = {"format": "slug"}
    fields = {
        "id": ID,
        "type": {"enum": (kind,)},
        "lesson": {"any": (slug, {"enum": ("*",)})} if kind == "progress.erased" else slug,
        "at": {"format": "time"},
        "data": DATA[kind],
    }
    return {"properties": fields, "required": ("id", "type", "lesson", "at"), "others": False}


EVENTS = [event_schema(kind) for kind in DATA]
REQUEST = {
    "properties": {
        "device": ID,
        "cursor": WHOLE | {"from": 0, "to": 2**63 - 1},
        "events": {"items": ANY},  # each is judged by itself
        "account": {"enum": ("ada", None)},
        "log": {"any": ({"format": "text"}, {"enum": (None,)})},
    },
    "required": ("device",),
    "others": {"type": "ignored"},
}


@dataclass(frozen=True)
class Token:
    """Written into the body as it is; nothing that an event may hold."""

    text: str


class Twice(dict[str, Any]):
    """An object in which a name came before, with another value: the last one counts."""

    before: tuple[str, Any]


def nested(levels: int) -> str:
    return '{"a":[' * levels + "]}" * levels


TOKENS = [Token(it) for it in ("1e999", "-1e999", "9" * 5000, nested(60), nested(900))]
TOKENS += [Token("[" * 9000 + "]" * 9000)]
TEXT = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "\udc00\ud800", "\u2028", "a" * 300])
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**53, 2**63, 2**64, -(2**63) - 1, 10**399])
NUMBERS |= st.floats() | st.sampled_from([1.0, -0.0, 1e308])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT | st.sampled_from(TOKENS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
SOUND = st.recursive(  # JSON that an event's data may hold
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
HOURS = st.integers(-23, 23).map(lambda it: timezone(timedelta(hours=it, minutes=it % 60)))


def written(moment: datetime, zone: timezone, digits: int) -> str:
    """The moment, which is UTC, as a clock in that zone writes it."""
    try:
        moment = moment.replace(tzinfo=UTC).astimezone(zone)
    except OverflowError:
        moment = moment.replace(tzinfo=UTC)
    text = moment.isoformat(timespec="microseconds")
    return text[:19] + ("." + text[20 : 20 + digits] if digits else "") + text[26:]


UUIDS = st.uuids().map(str)
UUIDS |= st.integers(0, 3).map(lambda it: f"00000000-0000-7000-8000-{it:012x}")  # again and again
NIL = "00000000-0000-0000-0000-000000000000"
UUIDS |= st.sampled_from([NIL, NIL.replace("0", "F")])
FITTING = {
    "uuid": UUIDS | UUIDS.map(str.upper),
    "slug": st.sampled_from(["a", "b", "a-lesson", "9", "a" * 200])
    | st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    "time": st.builds(written, st.datetimes(), HOURS | st.just(UTC), st.integers(0, 6))
    | st.sampled_from(["2026-11-23T10:00:00Z", "0001-01-01T00:00:00Z"])
    | st.sampled_from(["9999-12-31T23:59:59.999999Z", "2024-02-29T23:59:59.9-11:30"]),
    "text": TEXT,
}
NEARLY = {
    "uuid": [
        "",
        "0" * 32,
        f"{{{NIL}}}",
        f"urn:uuid:{NIL}",
        NIL + "\n",
        "g" + NIL[1:],
        "０" + NIL[1:],
    ],
    "slug": ["", "A", "-a", "a_b", "a/b", "../a", "ä", "a\n", "a" * 201, "*", "a\0"],
    "time": [
        *("2026-11-23", "2026-11-23T10:00:00", "2026-02-30T10:00:00Z", "2026-11-23T24:00:01Z"),
        *("2026-11-23T10:00:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
        *("9999-12-31T23:59:59-01:00", "2026-11-23T10:00:00+99:99", "٢٠٢٦-11-23T10:00:00Z"),
        *("2026-11-23T10:00:00z", "2026-11-23T10:00:00.Z", "2026-11-23T10:00:00.1234567Z"),
    ],
    "text": ["", "0", None],
}


def fitting(schema: SCHEMA) -> st.SearchStrategy[Any]:
    """Values of which the description says that they are taken."""
    if "any" in schema:
        return st.one_of([fitting(it) for it in schema["any"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "format" in schema:
        return FITTING[schema["format"]]
    if "items" in schema:
        return st.lists(fitting(schema["items"]), max_size=3)
    if schema.get("type") == "integer":
        return st.integers(schema.get("from"), schema.get("to"))
    if "properties" not in schema:
        return SOUND
    fields = {name: fitting(it) for name, it in schema["properties"].items()}
    required = {name: fields.pop(name) for name in schema.get("required", ())}
    made = st.fixed_dictionaries(required, optional=fields)
    if schema is SCORE:
        made = made.map(lambda it: it | {"score": min(it["score"], it["of"])})
    if not schema["others"]:
        return made
    others = st.dictionaries(TEXT, fitting(schema["others"]), max_size=2)
    return st.builds(lambda some, mine: some | mine, others, made)


def fits(schema: SCHEMA, value: Any) -> bool:
    """Does the description take the value?"""
    if schema.get("type") == "ignored":
        return True
    if "any" in schema:
        return any(fits(it, value) for it in schema["any"])
    if "enum" in schema:
        return value in schema["enum"]
    if "format" in schema:
        return isinstance(value, str) and READS[schema["format"]](value)
    if "items" in schema:
        return isinstance(value, list) and all(fits(schema["items"], it) for it in value)
    if schema.get("type") == "integer":
        number = isinstance(value, int) and not isinstance(value, bool)
        return number and schema.get("from", value) <= value <= schema.get("to", value)
    if "properties" not in schema:
        return True
    known = schema["properties"]
    return (
        isinstance(value, dict)
        and all(name in value for name in schema.get("required", ()))
        and all(fits(known[name], value[name]) for name in known if name in value)
        and (schema["others"] or not set(value) - set(known))
        and all(fits(schema["others"], it) for name, it in value.items() if name not in known)
        and (schema is not SCORE or value["score"] <= value["of"])
    )


def is_time(text: str) -> bool:
    shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
    try:
        moment = re.fullmatch(shape, text, re.ASCII) and datetime.fromisoformat(text)
        return bool(moment and moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return False


def matching(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    return lambda text: bool(re.fullmatch(pattern, text, flags))


READS = {
    "uuid": matching(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE),
    "slug": matching(r"[a-z0-9][a-z0-9-]{0,199}"),
    "time": is_time,
    "text": lambda text: True,
}


def sound(value: Any, levels: int = 0) -> bool:
    """JSON that is finite and nested no deeper than an event's data may be."""
    if isinstance(value, dict | list):
        inside = value.values() if isinstance(value, dict) else value
        return levels < events.MAX_DATA_DEPTH and all(sound(it, levels + 1) for it in inside)
    return not isinstance(value, Token) and (not isinstance(value, float) or math.isfinite(value))


def is_event(value: Any) -> bool:
    """Must the server keep it?"""
    if not any(fits(schema, value) for schema in EVENTS):
        return False
    data = value.get("data", {})
    return sound(data) and len(json.dumps(data)) <= events.MAX_DATA_BYTES


def strict(value: Any) -> bool:
    """Is it JSON, as it will be written? NaN and Infinity are not."""
    if isinstance(value, Twice) and not strict(value.before):
        return False
    if isinstance(value, dict | list | tuple):
        return all(map(strict, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def write(value: Any, escaped: bool = True) -> str:
    """JSON text of it, Tokens and names that come twice included."""
    if isinstance(value, Token):
        return value.text
    if isinstance(value, list):
        return "[" + ",".join(write(it, escaped) for it in value) + "]"
    if isinstance(value, dict):
        pairs = [value.before] if isinstance(value, Twice) else []
        members = [
            json.dumps(name, ensure_ascii=escaped) + ":" + write(it, escaped)
            for name, it in [*pairs, *value.items()]
        ]
        return "{" + ",".join(members) + "}"
    return json.dumps(value, ensure_ascii=escaped)


@st.composite
def spoilt(draw: st.DrawFn, schema: SCHEMA) -> Any:
    """An object that fits, but for one thing that may be wrong with it."""
    whole = dict(draw(fitting(schema)))
    name = draw(st.sampled_from(sorted(schema["properties"])))
    how = draw(st.sampled_from(["gone", "other", "nearly", "unknown", "twice"]))
    if how == "gone":
        whole.pop(name, None)
    elif how == "other":
        whole[name] = draw(ANYTHING)
    elif how == "nearly":
        whole[name] = draw(nearly(schema["properties"][name]))
    elif how == "unknown":
        whole[draw(TEXT)] = draw(ANYTHING)
    elif name in whole:
        whole = Twice(whole)
        whole.before = (name, draw(ANYTHING))
    return whole


def nearly(schema: SCHEMA) -> st.SearchStrategy[Any]:
    """Values that look like what is taken; few of them are."""
    if "any" in schema:
        return st.one_of([nearly(it) for it in schema["any"]])
    if "format" in schema:
        return st.sampled_from(NEARLY[schema["format"]]) | TEXT
    if schema.get("type") == "integer":
        return NUMBERS | st.sampled_from([schema.get("from", 0) - 1, schema.get("to", 0) + 1])
    if schema.get("properties"):
        return spoilt(schema)
    long = st.just({"a": "b" * events.MAX_DATA_BYTES})
    deep = st.integers(8, 12).map(lambda it: {"a": json.loads(nested(it))})
    return long | deep | st.dictionaries(TEXT, ANYTHING, max_size=3)


A_GOOD_EVENT = st.one_of([fitting(it) for it in EVENTS])
AN_EVENT = A_GOOD_EVENT | st.one_of([spoilt(it) for it in EVENTS]) | ANYTHING


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """A request that fits or nearly does, or anything; with events of every kind."""
    request = draw(fitting(REQUEST) | fitting(REQUEST) | spoilt(REQUEST) | ANYTHING)
    if isinstance(request, dict) and isinstance(request.get("events", []), list):
        sent = draw(st.lists(AN_EVENT, min_size=1, max_size=6))
        request["events"] = sent + draw(st.lists(st.sampled_from(sent), max_size=2))
    return request
