"""A data folder with its own Redis, workers and database: everything real, nothing shared.

bench = Bench(folder); bench.start_redis(); worker = bench.start_worker()
pk = bench.create(types=["Q8_0"])
bench.wait(pk, "done")
"""

import configparser
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from config.processes import redis_server
from quant.child import NICENESS

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "The quick brown fox jumps over the lazy dog, and the dog sleeps on. "


class Bench:
    def __init__(self, data: Path, database: str = "") -> None:
        """database: a DATABASE_URL of PostgreSQL; SQLite in the data folder if empty."""
        self.data, self.database = data, database
        self.socket = data / "redis.sock"
        self.environment = os.environ | {
            "OPENBOOK_DATA": str(data),
            "DATABASE_URL": database,
            "REDIS_URL": f"unix://{self.socket}",
            "PYTHONPATH": str(ROOT / "site"),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "OPENBOOK_THREADS": "1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.manage("migrate", "-v0")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.data / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def start_redis(self) -> subprocess.Popen[bytes]:
        path = str(self.data)
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", path]
        process = self._start(redis_server(), *options, "--appendonly", "yes")
        until(self._redis_answers)
        return process

    def _redis_answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Returns before it is ready: what is asked of it meanwhile waits."""
        name = f"worker{len(self.processes)}@%h"
        options = ["-P", "threads", "-c", "1", "-n", name, "-l", "info"]
        return self._start(sys.executable, "-m", "celery", "-A", "config", "worker", *options)

    def start_supervised(self) -> subprocess.Popen[bytes]:
        """Redis and worker as `make run` has them: started again when they die."""
        config = configparser.RawConfigParser()
        config.read(ROOT / "supervisord.conf")
        for part in ("program:engine", "program:web"):
            config.remove_section(part)
        path = self.data / "supervisord.conf"
        with path.open("w") as file:
            config.write(file)
        for name in ("logs", "redis"):
            (self.data / name).mkdir(exist_ok=True)
        self.environment |= {
            "OPENBOOK_PYTHON": sys.executable,
            "OPENBOOK_OWN_REDIS": "true",
            "OPENBOOK_REDIS_SERVER": redis_server(),
            "OPENBOOK_REDIS_SOCKET": str(self.socket),
        }
        program = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(path)]
        self.supervisor = self._start(*program)
        until(self._redis_answers)
        return self.supervisor

    def close(self) -> None:
        for process in self.processes:
            if process is self.supervisor:
                process.terminate()  # killed, it could not stop what it started
            elif process.poll() is None:
                process.kill()
            process.wait(30)

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, code: str) -> str:
        """Runs Python with Django set up; what it prints."""
        return self.manage("shell", "--no-imports", "-c", code)

    def create(self, *, source: str, types: Sequence[str], windows: int = 2) -> int:
        setup = {
            "source": source,
            "types": list(types),
            "prompts": ["abc"],
            "text_name": "your text",
            "windows": windows,
            "limit": 0.9,
            "speed": False,
        }
        call = f"lab.create(**{setup!r}, text={SENTENCE!r} * 4000)"
        return int(self.run(f"from quant import lab; print({call}.pk)"))

    def act(self, verb: str, pk: int) -> None:
        self.run(
            "from quant import lab; from quant.models import Experiment; "
            f"lab.{verb}(Experiment.objects.get(pk={pk}))"
        )

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        if self.database:
            with psycopg.connect(self.database) as postgres:
                return postgres.execute(sql.replace("?", "%s"), values).fetchall()
        connection = sqlite3.connect(self.data / "openbook.sqlite3", timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def state(self, pk: int) -> str:
        return self.query("SELECT state FROM quant_experiment WHERE id = ?", pk)[0][0]

    def error(self, pk: int) -> str:
        return self.query("SELECT error FROM quant_experiment WHERE id = ?", pk)[0][0]

    def results(self, pk: int) -> dict[str, Any]:
        sql = "SELECT key, result FROM quant_step WHERE experiment_id = ?"
        found = {key: result for key, result in self.query(sql, pk) if result}
        return {k: json.loads(v) if isinstance(v, str) else v for k, v in found.items()}

    def running(self, pk: int) -> list[tuple[str, int]]:
        """(key, attempts) of the steps at work."""
        return self.query(
            "SELECT key, attempts FROM quant_step WHERE experiment_id = ? AND state = 'running'", pk
        )

    def wait(self, pk: int, state: str, seconds: float = 60) -> None:
        def reached() -> bool:
            now = self.state(pk)
            assert now in (state, "queued", "running"), self._story(pk)
            return now == state

        until(reached, seconds, lambda: self._story(pk))

    def hold(self, pk: int, kind: str, *workers: subprocess.Popen[bytes]) -> int:
        """The child that is at a step of that kind, stopped there (SIGSTOP)."""
        found: list[int] = []

        def at_it() -> bool:
            if not any(key.startswith(kind) for key, _ in self.running(pk)):
                return False
            # only now: the child of the step before ended before this one was written down
            found[:] = [child for worker in workers for child in children(worker.pid)]
            found[:] = filter(has_begun, found)
            return bool(found)

        until(at_it, 60, lambda: self._story(pk))
        os.kill(found[0], signal.SIGSTOP)
        return found[0]

    def _story(self, pk: int) -> str:
        log = (self.data / "processes.log").read_text(errors="replace")
        sql = "SELECT key, state, done, total, attempts FROM quant_step WHERE experiment_id = ?"
        rows = self.query(sql, pk)
        return f"{self.state(pk)} {self.error(pk)}\n{rows}\n{log[-3000:]}"

    def files(self, pk: int) -> set[str]:
        folder = self.data / "experiments" / str(pk)
        return {path.name for path in folder.rglob("*") if path.is_file()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A write past that fails in the middle, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def descendants(pid: int) -> dict[int, str]:
    """Command lines of a process's children and theirs, by process id."""
    found: dict[int, str] = {}
    for child in children(pid):
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        found |= {child: line.replace(b"\0", b" ").decode(), **descendants(child)}
    return found


def children(pid: int) -> list[int]:
    """Process ids of the children that are alive."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found += [int(child) for child in task.read_text().split()]
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def has_begun(pid: int) -> bool:
    """Whether a child has arranged to end with its worker: it makes itself nice just after."""
    with suppress(ProcessLookupError):
        return os.getpriority(os.PRIO_PROCESS, pid) >= NICENESS
    return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def until(
    condition: Callable[[], bool], seconds: float = 30, story: Callable[[], str] = lambda: ""
) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s. {story()}"
        time.sleep(0.05)
