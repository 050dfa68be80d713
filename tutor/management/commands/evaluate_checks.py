import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tutor import sentence_set


class Command(BaseCommand):
    help = "Measure the checks of written sentences on true and false ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", default=sentence_set.OURS)
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--misses", action="store_true", help="show what went wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cases = sentence_set.read(options["file"])
        except sentence_set.SentenceFileError as error:
            raise CommandError(str(error)) from None
        halves = sorted({case.half for case in cases if case.half})
        found = {
            half: sentence_set.figures([c for c in cases if c.half == half]) for half in halves
        }
        found["all"] = sentence_set.figures(cases)
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
        else:
            self.stdout.write(" " * 20 + "".join(f"{half:>10}" for half in found))
            for name in found["all"]:
                cells = "".join(f"{found[half][name]!s:>10}" for half in found)
                self.stdout.write(f"{name.replace('_', ' '):20}{cells}")
        for case in cases if options["misses"] else ():
            if case.supported == bool(case.reason):
                what = f"refused ({case.reason})" if case.supported else "let through"
                self.stdout.write(f"{case.id} {case.falsehood or 'true'} {what}: {case.sentence}")
