"""A lesson as its files say it now: no database, no catalogue, and nothing hides a mistake."""

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from lessons import preview
from tests.lessons import content

ODD = [None, b"", b"\xff", b"---\n", b"- [", b"\x00", b"---\n- a\n---\n"]  # None: no file


@pytest.fixture
def shown(tmp_path, settings):
    """A catalogue of two lessons, the second of which is previewed."""
    content.write(tmp_path, "one", "two")
    settings.LESSONS_DIR = tmp_path
    settings.PREVIEW_DIR = tmp_path / "creators" / "two"
    return settings.PREVIEW_DIR


def test_the_page_needs_no_database(shown, client):
    html = client.get(reverse("preview")).content.decode()
    assert "Lesson 2 of 2" in html
    assert "Nothing is wrong" in html
    assert html.count("Right answer") == 10
    assert 'href="#p-3"' in html


def test_a_draft_stands_at_the_end_of_the_catalogue(shown, settings, client):
    draft = content.write_lesson(settings.LESSONS_DIR, "_three")
    settings.PREVIEW_DIR = draft
    assert "Lesson 3 of 3" in client.get(reverse("preview")).content.decode()


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("/lessons/one/#the-premise", ""),
        ("/lessons/one/#nowhere", "leads to no heading of it"),
        ("/lessons/three/", "leads to no lesson"),
        ("#nowhere", "leads to no heading of it"),
    ],
)
def test_links_are_followed_into_other_lessons(shown, settings, link, problem):
    lesson = content.LESSON.replace("It names", f"[It]({link}) names")
    content.write_lesson(settings.LESSONS_DIR, "two", lesson=lesson)
    found = preview.read(shown, settings.LESSONS_DIR).problems
    assert [problem in it.what for it in found] == ([True] if problem else [])


@pytest.mark.parametrize("name", ["lesson.md", "quiz.yaml"])
@pytest.mark.parametrize("data", ODD)
def test_whatever_the_files_hold_there_is_a_page(shown, client, name, data):
    (shown / name).unlink()
    if data is not None:
        (shown / name).write_bytes(data)
    answer = client.get(reverse("preview"))
    assert answer.status_code == 200
    assert f"two/{name}:" in answer.content.decode()


def test_the_version_changes_with_every_file_and_only_then(shown, settings, client):
    def version():
        return client.get(reverse("preview_version")).content

    seen = {version()}
    assert version() in seen
    (shown / ".lesson.md.swp").write_text("an editor's")
    assert version() in seen
    for path in (shown / "lesson.md", shown / "quiz.yaml", settings.LESSONS_DIR / "catalogue.yaml"):
        path.write_text(path.read_text() + "\n# more\n")
        assert version() not in seen
        seen.add(version())
    (shown / "a.svg").write_text("<svg/>")
    assert version() not in seen


@pytest.mark.parametrize("name", ["preview", "preview_version"])
def test_a_site_for_readers_has_no_preview(client, settings, name):
    settings.PREVIEW_DIR = None
    assert client.get(reverse(name)).status_code == 404


def test_a_lesson_is_found_by_name_or_path(shown, settings):
    directory = settings.LESSONS_DIR
    assert preview.find("two", directory) == shown
    assert preview.find(str(shown), directory) == shown


def test_a_lesson_that_is_not_there_is_named(shown):
    with pytest.raises(CommandError, match=r"no lesson twoo in .*; did you mean two\?"):
        call_command("preview", "twoo")
    with pytest.raises(CommandError, match=r"start it: manage\.py new_lesson quite-new"):
        call_command("preview", "quite-new")
