import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tutor import asking, evaluation, index, quizhelp


class Command(BaseCommand):
    help = "Measure the tutor on judged questions: a table, and with --json an object."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--half", choices=("tune", "report"), help="only these lines")
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--misses", action="store_true", help="show what went wrong")
        parser.add_argument("--words-only", action="store_true", help="as without the model")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cases = evaluation.read(options["file"], judged=True)
            cases = [c for c in cases if options["half"] in (None, c.half)]
            if not cases:
                raise asking.CannotAsk("no such questions in the file")
            reader = None
            if not options["words_only"]:
                reader = asking.local_reader(lambda said: self.stderr.write(said))
            outcomes = []
            for case in cases:
                timed = asking.whole(case.lesson, case.question, reader, case.previous)
                found = index.of(asking.lesson(case.lesson))
                outcomes.append(
                    evaluation.Outcome(case, timed.answer, found, timed.first_text, timed.total)
                )
        except (asking.CannotAsk, evaluation.QuestionFileError) as error:
            raise CommandError(str(error)) from None
        quizzes = {c.lesson: quizhelp.of(asking.lesson(c.lesson)) for c in cases}

        def leaks(one: evaluation.Outcome) -> bool:
            own_words = " ".join((one.answer.opening, *one.answer.written))
            return quizhelp.leaks(own_words, quizzes[one.case.lesson])

        figures = evaluation.figures(outcomes, leaks)
        if options["json"]:
            self.stdout.write(json.dumps(figures, indent=2))
        else:
            for name, value in figures.items():
                self.stdout.write(f"{name.replace('_', ' '):24} {value}")
        for outcome in outcomes if options["misses"] else ():
            if not outcome.right:
                case = outcome.case
                self.stdout.write(
                    f"{case.id} {case.expect} -> {outcome.answer.kind}: {case.question}\n"
                    f"      {outcome.answer.plain[:300]!r} (want {' | '.join(case.any_of)})"
                )
