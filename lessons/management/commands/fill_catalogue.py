import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lessons import generated, loader
from lessons.management.commands.load_lessons import Progress
from lessons.models import Lesson


class Command(BaseCommand):
    help = "Fills a scratch database with made-up lessons, to measure the site with many."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("count", type=int, help="how many lessons, 1 to 9999")
        parser.add_argument(
            "--embed", action="store_true", help="compute their embeddings too (minutes)"
        )
        parser.add_argument(
            "--replace", action="store_true", help="the database has real lessons: drop them"
        )

    def handle(self, *args: Any, count: int, embed: bool, replace: bool, **options: Any) -> None:
        if not 1 <= count <= 9999:
            raise CommandError("Name a number from 1 to 9999.")
        real = Lesson.objects.exclude(slug__startswith=generated.PREFIX).count()
        if real and not replace:
            raise CommandError(
                f"This database holds {real} real lessons. Use another one "
                "(OPENBOOK_DATA=/tmp/scratch manage.py migrate, then this), or add --replace."
            )
        progress = Progress(self.stderr)
        with tempfile.TemporaryDirectory() as name:
            generated.write(Path(name), count, progress)
            done = loader.load(Path(name), progress, embed=embed)
        self.stdout.write(f"{done.total} made-up lessons are there; {done.stored} of them new.")
