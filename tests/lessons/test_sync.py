import json

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lessons import events, sync
from lessons.models import DeletedLog, ProgressEvent

pytestmark = pytest.mark.django_db
DEVICE = "00000000-0000-4000-8000-00000000000d"


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", password="x")


def raw_event(number, kind="lesson.opened", lesson="a", second=0, data=None):
    return {
        "id": f"00000000-0000-7000-8000-{number:012x}",
        "type": kind,
        "lesson": lesson,
        "at": f"2026-11-23T10:{second // 60:02}:{second % 60:02}.000Z",
        "data": data or {},
    }


def scored(number, score=8, second=0, lesson="a"):
    return raw_event(
        number, "quiz.scored", lesson, second, {"score": score, "of": 10, "answers": {}}
    )


def exchange(owner, sent=(), cursor=0):
    body = {"device": DEVICE, "cursor": cursor, "events": list(sent)}
    return sync.sync(owner, sync.parse_request(json.dumps(body).encode())).as_json()


def test_what_one_device_sends_another_gets(ada):
    assert exchange(ada, [scored(1), raw_event(2)])["events"] == []
    got = exchange(ada)
    assert got["events"] == [scored(1), raw_event(2)]
    assert exchange(ada, cursor=got["cursor"])["events"] == []


def test_a_lost_answer_and_a_second_try_keep_the_event_once(ada):
    first = exchange(ada, [scored(1)])
    again = exchange(ada, [scored(1), scored(1)])
    assert again["rejected"] == []
    assert again["cursor"] == first["cursor"] == 1
    assert ProgressEvent.objects.count() == 1


def test_an_event_written_once_is_never_changed(ada):
    exchange(ada, [scored(1, 8)])
    exchange(ada, [scored(1, 2)])
    assert exchange(ada)["events"] == [scored(1, 8)]


def test_one_malformed_event_is_rejected_by_itself(ada):
    answer = exchange(ada, [scored(1), {"id": "bad"}, 5, scored(2)])
    assert [one["id"] for one in answer["rejected"]] == ["bad", None]
    assert ProgressEvent.objects.count() == 2


def test_a_page_holds_at_most_a_thousand_and_says_that_more_wait(ada):
    sync.keep(ada, [events.parse(raw_event(n)) for n in range(1, 2302)])
    sizes, cursor, more = [], 0, True
    while more:
        answer = exchange(ada, cursor=cursor)
        cursor, more = answer["cursor"], answer["more"]
        sizes.append(len(answer["events"]))
    assert sizes == [1000, 1000, 301]


def test_a_full_page_sent_by_the_device_itself_hides_nobody_elses_events(ada):
    sync.keep(ada, [events.parse(raw_event(n)) for n in range(1, 1501)])
    own = [raw_event(n) for n in range(5000, 6000)]
    answer = exchange(ada, own)
    got = {one["id"] for one in answer["events"]}
    while answer["more"]:
        answer = exchange(ada, cursor=answer["cursor"])
        got |= {one["id"] for one in answer["events"]}
    assert {raw_event(n)["id"] for n in range(1, 1501)} <= got


def test_an_erasure_takes_the_data_and_leaves_the_id(ada):
    exchange(ada, [scored(1, second=5), scored(2, second=50), scored(3, second=5, lesson="b")])
    exchange(ada, [raw_event(4, "progress.erased", "a", second=30)])
    assert [one["data"].get("score") for one in exchange(ada)["events"]] == [None, 8, 8, None]


def test_a_late_device_cannot_bring_back_what_was_erased(ada):
    exchange(ada, [raw_event(4, "progress.erased", "*", second=30)])
    exchange(ada, [scored(1, second=5)])
    assert exchange(ada)["events"][1]["data"] == {}


@pytest.mark.parametrize("late", [False, True])
def test_an_erasure_takes_the_events_that_it_names(ada, late):
    ahead = scored(1, second=59)
    erasure = raw_event(2, "progress.erased", "*", second=30, data={"also": [ahead["id"]]})
    for sent in [erasure, ahead] if late else [ahead, erasure]:
        exchange(ada, [sent])
    assert all("score" not in one["data"] for one in exchange(ada)["events"])


