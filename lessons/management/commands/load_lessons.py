import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lessons import loader
from lessons.problems import LessonErrors


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

    def handle(self, *args: Any, directory: Path, check: bool, **options: Any) -> None:
        progress = Progress(self.stderr)
        try:
            if check:
                count = loader.check(directory.resolve(), progress)
                self.stdout.write(f"{_lessons(count)}: nothing is wrong.")
            else:
                self.report(loader.load(directory.resolve(), progress))
        except LessonErrors as errors:
            progress.clear()
            for problem in errors.problems:
                self.stderr.write(str(problem))
            count = len(errors.problems)
            raise CommandError(
                f"{count} {'mistake' if count == 1 else 'mistakes'}; nothing was changed."
            ) from None

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
