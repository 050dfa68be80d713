"""Our own lessons: their minutes, their titles, and what of a good quiz can be counted."""

import re
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings

from lessons import catalogue, folder
from lessons.folder import ParsedLesson
from lessons.problems import Problems

TRAPS = re.compile(r"\b(NOT|EXCEPT|always|never|all of the above|none of the above)\b")
SEED = {
    "ai-model-quantization-4-bit-8-bit-fp16-tradeoffs": (
        "AI Model Quantization: 4-bit, 8-bit, FP16 Tradeoffs",
        7,
    ),
    "quantization-explained-gguf-awq-gptq": (
        "Quantization Explained: GGUF, AWQ, GPTQ, and the Q4 vs Q8 vs FP16 Decision",
        11,
    ),
    "quantization-choices-fp16-q8-q6-q5-q4": (
        "Quantization Choices: FP16, Q8, Q6, Q5, and Q4",
        22,
    ),
    "quantization-tradeoffs-q4-vs-q8-for-hermes": (
        "Quantization Tradeoffs (Q4 Vs Q8) For Hermes",
        9,
    ),
}
FOLDERS = sorted(path.parent for path in Path(settings.LESSONS_DIR).glob("*/*/lesson.md"))


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def lesson(request) -> ParsedLesson:
    problems = Problems()
    found = folder.read(catalogue.entry_of(settings.LESSONS_DIR, request.param.name), problems)
    assert not problems
    return found


def test_minutes_are_what_reading_takes_at_200_to_230_words_a_minute(lesson):
    page = lesson.page
    words = page.words + folder.WORDS_PER_ROW * page.rows + folder.WORDS_PER_FIGURE * page.figures
    assert words / 230 - 0.5 <= lesson.minutes <= words / 200 + 0.5, f"{words} words"


def test_the_longest_choice_is_the_right_one_in_at_most_half_of_the_questions(lesson):
    longest = [max(question.choices, key=lambda it: len(it.text)) for question in lesson.questions]
    assert sum(choice.correct for choice in longest) <= 5


def test_the_right_choice_stands_in_every_place_and_in_none_too_often(lesson):
    places = Counter(
        [choice.correct for choice in question.choices].index(True) for question in lesson.questions
    )
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) <= 4


def test_no_question_is_a_trap(lesson):
    for question in lesson.questions:
        said = " ".join([question.ask, *(choice.text for choice in question.choices)])
        assert not TRAPS.search(said), question.key


@pytest.mark.parametrize("slug", SEED)
def test_the_first_four_keep_titles_and_minutes(slug):
    found = folder.read(catalogue.entry_of(settings.LESSONS_DIR, slug), Problems())
    assert (found.title, found.minutes) == SEED[slug]
