from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tutor import asking, evaluation, followups, gate, index
from tutor.answer import Reader
from tutor.ranking import Asked, rank


class Command(BaseCommand):
    help = "Fit when the tutor answers (tutor/calibration.json) on judged questions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="judged questions; lines of half 'tune' only")
        parser.add_argument("--dry-run", action="store_true", help="print, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cases = [
                case
                for case in evaluation.read(options["file"], judged=True)
                if case.half != "report" and case.expect in ("covered", "not_covered")
            ]
            reader = asking.local_reader(lambda said: self.stderr.write(said))
            if reader is None or not cases:
                raise asking.CannotAsk("calibrating needs the embedder and judged questions")
            indexes = {name: index.of(asking.lesson(name)) for name in {c.lesson for c in cases}}
        except (asking.CannotAsk, evaluation.QuestionFileError) as error:
            raise CommandError(str(error)) from None
        fitted, said = {}, {}
        for kind, how in (("meaning", reader), ("words", None)):
            rows = [(case, self._signs(case, indexes[case.lesson], how)) for case in cases]
            fitted[kind], said[kind] = evaluation.calibrate(rows)
            self.stdout.write(f"{kind}: {fitted[kind]} on lessons not fitted on: {said[kind]}")
        if not options["dry_run"]:
            about = {
                "fitted_on": f"{len(cases)} questions of {len(indexes)} lessons",
                "on_lessons_held_out": said,
            }
            gate.save(fitted, about)
            self.stdout.write(f"Written to {gate.CALIBRATION}")

    def _signs(
        self, case: evaluation.Case, found: index.LessonIndex, reader: Reader | None
    ) -> gate.Signs:
        asked = followups.continued(Asked.of(case.question, found), case.previous, found)
        vector = reader.embed([asked.mended])[0] if reader else None
        match = reader.match if reader else None
        return gate.signs(asked, rank(found, asked, vector), match)
