"""A web server of our own for measuring: its data in a folder that is gone afterwards."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
ACCOUNTS = """
from django.contrib.auth import get_user_model, login
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
for name in {names!r}:
    request = HttpRequest()
    request.session = SessionStore()
    user = get_user_model().objects.create_user(name)
    login(request, user, "allauth.account.auth_backends.AuthenticationBackend")
    request.session.save()
    print("session", name, request.session.session_key)
"""


class Server:
    """url, and exchange(account, body): POST /progress/sync as that account."""

    def __init__(self, url: str, sessions: dict[str, str]) -> None:
        self.url = url
        token = "0" * 32
        self.clients = {
            name: httpx.Client(
                base_url=url,
                cookies={"sessionid": key, "csrftoken": token},
                headers={"X-CSRFToken": token},
                timeout=60,
            )
            for name, key in sessions.items()
        }

    def exchange(self, account: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.clients[account].post("/progress/sync", json=body)
        answer.raise_for_status()
        return dict(answer.json())


@contextmanager
def server(*accounts: str, database: str = "") -> Iterator[Server]:
    """Runs uvicorn on a fresh database (SQLite, or the one at this URL), with these accounts."""
    with tempfile.TemporaryDirectory(prefix="openbook-bench-") as folder:
        with socket.create_server(("localhost", 0)) as free:
            port = free.getsockname()[1]
        environment = os.environ | {
            "OPENBOOK_DATA": folder,
            "DATABASE_URL": database,
            "PORT": str(port),
            "PYTHONPATH": str(ROOT / "site"),
        }
        (Path(folder) / "static").mkdir()

        def manage(*arguments: str) -> str:
            command = [sys.executable, "manage.py", *arguments]
            return subprocess.run(
                command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
            ).stdout

        manage("migrate", "-v0")
        made = manage("shell", "--no-imports", "-c", ACCOUNTS.format(names=accounts))
        sessions = dict(re.findall(r"session (\S+) (\S+)", made))
        command = [sys.executable, "-m", "uvicorn", "config.asgi:application"]
        options = ["--host", "localhost", "--port", str(port), "--log-level", "warning"]
        web = subprocess.Popen([*command, *options, "--lifespan", "off"], cwd=ROOT, env=environment)
        try:
            yield Server(_answering(port, web), sessions)
        finally:
            web.terminate()
            web.wait(10)


def _answering(port: int, web: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        if web.poll() is not None:
            raise SystemExit("the web server did not start")
        with suppress(OSError), socket.create_connection(("localhost", port)):
            return f"http://localhost:{port}"
        time.sleep(0.1)
    raise SystemExit(f"nothing answers on port {port}")
