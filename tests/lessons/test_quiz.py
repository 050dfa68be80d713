import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons import quiz
from lessons.models import Choice, Passage, Question


def question(key: str, right: int, position: int = 1) -> Question:
    """One of four choices, in no database."""
    found = Question(pk=position, key=key, position=position, ask="?", passage=Passage(pk=1))
    found._prefetched_objects_cache = {
        "choices": [
            Choice(pk=it, position=it, text=str(it), correct=it == right, because="b")
            for it in range(1, 5)
        ]
    }
    return found


QUESTIONS = [question("first", 1, 1), question("second", 4, 2), question("third", 2, 3)]


def test_every_right_answer_scores():
    attempt = quiz.read(QUESTIONS, {"quiz:first": "1", "quiz:second": "4", "quiz:third": "2"})
    assert attempt.complete
    assert (attempt.score, attempt.of) == (3, 3)


def test_a_wrong_answer_does_not_score():
    attempt = quiz.read(QUESTIONS, {"quiz:first": "1", "quiz:second": "3", "quiz:third": "2"})
    assert (attempt.score, attempt.of) == (2, 3)
    assert [it.right for it in attempt.asked] == [True, False, True]


def test_an_unanswered_question_is_missing_and_not_wrong():
    attempt = quiz.read(QUESTIONS, {"quiz:first": "1", "quiz:third": ""})
    assert not attempt.complete
    assert [it.question.key for it in attempt.missing] == ["second", "third"]


def test_a_question_that_no_longer_exists_is_ignored():
    attempt = quiz.read(QUESTIONS, {"quiz:first": "1", "quiz:gone": "2", "other": "x"})
    assert attempt.answers == {"first": 1}


@pytest.mark.parametrize("value", ["0", "5", "-1", "1.0", "١", "one", "\0", "9" * 5000])
def test_an_option_that_the_question_never_had_is_refused(value):
    with pytest.raises(quiz.NotThisQuiz, match="question 2"):
        quiz.read(QUESTIONS, {"quiz:second": value})


def test_a_lesson_without_questions_is_never_complete():
    assert not quiz.read([], {}).complete


@given(st.dictionaries(st.sampled_from(["first", "second", "third"]), st.integers(1, 4)))
def test_the_score_counts_right_answers_and_the_event_repeats_them(chosen):
    attempt = quiz.read(QUESTIONS, {f"quiz:{key}": str(place) for key, place in chosen.items()})
    right = {"first": 1, "second": 4, "third": 2}
    assert attempt.score == sum(right[key] == place for key, place in chosen.items())
    assert attempt.answers == chosen
    assert attempt.complete == (len(chosen) == 3)
    event = quiz.scored_event("a-lesson", attempt)
    assert event == {
        "type": "quiz.scored",
        "lesson": "a-lesson",
        "data": {"score": attempt.score, "of": 3, "answers": chosen},
    }


def test_the_browsers_id_comes_back_and_junk_does_not():
    mine = str(uuid.uuid4())
    attempt = quiz.blank(QUESTIONS)
    assert quiz.scored_event("a", attempt, quiz.attempt_id({"attempt": mine}))["id"] == mine
    for junk in ("", "x", '"><script>', "1" * 33):
        assert quiz.attempt_id({"attempt": junk}) == ""