def test_a_page_of_another_account_is_told_so_and_nothing_is_kept(client, ada):
    client.force_login(ada)
    body = json.dumps({"device": DEVICE, "cursor": 0, "events": [scored(1)], "account": "bob"})
    assert client.post("/progress/sync", body, "application/json").status_code == 409
    assert not ProgressEvent.objects.exists()
    mine = client.post("/progress/sync", body.replace("bob", "ada"), "application/json")
    assert mine.status_code == 200


def test_learners_see_nothing_of_each_other(ada):
    bob = get_user_model().objects.create_user("bob", password="x")
    exchange(ada, [scored(1)])
    assert exchange(bob, [scored(1, 3)])["events"] == []
    assert exchange(bob)["events"] == [scored(1, 3)]


def test_a_cursor_from_beyond_the_end_gets_everything(ada):
    exchange(ada, [scored(1)])
    assert len(exchange(ada, cursor=999)["events"]) == 1


def test_signed_out_is_401_and_a_get_405(client):
    assert client.post("/progress/sync", "{}", "application/json").status_code == 401
    assert client.get("/progress/sync").status_code == 405


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b"[]", 400),
        (b'{"device": "x"}', 400),
        (json.dumps({"device": DEVICE, "cursor": -1}).encode(), 400),
        (json.dumps({"device": DEVICE, "cursor": 2**64}).encode(), 400),
        (json.dumps({"device": DEVICE, "cursor": 1.5}).encode(), 400),
        (json.dumps({"device": DEVICE, "events": {}}).encode(), 400),
        (json.dumps({"device": DEVICE, "events": [{}] * 1001}).encode(), 413),
        (b" " * 1_048_577, 413),
        (b" " * 4_000_000, 413),
        (json.dumps({"device": DEVICE, "cursor": 0, "events": [{}]}).encode(), 200),
    ],
)
def test_the_request_as_a_whole(client, ada, body, status):
    client.force_login(ada)
    answer = client.post("/progress/sync", body, "application/json")
    assert answer.status_code == status


def post(client, body):
    return client.post("/progress/sync", body, "application/json")


def test_a_device_that_held_a_deleted_account_is_told_so_and_brings_nothing_into_another(
    client, ada
):
    old = exchange(ada, [scored(1)])["log"]
    assert sync.deleted([old]) == []
    sync.delete_account(ada)
    assert DeletedLog.objects.count() == 1
    again = get_user_model().objects.create_user("ada", password="x")  # somebody else
    client.force_login(again)
    body = {"device": DEVICE, "account": "ada", "log": old, "cursor": 1, "events": [scored(2)]}
    assert post(client, json.dumps(body)).status_code == 410
    assert not ProgressEvent.objects.exists()
    new = post(client, json.dumps(body | {"log": None})).json()["log"]
    assert post(client, json.dumps(body | {"log": new})).status_code == 200


def test_anybody_may_ask_which_logs_were_deleted_and_learns_nothing_else(client, ada):
    log = exchange(ada)["log"]
    names = [log, "x", "", "\0", DEVICE, f"{log}.{DEVICE}"]
    assert client.get("/progress/deleted", {"log": names}).json() == {"deleted": []}
    sync.delete_account(ada)
    assert client.get("/progress/deleted", {"log": names}).json() == {"deleted": [log, names[-1]]}


def test_deleting_the_account_on_its_page_leaves_nothing_but_the_logs_key(client, ada):
    exchange(ada, [scored(1)])
    client.force_login(ada)
    client.post("/accounts/delete/")
    assert not get_user_model().objects.exists()
    assert not ProgressEvent.objects.exists()
    assert DeletedLog.objects.count() == 1


@pytest.mark.parametrize(
    "bad",
    [
        '{"score": ' + "9" * 5000 + "}",
        '{"x": 1e999}',
        '{"x": ' + "[" * 25 + "]" * 25 + "}",
        '{"x": ' + "[" * 900 + "]" * 900 + "}",
        '{"x": ' + "[" * 100_000 + '"]["' + "]" * 100_000 + "}",
        '{"x": ' + '{"a": ' * 100_000 + "1" + "}" * 100_000 + "}",
        '{"x": "' + "a" * 17_000 + '"}',
    ],
    ids=["huge", "infinite", "deep", "deeper", "deepest", "deepest-object", "long"],
)
def test_one_events_endless_data_spoils_no_other_event(client, ada, bad):
    client.force_login(ada)
    spoilt = json.dumps(raw_event(1)).replace('"data": {}', f'"data": {bad}')
    body = f'{{"device": "{DEVICE}", "events": [{spoilt}, {json.dumps(scored(2))}]}}'
    answer = post(client, body)
    assert answer.status_code == 200
    assert [it["id"] for it in answer.json()["rejected"]] == [raw_event(1)["id"]]
    assert str(ProgressEvent.objects.get().event_id) == scored(2)["id"]
    assert post(client, f'{{"device": "{DEVICE}"}}').status_code == 200


