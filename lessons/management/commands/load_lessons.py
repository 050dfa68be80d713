import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lessons import loader
from lessons.problems import LessonErrors

SECONDS = 0.5  # between two looks at the files


class Command(BaseCommand):
    help = "Reads the lessons, checks them all and stores what changed; or says all that is wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "directory",
            nargs="?",
            type=Path,
            default=settings.LESSONS_DIR,
            help="the folder with catalogue.yaml (default: lessons/content)",
        )
        parser.add_argument("--check", action="store_true", help="only check, store nothing")
        parser.add_argument(
            "--watch", action="store_true", help="go on: load again whenever a file is saved"
        )

    def handle(self, *args: Any, directory: Path, check: bool, watch: bool, **options: Any) -> None:
        directory = directory.resolve()
        if watch:
            self.watch(directory, check)
        elif wrong := self.once(directory, check):
            raise CommandError(wrong)

    def once(self, directory: Path, check: bool) -> str:
        """Loads or checks; what is wrong in short, after printing it in full, or ""."""
        progress = Progress(self.stderr)
        try:
            if check:
                count = loader.check(directory, progress)
                self.stdout.write(f"{_lessons(count)}: nothing is wrong.")
            else:
                self.report(loader.load(directory, progress))
        except LessonErrors as errors:
            progress.clear()
            for problem in errors.problems:
                self.stderr.write(str(problem))
            count = len(errors.problems)
            return f"{count} {'mistake' if count == 1 else 'mistakes'}; nothing was changed."
        return ""

    def watch(self, directory: Path, check: bool) -> None:
        """The preview while writing: the running site shows each saved file after a reload."""
        self.stdout.write(f"Watching {directory}. Ctrl-C ends it.")
        try:
            for _ in changes(directory):
                if wrong := self.once(directory, check):
                    self.stderr.write(wrong)
        except KeyboardInterrupt:
            self.stdout.write("")

    def report(self, done: loader.Loaded) -> None:
        self.stdout.write(
            f"{_lessons(done.total)}: {done.stored} stored, {done.removed} removed, "
            f"{done.total - done.stored} unchanged; {done.embedded} passages embedded."
        )
        if done.waiting:
            self.stderr.write(
                "The lessons can be read, but the tutor and 'Keep going' do without ranking by "
                f"meaning until the embedder is there ({done.waiting}). "
                "Run 'manage.py fetch_models', then 'manage.py load_lessons' again."
            )


def changes(directory: Path) -> Iterator[None]:
    """Yields at the start and after every change to a file below directory."""
    seen: dict[str, tuple[int, int]] | None = None
    while True:
        now = {entry.path: _stamp(entry) for entry in _files(directory)}
        if now != seen:
            seen = now
            yield
        time.sleep(SECONDS)


def _files(directory: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:  # just renamed or removed
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path)
        elif not entry.name.startswith("."):
            yield entry


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class Progress:
    """One line on stderr that is written over; nothing where stderr is no terminal."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.shown = bool(getattr(stream, "isatty", lambda: False)())
        self.last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self.shown and (done == total or now - self.last > 0.2):
            self.last = now
            sys.stderr.write(f"\r\033[K{what}: {done} of {total}")
            if done == total:
                self.clear()

    def clear(self) -> None:
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def _lessons(count: int) -> str:
    return "1 lesson" if count == 1 else f"{count} lessons"
