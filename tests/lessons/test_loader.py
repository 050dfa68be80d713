import io
import sys
from types import ModuleType

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from lessons import loader
from lessons.models import Choice, Lesson, Passage, Question, Related
from lessons.problems import LessonErrors
from tests.lessons import content

pytestmark = pytest.mark.usefixtures("either_database")


class Embedder(ModuleType):
    """Stands in for quant.embedder: counts letters, remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("quant.embedder")
        self.asked: list[str] = []

    def embed(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        counts = np.zeros((len(texts), 384), dtype=np.float32)
        for row, text in enumerate(texts):
            for letter in text.lower():
                counts[row, ord(letter) % 384] += 1
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def embedder(monkeypatch):
    module = Embedder()
    monkeypatch.setitem(sys.modules, "quant.embedder", module)
    return module


def everything() -> list:
    tables = (Lesson, Passage, Question, Choice, Related)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def problems(directory) -> list[str]:
    with pytest.raises(LessonErrors) as caught:
        loader.load(directory)
    return [str(problem).replace(f"{directory}/", "") for problem in caught.value.problems]


def test_lessons_are_stored_with_all_their_parts(tmp_path):
    done = loader.load(content.write(tmp_path, "one", "two"))
    assert (done.total, done.stored, done.removed, done.waiting) == (2, 2, 0, "")
    lesson = Lesson.objects.get(slug="two")
    assert (lesson.title, lesson.track, lesson.topic) == ("Two", "Creators", "Model Families")
    assert (lesson.minutes, lesson.position) == (1, 2)
    assert lesson.sources == ["A report, 2026"]
    assert [h["title"] for h in lesson.headings][:1] == ["The premise"]
    item = lesson.passages.get(text="Promise zero quality loss.")
    assert (item.kind, item.context) == ("item", "What AI cannot do")
    assert f'<span id="{item.anchor}" class="p">{item.text}</span>' in lesson.html
    assert lesson.questions.count() == 10
    question = lesson.questions.get(key="q3")
    assert question.passage.text == "Save memory with fewer bits."
    assert [c.correct for c in question.choices.all()] == [False, True, False, False]


def test_loading_the_same_files_twice_changes_nothing(tmp_path, embedder):
    directory = content.write(tmp_path, "one", "two")
    loader.load(directory)
    before, asked = everything(), len(embedder.asked)
    done = loader.load(directory)
    assert (done.stored, done.embedded) == (0, 0)
    assert everything() == before
    assert len(embedder.asked) == asked


def test_only_the_changed_lesson_is_stored_and_embedded_again(tmp_path, embedder):
    directory = content.write(tmp_path, "one", "two")
    loader.load(directory)
    kept = list(Passage.objects.filter(lesson__slug="one").order_by("pk").values())
    del embedder.asked[:]
    content.write_lesson(
        directory, "two", lesson=content.LESSON.replace("is short", "is very short")
    )
    assert loader.load(directory).stored == 1
    assert list(Passage.objects.filter(lesson__slug="one").order_by("pk").values()) == kept
    assert embedder.asked[0] == "The two lesson is very short."
    assert len(embedder.asked) == Passage.objects.filter(lesson__slug="two").count()


def test_a_passage_is_embedded_with_what_it_hangs_on(tmp_path, embedder):
    loader.load(content.write(tmp_path, "one"))
    assert "AI cannot promise zero quality loss." in embedder.asked


def test_order_and_removal_follow_the_catalogue(tmp_path):
    directory = content.write(tmp_path, "one", "two", "three")
    loader.load(directory)
    one = Lesson.objects.get(slug="one").pk
    content.write_catalogue(directory, "three", "one")
    for path in (directory / "creators" / "two").iterdir():
        path.unlink()
    (directory / "creators" / "two").rmdir()
    done = loader.load(directory)
    assert (done.stored, done.removed) == (0, 1)
    assert list(Lesson.objects.values_list("slug", "position")) == [("three", 1), ("one", 2)]
    assert Lesson.objects.get(slug="one").pk == one


def test_nothing_changes_if_one_file_is_wrong(tmp_path):
    directory = content.write(tmp_path, "one", "two")
    loader.load(directory)
    before = everything()
    content.write_lesson(directory, "one", lesson=content.LESSON.replace("short", "long"))
    content.write_lesson(directory, "two", quiz="- id: [\n")
    assert len(problems(directory)) == 1
    assert everything() == before


def test_without_the_embedder_lessons_load_and_the_command_says_what_waits(
    tmp_path, monkeypatch, embedder
):
    def embed(texts):
        raise FileNotFoundError("the model is not here")

    monkeypatch.setattr(embedder, "embed", embed)
    errors = io.StringIO()
    call_command("load_lessons", str(content.write(tmp_path, *"abcde")), stderr=errors)
    assert "the model is not here" in errors.getvalue()
    assert "fetch_models" in errors.getvalue()
    assert not Passage.objects.filter(embedding__isnull=False)
    near = Related.objects.filter(lesson__slug="a").values_list("to__slug", flat=True)
    assert list(near) == ["b", "c", "d"]


def test_keep_going_names_the_authors_choice_or_the_three_nearest(tmp_path):
    directory = content.write(tmp_path, "aaaa", "zzzz", "aaab", "yyyy", "aabb")
    content.write_lesson(
        directory, "zzzz", lesson=content.LESSON.replace("related: []", "related: [yyyy, aaaa]")
    )
    loader.load(directory)

    def cards(slug: str) -> list[str]:
        cards = Related.objects.filter(lesson__slug=slug)
        return list(cards.values_list("to__slug", flat=True))

    assert cards("zzzz") == ["yyyy", "aaaa"]
    assert cards("aaaa")[:2] == ["aaab", "aabb"]
    assert len(cards("aaaa")) == 3


def test_a_lesson_that_is_named_twice_to_keep_going_is_found(tmp_path):
    twice = content.LESSON.replace("related: []", "related: [aaaa, aaaa]")
    directory = content.write(tmp_path, "aaaa", "bbbb")
    content.write_lesson(directory, "bbbb", lesson=twice)
    with pytest.raises(LessonErrors, match='related: "aaaa" stands twice; name it once'):
        loader.load(directory)


def test_a_link_that_breaks_when_another_lesson_goes_is_found(tmp_path):
    directory = content.write(tmp_path, "one", "two")
    content.write_lesson(
        directory, "one", lesson=content.LESSON + "\nSee [two](/lessons/two/#the-premise).\n"
    )
    loader.load(directory)
    content.write_lesson(directory, "two", lesson=content.LESSON + "\n## More\n\nText.\n")
    loader.load(directory)
    content.write_catalogue(directory, "one")
    (directory / "creators" / "two").rename(directory / "creators" / "_two")
    assert problems(directory) == [
        "creators/one/lesson.md:27: the link to /lessons/two/#the-premise leads to no lesson; "
        "use the slug of a lesson in the catalogue"
    ]


def test_the_lessons_that_come_with_the_site_are_right():
    assert loader.check(settings.LESSONS_DIR) > 0


def test_the_command_prints_every_mistake_and_fails(tmp_path):
    directory = content.write(tmp_path, "one")
    content.write_lesson(directory, "one", lesson=content.LESSON.replace("minutes: 1", "time: 1"))
    errors = io.StringIO()
    with pytest.raises(CommandError, match="2 mistakes; nothing was changed"):
        call_command("load_lessons", str(directory), check=True, stderr=errors)
    assert "lesson.md:5: front matter has an unknown field" in errors.getvalue()
    assert not Lesson.objects.exists()
