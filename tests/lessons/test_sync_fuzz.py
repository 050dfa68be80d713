"""POST /progress/sync with anything at all (sync_requests.py), on SQLite and on PostgreSQL."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lessons import events
from lessons.models import ProgressLog
from tests.lessons.sync_requests import (
    DEVICE,
    REQUEST,
    fits,
    is_event,
    requests,
    strict,
    write,
)

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
fuzzed = settings(suppress_health_check=SHARED, deadline=None, max_examples=100)
READ = json.dumps({"device": DEVICE, "cursor": 0, "events": []}).encode()


@pytest.fixture
def post(client, either_database):
    ada = get_user_model().objects.create_user("ada")
    client.force_login(ada)

    def send(body: bytes):
        answer = client.post("/progress/sync", body, "application/json")
        assert 200 <= answer.status_code < 300 or 400 <= answer.status_code < 500
        return answer

    return send


def text(value: Any) -> str:
    """To compare by: in Python, true is 1 and a pair of surrogates is not its character."""
    return json.dumps(value, sort_keys=True)


def as_kept(good: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the server holds after it got these: each id once, erased where an erasure says so."""
    first: dict[str, events.Event] = {}
    for it in good:
        first.setdefault(it["id"].lower(), events.parse(it))
    gone = events.reach(it for it in first.values() if it.type == "progress.erased")
    kept = [events.erased(it) if events.is_erased(it, gone) else it for it in first.values()]
    return {it.id: it.as_json() for it in kept}


def check(post: Any, request: Any, body: bytes) -> None:
    """What is valid was kept, whole; what is not was listed with a reason, in order."""
    ProgressLog.objects.all().delete()
    answer = post(body)
    sent = request.get("events", []) if isinstance(request, dict) else []
    taken = strict(request) and fits(REQUEST, request)
    assert (answer.status_code == 200) == taken, answer.content
    good = [it for it in sent if is_event(it)] if taken else []
    if taken:
        bad = [it for it in sent if not is_event(it)]
        names = [it.get("id") if isinstance(it, dict) else None for it in bad]
        names = [name[:80] if isinstance(name, str) else None for name in names]
        rejected = answer.json()["rejected"]
        assert text([it["id"] for it in rejected]) == text(names)
        assert all(isinstance(it["reason"], str) and it["reason"] for it in rejected)
    found = {it["id"]: it for it in post(READ).json()["events"]}
    assert text(found) == text(as_kept(good))


@fuzzed
@given(requests(), st.booleans())
def test_every_valid_event_is_kept_and_every_other_one_named(post, client, request_, escaped):
    check(post, request_, write(request_, escaped).encode("utf-8", "surrogatepass"))
    for address in ("/review/", "/progress/export"):
        assert client.get(address).status_code == 200


@fuzzed
@given(
    requests(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-7", "cp037", "cp1252"]),
    st.integers(0, 200),
    st.binary(max_size=3),
)
def test_a_body_that_is_spoilt_on_its_way_is_answered(post, request_, encoding, place, noise):
    body = write(request_).encode(encoding)
    post(body)
    post(body[:place])
    post(body[:place] + noise + body[place + 1 :])
    post(noise)
