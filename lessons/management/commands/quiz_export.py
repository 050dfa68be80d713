import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from lessons import catalogue, folder, gift, qti
from lessons.problems import Problems


class Command(BaseCommand):
    help = "Writes a lesson's quiz as GIFT (Moodle and others) or as a QTI 3 package."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the lesson, by its folder's name")
        parser.add_argument("--format", choices=("gift", "qti3"), default="gift")
        parser.add_argument("--out", type=Path, help="the file (default: SLUG.gift or SLUG.zip)")
        parser.add_argument("--directory", type=Path, default=settings.LESSONS_DIR)

    def handle(self, *args: Any, slug: str, **options: Any) -> None:
        try:
            entry = catalogue.entry_of(options["directory"], slug)
        except LookupError as error:
            raise CommandError(str(error)) from None
        problems = Problems()
        lesson = folder.read(entry, problems)
        if problems:
            raise CommandError("\n".join(map(str, problems)))
        if options["format"] == "gift":
            data = gift.dump(lesson.questions, lesson.title).encode()
        else:
            data = qti.package(lesson.questions, lesson.title)
        out = options["out"] or Path(f"{slug}.{'gift' if options['format'] == 'gift' else 'zip'}")
        if str(out) == "-":
            sys.stdout.buffer.write(data)
            return
        beside = out.with_name(f".{out.name}.part")
        try:
            beside.write_bytes(data)
            beside.replace(out)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}") from error
        self.stdout.write(f"{out}: {len(lesson.questions)} questions.")
