"""A lesson as its files say it at this moment, without the database: what its author sees."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path

from lessons import catalogue, folder, loader, quiz
from lessons.catalogue import Entry
from lessons.models import Choice, Lesson, Passage, Question
from lessons.problems import Problem, Problems
from lessons.quizfile import ParsedQuestion
from lessons.reading import LessonPage


@dataclass(frozen=True)
class Preview:
    """version changes whenever page, quiz or problems may; problems is empty for a good lesson."""

    page: LessonPage
    attempt: quiz.Attempt
    problems: list[Problem]
    version: str


class NoLesson(Exception):
    """Says which folder was looked for, and what to do."""


def find(name: str, directory: Path) -> Path:
    """The folder that name means: a path, or a lesson or draft below directory."""
    path = Path(name)
    if (path / folder.LESSON).is_file() or (path / folder.QUIZ).is_file():
        return path.resolve()
    folders = {it.parent.name: it.parent for it in sorted(directory.glob(f"*/*/{folder.LESSON}"))}
    if name in folders:
        return folders[name].resolve()
    near = get_close_matches(name, folders, n=1)
    cure = (
        f"did you mean {near[0]}?" if near else f"start it: manage.py new_lesson {name} --title …"
    )
    raise NoLesson(f"There is no lesson {name} in {catalogue.shown(directory)}; {cure}")


def version(path: Path, directory: Path) -> str:
    """Of the files of a lesson's folder and the catalogue; another one after each saved change."""
    digest = sha256()
    for file in [*_files(path), directory / catalogue.FILE]:
        try:
            digest.update(f"{file.name} ".encode() + sha256(file.read_bytes()).digest())
        except OSError:  # just renamed, or a folder
            digest.update(f"{file.name} -".encode())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    try:
        return folder.files_of(path)
    except OSError:
        return []


def read(path: Path, directory: Path) -> Preview:
    """The lesson in the folder path, as it would stand in the catalogue of directory."""
    now = version(path, directory)
    entries = catalogue.read(directory, Problems()) if directory.is_dir() else []
    entry = next((it for it in entries if it.folder.resolve() == path), None)
    entry = entry or _draft(path, entries)
    problems = Problems()
    parsed = loader.check_one(entry, entries, problems)
    lesson = Lesson(
        slug=entry.slug,
        title=parsed.title or entry.slug,
        summary=parsed.summary,
        track=entry.track,
        topic=parsed.topic,
        minutes=parsed.minutes,
        position=entry.position,
        html=parsed.page.html,
        headings=parsed.page.headings,
        sources=[str(source) for source in parsed.sources],
    )
    page = LessonPage(lesson, max(len(entries), entry.position), None, None, [])
    sections = {passage.anchor: passage.section for passage in parsed.page.passages}
    attempt = quiz.Attempt(
        [
            _asked(number, question, sections.get(question.anchor, "Its passage is missing"))
            for number, question in enumerate(parsed.questions, 1)
        ]
    )
    return Preview(page, attempt, sorted(problems), now)


def _draft(path: Path, entries: list[Entry]) -> Entry:
    """Its place if it were added to the end of the catalogue."""
    track = path.parent.name
    name = next((it.track for it in entries if it.track_slug == track), track.capitalize())
    return Entry(path.name.lstrip("_"), name, track, len(entries) + 1, path)


def _asked(number: int, parsed: ParsedQuestion, section: str) -> quiz.Asked:
    passage = Passage(anchor=parsed.anchor, section=section)
    question = Question(
        key=parsed.key or str(number), position=number, ask=parsed.ask, passage=passage
    )
    choices = [
        Choice(position=place, text=it.text, correct=it.correct, because=it.because)
        for place, it in enumerate(parsed.choices, 1)
    ]
    return quiz.Asked(question, choices, None)
