"""When an answer is refused, and how the gate is fitted: by words, no model needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tutor import evaluation, gate
from tutor.gate import Signs
from tutor.index import LessonIndex, Quotable
from tutor.ranking import Asked, rank, read_closely

SENTENCES = (
    "Quantization stores each weight with fewer bits.",
    "A Q8_0 block holds 32 weights and one scale.",
    "To turn GB into GiB, divide by 1.074.",
)


@pytest.fixture
def lesson() -> LessonIndex:
    passages = [
        Quotable(f"p-{n}", "Bits", "sentence", said, "") for n, said in enumerate(SENTENCES, 1)
    ]
    return LessonIndex("slug", "Quantization", "", passages, None)


def signs(question: str, lesson: LessonIndex) -> Signs:
    asked = Asked.of(question, lesson)
    return gate.signs(asked, rank(lesson, asked, None))


def test_a_word_that_the_lesson_never_says_counts_against_it(lesson: LessonIndex) -> None:
    known, strange = signs("What is quantization?", lesson), signs("What is LoRA?", lesson)
    assert (known.known, known.unknown) == (1.0, 0.0)
    assert strange.known == 0.0
    assert strange.unknown > 4


@pytest.mark.parametrize(
    ("question", "lacks"),
    [
        ("How many weights does a Q8_0 block hold?", 0.0),
        ("How many layers does a Q8_0 block hold?", 1.0),
        ("How do I turn GB into GiB?", 0.0),
        ("How do I download a Q8_0 block?", 1.0),
        ("What is a scale?", 0.0),
    ],
)
def test_what_is_counted_or_done_must_stand_there(
    question: str, lacks: float, lesson: LessonIndex
) -> None:
    assert signs(question, lesson).lacks == lacks


@pytest.mark.parametrize(
    ("question", "answered"),
    [("Who invented quantization?", False), ("What year was it stored?", False)],
)
def test_a_person_or_a_date_must_stand_there(
    question: str, answered: bool, lesson: LessonIndex
) -> None:
    asked = Asked.of(question, lesson)
    assert gate.has_answer_of_its_kind(asked, rank(lesson, asked, None)) is answered


def test_the_threshold_loses_as_many_covered_questions_as_it_lets_others_through() -> None:
    rows = [
        (evaluation.Case(str(n), f"lesson-{n % 2}", "?", expect), Signs(score, 1, 0, 2))
        for expect, scores in (
            ("covered", (0.3, 0.6, 0.7, 0.8, 0.9)),
            ("not_covered", (0.1, 0.2, 0.3, 0.4, 0.65)),
        )
        for n, score in enumerate(scores)
    ]
    fitted, said = evaluation.calibrate(rows)
    assert said["over_refusal"] == pytest.approx(1 - said["refusal_recall"], abs=0.21)
    assert fitted.probability(Signs(0.9, 1, 0, 2)) >= fitted.threshold
    assert fitted.probability(Signs(0.1, 1, 0, 2)) < fitted.threshold


def test_with_the_model_only_the_passages_read_count(lesson: LessonIndex) -> None:
    asked = Asked.of("What is LoRA?", lesson)
    by_words = rank(lesson, asked, None)
    sure = read_closely(by_words, asked, lambda _, passages: np.array([3.0, -4.0, -4.0]))
    unsure = read_closely(by_words, asked, lambda _, passages: np.array([-3.0, -4.0, -4.0]))
    assert gate.probability(asked, sure) == pytest.approx(20.12 / 21.12, abs=1e-3)
    assert gate.covers(asked, sure)
    assert not gate.covers(asked, unsure)


def test_what_is_read_as_the_answer_moves_up(lesson: LessonIndex) -> None:
    asked = Asked.of("What is quantization?", lesson)
    by_words = rank(lesson, asked, None)
    last = int(by_words.order[-1])

    def judge(question: str, passages: Sequence[str]) -> np.ndarray:
        assert passages == [lesson.in_place(int(place)) for place in by_words.order]
        return np.array([-9.0] * (len(passages) - 1) + [5.0])

    assert read_closely(by_words, asked, judge).order[0] == last
    assert by_words.order[0] != last


def test_a_calibration_is_kept_and_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CALIBRATION", tmp_path / "calibration.json")
    gate.calibration.cache_clear()
    kept = gate.Calibration(0.4, gate.Gate((1.0, 2.0, -3.0, 4.0, 5.5), -1.25, 0.75))
    gate.save(kept, {"fitted_on": "3 questions"})
    assert gate.calibration() == kept
    monkeypatch.undo()
    gate.calibration.cache_clear()
