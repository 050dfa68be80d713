"""A lesson's folder: lesson.md, quiz.yaml and figures, read and checked.

Nothing here knows the database or another lesson; what needs those is in lessons/loader.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from lessons import figures, quizfile, yamlfile
from lessons.catalogue import Entry, read_text, shown
from lessons.markdown import RENDERER, SECTIONS, Rendered, render
from lessons.problems import Problem, Problems
from lessons.quizfile import ParsedQuestion
from lessons.yamlfile import Form, Text

LESSON, QUIZ = "lesson.md", "quiz.yaml"
_PASSED_OVER = re.compile(r"^[._#]|(~|\.swp|\.bak)$")
WORDS_PER_MINUTE = 215
WORDS_PER_ROW, WORDS_PER_FIGURE = 12, 40
FIELDS = ("title", "summary", "topic", "minutes", "related", "sources")

_LIST = ("ul", "list", "write each one as a line - …")
LISTS = {
    "What AI does well here": _LIST,
    "What AI cannot do": _LIST,
    "Practice this safely": ("ol", "numbered steps", "write them as lines 1. …, 2. …"),
}


@dataclass
class ParsedLesson:
    """A lesson as its files say it."""

    entry: Entry
    title: str = ""
    summary: str = ""
    topic: str = ""
    minutes: int = 0
    related: list[Text] = field(default_factory=list)
    sources: list[Text] = field(default_factory=list)
    page: Rendered = field(default_factory=Rendered)
    questions: list[ParsedQuestion] = field(default_factory=list)
    sources_read: bool = True
    lines: dict[str, int] = field(default_factory=dict)  # of the front matter's fields


def files_of(folder: Path) -> list[Path]:
    """The files that make the lesson, in order; editors' and systems' own are passed over."""
    return sorted(path for path in folder.iterdir() if not _PASSED_OVER.search(path.name))


def fingerprint(entry: Entry) -> str:
    """SHA-256 of all that the stored lesson depends on, its place in the catalogue excepted."""
    digest = sha256(f"{RENDERER}\n{entry.track}\n{entry.track_slug}\n".encode())
    for path in files_of(entry.folder):
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.name}\n{len(data)}\n".encode() + data)
    return digest.hexdigest()


def reading_minutes(page: Rendered) -> int:
    words = page.words + WORDS_PER_ROW * page.rows + WORDS_PER_FIGURE * page.figures
    return max(1, round(words / WORDS_PER_MINUTE))


def read(entry: Entry, problems: Problems) -> ParsedLesson:
    """The lesson in entry's folder; adds every mistake in it to problems."""
    lesson = ParsedLesson(entry)
    found = Problems(shown(entry.folder / LESSON))
    text = read_text(entry.folder / LESSON, found)
    if text is not None:
        _read_text(text, lesson, found)
    problems += found
    found = Problems(shown(entry.folder / QUIZ))
    quiz = read_text(entry.folder / QUIZ, found)
    if quiz is not None:
        lesson.questions = quizfile.read(quiz, lesson.page.passages, found)
    problems += found
    problems += _unknown_files(lesson, text or "")
    return lesson


def _read_text(text: str, lesson: ParsedLesson, problems: Problems) -> None:
    head = re.match(r"---[ \t]*\n(.*?)^---[ \t]*(\n|$)", text, re.DOTALL | re.MULTILINE)
    if not head:
        problems.add(1, "there is no front matter", "start with --- and title:, then --- again")
        return
    value = yamlfile.read(head[1], problems, first_line=2)
    if value is not None:
        _read_fields(value, lesson, problems)
    body_line = text.count("\n", 0, head.end()) + 1
    lesson.page = render(
        text[head.end() :],
        problems,
        line=body_line,
        figure=lambda name, alt, line: _figure(lesson.entry.folder, name, alt, line, problems),
    )
    if lesson.page.torn:  # all that follows would be said of a part of the lesson only
        lesson.page.passages = []
        return
    _check_sections(lesson.page, problems, body_line)
    if value is not None:
        _check_sources(lesson, problems)
        _check_minutes(lesson, problems)


