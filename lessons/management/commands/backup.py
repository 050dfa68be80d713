from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lessons import backup


class Command(BaseCommand):
    help = (
        "Write to FILE what nobody could make again: accounts, progress, classes, the lab's "
        "experiments with their reports, and what was said about the tutor's answers. "
        "The site may go on running. Not in it: lessons, model files, sign-ins."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            rows = backup.write(file)
        except OSError as error:
            raise CommandError(f"{file} can't be written: {error.strerror}") from error
        self.stdout.write(f"{file}: {rows} rows, {file.stat().st_size} bytes")
