import json

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile

from lessons import events, export, sync

SITE = "http://localhost:8000"
pytestmark = pytest.mark.django_db


def raw_event(number, kind="lesson.opened", data=None):
    return {
        "id": f"00000000-0000-7000-8000-{number:012x}",
        "type": kind,
        "lesson": "a-lesson",
        "at": f"2026-11-23T10:00:{number:02}.000Z",
        "data": data or {},
    }


SCORED = raw_event(2, "quiz.scored", {"score": 7, "of": 10, "answers": {"q": 1}})


@pytest.fixture
def ada(client):
    user = get_user_model().objects.create_user("ada", "ada@example.org", "x")
    client.force_login(user)
    return user


def test_a_score_becomes_a_statement_with_its_result():
    [statement] = export.statements({"username": "ada"}, [events.parse(SCORED)], SITE)
    assert statement["id"] == SCORED["id"]
    assert statement["result"]["score"] == {"raw": 7, "min": 0, "max": 10, "scaled": 0.7}
    assert statement["object"]["id"] == f"{SITE}/lessons/a-lesson/"


def test_what_was_erased_is_in_no_statement():
    kept = [events.parse(SCORED), events.parse(raw_event(3, "progress.erased"))]
    assert export.statements({}, kept, SITE) == []


def test_an_export_goes_back_in_whole(client, ada):
    sync.keep(ada, [events.parse(raw_event(1)), events.parse(SCORED)])
    file = client.get("/progress/export").content
    assert json.loads(file)["learner"] == {"username": "ada", "email": "ada@example.org"}
    bob = get_user_model().objects.create_user("bob", password="x")
    client.force_login(bob)
    answer = client.post("/progress/import", {"file": SimpleUploadedFile("p.json", file)})
    assert answer.json() == {"added": 2, "known": 0, "rejected": []}
    assert sync.events_of(bob) == sync.events_of(ada)
    again = client.post("/progress/import", file, "application/json")
    assert again.json()["added"] == 0


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"format": "openbook-progress-1"}'])
def test_another_file_is_refused_with_a_reason(client, ada, body):
    answer = client.post("/progress/import", body, "application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_signed_out_there_is_nothing_to_export_here(client):
    assert client.get("/progress/export").status_code == 302


def test_signed_out_a_file_is_checked_and_given_back_to_the_browser(client, db):
    file = json.dumps({"format": export.FORMAT, "events": [SCORED, {"id": "bad"}]})
    answer = client.post("/progress/import", file, "application/json").json()
    assert answer["events"] == [SCORED]
    assert [one["id"] for one in answer["rejected"]] == ["bad"]


def test_signed_out_a_file_becomes_statements(client, db):
    file = json.dumps({"format": export.FORMAT, "events": [SCORED]})
    [statement] = client.post("/progress/export", file, "application/json").json()
    assert statement["id"] == SCORED["id"]


def test_deleting_the_account_deletes_it_all_and_says_so_first(client, ada):
    sync.keep(ada, [events.parse(SCORED)])
    assert b"cannot be undone" in client.get("/accounts/delete/").content
    assert get_user_model().objects.exists()
    assert client.post("/accounts/delete/").status_code == 302
    assert not get_user_model().objects.exists()
    assert client.post("/progress/sync", "{}", "application/json").status_code == 401
