from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tutor import asking, evaluation, followups, gate, index
from tutor.answer import Reader
from tutor.ranking import Asked, Ranking, rank, read_closely


class Command(BaseCommand):
    help = "Fit when the tutor answers (tutor/calibration.json) on judged questions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            type=Path,
            help="judged questions that the cross-encoder never saw, such as "
            "tests/tutor/questions_unseen.jsonl; lines of half 'report' are left out",
        )
        parser.add_argument(
            "--by-words",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help="further questions, for the gate without the model alone",
        )
        parser.add_argument("--dry-run", action="store_true", help="print, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cases = _cases(options["file"])
            for_words = [*cases, *(case for path in options["by_words"] for case in _cases(path))]
            reader = asking.local_reader(lambda said: self.stderr.write(said))
            if reader is None or not cases:
                raise asking.CannotAsk("calibrating needs the embedder and judged questions")
            indexes = {
                name: index.of(asking.lesson(name)) for name in {c.lesson for c in for_words}
            }
        except (asking.CannotAsk, evaluation.QuestionFileError) as error:
            raise CommandError(str(error)) from None
        words, said = evaluation.calibrate(
            [(case, gate.signs(*self._ranked(case, indexes, None))) for case in for_words]
        )
        read, said_read = evaluation.balanced(
            [
                (case.expect == "covered", gate.probability(*self._ranked(case, indexes, reader)))
                for case in cases
            ]
        )
        self.stdout.write(f"by reading, from {read:.3f} on: {said_read}")
        self.stdout.write(f"by words, from {words.threshold:.3f} on, lessons held out: {said}")
        if not options["dry_run"]:
            about = {
                "fitted_on": f"{len(cases)} questions, by words {len(for_words)}",
                "by_reading": said_read,
                "by_words_on_lessons_held_out": said,
            }
            gate.save(gate.Calibration(read, words), about)
            self.stdout.write(f"Written to {gate.CALIBRATION}")

    def _ranked(
        self, case: evaluation.Case, indexes: dict[str, index.LessonIndex], reader: Reader | None
    ) -> tuple[Asked, Ranking]:
        found = indexes[case.lesson]
        asked = followups.continued(Asked.of(case.question, found), case.previous, found)
        ranking = rank(found, asked, reader.embed([asked.mended])[0] if reader else None)
        return asked, read_closely(ranking, asked, reader.judge) if reader else ranking


def _cases(path: Path) -> list[evaluation.Case]:
    return [
        case
        for case in evaluation.read(path, judged=True)
        if case.half != "report" and case.expect in ("covered", "not_covered")
    ]
