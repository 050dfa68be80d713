import gzip

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from lessons import events, sync
from lessons.models import ProgressLog
from tests.lessons.test_sync import exchange, raw_event, scored


@pytest.fixture
def ada(either_database):
    user = get_user_model().objects.create_user("ada", "ada@example.org", "x")
    sync.keep(user, [events.parse(scored(1)), events.parse(raw_event(2))])
    return user


def test_what_was_backed_up_comes_back(ada, tmp_path):
    before = sync.events_of(ada)
    call_command("backup", tmp_path / "file")
    get_user_model().objects.create_user("late", password="x")
    sync.keep(ada, [events.parse(scored(3))])
    call_command("restore", tmp_path / "file")
    back = get_user_model().objects.get()
    assert back.check_password("x")
    assert sync.events_of(back) == before
    get_user_model().objects.create_user("new", password="x")  # the database's counters go on


def test_after_a_restore_browsers_offer_everything_again(ada, tmp_path):
    old = exchange(ada)
    call_command("backup", tmp_path / "file")
    call_command("restore", tmp_path / "file")
    assert exchange(ada, cursor=old["cursor"])["log"] != old["log"]


def test_a_file_that_is_not_whole_changes_nothing(ada, tmp_path):
    call_command("backup", tmp_path / "file")
    whole = gzip.decompress((tmp_path / "file").read_bytes())
    for spoilt in (gzip.compress(whole[:-30]), whole, b"", gzip.compress(b"{}\n")):
        (tmp_path / "spoilt").write_bytes(spoilt)
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("restore", tmp_path / "spoilt")
    assert ProgressLog.objects.get(owner=ada).head == 2
