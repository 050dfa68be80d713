"""The written part: from a chat server's stream to sentences that the quotes support.

The engine with a tiny model shows that a real server's stream is understood. A scripted server
stands in for models that say what a tiny one never would, and for servers that fail.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient
from django.urls import reverse

from quant.llama import Model
from tests.lessons.samples import make_lesson
from tests.tutor.sentences import CACHE
from tests.tutor.test_engine import Served
from tutor import answer, asking, writing
from tutor.answer import Answer, cite
from tutor.index import LessonIndex, Quotable

PASSAGE = Quotable("p-1", "The premise", "sentence", CACHE.text, "")
INDEX = LessonIndex("cache", "The KV cache", "Notes.", [PASSAGE], None)
QUOTES = Answer("quote", citations=cite([PASSAGE]))
SUPPORTED = "The KV cache grows with every token."


class Scripted(ThreadingHTTPServer):
    """Sends `text` word by word, or `raw` as it is; keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text, self.raw, self.status, self.endless = "", b"", 200, False
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gone = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        self._send(json.dumps({"data": [{"id": "first"}]}).encode())

    def do_POST(self) -> None:
        script = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script.bodies.append(json.loads(body))
        script.headers.append(dict(self.headers))
        if script.raw or script.status != 200:
            self._send(script.raw, script.status)
            return
        self._send(b"")
        words = [f"{word} " for word in script.text.split(" ")]
        try:
            for word in words:
                self._chunk(word)
            while script.endless:
                self._chunk("and so on ")
                time.sleep(0.01)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            script.gone.set()

    def _chunk(self, word: str) -> None:
        chunk = {"choices": [{"index": 0, "delta": {"content": word}}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

    def _send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.endless = False
    server.shutdown()
    thread.join()
    server.server_close()
    writing.forget_failures()


def written(server: writing.Server, question: str = "Why?") -> list[str]:
    async def all_of_it() -> list[str]:
        return [s async for s in writing.sentences(question, INDEX, QUOTES, [], server)]

    return asyncio.run(all_of_it())


def test_shows_what_is_supported_and_drops_the_rest(scripted: Scripted) -> None:
    scripted.text = (
        f"Yes, the KV cache grows with every token. It was invented in 2017. {CACHE.text}"
    )
    assert written(writing.Server(scripted.url)) == [SUPPORTED]


def test_leaves_out_thinking_lists_and_emphasis(scripted: Scripted) -> None:
    scripted.text = f"<think>Long chats. No.</think>\n- **The KV cache** {SUPPORTED[13:]}\n"
    assert written(writing.Server(scripted.url)) == [SUPPORTED]


def test_a_sentence_that_was_cut_off_is_not_shown(scripted: Scripted) -> None:
    scripted.text = "The KV cache grows with every"
    assert written(writing.Server(scripted.url)) == []


def test_the_system_message_is_the_same_for_every_question(scripted: Scripted) -> None:
    for question in ("Why?", "What is <|im_end|> a cache?"):
        written(writing.Server(scripted.url, "secret", "mine"), question)
    first, second = scripted.bodies
    assert first["messages"][0] == second["messages"][0]
    assert CACHE.text in first["messages"][0]["content"]
    assert "Why?" in first["messages"][1]["content"]
    assert first["model"] == "mine"
    assert scripted.headers[0]["Authorization"] == "Bearer secret"


def test_a_server_is_asked_for_its_models_where_none_is_named(scripted: Scripted) -> None:
    written(writing.Server(scripted.url))
    assert scripted.bodies[0]["model"] == "first"
    assert "Authorization" not in scripted.headers[0]


@pytest.mark.parametrize(
    "raw",
    [
        b"data: not json\n\n",
        b'data: {"choices": 3}\n\n',
        b'data: {"error": {"message": "overloaded"}}\n\n',
        b'data: [1, 2]\n\ndata: "x"\n\n',
        b'data: {"choices": [{"delta": null}]}\n\n',
        b"<html>\xff\x00",
    ],
)
def test_nonsense_leaves_the_quotes_alone(scripted: Scripted, raw: bytes) -> None:
    scripted.raw = raw
    assert written(writing.Server(scripted.url)) == []


def test_a_server_that_failed_is_left_alone_for_a_moment(scripted: Scripted) -> None:
    scripted.status = 500
    server = writing.Server(scripted.url)
    assert written(server) == written(server) == []
    assert len(scripted.bodies) == 1


def test_a_server_that_is_away_is_no_error() -> None:
    assert written(writing.Server("http://127.0.0.1:9")) == []
    writing.forget_failures()


def test_a_silent_server_is_given_up(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ALTOGETHER", 2.0)
    scripted.text, scripted.endless = SUPPORTED + " Next", True
    assert written(writing.Server(scripted.url)) == [SUPPORTED]
    assert scripted.gone.wait(10)


def test_stopping_closes_the_request(scripted: Scripted) -> None:
    scripted.text, scripted.endless = SUPPORTED + " Next", True

    async def stop_after_one() -> str:
        stream = writing.sentences("Why?", INDEX, QUOTES, [], writing.Server(scripted.url))
        async with aclosing(stream):
            return await anext(stream)

    assert asyncio.run(stop_after_one()) == SUPPORTED
    assert scripted.gone.wait(10)


def test_the_engines_stream_is_understood(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "TOKENS", 20)
    served = Served(tiny, tmp_path)
    try:
        served.wait()
        url = str(served.client.base_url).rstrip("/")

        async def text() -> str:
            said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
            return "".join([t async for t in writing._tokens(writing.Server(url), said)])

        assert asyncio.run(text())
        assert written(writing.Server(url)) == []  # the lesson does not fit: the quotes stand
    finally:
        served.close()


@pytest.mark.parametrize(
    ("url", "writes", "host"),
    [
        ("", "auto", ""),
        ("http://localhost:8080", "auto", ""),
        ("http://127.0.0.1:8080", "auto", ""),
        ("http://[::1]:8080", "auto", ""),
        ("http://192.168.1.7:8080", "auto", "192.168.1.7"),
        ("https://models.example.org/x", "yes", "models.example.org"),
        ("https://models.example.org/x", "no", ""),
    ],
)
def test_says_which_other_machine_questions_go_to(
    settings: Any, url: str, writes: str, host: str
) -> None:
    settings.TUTOR_URL, settings.TUTOR_WRITES = url, writes
    assert writing.sent_to() == host


def test_the_small_model_writes_only_if_told_to(settings: Any) -> None:
    settings.TUTOR_URL, settings.TUTOR_WRITES = "", "auto"
    assert writing.server() is None
    settings.TUTOR_WRITES = "yes"
    assert writing.server() == writing.Server(settings.ENGINE_URL, "", settings.TUTOR_MODEL)


@pytest.fixture
def lesson(scripted: Scripted, settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    settings.TUTOR_URL, settings.TUTOR_WRITES = scripted.url, "auto"
    # What is quoted is ranking's business, and this lesson of one sentence is none to rank.
    monkeypatch.setattr(answer, "answer", lambda *_, **__: QUOTES)
    made = make_lesson(1, slug="cache")
    made.passages.update(text=CACHE.text)
    return made.slug


QUESTION = "Why do long chats need more memory?"


@pytest.mark.django_db(transaction=True)
def test_the_stream_has_quotes_then_the_written_part_then_its_end(
    scripted: Scripted, lesson: str
) -> None:
    scripted.text = f"{SUPPORTED} <script>alert(1)</script> Long chats need less memory."

    async def events() -> str:
        address = f"{reverse('tutor_stream', args=[lesson])}"
        response = await AsyncClient().get(address, {"q": QUESTION})
        return b"".join([piece async for piece in response.streaming_content]).decode()

    said = asyncio.run(events())
    names = [line[7:] for line in said.splitlines() if line.startswith("event: ")]
    assert names == ["answer", "written", "done"]
    assert '<p class="written">' in said  # the place where the page puts the sentences
    assert f"<span>{SUPPORTED} </span>" in said
    assert "script" not in said


@pytest.mark.django_db
def test_a_written_answer_has_its_quotes_as_citations(scripted: Scripted, lesson: str) -> None:
    scripted.text = SUPPORTED
    found = asking.whole(lesson, QUESTION, None).answer.as_json()
    assert (found["kind"], found["covered"]) == ("written", True)
    assert str(found["answer"]).endswith(SUPPORTED)
    assert CACHE.text in str(found["answer"])
    assert [c["quote"] for c in found["citations"]] == [CACHE.text]  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_the_page_without_javascript_has_the_written_part_too(
    scripted: Scripted, lesson: str, client: Any
) -> None:
    scripted.text = SUPPORTED
    page = client.get(reverse("tutor", args=[lesson]), {"q": QUESTION}).content.decode()
    assert f"<span>{SUPPORTED} </span>" in page
