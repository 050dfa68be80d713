"""What nobody could make again, in one file: accounts, progress, classes, the lab's reports, what
was said about the tutor's answers. Taken and put back in one transaction, so the site may run; the
same file fits SQLite and PostgreSQL.

Lessons come from their files, models from their sources, and sessions are worth nothing later.
"""

import gzip
import json
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import serializers
from django.core.management.color import no_style
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction

from lessons.models import DeletedLog, ProgressLog

FORMAT = "openbook-backup-1"
APPS = ("auth", "account", "mfa")
PROGRESS = ("progresslog", "progressevent", "deletedlog", "classroom", "membership")
OURS = (
    *(f"lessons.{name}" for name in PROGRESS),
    "quant.experiment",
    "quant.step",
    "tutor.feedback",
)
LEFT_OUT = ("auth.permission",)
ROWS = 1000


class NotABackup(ValueError):
    """The file can't be restored; its text says why."""


class Exact(DjangoJSONEncoder):
    """Django's own cuts times to milliseconds."""

    def default(self, value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else super().default(value)


def _kept() -> list[type[models.Model]]:
    """What is kept, each after those that it refers to."""
    theirs = [it for name in APPS for it in apps.get_app_config(name).get_models()]
    wanted = [it for it in theirs if it._meta.label_lower not in LEFT_OUT]
    ours = [apps.get_model(label) for label in OURS]
    return serializers.sort_dependencies([("all", [*wanted, *ours])])


def write(file: Path) -> int:
    """Write beside, then rename; how many rows."""
    mine = file.with_name(f".{file.name}.{os.getpid()}")
    rows = 0
    snapshot = connection.vendor == "postgresql" and not connection.in_atomic_block
    try:
        with transaction.atomic(), gzip.open(mine, "wt", encoding="utf-8") as out:
            if snapshot:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            kept = _kept()
            holds = [model._meta.label_lower for model in kept]
            out.write(json.dumps({"format": FORMAT, "holds": holds}) + "\n")
            for model in kept:
                for row in model._default_manager.order_by("pk").iterator(ROWS):
                    out.write(serializers.serialize("jsonl", [row], cls=Exact))
                    rows += 1
            out.write(json.dumps({"rows": rows}) + "\n")
        mine.chmod(0o600)  # password hashes are in it
        mine.replace(file)
    finally:
        mine.unlink(missing_ok=True)
    return rows


def _lines(file: Path) -> Iterator[str]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from lines
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise NotABackup(f"{file} can't be read: {error}") from error


def _object(line: str, file: Path) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise NotABackup(f"{file} is damaged: a line is not JSON") from error
    return found if isinstance(found, dict) else {}


def check(file: Path) -> int:
    """Raises NotABackup unless the file is whole; how many rows it holds."""
    rows, last = -1, "{}"
    for line in _lines(file):
        if rows < 0 and _object(line, file).get("format") != FORMAT:
            raise NotABackup(f"{file} is not a file that 'manage.py backup' wrote")
        rows, last = rows + 1, line
    if _object(last, file).get("rows") != rows - 1:
        raise NotABackup(f"{file} is not whole: its end is missing")
    return rows - 1


def _held(file: Path) -> list[type[models.Model]]:
    """The tables that the file speaks of; those that it is too old to know stay as they are."""
    first = [it._meta.label_lower for it in _kept() if it._meta.app_label not in ("quant", "tutor")]
    holds = _object(next(_lines(file)), file).get("holds", first)
    return [it for it in _kept() if it._meta.label_lower in holds]


def restore(file: Path) -> int:
    """Put back what the file holds in place of what there is; how many rows.

    Browsers offer again what they did since the backup. An account that was deleted since stays so.
    """
    rows = check(file)
    kept = _held(file)
    with transaction.atomic():
        gone = list(DeletedLog.objects.values_list("key", flat=True))
        for model in reversed(kept):
            model._default_manager.all().delete()
        for number, line in enumerate(_lines(file)):
            if 0 < number <= rows:
                for found in serializers.deserialize("jsonl", line):
                    found.save()
        DeletedLog.objects.bulk_create([DeletedLog(key=key) for key in gone], ignore_conflicts=True)
        get_user_model().objects.filter(progress_log__key__in=gone).delete()
        ProgressLog.objects.update(restored=uuid.uuid4())
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), kept):
                cursor.execute(statement)
    return rows
