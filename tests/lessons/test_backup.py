import gzip

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connections

from lessons import backup, events, sync
from lessons.models import ProgressLog
from quant.models import Experiment
from tests.lessons.test_sync import exchange, raw_event, scored
from tests.quant.finished import finished
from tutor.models import Feedback


@pytest.fixture
def ada(either_database):
    user = get_user_model().objects.create_user("ada", "ada@example.org", "x")
    sync.keep(user, [events.parse(scored(1)), events.parse(raw_event(2))])
    return user


def test_what_was_backed_up_comes_back(ada, tmp_path):
    sync.keep(ada, [events.parse(scored(4) | {"at": "2026-11-23T10:00:00.123456Z"})])
    before = sync.events_of(ada)
    call_command("backup", tmp_path / "file")
    get_user_model().objects.create_user("late", password="x")
    sync.keep(ada, [events.parse(scored(3))])
    call_command("restore", tmp_path / "file")
    back = get_user_model().objects.get()
    assert back.check_password("x")
    assert sync.events_of(back) == before
    get_user_model().objects.create_user("new", password="x")  # the database's counters go on


def test_experiments_with_their_reports_and_feedback_come_back(either_database, tmp_path):
    def held():
        steps = [list(it.steps.values()) for it in Experiment.objects.all()]
        return list(Experiment.objects.values()), steps, list(Feedback.objects.values())

    finished(notes="Q4 is enough for me")
    said = {"lesson": "a", "kind": "quote", "helpful": False, "reason": "too long"}
    Feedback.objects.create(question="Why?", **said)
    before = held()
    call_command("backup", tmp_path / "file")
    Experiment.objects.update(notes="")
    finished()
    Feedback.objects.all().delete()
    call_command("restore", tmp_path / "file")
    assert held() == before
    finished()  # the database's counters go on


def test_a_backup_from_before_experiments_were_in_it_leaves_them_alone(ada, tmp_path):
    call_command("backup", tmp_path / "file")
    lines = gzip.decompress((tmp_path / "file").read_bytes()).splitlines(keepends=True)
    lines[0] = b'{"format": "openbook-backup-1"}\n'
    (tmp_path / "file").write_bytes(gzip.compress(b"".join(lines)))
    finished()
    call_command("restore", tmp_path / "file")
    assert Experiment.objects.get().steps.exists()
    assert len(sync.events_of(get_user_model().objects.get())) == 2


def test_every_table_is_in_a_backup_or_left_out_for_a_reason():
    from_files = {"lesson", "passage", "question", "choice", "related"}
    computed = {"searchword", "searchvariant"}
    lasts_a_session = {"session", "usersession"}
    djangos_own = {"permission", "contenttype"}
    left_out = from_files | computed | lasts_a_session | djangos_own
    kept = {it._meta.model_name for it in backup._kept()}
    assert {it._meta.model_name for it in apps.get_models()} - kept == left_out


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


def test_an_account_that_was_deleted_since_the_backup_stays_deleted(ada, tmp_path):
    bob = get_user_model().objects.create_user("bob", password="x")
    log = exchange(ada)["log"]
    call_command("backup", tmp_path / "file")
    sync.delete_account(ada)
    call_command("restore", tmp_path / "file")
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["bob"]
    assert sync.deleted([log]) == [log]
    assert exchange(get_user_model().objects.get(pk=bob.pk))["events"] == []


def test_a_restore_that_breaks_off_changes_nothing(ada, tmp_path, monkeypatch):
    before = sync.events_of(ada)
    call_command("backup", tmp_path / "file")
    sync.keep(ada, [events.parse(scored(3))])
    whole = list(backup._lines(tmp_path / "file"))

    def breaks(file):
        yield from whole[: len(whole) // 2]
        raise KeyboardInterrupt

    rows = backup.check(tmp_path / "file")
    monkeypatch.setattr(backup, "check", lambda file: rows)
    monkeypatch.setattr(backup, "_lines", breaks)
    with pytest.raises(KeyboardInterrupt):
        call_command("restore", tmp_path / "file")
    assert len(sync.events_of(ada)) == len(before) + 1


def test_a_file_that_is_not_there_says_so(db, tmp_path):
    with pytest.raises(CommandError, match=r"Nothing was changed: .*missing can't be read"):
        call_command("restore", tmp_path / "missing")
    with pytest.raises(CommandError, match="can't be written"):
        call_command("backup", tmp_path / "no" / "such" / "folder")


def test_a_backup_from_sqlite_fits_postgresql_and_the_way_back(db, request, tmp_path):
    kept = [scored(1), raw_event(2)]
    user = get_user_model().objects.create_user("ada", password="x")
    sync.keep(user, [events.parse(one) for one in kept])
    sqlite = connections["default"]
    call_command("backup", tmp_path / "from-sqlite")
    request.getfixturevalue("postgres")
    assert connections["default"].vendor == "postgresql"
    call_command("restore", tmp_path / "from-sqlite")
    back = get_user_model().objects.get()
    assert [it.as_json() for it in sync.events_of(back)] == kept
    more = [scored(3)]
    sync.keep(back, [events.parse(one) for one in more])
    call_command("backup", tmp_path / "from-postgres")
    postgres, connections["default"] = connections["default"], sqlite
    call_command("restore", tmp_path / "from-postgres")
    back = get_user_model().objects.get()
    assert [it.as_json() for it in sync.events_of(back)] == kept + more
    connections["default"] = postgres  # as the fixture left it
