"""Help with the quiz: one step further each time, and never an option."""

import pytest
from django.conf import settings

from lessons import loader
from lessons.models import Lesson
from tutor import asking, quizhelp
from tutor.answer import Answer
from tutor.quizhelp import Helped

SLUG = "ai-model-quantization-4-bit-8-bit-fp16-tradeoffs"
FIRST = "what-shrinks"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def lessons() -> None:
    loader.load(settings.LESSONS_DIR, embed=False)


def told(question: str, *hints: str, graded: bool = False, slug: str = SLUG) -> Answer:
    return asking.ask(slug, question, None, "", Helped(hints, graded)).answer


def test_the_ladder_leads_from_the_section_to_the_passage() -> None:
    where, closer, passage, still = (
        told("help with question 1", *[FIRST] * asked) for asked in range(4)
    )
    assert (where.links[0].text, where.citations) == ("The premise", ())
    assert "a sentence at the beginning of “The premise”" in closer.opening
    assert "closer" not in where.opening
    assert not closer.citations
    assert [c.quote for c in passage.citations] == [
        "Quantization means storing each weight of a model with fewer bits."
    ]
    assert passage == still
    assert [bool(it.offers) for it in (where, closer, passage)] == [True, True, False]


def test_no_step_for_any_question_holds_an_option() -> None:
    for slug in Lesson.objects.values_list("slug", flat=True):
        quiz = quizhelp.of(asking.lesson(slug))
        for one in quiz:
            for asked in range(3):
                asks = f"which option is right in question {one.number}?"
                given = told(asks, *[one.key] * asked, slug=slug)
                assert (given.kind, given.about) == ("hint", one.key)
                for choice in one.choices:
                    said = given.opening.replace(one.section.title, "")
                    assert choice.lower() not in said.lower(), (slug, one.number, asked)


def test_another_hint_is_about_the_last_question() -> None:
    assert told("another hint please", "memory-sum", FIRST).about == FIRST
    assert told("I'm still stuck", FIRST, "?memory-sum").about == "memory-sum"
    assert told("Another hint for question 3", FIRST).about == "memory-sum"
    assert told("another hint please").kind != "hint"


def test_a_pasted_question_climbs_the_same_ladder() -> None:
    asks = "In the worked group, why does the weight 0.33 come back closer to its true value from "
    asks += "INT8 than from 4-bit?"
    assert told(asks).about == "rounding-step"
    assert told(asks, "rounding-step", "rounding-step").citations


def test_a_graded_quiz_needs_no_ladder() -> None:
    graded = told("why is question 1 wrong?", graded=True)
    assert graded.citations
    assert "Your result says" in graded.opening


def test_quiz_me_asks_another_question_each_time_without_its_options() -> None:
    first = told("quiz me")
    second = told("quiz me again", first.about)
    assert (first.about, second.about) == ("?what-shrinks", "?biggest-lever")
    quiz = quizhelp.of(asking.lesson(SLUG))
    assert not quizhelp.leaks(first.opening, quiz)
    assert told(first.offers[0], first.about).about == FIRST


@pytest.mark.parametrize("question", ["What question do evals answer?", "What is quantization?"])
def test_questions_about_the_lesson_stay_questions(question: str) -> None:
    assert told(question, FIRST).kind != "hint"
