import pytest

from config.release import release


@pytest.fixture
def folder(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "page.html").write_text("one")
    yield tmp_path / "lessons"
    release.cache_clear()


def now() -> str:
    release.cache_clear()  # as in a process that has just started
    return release()


def test_the_same_files_are_the_same_release(folder):
    assert now() == now()


@pytest.mark.parametrize("name", ["page.html", "views.py", "deep/new.html"])
def test_a_changed_or_new_page_or_view_is_another_release(folder, name):
    before = now()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("two")
    assert now() != before


def test_a_data_file_is_not(folder):
    before = now()
    (folder / "notes.txt").write_text("two")
    assert now() == before