@pytest.mark.parametrize("levels", range(300, 1000, 100))
def test_no_depth_of_nesting_is_kept_that_cannot_be_answered(client, ada, levels):
    client.force_login(ada)
    deep = json.dumps(raw_event(1)).replace('"data": {}', '"data": {"x": ' + nested(levels) + "}")
    assert post(client, f'{{"device": "{DEVICE}", "events": [{deep}]}}').status_code == 200
    assert post(client, f'{{"device": "{DEVICE}", "x": {nested(levels)}}}').status_code == 200


def nested(levels):
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        ("0000-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00Z", True),
        ("0001-01-01T00:00:00+14:00", False),
        ("9999-12-31T23:59:59.999999Z", True),
        ("9999-12-31T23:59:59-01:00", False),
        ("2026-11-23T10:00:00", False),
        ("2026-11-23", False),
        ("2026-02-30T10:00:00Z", False),
        ("2026-11-23T10:00:60Z", False),
        ("2026-11-23T10:00:00+99:99", False),
        ("٢٠٢٦-11-23T10:00:00Z", False),
        (1763892000, False),
        (None, False),
    ],
)
def test_times_are_kept_as_written_or_rejected(client, either_database, ada, at, kept):
    client.force_login(ada)
    body = {"device": DEVICE, "events": [scored(1) | {"at": at}, scored(2)]}
    assert len(post(client, json.dumps(body)).json()["rejected"]) == (not kept)
    found = exchange(ada)["events"]
    assert [it["at"] for it in found] == [at, scored(2)["at"]][not kept :]
    assert client.get("/review/").status_code == 200


def test_lessons_that_are_gone_or_never_were_and_odd_strings_are_kept(client, either_database, ada):
    client.force_login(ada)
    odd = raw_event(1, "review.answered", "never-was", 0, {"question": "\0\ud800", "choice": 1})
    scores = raw_event(
        2, "quiz.scored", "never-was", 0, {"score": 1, "of": 2, "answers": {"\0": 1}}
    )
    assert post(client, json.dumps({"device": DEVICE, "events": [odd, scores]})).status_code == 200
    assert exchange(ada)["events"] == [odd, scores]
    for address in ("/review/", "/progress/", "/progress/export", "/progress/export?format=xapi"):
        assert client.get(address).status_code == 200


def test_of_two_equal_names_in_an_object_the_last_counts(client, ada):
    client.force_login(ada)
    body = '{"device": "x", "device": "%s", "events": [], "events": [%s]}'
    answer = post(
        client, body % (DEVICE, json.dumps(scored(1)).replace('"a"', '"b", "lesson": "a"'))
    )
    assert answer.json()["rejected"] == []
    assert exchange(ada)["events"] == [scored(1)]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
nearly = st.builds(
    lambda number, change: scored(number) | change,
    st.integers(1, 2**40),
    st.dictionaries(st.sampled_from(sorted(events.FIELDS)), anything, max_size=2),
)


def is_strict_json(body: str) -> bool:
    """Whether no NaN or Infinity stands in it as a number; Python's json writes and reads them."""
    constants: list[str] = []
    json.loads(body, parse_constant=constants.append)
    return not constants


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(nearly | anything, max_size=6), anything)
@example([{"NaN": None}], None)
def test_anything_at_all_is_answered_and_every_valid_event_kept(client, ada, sent, cursor):
    client.force_login(ada)
    valid = scored(7, 9)
    body = json.dumps({"device": DEVICE, "cursor": cursor, "events": [*sent, valid]})
    assert client.post("/progress/sync", body, "application/json").status_code < 500
    body = json.dumps({"device": DEVICE, "cursor": 0, "events": [*sent, valid]})
    answer = client.post("/progress/sync", body, "application/json")
    strict = is_strict_json(body)
    assert answer.status_code == (200 if strict else 400)
    if strict:
        assert ProgressEvent.objects.filter(event_id=valid["id"]).exists()
