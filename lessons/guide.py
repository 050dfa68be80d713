"""The authors' page: lessons/authors.md, rendered as a lesson is."""

from functools import cache
from pathlib import Path

from lessons.markdown import Rendered, render
from lessons.problems import LessonErrors, Problems

FILE = Path(__file__).with_name("authors.md")


@cache
def authors_guide() -> Rendered:
    problems = Problems(FILE.name)
    page = render(FILE.read_text(encoding="utf-8"), problems)
    if problems:
        raise LessonErrors(problems)
    return page
