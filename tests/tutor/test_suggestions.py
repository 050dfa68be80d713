import re

import pytest

from lessons.models import Lesson
from tutor import answer, suggestions
from tutor.index import LessonIndex, Quotable
from tutor.index import of as index_of


@pytest.fixture
def any_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate needs a whole lesson; a few sentences alone show what is taken for a definition."""
    monkeypatch.setattr(suggestions, "_is_answered", lambda *_: True)
    suggestions._made.cache_clear()


def made(*sentences: str) -> tuple[str, ...]:
    passages = [
        Quotable(f"p-{i}", "The premise", "sentence", sentence, "")
        for i, sentence in enumerate(sentences)
    ]
    return suggestions._made(LessonIndex("s", "Models", "On models.", passages, None))[:-1]


@pytest.mark.usefixtures("any_answer")
@pytest.mark.parametrize(
    ("sentence", "asks"),
    [
        ("A flip is an answer that changes from right to wrong.", "What is a flip?"),
        ("GGUF is a file format: one file holds the weights.", "What is GGUF?"),
        ("Looking back at earlier tokens is called attention.", "What is attention?"),
        ("A Wilson interval is a range around a score.", "What is a Wilson interval?"),
        ("Distillation means training a small model on a large one.", "What is distillation?"),
    ],
)
def test_what_the_lesson_defines_is_suggested(sentence: str, asks: str) -> None:
    assert made(sentence, "Rain fell on the garden all night.") == (asks,)


@pytest.mark.usefixtures("any_answer")
@pytest.mark.parametrize(
    "sentence",
    [
        "A file of four bits is called so Q4_K_M.",  # a word that carries no subject
        "Within noise means that luck alone would often do it.",
        "Perplexity is an average, so a gain in one place cancels a loss.",  # too little
        "The interval means this: the true share lies between its ends.",  # which interval?
        "The custom is a convention and not a law: look at the flips.",
        "In a file the KV heads are called num_key_value_heads.",  # a program's variable
        "It is a number that says how strong a link is.",
    ],
)
def test_what_says_too_little_of_a_term_is_not(sentence: str) -> None:
    assert made(sentence, "Rain fell on the garden all night.") == ()


@pytest.mark.usefixtures("any_answer")
def test_names_keep_their_capitals_and_common_words_lose_them() -> None:
    hermes = "Hermes is a family of open models that people run at home."
    tools = "Tool calling means that the model writes a message that a program obeys."
    found = made(hermes, "Take the file hermes-3-8b for small machines, as Hermes needs.", tools)
    assert set(found) == {"What is Hermes?", "What is tool calling?"}


@pytest.mark.usefixtures("embedded_lessons")
@pytest.mark.django_db
def test_every_lesson_answers_what_it_suggests(reader: answer.Reader) -> None:
    lessons = list(Lesson.objects.all())
    assert lessons
    for lesson in lessons:
        asked = suggestions.of_lesson(lesson)
        assert len(asked) >= 2, lesson.slug
        for question in asked:
            found = answer.answer(question, index_of(lesson), reader=reader)
            assert found.covered, f"{lesson.slug}: {question}"
            term = re.search(r"What is (?:an? |the )?(.*)\?", question)
            if term:
                said = " ".join(citation.quote for citation in found.citations)
                assert term[1].lower() in said.lower(), f"{lesson.slug}: {question}: {said}"
