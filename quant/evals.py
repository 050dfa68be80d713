"""Task evals: which questions a model answers rightly, and how many answers a variant keeps.

A task is plain data, of one of two kinds:

    {"id": "1", "question": "…", "options": ["…", "…"], "correct": 0}
        by likelihood: which option would the model most likely have given as its answer?
    {"id": "2", "question": "…", "expected": ["35 minutes", "35 min"]}
        by asking: one of the expected texts must occur in the answer.

quant/ask.py puts them to a model.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from typing import Any

Task = dict[str, Any]
MAX_TASKS = 1000
MAX_OPTIONS = 10


class TaskError(ValueError):
    """A task can't be used; the message names its line."""


def parse(text: str) -> list[Task]:
    """Tasks out of JSON lines, or of a table: question, tab or semicolon, answer.

    Several right answers are parted by "|". Empty lines are left out.
    """
    tasks = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip():
            continue
        try:
            task = _from_json(line) if line.lstrip().startswith("{") else _from_row(line)
        except TaskError as error:
            raise TaskError(f"Line {number}: {error}") from None
        tasks.append({"id": str(number)} | task)
        if len(tasks) > MAX_TASKS:
            raise TaskError(f"More than {MAX_TASKS} tasks: leave some out.")
    if not tasks:
        raise TaskError("There is no task in it.")
    return tasks


def as_text(tasks: Sequence[Task]) -> str:
    """What parse reads back: a table where it can be, else JSON lines."""

    def line(task: Task) -> str:
        row = "; ".join([task["question"], " | ".join(task.get("expected", ()))])
        plain = "options" not in task and row.isprintable() and row.count(";") == 1
        return row if plain and '"' not in row else json.dumps(task, ensure_ascii=False)

    return "\n".join(map(line, tasks))


def _from_row(line: str) -> Task:
    delimiter = "\t" if "\t" in line else ";"
    try:
        cells = next(csv.reader([line], delimiter=delimiter))
    except csv.Error as error:
        raise TaskError(f"not a table row: {error}.") from None
    cells = [cell.strip() for cell in cells if cell.strip()]
    if len(cells) != 2:
        raise TaskError("expected a question, a tab (or semicolon) and the right answer.")
    return {"question": cells[0], "expected": _alternatives(cells[1])}


def _alternatives(answer: str) -> list[str]:
    found = [part.strip() for part in answer.split("|") if part.strip()]
    if not found or not all(map(_words, found)):
        raise TaskError("the right answer has no letter or digit in it.")
    return found


def _from_json(line: str) -> Task:
    try:
        given = json.loads(line)
    except json.JSONDecodeError as error:
        raise TaskError(f"not JSON: {error.msg} at character {error.colno}.") from None
    question = given.get("question") or given.get("prompt")
    if not isinstance(question, str) or not question.strip():
        raise TaskError('"question" is missing.')
    named = {"id": str(given["id"])} if "id" in given else {}
    if "options" in given:
        return {**named, "question": question, **_choice(given)}
    expected = given.get("expected")
    if isinstance(expected, (str, int, float)):
        expected = _alternatives(str(expected))
    if not isinstance(expected, list) or not expected or not all(_is_text(e) for e in expected):
        raise TaskError('neither "options" nor "expected" is there.')
    return {**named, "question": question, "expected": expected}


def _choice(given: dict[str, Any]) -> dict[str, Any]:
    options, correct = given["options"], given.get("correct")
    if not isinstance(options, list) or not 2 <= len(options) <= MAX_OPTIONS:
        raise TaskError(f'"options" must be a list of 2 to {MAX_OPTIONS} texts.')
    if not all(isinstance(option, str) and option.strip() for option in options):
        raise TaskError('"options" holds something that is no text.')
    if not isinstance(correct, int) or not 0 <= correct < len(options):
        raise TaskError(f'"correct" must be the number of an option, 0 to {len(options) - 1}.')
    return {"options": options, "correct": correct}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(_words(value))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def is_right(answer: str, expected: Sequence[str]) -> bool:
    """Whether an expected text occurs in the answer as whole words.

    >>> is_right("It takes 35 Minutes.", ["35 minutes"]), is_right("135 minutes", ["35 minutes"])
    (True, False)
    """
    said = f" {' '.join(_words(answer))} "
    return any(f" {' '.join(_words(text))} " in said for text in expected)


def chance(tasks: Sequence[Task]) -> float:
    """The share of right answers that guessing would give: that of a wrong guess is nothing."""
    return sum(1 / len(task["options"]) if "options" in task else 0 for task in tasks) / len(tasks)
