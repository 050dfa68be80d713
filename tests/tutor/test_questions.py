"""The tutor on judged questions that it was not fitted on, against floors a little below what was
measured, so that a change which makes it worse is seen. Every fourth line: all take a minute."""

from pathlib import Path

import pytest

from tutor import asking, evaluation, index, quizhelp

FILE = Path(__file__).with_name("questions_examiners.jsonl")
FLOORS = {"answerable_accuracy": 0.85, "refusal_recall": 0.92, "refusal_precision": 0.8}
CEILING = {"over_refusal": 0.1}


@pytest.mark.django_db
def test_the_examiners_questions_are_answered_as_well_as_measured(embedded_lessons, reader) -> None:
    cases = evaluation.read(FILE, judged=True)[::4]
    outcomes = []
    for case in cases:
        found = asking.ask(case.lesson, case.question, reader, case.previous).answer
        outcomes.append(evaluation.Outcome(case, found, index.of(asking.lesson(case.lesson))))
    quizzes = {case.lesson: quizhelp.of(asking.lesson(case.lesson)) for case in cases}
    figures = evaluation.figures(
        outcomes, lambda o: quizhelp.leaks(o.answer.opening, quizzes[o.case.lesson])
    )
    assert figures["unsupported_sentences"] == figures["leaks"] == figures["forbidden_text"] == 0
    assert figures["quotes_exact"] == 1.0
    assert {name: figures[name] for name in FLOORS if figures[name] < FLOORS[name]} == {}
    assert {name: figures[name] for name in CEILING if figures[name] > CEILING[name]} == {}
