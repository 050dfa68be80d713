"""quiz.yaml: ten questions, each with four choices, one of them right, all with a reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from lessons import yamlfile
from lessons.markdown import RenderedPassage
from lessons.problems import Problems
from lessons.yamlfile import Form, Items

QUESTIONS = 10
CHOICES = 4
SHORTEST_PASSAGE = 8  # letters; fewer stand in many sentences

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_STRAIGHT = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})


@dataclass(frozen=True)
class ParsedChoice:
    text: str
    correct: bool
    because: str


@dataclass(frozen=True)
class ParsedQuestion:
    key: str
    ask: str
    choices: tuple[ParsedChoice, ...]
    passage: str  # words of the lesson that hold the answer
    anchor: str  # of the passage with these words; "" where the lesson has none


def read(
    text: str, passages: Sequence[RenderedPassage], problems: Problems
) -> list[ParsedQuestion]:
    """The questions of a quiz file; adds what is wrong with it to problems."""
    before = len(problems)
    value = yamlfile.read(text, problems)
    if len(problems) > before and value is None:
        return []
    if not isinstance(value, Items):
        problems.add(1, "the quiz is not a list", "start each question with - id: …")
        return []
    questions = [_question(entry, passages, problems) for entry in value]
    if len(value) != QUESTIONS:
        problems.add(
            value[-1].line if value else 1,
            f"the quiz has {_count(len(value), 'question')}",
            f"write exactly {QUESTIONS}",
        )
    _check_keys(questions, value, problems)
    return questions


def _question(
    value: Any, passages: Sequence[RenderedPassage], problems: Problems
) -> ParsedQuestion:
    form = Form(value, problems, "the question").only(["id", "ask", "choices", "passage"])
    key = form.name("id", longest=100)
    form.what = f'question "{key}"' if key else form.what
    ask = form.text("ask")
    before = len(problems)
    choices = tuple(_choice(entry, form.what, problems) for entry in form.items("choices"))
    if "choices" in form.fields and len(problems) == before:
        _check_choices(form, choices)
    words = form.text("passage", needed=False)
    anchor = _find(words, passages) if words else ""
    if not words:
        right = " ".join(choice.text for choice in choices if choice.correct)
        form.missing("passage", _advice(f"{ask} {right}", passages))
    elif len(_plain(words)) < SHORTEST_PASSAGE:
        form.wrong("passage", f"is only “{words}”", _advice(f"{ask} {words}", passages))
    elif passages and not anchor:  # no passages: the lesson itself could not be read
        form.wrong("passage", "is not in the lesson", _advice(words, passages))
    return ParsedQuestion(key, ask, choices, words, anchor)


def _choice(value: Any, question: str, problems: Problems) -> ParsedChoice:
    form = Form(value, problems, f"a choice of {question}").only(["text", "correct", "because"])
    return ParsedChoice(form.text("text"), form.truth("correct"), form.text("because"))


def _check_choices(form: Form, choices: tuple[ParsedChoice, ...]) -> None:
    if len(choices) != CHOICES:
        form.wrong("choices", f"are {len(choices)}", f"write exactly {CHOICES}")
    right = sum(choice.correct for choice in choices)
    if right == 0:
        form.wrong("choices", "name no right one", "add correct: true to one of them")
    elif right > 1:
        form.wrong("choices", f"name {right} right ones", "keep correct: true at one of them")
    texts = [choice.text.casefold() for choice in choices if choice.text]
    if len(set(texts)) < len(texts):
        form.wrong("choices", "say the same twice", "make each one different")


def _check_keys(questions: list[ParsedQuestion], value: Items, problems: Problems) -> None:
    seen: dict[str, int] = {}
    for question, entry in zip(questions, value, strict=True):
        if question.key in seen:
            problems.add(
                entry.line,
                f'the id "{question.key}" is taken by the question on line {seen[question.key]}',
                "choose another one",
            )
        elif question.key:
            seen[question.key] = entry.line
    asked: dict[str, int] = {}
    for question, entry in zip(questions, value, strict=True):
        if first := asked.get(question.ask.casefold()):
            said = f'question "{question.key}" asks the same as the one on line {first}'
            problems.add(entry.line, said, "ask something else")
        elif question.ask:
            asked[question.ask.casefold()] = entry.line


def _plain(text: str) -> str:
    return " ".join(text.translate(_STRAIGHT).split())


def _find(words: str, passages: Sequence[RenderedPassage]) -> str:
    """The anchor of the first passage that holds words."""
    wanted = _plain(words)
    return next((p.anchor for p in passages if wanted in _plain(p.text)), "")


def _advice(about: str, passages: Sequence[RenderedPassage]) -> str:
    """What to do, with the passage that shares most words with `about`."""
    advice = "copy words from the sentence that holds the answer"
    words = set(_words(about))
    scored = [
        (len(words & set(_words(p.text))) / (len(_words(p.text)) + 5), p.text) for p in passages
    ]
    score, text = max(scored, default=(0, ""), key=lambda pair: pair[0])
    return f"{advice}; perhaps “{text}”" if score else advice


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[\w.]+", text.lower()) if len(word) > 3]


def dump(questions: Sequence[ParsedQuestion]) -> str:
    """The text of a quiz.yaml that holds the questions."""
    return yaml.dump(
        [
            {
                "id": question.key,
                "ask": question.ask,
                "choices": [_choice_fields(choice) for choice in question.choices],
                "passage": question.passage,
            }
            for question in questions
        ],
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        width=100,
    )


def _choice_fields(choice: ParsedChoice) -> dict[str, str | bool]:
    right: dict[str, str | bool] = {"correct": True} if choice.correct else {}
    return {"text": choice.text, **right, "because": choice.because}


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
