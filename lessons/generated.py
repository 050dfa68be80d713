"""A made-up catalogue of any size, to measure the site with. Nothing in it is true."""

import random
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

from lessons.quizfile import ParsedChoice, ParsedQuestion, dump

PREFIX = "generated-"
_TOPICS = ("Model Families", "Prompts", "Images", "Sound", "Data", "Safety", "Hardware", "Evals")
_KNOWN = (
    *("model", "memory", "weight", "token", "prompt", "answer", "file", "cache", "error", "speed"),
    *("layer", "number", "table", "reader", "source", "example", "question", "computer", "image"),
    *(
        "language",
        "training",
        "network",
        "quality",
        "privacy",
        "picture",
        "teacher",
        "quantization",
    ),
)
_SOUNDS = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
_COUNT = 6000  # words in all; like a language's, the nth is used 1/n as often as the first


def _vocabulary() -> tuple[list[str], list[float]]:
    """Words and how often each is used, summed up: a few are everywhere and most are rare."""
    dice = random.Random(0)
    made_up = {
        "".join(dice.choices(_SOUNDS, k=dice.choice((1, 2, 2, 3)))) for _ in range(2 * _COUNT)
    }
    words = sorted(made_up, key=lambda word: (len(word), word))[:_COUNT]
    for place, word in enumerate(_KNOWN):
        words.insert(40 * (place + 1), word)  # from the 40th to the 1,000th
    return words, list(accumulate(1 / rank for rank in range(1, len(words) + 1)))


_WORDS, _OFTEN = _vocabulary()


def write(
    directory: Path, count: int, progress: Callable[[str, int, int], None], *, seed: int = 1
) -> None:
    """Writes count lessons of about 1,400 words each, with their quizzes, into directory."""
    slugs = [f"{PREFIX}{number:04}" for number in range(1, count + 1)]
    listed = "".join(f"      - {slug}\n" for slug in slugs)
    (directory / "catalogue.yaml").write_text(
        f"tracks:\n  - name: Generated\n    slug: generated\n    lessons:\n{listed}"
    )
    for number, slug in enumerate(slugs, 1):
        dice = random.Random(f"{seed} {slug}")
        folder = directory / "generated" / slug
        folder.mkdir(parents=True)
        text, answer = _lesson(dice, number)
        (folder / "lesson.md").write_text(text)
        (folder / "quiz.yaml").write_text(dump(_questions(dice, answer)))
        progress("Writing", number, count)


def _sentence(dice: random.Random) -> str:
    words = dice.choices(_WORDS, cum_weights=_OFTEN, k=dice.randrange(10, 18))
    return f"{' '.join(words).capitalize()} {dice.randrange(1000)}."


def _paragraph(dice: random.Random) -> str:
    return " ".join(_sentence(dice) for _ in range(5))


def _lesson(dice: random.Random, number: int) -> tuple[str, str]:
    """The text of lesson.md, and a sentence of it that answers its questions."""
    answer = _sentence(dice)
    title = " ".join(_sentence(dice).split()[:5])
    parts = [
        f'---\ntitle: "Generated lesson {number}: {" ".join(_sentence(dice).split()[:5])}"\n'
        f"summary: {_sentence(dice)}\ntopic: {_TOPICS[number % len(_TOPICS)]}\nminutes: 7\n---\n",
        f"## The premise\n\n{answer} {_paragraph(dice)}\n",
    ]
    parts += [
        f"## Part {section}\n\n" + "\n\n".join(_paragraph(dice) for _ in range(4))
        for section in range(1, 5)
    ]
    rows = "\n".join(f"| Case {row} | {dice.randrange(100)} | 3.5 |" for row in range(4))
    parts.append(f"| Case | Score | Loss |\n| --- | ---: | ---: |\n{rows}")
    for title in ("What AI does well here", "What AI cannot do"):
        items = "\n".join(f"- {_sentence(dice)}" for _ in range(3))
        parts.append(f"## {title}\n\n{items}")
    steps = "\n".join(f"{step}. {_sentence(dice)}" for step in (1, 2, 3))
    parts.append(f"## Practice this safely\n\n{steps}\n")
    return "\n\n".join(parts), answer


def _questions(dice: random.Random, answer: str) -> list[ParsedQuestion]:
    questions = []
    for number in range(1, 11):
        right = dice.randrange(4)
        choices = tuple(
            ParsedChoice(f"Choice {place}: {_sentence(dice)}", place == right, _sentence(dice))
            for place in range(4)
        )
        questions.append(
            ParsedQuestion(f"q{number}", f"{_sentence(dice)[:-1]}?", choices, answer, "")
        )
    return questions
