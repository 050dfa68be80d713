import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from tutor.models import Feedback


class Command(BaseCommand):
    help = "Show what learners sent about the tutor's answers, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--lesson", metavar="SLUG", help="only this lesson's")
        parser.add_argument("--unhelpful", action="store_true", help="only what did not help")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--delete", action="store_true", help="delete what is shown")

    def handle(self, *args: Any, **options: Any) -> None:
        found = Feedback.objects.all()
        if options["lesson"]:
            found = found.filter(lesson=options["lesson"])
        if options["unhelpful"]:
            found = found.filter(helpful=False)
        shown = list(found)
        for one in shown:
            self.stdout.write(_as_json(one) if options["json"] else _as_text(one))
        if not shown and not options["json"]:
            self.stdout.write("Nothing has been sent.")
        if options["delete"]:
            Feedback.objects.filter(pk__in=[one.pk for one in shown]).delete()


def _as_json(one: Feedback) -> str:
    fields = ("lesson", "kind", "helpful", "reason", "question")
    return json.dumps(
        {"sent": one.sent.isoformat()} | {name: getattr(one, name) for name in fields},
        ensure_ascii=False,
    )


def _as_text(one: Feedback) -> str:
    helped = "helped" if one.helpful else "did not help"
    lines = [f"{one.sent:%Y-%m-%d %H:%M}  {one.lesson}  {one.kind}, {helped}", one.question]
    if one.reason:
        lines.append(f"Reason: {one.reason}")
    # A learner's text may hold control characters; a terminal must not act on them.
    clean = ["".join(c if c.isprintable() else " " for c in line) for line in lines]
    return "\n  ".join(clean)
