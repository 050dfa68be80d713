from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lessons import backup


class Command(BaseCommand):
    help = (
        "Put back what 'backup' wrote, in place of the accounts, progress, classes, experiments "
        "and feedback there are; the site may go on running. Browsers then offer again what was "
        "done since; experiments and feedback since then are gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            rows = backup.restore(file)
        except backup.NotABackup as error:
            raise CommandError(f"Nothing was changed: {error}") from error
        self.stdout.write(f"{file}: {rows} rows restored")
