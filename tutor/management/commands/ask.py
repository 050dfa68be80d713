import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tutor import asking, evaluation
from tutor.answer import Reader


class Command(BaseCommand):
    help = "Ask a lesson's tutor, once or with every line of a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("lesson", nargs="?", help="the lesson's slug")
        parser.add_argument("question", nargs="?")
        parser.add_argument("--batch", metavar="FILE", type=Path, help='{"id","lesson","question"}')
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        batch, slug, question = options["batch"], options["lesson"], options["question"]
        if bool(batch) == bool(slug) or (slug and question is None):
            raise CommandError('use: ask SLUG "QUESTION" [--json], or ask --batch FILE.jsonl')
        try:
            cases = evaluation.read(batch) if batch else [evaluation.Case("1", slug, question)]
            for name in dict.fromkeys(case.lesson for case in cases):
                asking.lesson(name)
            reader = asking.local_reader(lambda said: self.stderr.write(said))
            for case in cases:
                self._answer(case, reader, as_json=bool(batch) or options["json"])
        except (asking.CannotAsk, evaluation.QuestionFileError) as error:
            raise CommandError(str(error)) from None

    def _answer(self, case: evaluation.Case, reader: Reader | None, as_json: bool) -> None:
        try:
            timed = asking.whole(case.lesson, case.question, reader, case.previous)
        except asking.CannotAsk as error:
            raise asking.CannotAsk(f"question {case.id}: {error}") from None
        if not as_json:
            self.stdout.write(timed.answer.plain)
            return
        line = {
            "id": case.id,
            "lesson": case.lesson,
            "question": case.question,
            **timed.answer.as_json(),
            "milliseconds": {"first_text": round(timed.first_text), "total": round(timed.total)},
        }
        self.stdout.write(json.dumps(line, ensure_ascii=False))
