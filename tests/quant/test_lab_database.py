"""Every query of the lab's pages, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from quant import lab
from quant.models import Experiment, State
from quant.progress import progress
from tests.quant.finished import finished


@pytest.fixture(autouse=True)
def home(settings, tmp_path: Path, either_database) -> None:
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.REDIS_URL = f"unix://{tmp_path}/redis.sock"
    settings.ALLOWED_HOSTS = ["localhost"]


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": "localhost"})


def test_every_page_is_shown(client: Client):
    one, two = finished(notes="Good \N{SNOWMAN}"), finished(state=State.FAILED)
    three = finished(windows=3)
    for path in (
        "",
        f"?again={two.pk}",
        f"compare/?a={one.pk}&b={three.pk}",
        *(f"{one.pk}/{part}" for part in ("", "log", "report", "tokens", "experiment.csv")),
        f"{one.pk}/experiment.json",
        f"{one.pk}/experiment.html",
        f"{two.pk}/",
        f"{two.pk}/progress",
    ):
        assert client.get(f"/lab/{path}").status_code == 200, path
    assert client.get(f"/lab/{one.pk}/files/tiny-Q8_0.gguf/").status_code == 404


def test_every_change_is_made(client: Client):
    experiment = finished(state=State.FAILED)
    file = lab.folder(experiment) / "tiny-Q8_0.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    step = experiment.steps.get(key="quantize:Q8_0")
    step.result = {"file": str(file)}
    step.save()

    def act(name: str, **fields: str) -> None:
        assert client.post(f"/lab/{experiment.pk}/{name}", fields).status_code == 302
        if name != "delete":
            experiment.refresh_from_db()

    act("notes", notes="Mine.")
    assert experiment.notes == "Mine."
    act("remove-files")
    assert not file.exists()
    assert experiment.steps.get(key="quantize:Q8_0").state == State.QUEUED
    act("retry")
    assert experiment.state == State.QUEUED
    assert progress(experiment).seconds_left is not None  # from the steps that are done
    act("stop")
    assert experiment.state == State.CANCELLED
    act("delete")
    assert not Experiment.objects.exists()


def test_lost_and_left_over_work_is_found():
    running = finished(state=State.RUNNING)
    Experiment.objects.filter(pk=running.pk).update(lease_until=timezone.now())
    ended = finished(work=str(lab.home() / "1" / "work"))
    Experiment.objects.filter(pk=ended.pk).update(finished=timezone.now() - 2 * lab.SILENT)
    (lab.folder(ended) / "work").mkdir(parents=True)
    lab.recover()
    lab.sweep()
    running.refresh_from_db()
    assert running.nudged
