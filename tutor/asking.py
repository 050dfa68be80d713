"""Lessons out of the database and the embedder in this process: what the commands share."""

import asyncio
import difflib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from lessons import reading
from lessons.models import Lesson
from tutor import answer, index, intents, quizhelp, writing
from tutor.answer import Answer, Link, Reader

logger = logging.getLogger(__name__)


class CannotAsk(Exception):
    """The message says why and what to do."""


@dataclass(frozen=True)
class Timed:
    answer: Answer
    first_text: float  # milliseconds until something can be shown
    total: float


def lesson(slug: str) -> Lesson:
    found = Lesson.objects.filter(slug=slug).first()
    if found:
        return found
    known = list(Lesson.objects.values_list("slug", flat=True))
    if not known:
        raise CannotAsk("no lessons are loaded: run 'manage.py load_lessons'")
    near = difflib.get_close_matches(slug, known, n=3, cutoff=0.3) or known[:3]
    raise CannotAsk(f"there is no lesson {slug!r}. Nearest: {', '.join(near)}")


def local_reader(warn: Callable[[str], None]) -> Reader | None:
    """None, with a warning, where the embedder can't be loaded."""
    try:
        from tutor.reader import LocalReader

        return LocalReader()
    except Exception as error:
        warn(f"Answering without the model, by words only: {error}")
        return None


def ask(
    slug: str,
    question: str,
    reader: Reader | None,
    previous: str = "",
    helped: quizhelp.Helped = quizhelp.NOTHING_YET,
) -> Timed:
    if not question.strip():
        raise CannotAsk("the question is empty")
    if len(question) > intents.LIMIT:
        raise CannotAsk(f"the question has {len(question)} characters; {intents.LIMIT} at most")
    row = lesson(slug)
    begin = time.perf_counter()
    found = answer.answer(
        question,
        index.of(row),
        quizhelp.of(row),
        index.every,
        reader,
        previous,
        helped,
        lambda: [Link(f"/lessons/{it.slug}/", it.title) for it in reading.related(row)],
    )
    total = (time.perf_counter() - begin) * 1000
    return Timed(found, total, total)


def whole(
    slug: str,
    question: str,
    reader: Reader | None,
    previous: str = "",
    helped: quizhelp.Helped = quizhelp.NOTHING_YET,
) -> Timed:
    """As `ask`, and with the written part where answers have one."""
    begin = time.perf_counter()
    timed = ask(slug, question, reader, previous, helped)
    if not will_write(timed.answer):
        return timed

    lesson_index, quiz = of(slug)

    async def all_of_it() -> list[str]:
        return [s async for s in written(question, lesson_index, quiz, timed.answer)]

    found = timed.answer.with_written(asyncio.run(all_of_it()))
    return replace(timed, answer=found, total=(time.perf_counter() - begin) * 1000)


def will_write(found: Answer) -> bool:
    return found.kind == "quote" and writing.server() is not None


async def written(
    question: str,
    lesson_index: index.LessonIndex,
    quiz: Sequence[quizhelp.Question],
    found: Answer,
) -> AsyncGenerator[str, None]:
    """Sentences for below the quotes, each as soon as it is checked (writing.py)."""
    asked = writing.server()
    if asked is None or found.kind != "quote":
        return
    async with aclosing(writing.sentences(question, lesson_index, found, quiz, asked)) as sentences:
        async for sentence in sentences:
            yield sentence


def of(slug: str) -> tuple[index.LessonIndex, list[quizhelp.Question]]:
    row = lesson(slug)
    return index.of(row), quizhelp.of(row)
