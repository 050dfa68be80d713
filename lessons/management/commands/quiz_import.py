from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lessons import catalogue, folder, gift, quizfile
from lessons.problems import Problems


class Command(BaseCommand):
    help = "Makes a lesson's quiz.yaml out of a GIFT file, and says what is still missing in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the lesson, by its folder's name")
        parser.add_argument("file", type=Path, help="the GIFT file")
        parser.add_argument("--replace", action="store_true", help="the lesson has a quiz: drop it")
        parser.add_argument("--directory", type=Path, default=settings.LESSONS_DIR)

    def handle(self, *args: Any, slug: str, file: Path, replace: bool, **options: Any) -> None:
        try:
            entry = catalogue.entry_of(options["directory"], slug)
        except LookupError as error:
            raise CommandError(str(error)) from None
        quiz = entry.folder / folder.QUIZ
        if quiz.exists() and not replace:
            raise CommandError(f"{catalogue.shown(quiz)} is there; add --replace to drop it.")
        problems = Problems(str(file))
        text = catalogue.read_text(file, problems)
        questions = gift.parse(text, problems) if text is not None else []
        if problems:
            raise CommandError("\n".join(map(str, problems)) + "\nNothing was changed.")
        beside = quiz.with_name(f".{quiz.name}.part")
        beside.write_text(quizfile.dump(questions), encoding="utf-8")
        beside.replace(quiz)
        self.stdout.write(f"{catalogue.shown(quiz)}: {len(questions)} questions.")
        missing = Problems()
        folder.read(entry, missing)
        if missing:
            self.stdout.write("Before the lesson can be loaded:")
        for problem in missing:
            self.stdout.write(str(problem))
