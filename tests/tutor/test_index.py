import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.models import Passage
from tests.lessons.samples import make_lesson
from tutor import index
from tutor.index import BM25, LessonIndex, Quotable


def part(anchor: str, said: str, section: str = "One", context: str = "") -> Quotable:
    return Quotable(anchor, section, "sentence", said, context)


def test_a_rare_word_counts_more_than_a_common_one_and_a_strange_one_nothing() -> None:
    found = BM25([["file", "scale"], ["file", "weight"], ["file", "block"]])
    common, rare = found.scores(["file"]), found.scores(["scale"])
    assert rare[0] > common[0] > 0
    assert rare[1] == rare[2] == 0
    assert not found.scores(["unheard"]).any()
    assert not BM25([]).scores(["file"]).size


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=6), max_size=6), st.text("abcdef"))
def test_scores_are_there_for_every_text_and_never_negative(
    texts: list[list[str]], question: str
) -> None:
    scores = BM25(texts).scores(question)
    assert scores.shape == (len(texts),)
    assert (scores >= 0).all()
    for stems, score in zip(texts, scores, strict=True):
        assert (score > 0) == bool(set(stems) & set(question))


def test_it_knows_the_words_of_headings_contexts_and_title() -> None:
    there = [part("p", "Bits are few.", "On risk", "AI cannot")]
    known = LessonIndex("s", "Tokens", "Of caches.", there, None)
    assert all(known.knows(stem) for stem in ("token", "cach", "risk", "few", "ai"))
    assert known.knows("risky"), "plainly built on a word of the page"
    assert not known.knows("garden")


def test_a_passage_is_found_by_its_section_and_the_sentence_before() -> None:
    passages = [part("a", "Scales shrink."), part("b", "It helps."), part("c", "It ends.", "Two")]
    around = LessonIndex("s", "S", "", passages, None).around
    assert around.scores(["scale"])[1] > 0
    assert around.scores(["help"])[2] == 0, "another section begins"


def test_a_section_has_the_mean_of_its_passages() -> None:
    passages = [part("a", "A."), part("b", "B."), part("c", "C.", "Two")]
    vectors = np.array([[1, 0], [0, 1], [4, 4]], np.float32)
    means = LessonIndex("s", "S", "", passages, vectors).section_means
    assert means.tolist() == [[0.5, 0.5], [0.5, 0.5], [4, 4]]


def test_a_passage_is_found_by_its_anchor() -> None:
    lesson = LessonIndex("s", "S", "", [part("a", "A."), part("b", "B.")], None)
    assert lesson.find("b") == lesson.passages[1]
    assert lesson.find("c") is None


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_kept", {})


@pytest.mark.usefixtures("kept", "db")
def test_an_index_is_made_anew_when_vectors_arrive_or_the_files_change() -> None:
    lesson = make_lesson()
    first = index.of(lesson)
    assert first.vectors is None
    assert index.of(lesson) is first, "nothing is new"

    Passage.objects.update(embedding=np.ones(384, "<f4").tobytes())
    second = index.of(lesson)
    assert second.vectors is not None
    assert second.vectors.shape == (1, 384)
    assert index.of(lesson) is second

    Passage.objects.update(text="Another fact.")
    assert index.of(lesson).passages[0].text == "A fact.", "the files are the same"
    lesson.source_hash = "f" * 64
    assert index.of(lesson).passages[0].text == "Another fact."


@pytest.mark.usefixtures("kept", "db")
def test_all_lessons_come_in_the_catalogues_order() -> None:
    for number in (2, 1, 3):
        make_lesson(number)
    assert [one.slug for one in index.every()] == ["lesson-1", "lesson-2", "lesson-3"]


def test_a_passage_is_read_with_its_section_context_and_the_end_of_the_sentence_before() -> None:
    long = "One two three four five six seven eight nine ten and so on to the very end of it."
    passages = [
        part("a", long),
        part("b", "It helps."),
        Quotable("c", "One", "item", "Promise it.", "AI cannot"),
        part("d", "New.", "Two"),
    ]
    lesson = LessonIndex("s", "S", "", passages, None)
    assert lesson.in_place(1) == f"One. {' '.join(long.split()[-16:])} | It helps."
    assert lesson.in_place(2) == "One.  | AI cannot Promise it."
    assert lesson.in_place(3) == "Two.  | New."
