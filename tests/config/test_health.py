import pytest

from config import health


@pytest.mark.django_db
def test_a_part_that_fails_says_why_and_lessons_decide(client, monkeypatch):
    def broken():
        raise ConnectionError("nobody there")

    parts = {"database": lambda: "ok", "lessons": lambda: "ok", "redis": broken}
    monkeypatch.setattr(health, "PARTS", parts)
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "parts": {"database": "ok", "lessons": "ok", "redis": "ConnectionError: nobody there"},
    }
    monkeypatch.setitem(parts, "lessons", lambda: "no lessons loaded")
    assert client.get("/healthz").status_code == 503


def test_every_part_of_the_site_is_asked():
    assert list(health.PARTS) == ["database", "redis", "worker", "engine", "models", "lessons"]
