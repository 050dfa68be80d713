"""Chat servers to measure, and learners who ask them: streamed answers over plain sockets.

The client must cost next to nothing: it shares the machine with what it measures.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx

ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("OPENBOOK_DATA") or ROOT / "var") / "models"
MODEL = MODELS / "smollm2-135m-instruct-Q4_1.gguf"
LESSON_CHARACTERS = 2400  # about 600 tokens
QUESTIONS = (
    "What does this lesson warn about?",
    "Which of these choices is the safest one, and why?",
    "Can I run this on an old laptop?",
    "How much memory would that take?",
    "Explain the first point more simply.",
    "What should I practise first?",
    "Is a smaller file always faster?",
    "Whom should I check the result with?",
)


@dataclass(frozen=True)
class Answered:
    """One learner's answer. Seconds since it was asked for."""

    first: float
    total: float
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True)
class Together:
    answers: list[Answered]
    seconds: float

    @property
    def first(self) -> float:
        """The median learner's time to the first token."""
        return median(answer.first for answer in self.answers)

    @property
    def rate(self) -> float:
        """Tokens a second, all learners together."""
        return sum(answer.tokens for answer in self.answers) / self.seconds


@dataclass(frozen=True)
class ChatServer:
    name: str
    port: int
    process: "subprocess.Popen[bytes]"

    def ask(self, lesson: str, questions: Sequence[str], tokens: int) -> Together:
        """Every question at once, each by a learner of its own, so many tokens of answer each."""

        async def all_of_them() -> list[Answered]:
            asked = (_ask(self.port, _request(lesson, each, tokens)) for each in questions)
            return await asyncio.gather(*asked)

        began = time.perf_counter()
        answers = asyncio.run(all_of_them())
        return Together(answers, time.perf_counter() - began)

    def processor_seconds(self) -> float:
        """Time on a processor, since it started."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _request(lesson: str, question: str, tokens: int) -> bytes:
    messages = [{"role": "system", "content": lesson}, {"role": "user", "content": question}]
    body = {
        "messages": messages,
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    data = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


async def _ask(port: int, request: bytes) -> Answered:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    status = await reader.readline()
    if b" 200 " not in status:
        raise SystemExit(f"port {port}: {status.decode()} {(await reader.read()).decode()[:500]}")
    first, last = 0.0, b""
    async for line in reader:
        if not line.startswith(b"data: {"):
            continue
        last = line
        if not first and json.loads(line[6:])["choices"][0]["delta"].get("content"):
            first = time.perf_counter() - began
    writer.close()
    usage = json.loads(last[6:])["usage"]
    total = time.perf_counter() - began
    return Answered(first or total, total, usage["prompt_tokens"], usage["completion_tokens"])


def lesson(mark: str) -> str:
    """A system message of about 600 tokens that no server has seen: its first word differs."""
    files = sorted((ROOT / "lessons" / "content").glob("*/*/lesson.md"))
    file = files[sum(mark.encode()) % len(files)]
    text = file.read_text(encoding="utf-8").split("---", 2)[2].strip()
    return f"[{mark}] Answer from this lesson only, in a sentence or two.\n{text}"[
        :LESSON_CHARACTERS
    ]


def fresh(mark: str, learners: int) -> list[str]:
    """Questions that nobody asked before, as long for each server."""
    return [f"({mark}{i:02}) {QUESTIONS[i % len(QUESTIONS)]}" for i in range(learners)]


def threads() -> int:
    return len(os.sched_getaffinity(0))


@contextmanager
def ours() -> Iterator[ChatServer]:
    """manage.py engine, its data (pinned lessons) in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="openbook-bench-") as folder:
        (Path(folder) / "models").symlink_to(MODELS.resolve())
        environment = os.environ | {"OPENBOOK_DATA": folder, "TUTOR_MODEL": str(MODEL)}
        command = [sys.executable, "manage.py", "engine", "--port"]
        with _serving("ours", command, environment) as server:
            yield server


@contextmanager
def llama_server(program: str) -> Iterator[ChatServer]:
    """llama.cpp's own: eight slots over one shared context as large as ours."""
    command = [program, "-m", str(MODEL), "-np", "8", "--kv-unified", "-c", "16384"]
    command += ["-t", str(threads()), "-tb", str(threads()), "--port"]
    with _serving("llama-server", command, dict(os.environ)) as server:
        yield server


@contextmanager
def _serving(name: str, command: list[str], environment: dict[str, str]) -> Iterator[ChatServer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, str(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(name, port, process)
        yield ChatServer(name, port, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(name: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(f"{name} did not start")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{name} does not answer on port {port}")
