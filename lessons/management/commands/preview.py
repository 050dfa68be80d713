import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from lessons import preview
from lessons.management.commands.load_lessons import changes

SECONDS = 30  # for the server to start


class Command(BaseCommand):
    help = "Shows one lesson in the browser while it is written; each saved file shows by itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "lesson", help="its folder, or the folder's name; it need not be in the catalogue"
        )
        parser.add_argument("--port", type=int, default=settings.PORT + 2)

    def handle(self, *args: Any, lesson: str, port: int, **options: Any) -> None:
        try:
            path = preview.find(lesson, settings.LESSONS_DIR)
        except preview.NoLesson as error:
            raise CommandError(str(error)) from None
        try:
            socket.create_server(("localhost", port)).close()
        except OSError as error:
            other = f"choose another: --port {port + 10}"
            raise CommandError(f"Port {port} can't be used ({error.strerror}); {other}") from None
        call_command("collectstatic", verbosity=0, interactive=False)
        for number in (signal.SIGTERM, signal.SIGHUP):  # the server must end with its terminal
            signal.signal(number, signal.default_int_handler)
        with subprocess.Popen(_server(port), env=_environment(path)) as server:
            try:
                _wait(server, port)
                self.say(f"{path.name} is at http://localhost:{port}/preview/   (Ctrl-C ends it)")
                for _ in changes(path):
                    self.report(path)
            except KeyboardInterrupt:
                self.say("")
            finally:
                server.terminate()

    def report(self, path: Path) -> None:
        problems = preview.read(path, settings.LESSONS_DIR).problems
        for problem in problems:
            self.stderr.write(str(problem))
        count = len(problems)
        mistakes = "1 mistake" if count == 1 else f"{count or 'no'} mistakes"
        self.say(f"{time.strftime('%H:%M:%S')} {mistakes}")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _server(port: int) -> list[str]:
    options = ["--host", "localhost", "--port", str(port), "--log-level", "error"]
    return [sys.executable, "-m", "uvicorn", "config.asgi:application", *options]


def _environment(path: Path) -> dict[str, str]:
    return os.environ | {
        "OPENBOOK_PREVIEW": str(path),
        "PYTHONPATH": str(settings.BASE_DIR / "site"),
        "PYTHONWARNINGS": "ignore",  # WhiteNoise under ASGI warns into the terminal
    }


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("localhost", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise CommandError("The preview's server did not start; what it said stands above.")
