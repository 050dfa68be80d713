"""Lesson folders for tests: a valid one, to be spoilt at will."""

from pathlib import Path

HEAD = """\
---
title: {title}
summary: About {slug}.
topic: Model Families
minutes: 1
related: []
sources:
  - "A report, 2026"
---
"""
BODY = """
## The premise

The {slug} lesson is short. It names 4 bits.[^1]

## What AI does well here

- Save memory with fewer bits.

## What AI cannot do

- Promise zero quality loss.

## Practice this safely

1. Ask an AI to explain it, then check.
"""
LESSON = HEAD + BODY


def question(number: int, passage: str = "Save memory with fewer bits.") -> str:
    choices = "".join(
        f"    - text: Choice {letter}\n"
        + ("      correct: true\n" if letter == "b" else "")
        + f"      because: Reason {letter}.\n"
        for letter in "abcd"
    )
    return (
        f"- id: q{number}\n  ask: Question {number}?\n  choices:\n{choices}  passage: {passage}\n"
    )


QUIZ = "".join(question(number) for number in range(1, 11))


def write_lesson(directory: Path, slug: str, **values: str) -> Path:
    folder = directory / "creators" / slug
    folder.mkdir(parents=True, exist_ok=True)
    title = values.get("title", slug.capitalize())
    text = values.get("lesson", LESSON).replace("{title}", title).replace("{slug}", slug)
    (folder / "lesson.md").write_text(text, encoding="utf-8")
    (folder / "quiz.yaml").write_text(values.get("quiz", QUIZ), encoding="utf-8")
    return folder


def write_catalogue(directory: Path, *slugs: str) -> None:
    lessons = "".join(f"      - {slug}\n" for slug in slugs)
    (directory / "catalogue.yaml").write_text(
        f"tracks:\n  - name: Creators\n    slug: creators\n    lessons:\n{lessons}"
    )


def write(directory: Path, *slugs: str) -> Path:
    for slug in slugs:
        write_lesson(directory, slug)
    write_catalogue(directory, *slugs)
    return directory