def _read_fields(value: object, lesson: ParsedLesson, problems: Problems) -> None:
    form = Form(value, problems, "front matter").only(FIELDS)
    lesson.title = form.text("title", longest=300)
    lesson.summary = form.text("summary", longest=600)
    lesson.topic = form.text("topic", longest=100)
    lesson.minutes = form.number("minutes", 1, 600)
    lesson.related = list(form.texts("related"))
    before = len(problems)
    lesson.sources = list(form.texts("sources"))
    lesson.sources_read = len(problems) == before
    lesson.lines = form.fields.lines


def _figure(folder: Path, name: str, alt: str, line: int, problems: Problems) -> str:
    path = folder / name
    if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*\.svg", name):
        problems.add(
            line, f'"{name}" cannot be a figure', "put an .svg file beside lesson.md, named a-z"
        )
        return ""
    if not path.is_file():
        problems.add(line, f"the figure {name} is missing", f"put it beside {LESSON}")
        return ""
    found = Problems(shown(path))
    drawing = figures.inline(path.read_bytes(), alt, found)
    problems += found
    return drawing


def _check_sections(page: Rendered, problems: Problems, line: int) -> None:
    titles = [h["title"] for h in page.headings if h["level"] == 2]
    lines = {h["title"]: h["line"] for h in page.headings}
    order = f"the order is {', '.join(SECTIONS)}"
    for title in SECTIONS:
        if title not in titles:
            problems.add(line, f'the section "{title}" is missing', f"add ## {title}; {order}")
        elif titles.count(title) > 1:
            problems.add(lines[title], f'the section "{title}" stands here twice', "keep one")
        elif title in LISTS and (title, LISTS[title][0]) not in page.lists:
            _, kind, cure = LISTS[title]
            problems.add(lines[title], f'the section "{title}" has no {kind}', cure)
    present = [title for title in titles if title in SECTIONS]
    expected = [title for title in SECTIONS if title in present]
    for title, right in zip(dict.fromkeys(present), expected, strict=True):
        if title != right:
            problems.add(lines[title], f'the section "{title}" is in the wrong place', order)
            break


def _check_minutes(lesson: ParsedLesson, problems: Problems) -> None:
    minutes = reading_minutes(lesson.page)
    if lesson.minutes and abs(minutes - lesson.minutes) > 1:
        problems.add(
            lesson.lines["minutes"],
            f"minutes is {lesson.minutes}, but the text takes about {minutes}",
            f"write minutes: {minutes}",
        )


def _check_sources(lesson: ParsedLesson, problems: Problems) -> None:
    if not lesson.sources_read:
        return
    for number, line in sorted(lesson.page.sources.items()):
        if number > len(lesson.sources):
            problems.add(
                line,
                f"[^{number}] names a source that is not there",
                f"the front matter lists {len(lesson.sources)}; add it or correct the number",
            )
    for number, source in enumerate(lesson.sources, 1):
        if number not in lesson.page.sources:
            problems.add(
                source.line,
                f"source {number} is never used (“{source[:50]}”)",
                f"put [^{number}] after the sentence that rests on it, or remove it",
            )


def _unknown_files(lesson: ParsedLesson, text: str) -> Iterator[Problem]:
    for path in files_of(lesson.entry.folder):
        found = Problems(shown(path))
        if path.name in (LESSON, QUIZ):
            continue
        if path.suffix != ".svg" or not path.is_file():
            found.add(1, "does not belong to a lesson", f"keep {LESSON}, {QUIZ} and .svg figures")
        elif not re.search(rf"\]\([^)\n]*{re.escape(path.name)}", text, re.IGNORECASE):
            found.add(1, "no figure of the lesson uses it", "use it or remove it")
        yield from found
