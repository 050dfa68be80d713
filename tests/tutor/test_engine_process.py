"""`manage.py engine` with real models: another one for the tutor, draining, a useless file."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from tests.quant.conftest import write_tiny_model

CHAT, EMBEDDER = "smollm2-135m-instruct-Q4_1.gguf", "all-minilm-l6-v2-F32.gguf"
LESSON = {"role": "system", "content": "Answer from this lesson: smaller files need less memory."}


class Engine:
    """The command in a process of its own, its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "engine", "--port", str(port)],
            cwd=settings.BASE_DIR,
            env=os.environ | {"OPENBOOK_DATA": str(folder), "TUTOR_MODEL": ""},
            stderr=subprocess.PIPE,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            assert time.monotonic() < deadline

    def _answers(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def model(self) -> str:
        return str(self.client.get("/health").json()["model"])

    def use(self, path: Path | None) -> httpx.Response:
        return self.client.post("/model", json={"model": str(path) if path else None})

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=30)

    def close(self) -> None:
        self.end(signal.SIGKILL)
        self.client.close()


class Reading(threading.Thread):
    """A learner's streamed answer: which models wrote it, and how it ended."""

    def __init__(self, engine: Engine, question: str, tokens: int) -> None:
        super().__init__()
        self.engine, self.chunks = engine, 0
        self.accepted, self.began = threading.Event(), threading.Event()
        self.models: set[str] = set()
        self.reason = ""
        self.body = {
            "messages": [LESSON, {"role": "user", "content": question}],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        self.start()

    def run(self) -> None:
        with self.engine.client.stream("POST", "/v1/chat/completions", json=self.body) as answer:
            assert answer.status_code == 200
            self.accepted.set()
            for line in answer.iter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line[6:])
                self.models.add(chunk["model"])
                self.chunks += "content" in chunk["choices"][0]["delta"]
                self.reason = chunk["choices"][0]["finish_reason"] or self.reason
                if self.chunks > 3:
                    self.began.set()


StartEngine = Callable[[], Engine]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    for name in (CHAT, EMBEDDER):
        (tmp_path / "models" / name).symlink_to(settings.MODELS_DIR / name)
    return tmp_path


@pytest.fixture
def start(data: Path) -> Iterator[StartEngine]:
    engines: list[Engine] = []

    def make() -> Engine:
        engines.append(Engine(data))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def test_another_model_takes_over_while_answers_stream(start: StartEngine, data: Path) -> None:
    engine = start()
    usual = engine.model()
    other = Path(shutil.copy(settings.MODELS_DIR / CHAT, data / "models" / "other-Q4_1.gguf"))
    before = [Reading(engine, f"Question {i}?", 150) for i in range(4)]
    for reading in before:
        assert reading.began.wait(60)
    assert engine.use(other).json() == {"model": "other-Q4_1"}
    after = [Reading(engine, f"Question {i}?", 20) for i in range(4)]
    for reading in before + after:
        reading.join(120)
    assert {reading.reason for reading in before + after} == {"length"}
    assert [reading.models for reading in before] == [{usual}] * 4
    assert [reading.models for reading in after] == [{"other-Q4_1"}] * 4

    engine.end(signal.SIGKILL)
    again = start()
    assert again.model() == "other-Q4_1"
    assert again.use(None).json() == {"model": usual}
    again.end(signal.SIGKILL)

    third = start()
    assert third.model() == usual
    assert third.use(other).status_code == 200
    third.end()
    other.unlink()
    assert start().model() == usual
    assert "other-Q4_1.gguf" in json.loads((data / "tutor_model.json").read_text())["trouble"]


def test_a_file_that_cannot_be_used_leaves_the_old_model(start: StartEngine, data: Path) -> None:
    engine = start()
    usual = engine.model()
    broken = data / "models" / "broken-Q4_0.gguf"
    broken.write_bytes((settings.MODELS_DIR / CHAT).read_bytes()[:1_000_000])
    embedder = data / "models" / EMBEDDER
    for path, says in ((broken, "broken"), (embedder, "embedder"), (data / "none.gguf", "none")):
        response = engine.use(path)
        assert response.status_code == 400
        assert says in response.json()["error"]["message"]
    plain = engine.client.post("/model", content='{"model": null}')
    assert plain.status_code == 415, "another site's page could have sent this"
    assert engine.model() == usual
    assert not (data / "tutor_model.json").exists()
    reading = Reading(engine, "And now?", 5)
    reading.join(60)
    assert reading.reason == "length"
    tiny = write_tiny_model(data / "models" / "tiny-F32.gguf")
    assert engine.use(tiny).json() == {"model": "tiny-F32"}


def test_told_to_end_it_finishes_what_it_began(start: StartEngine) -> None:
    engine = start()
    readings = [Reading(engine, f"Question {i}?", 8) for i in range(2)]
    for reading in readings:
        assert reading.accepted.wait(60)
    engine.end()
    for reading in readings:
        reading.join(30)
        assert reading.reason == "length"
    assert engine.process.returncode == 0
