from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lessons import catalogue, start


class Command(BaseCommand):
    help = "Starts a lesson: its folder with a text and a quiz to rewrite, and its catalogue entry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="its address and folder: a-z, 0-9 and hyphens")
        parser.add_argument("--title", required=True)
        parser.add_argument("--track", default="", help="a track's slug (default: the first)")
        parser.add_argument("--topic", default="Model Families")
        parser.add_argument("--directory", type=Path, default=settings.LESSONS_DIR)

    def handle(self, *args: Any, slug: str, directory: Path, **options: Any) -> None:
        wanted = {name: options[name] for name in ("title", "track", "topic")}
        try:
            made = start.new_lesson(directory, slug, **wanted)
        except start.CannotStart as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Write {catalogue.shown(made)}/lesson.md and quiz.yaml. To see it while you write:\n"
            f"manage.py preview {slug}"
        )
