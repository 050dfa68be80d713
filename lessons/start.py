"""A new lesson's folder: valid as it stands, every part of it waiting to be rewritten."""

from pathlib import Path

import yaml

from lessons import catalogue, folder, quizfile
from lessons.quizfile import ParsedChoice, ParsedQuestion

_ANSWER = "Each question of the quiz points to the sentence that holds its answer."

_LESSON = """\
---
title: {title}
summary: One sentence that says what the reader will know afterwards.
topic: {topic}
minutes: 1
related: []
sources:
  - "Author, title, where it was published, year: what this lesson takes from it"
---

## The premise

Say in two or three sentences what this lesson is about and why it matters. A figure or a claim
that somebody else measured gets the number of its source.[^1] {answer}

## What AI does well here

- Finish the words “AI does this well” with one short sentence. Explain it in the next one.
- Give a second strength, with a number if there is a source for it.

## What AI cannot do

- Finish the words “AI cannot” with one short sentence. Say why in the next one.
- Name a second limit that a reader would not expect.

## Practice this safely

Say what the reader tries out, with an example from a project of their own.

1. Ask an AI one thing about the topic, then underline what sounds uncertain.
2. Give the AI one detail from this lesson and ask why it might be wrong.
3. Check the answer with a trusted source before you use it.
"""


class CannotStart(Exception):
    """Says why, and what to do."""


def new_lesson(
    directory: Path, slug: str, title: str, *, track: str = "", topic: str = "Model Families"
) -> Path:
    """Makes the folder and names it in the catalogue, at the end of its track; the folder."""
    if (
        not slug
        or slug != slug.lower()
        or not slug.replace("-", "").isalnum()
        or (not slug.isascii() or "" in slug.split("-"))
    ):
        raise CannotStart(f"“{slug}” cannot be an address: use a-z, 0-9 and hyphens.")
    path = directory / catalogue.FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _write(path, "tracks:\n  - name: Creators\n    slug: creators\n    lessons: []\n")
    text, track = _with_lesson(path.read_text(encoding="utf-8"), slug, track)
    target = directory / track / slug
    if target.exists():
        raise CannotStart(f"{catalogue.shown(target)} is there already.")
    target.mkdir(parents=True)
    quoted = yaml.safe_dump(title, allow_unicode=True, width=10_000).split("\n")[0]
    lesson = _LESSON.format(title=quoted, topic=topic, answer=_ANSWER)
    _write(target / folder.LESSON, lesson)
    _write(target / folder.QUIZ, quizfile.dump(_questions()))
    _write(path, text)
    return target


def _questions() -> list[ParsedQuestion]:
    return [
        ParsedQuestion(
            key=f"question-{number}",
            ask=f"Question {number}: what does the reader have to understand?",
            choices=tuple(
                ParsedChoice(
                    f"Choice {letter}, as long as the others",
                    letter == "ABCD"[number % 4],
                    f"Why choice {letter} is right or wrong.",
                )
                for letter in "ABCD"
            ),
            passage=_ANSWER,
            anchor="",
        )
        for number in range(1, quizfile.QUESTIONS + 1)
    ]


def _with_lesson(text: str, slug: str, track: str) -> tuple[str, str]:
    """The catalogue's text with slug at the end of track (the first by default), and the track.

    The text is edited by hand, so that the author's comments and order stay.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tracks = {
            t["slug"].value: t["lessons"] for t in map(_fields, _fields(root)["tracks"].value)
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise CannotStart(
            "The catalogue is not right: run 'load_lessons --check' first."
        ) from error
    track = track or next(iter(tracks), "")
    if track not in tracks:
        raise CannotStart(f"There is no track “{track}”: use {', '.join(tracks)}, or add it.")
    if any(slug == lesson.value for lessons in tracks.values() for lesson in lessons.value):
        raise CannotStart(f"The catalogue has a lesson {slug} already.")
    lessons = tracks[track]
    if not isinstance(lessons, yaml.SequenceNode):
        raise CannotStart(f"The track “{track}” has no list of lessons in the catalogue.")
    if not lessons.value:
        start, end = lessons.start_mark.index, lessons.end_mark.index
        return f"{text[:start].rstrip()}\n      - {slug}{text[end:]}", track
    last = lessons.value[-1]
    if lessons.flow_style:
        end = last.end_mark.index
        return f"{text[:end]}, {slug}{text[end:]}", track
    end = text.find("\n", last.end_mark.index)
    end = len(text) if end < 0 else end
    indent = " " * lessons.start_mark.column
    return f"{text[:end]}\n{indent}- {slug}{text[end:]}", track


def _fields(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise TypeError("not a list of fields")
    return {key.value: value for key, value in node.value}


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
