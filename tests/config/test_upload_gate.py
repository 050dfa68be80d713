import asyncio
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from config.upload_gate import gate
from lessons.classes import make_teacher


@pytest.fixture(autouse=True)
def store(settings, tmp_path) -> None:
    settings.MODELS_DIR, settings.UPLOAD_LIMIT = tmp_path, 1000
    settings.ALLOWED_HOSTS = ["localhost"]


def sent(path: str, headers: dict[bytes, bytes], method: str = "POST") -> tuple[int, bytes]:
    """What is answered; 200 where the request got through. Nothing is ever read of its body."""
    answers: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": list(headers.items()),
    }
    asyncio.run(gate(application)(scope, receive, send))
    return answers[0]["status"], answers[1]["body"]


@pytest.mark.django_db(transaction=True)
def test_an_upload_is_refused_by_its_head(settings):
    assert sent("/lab/models/", {b"content-length": b"1000"})[0] == 200
    status, message = sent("/lab/models/", {b"content-length": b"1001"})
    assert (status, b"OPENBOOK_UPLOAD_LIMIT" in message) == (413, True)
    assert sent("/lab/models/", {})[0] == 411
    assert sent("/lab/models/", {b"content-length": b"-1"})[0] == 411
    settings.UPLOAD_LIMIT = 10**18
    assert sent("/lab/models/", {b"content-length": b"9" * 17})[0] == 507


@pytest.mark.django_db(transaction=True)
def test_where_others_come_in_only_a_teacher_gets_that_far(settings):
    settings.ALLOWED_HOSTS = ["openbook.school.lan"]
    status, message = sent("/lab/models/", {b"content-length": b"10", b"cookie": b"sessionid=x"})
    assert (status, b"teacher" in message) == (403, True)
    client, teacher = Client(), get_user_model().objects.create_user("ada")
    make_teacher(teacher)
    client.force_login(teacher)
    cookie = f"sessionid={client.cookies['sessionid'].value}".encode()
    assert sent("/lab/models/", {b"content-length": b"10", b"cookie": cookie})[0] == 200


def test_other_pages_are_left_alone_but_for_the_size():
    assert sent("/lab/", {}, "GET")[0] == 200
    assert sent("/lab/", {b"content-length": b"900"})[0] == 200
    assert sent("/lab/", {b"content-length": b"1001"})[0] == 413
