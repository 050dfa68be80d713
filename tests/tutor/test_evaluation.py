"""Each figure of evaluate_tutor on outcomes made by hand."""

import json
from pathlib import Path

import pytest

from tutor import evaluation
from tutor.answer import Answer, Citation, Link
from tutor.evaluation import Case, Outcome
from tutor.index import LessonIndex, Quotable

SAID = "A weight is a number."
LESSON = LessonIndex("slug", "Bits", "", [Quotable("p-1", "S", "sentence", SAID, "")], None)
QUOTED = Answer("quote", citations=(Citation("p-1", "S", SAID),))
INVENTED = Answer("quote", citations=(Citation("p-1", "S", "A weight is a stone."),))
REFUSED = Answer("not_covered", "This lesson doesn't cover that.")


def outcome(expect: str, answer: Answer, any_of: tuple[str, ...] = ("number",)) -> Outcome:
    return Outcome(Case("1", "slug", "?", expect, any_of), answer, LESSON, 10.0, 20.0)


def test_the_figures_of_a_mixed_lot() -> None:
    outcomes = [
        outcome("covered", QUOTED),
        outcome("covered", QUOTED, ("stone",)),
        outcome("covered", REFUSED),
        outcome("not_covered", REFUSED, ()),
        outcome("not_covered", QUOTED, ()),
    ]
    found = evaluation.figures(outcomes, lambda o: o.answer is QUOTED)
    assert found["answerable_accuracy"] == pytest.approx(1 / 3, abs=0.001)
    assert found["over_refusal"] == pytest.approx(1 / 3, abs=0.001)
    assert found["refusal_recall"] == 0.5
    assert found["refusal_precision"] == 0.5
    assert (found["citation_precision"], found["citation_recall"]) == (0.5, 0.5)
    assert (found["unsupported_sentences"], found["quotes_exact"]) == (0, 1.0)
    assert (found["leaks"], found["leak_rate"]) == (3, 0.6)
    assert found["first_text_milliseconds"] == {"median": 10.0, "p95": 10.0}
    assert found["total_milliseconds"] == {"median": 20.0, "p95": 20.0}


def test_a_quote_that_is_not_the_page_s_is_counted() -> None:
    found = evaluation.figures(
        [outcome("covered", QUOTED), outcome("covered", INVENTED)], lambda o: False
    )
    assert (found["unsupported_sentences"], found["unsupported_sentence_rate"]) == (1, 0.5)
    assert found["quotes_exact"] == 0.5


def test_another_lesson_is_right_if_the_question_was_written_for_it() -> None:
    case = Case("1", "slug", "?", "not_covered", written_for="home")
    named = [
        Answer("not_covered", links=(Link(f"/lessons/{slug}/", "A title"),))
        for slug in ("home", "away")
    ]
    outcomes = [Outcome(case, answer, LESSON) for answer in (*named, REFUSED, QUOTED)]
    found = evaluation.figures(outcomes, lambda o: False)
    assert found["other_lesson_precision"] == 0.5
    assert found["other_lesson_recall"] == pytest.approx(1 / 3, abs=0.001)


@pytest.mark.parametrize("line", ['{"lesson": "x"}', "[]", "not JSON"])
def test_a_bad_line_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"lesson": "a", "question": "b"}) + "\n" + line)
    with pytest.raises(evaluation.QuestionFileError, match="line 2"):
        evaluation.read(file)
