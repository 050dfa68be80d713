"""Whatever comes in over HTTP is answered, never with a fault of the engine's own."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tutor.test_engine import Served, ask, loading, served

__all__ = ["loading", "served"]

PATHS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/model",
]
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(st.characters(), max_size=20),  # half surrogate pairs too
    st.just("\ud800"),
    st.just("\0"),
)
values = st.recursive(
    odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "robot"]) | odd, "content": values}
)
NUMBERS = "temperature top_k top_p min_p repeat_penalty frequency_penalty presence_penalty seed"
OTHERS = "stop user ignore_eos stream stream_options prompt input question passages model"
fields: dict[str, Any] = dict.fromkeys([*NUMBERS.split(" "), *OTHERS.split(" ")], values)
bodies = st.fixed_dictionaries(
    {}, optional=fields | {"messages": st.lists(message, max_size=3), "max_tokens": odd}
)


def post(served: Served, path: str, content: bytes) -> int:
    return served.client.post(
        path, content=content, headers={"Content-Type": "application/json"}
    ).status_code


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), body=bodies)
def test_odd_fields_are_no_fault_of_ours(served: Served, path: str, body: dict[str, Any]) -> None:
    body = ask(**body) if path.endswith("chat/completions") and "messages" not in body else body
    if body.get("max_tokens") is None:
        body["max_tokens"] = 2
    assert post(served, path, json.dumps(body).encode()) < 500


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), content=st.binary(max_size=60))
def test_bytes_that_mean_nothing_are_refused(served: Served, path: str, content: bytes) -> None:
    assert 400 <= post(served, path, content) < 500


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 500_000,
        b'{"a":' * 150_000,
        b'{"max_tokens": ' + b"9" * 5000 + b"}",
        b"x" * 10_000_000,
    ],
    ids=["lists", "objects", "number", "10 MB"],
)
def test_deep_or_huge_bodies_are_refused(served: Served, path: str, content: bytes) -> None:
    assert 400 <= post(served, path, content) < 500
    assert served.client.get("/health").status_code == 200


@pytest.mark.parametrize("text", ["a", " ", "1", "\n", "é", "\U0001f600", "a1 "])
def test_a_text_of_a_million_bytes_is_refused(served: Served, text: str) -> None:
    text *= 1_000_000 // len(json.dumps(text))
    chat = {"messages": [{"role": "user", "content": text}]}
    assert served.client.post("/v1/chat/completions", json=chat).status_code == 400
    assert served.client.post("/v1/completions", json={"prompt": text}).status_code == 400


def test_half_a_surrogate_pair_is_read_as_a_question_mark(served: Served) -> None:
    body = json.dumps(ask(messages=[{"role": "user", "content": "\ud800?"}])).encode()
    assert post(served, "/v1/chat/completions", body) == 200
