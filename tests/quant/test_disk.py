"""The room that an experiment's model files take, and removing them."""

import json
from pathlib import Path

import pytest
from django.utils import timezone

from quant import experiment as run
from quant import lab
from quant.models import Experiment, State
from tests.quant.lab_form import end, start

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


def with_files(experiment: Experiment, state: State = State.DONE) -> dict[str, Path]:
    """Ended, with a file of 1,000 bytes for each variant."""
    files = {}
    for step in experiment.steps.filter(key__startswith="quantize:"):
        path = run.variant_path(lab.plan_of(experiment), step.type)
        path.write_bytes(b"x" * 1000)
        step.result = {"file": str(path), "bytes": 1000, "bits_per_weight": 8.5, "seconds": 1.0}
        step.result |= {"tensors": {step.type: 3}, "fallbacks": {}}
        step.state = State.DONE
        step.save()
        files[step.type] = path
    end(experiment, state)
    return files


def test_the_room_that_files_take_is_shown(client):
    experiment = start(client)
    with_files(experiment)
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert "Its 3 model files take 3.0 kB." in page
    assert "of the disk are free" in page
    page = client.get("/lab/").content.decode()
    assert "Their model files take 3.0 kB;" in page
    assert "of the disk are free" in page


def test_files_can_be_removed_and_the_report_kept(client):
    experiment = start(client)
    files = with_files(experiment)
    here = f"/lab/{experiment.pk}/"
    page = client.get(here).content.decode()
    assert "Remove 3 files" in page
    assert all(f"<li>{path.name}</li>" in page for path in files.values())
    answer = client.post(f"{here}remove-files")
    assert (answer.status_code, answer.url) == (302, f"{here}#files")
    assert not any(path.exists() for path in files.values())
    page = client.get(here).content.decode()
    assert "No model file of its own is on the disk" in page
    assert "3 × Q8_0" in page
    for address in (f"{here}files/tiny-Q8_0.gguf", f"{here}files/tiny-Q8_0.gguf/"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "This file was removed" in answer.content.decode()
        assert f"/lab/?again={experiment.pk}" in answer.content.decode()
    assert client.post(f"{here}remove-files").status_code == 302  # again: nothing to do


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_a_running_experiment_keeps_its_files(client, state: State):
    experiment = start(client)
    files = with_files(experiment, state)
    client.post(f"/lab/{experiment.pk}/remove-files")
    assert all(path.exists() for path in files.values())
    assert "Remove 3 files" not in client.get(f"/lab/{experiment.pk}/").content.decode()


def test_a_file_that_another_experiment_starts_from_stays(client):
    experiment = start(client)
    files = with_files(experiment)
    other = Experiment.objects.create(
        plan=experiment.plan | {"source": str(files["F16"])}, queued=timezone.now()
    )
    here = f"/lab/{experiment.pk}/"
    client.post(f"{here}remove-files")
    assert [kind for kind, path in files.items() if path.exists()] == ["F16"]
    said = f"tiny-F16.gguf can’t be removed now: experiment {other.pk} starts from it"
    assert said in client.get(here).content.decode()
    assert client.post(f"{here}delete").url == here
    assert files["F16"].exists()


def test_the_files_of_the_tutor_stay_whoever_asks(client, settings, tmp_path: Path):
    settings.ALLOWED_HOSTS = ["testserver", "school.example"]  # where no learner may choose
    experiment = start(client)
    files = with_files(experiment)
    choice = {"model": str(files["Q4_K_M"]), "trouble": ""}
    (tmp_path / "tutor_model.json").write_text(json.dumps(choice))
    here = f"/lab/{experiment.pk}/"
    client.post(f"{here}remove-files")
    assert [kind for kind, path in files.items() if path.exists()] == ["Q4_K_M"]
    assert "can’t be removed now: the tutor uses it" in client.get(here).content.decode()
    assert client.post(f"{here}delete").url == here
    assert files["Q4_K_M"].exists()


def test_what_was_stopped_makes_removed_files_again_when_it_goes_on(client):
    experiment = start(client)
    with_files(experiment, State.CANCELLED)
    client.post(f"/lab/{experiment.pk}/remove-files")
    page = client.get(f"/lab/{experiment.pk}/files/tiny-Q8_0.gguf").content.decode()
    assert "go on" in page
    assert lab.retry(experiment)
    made = experiment.steps.filter(key__startswith="quantize:")
    assert {step.state for step in made} == {State.QUEUED}
