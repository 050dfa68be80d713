"""The whole site as `make run` starts it: real processes, killed for real."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

LESSON = "ai-model-quantization-4-bit-8-bit-fp16-tradeoffs"
QUESTIONS = ("What is FP16?", "What is a quant?", "What is INT8?", "What is self-hosting?")
ROOT = Path(__file__).resolve().parents[2]
MODELS = Path(os.environ.get("OPENBOOK_DATA") or ROOT / "var") / "models"


def two_free_ports():
    """PORT and the one after it, which the engine takes."""
    while True:
        with socket.create_server(("localhost", 0)) as web:
            port = web.getsockname()[1]
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def wait_for(condition, seconds, what):
    until = time.monotonic() + seconds
    while not (seen := condition()):
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return seen


def processes_of(data):
    """Process ids by command line, of everything that runs on this data folder."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_text().replace("\0", " ").strip()
            ours = f"OPENBOOK_DATA={data}\0" in (folder / "environ").read_text(errors="replace")
            if line and (ours or str(data) in line):  # a zombie has no line, Redis no environment
                found[int(folder.name)] = line
    return found


class Stack:
    def __init__(self, data):
        self.data = data
        self.port = two_free_ports()
        self.environment = os.environ | {
            "OPENBOOK_DATA": str(data),
            "PORT": str(self.port),
            "HOST": "localhost",
            "ENGINE_PORT": "",
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "TUTOR_URL": "",
            "TUTOR_MODEL": "",
            "TUTOR_WRITES": "yes",
        }
        self.manage("migrate", "-v0")
        self.manage("load_lessons")  # before the models are there: seconds instead of minutes
        self.manage("collectstatic", "--noinput", "-v0")
        (data / "models").symlink_to(MODELS.resolve(), target_is_directory=True)

    def command(self, *arguments):
        return [sys.executable, "manage.py", *arguments]

    def manage(self, *arguments):
        subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def start(self):
        self.process = subprocess.Popen(
            self.command("start"),
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.process.stdout:
            if "Openbook is at" in line:
                return line
        raise AssertionError("it ended before it was ready")

    def health(self):
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://localhost:{self.port}/healthz", timeout=10).json()["parts"]
        return {}

    def engine(self):
        """The engine's own account of its requests; {} while it is away."""
        with contextlib.suppress(httpx.HTTPError):
            found = httpx.get(f"http://127.0.0.1:{self.port + 1}/health", timeout=5)
            return found.json() if found.status_code == 200 else {}
        return {}

    def pid_of(self, word):
        return next(pid for pid, line in processes_of(self.data).items() if word in line)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        rest = self.process.communicate(timeout=60)[0]
        return self.process.returncode, rest


class Learner(threading.Thread):
    """Asks the tutor as the page does, and keeps the events: (name, HTML) each."""

    count = 0

    def __init__(self, stack, question):
        super().__init__()
        Learner.count += 1
        self.cookie = f"learner{Learner.count:025}"  # one browser each, for the rate limit
        self.url = f"http://localhost:{stack.port}/lessons/{LESSON}/tutor/stream"
        self.question, self.events, self.status = question, [], 0
        self.start()

    def run(self):
        cookies = {"csrftoken": self.cookie}
        with (
            httpx.Client(cookies=cookies, timeout=120) as client,
            client.stream("GET", self.url, params={"q": self.question}) as response,
        ):
            self.status = response.status_code
            for line in response.iter_lines():
                if line.startswith("event: "):
                    self.events.append((line.removeprefix("event: "), []))
                elif line.startswith("data: "):
                    self.events[-1][1].append(line.removeprefix("data: "))

    @property
    def said(self):
        return [name for name, _ in self.events if name != "written"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("data"))
    try:
        stack.line = stack.start()
        yield stack
    finally:
        for pid in processes_of(stack.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_the_address_comes_last_and_every_part_is_ok(stack):
    assert f"http://localhost:{stack.port}/" in stack.line
    assert set(stack.health()) == {"database", "redis", "worker", "engine", "models", "lessons"}
    assert set(stack.health().values()) == {"ok"}


@pytest.mark.parametrize(
    ("part", "word"),
    [("engine", "manage.py engine"), ("worker", "celery"), ("redis", "redis-server")],
)
def test_a_killed_part_is_reported_and_started_again(stack, part, word):
    killed = stack.pid_of(word)
    os.kill(killed, signal.SIGSTOP)  # it hangs: supervisord can't see that, /healthz does
    state = wait_for(lambda: stack.health().get(part, "ok") != "ok", 30, f"{part} to be missed")
    assert state
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: stack.health().get(part) == "ok", 60, f"{part} to be back")
    assert killed not in processes_of(stack.data)


def test_lessons_are_served_whatever_else_is_down(stack):
    os.kill(stack.pid_of("manage.py engine"), signal.SIGKILL)
    assert httpx.get(f"http://localhost:{stack.port}/").status_code == 200


def test_an_engine_killed_in_the_middle_of_eight_answers_costs_nobody_theirs(stack):
    wait_for(lambda: stack.health().get("engine") == "ok", 60, "the engine")
    learners = [Learner(stack, question) for question in QUESTIONS * 2]

    def in_the_middle():
        engine = stack.engine()
        return engine.get("running") == len(learners) and engine["generating"]

    try:
        wait_for(in_the_middle, 120, "eight answers to be in work and one to be written")
        killed = stack.pid_of("manage.py engine")
        os.kill(killed, signal.SIGKILL)
        for page in ("/", f"/lessons/{LESSON}/", "/lab/", "/planner/"):
            assert httpx.get(f"http://localhost:{stack.port}{page}").status_code == 200
    finally:
        for learner in learners:
            learner.join(120)
    for learner in learners:
        assert learner.status == 200
        assert learner.said == ["answer", "done"]
        assert '<q class="quote">' in "".join(learner.events[0][1])

    # The web process does not ask an engine that failed for some seconds; then it does.
    again = []

    def written_again():
        if not again or not again[-1].is_alive():
            again.append(Learner(stack, QUESTIONS[0]))
        return stack.engine().get("generating")

    wait_for(written_again, 120, "an answer to be written after the restart")
    assert stack.pid_of("manage.py engine") != killed
    for learner in again:
        learner.join(120)
        assert learner.said == ["answer", "done"]


def test_a_second_start_on_the_same_data_is_refused_in_one_line(stack):
    second = subprocess.run(
        stack.command("start"), cwd=ROOT, env=stack.environment, capture_output=True, text=True
    )
    assert second.returncode != 0
    assert second.stderr.count("\n") == 1
    assert "already runs" in second.stderr


def test_ctrl_c_stops_everything(stack):
    code, rest = stack.stop()
    assert code == 0, rest
    assert processes_of(stack.data) == {}
