from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from lessons.classes import make_teacher
from lessons.sync import delete_account
from quant.models import Experiment, State
from tests.quant.lab_form import start

User = get_user_model()
ACTS = ("stop", "retry", "notes", "remove-files", "delete")


@pytest.fixture(autouse=True)
def class_site(settings, tmp_path: Path, tiny: Path, either_database) -> None:
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.REDIS_URL = f"unix://{tmp_path}/redis.sock"
    settings.ALLOWED_HOSTS = ["localhost", "school.example"]
    settings.MODELS_DIR.mkdir()
    (settings.MODELS_DIR / "tiny-F32.gguf").symlink_to(tiny)


def browser(user: object = None) -> Client:
    client = Client(headers={"host": "localhost"})
    if user:
        client.force_login(user)
    return client


def refused(client: Client, experiment: Experiment) -> bool:
    """Whether it may change nothing, is told so and offered nothing."""
    before = Experiment.objects.filter(pk=experiment.pk).values().get()
    for act in ACTS:
        answer = client.post(f"/lab/{experiment.pk}/{act}", {"notes": "mine now"})
        if answer.status_code != 403:
            return False
        assert "only whoever made this experiment, or a teacher" in answer.content.decode()
    assert Experiment.objects.filter(pk=experiment.pk).values().get() == before
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert not [act for act in ACTS if f"/lab/{experiment.pk}/{act}" in page]
    return True


def may_change(client: Client, experiment: Experiment) -> bool:
    Experiment.objects.filter(pk=experiment.pk).update(state=State.QUEUED)
    if refused(client, experiment):
        return False
    assert client.get(f"/lab/{experiment.pk}/").status_code in (200, 404)
    return True


def test_what_is_made_signed_out_belongs_to_the_browser_that_made_it():
    mine = browser()
    experiment = start(mine)
    assert not may_change(browser(), experiment)
    assert not may_change(browser(User.objects.create_user("bob")), experiment)
    assert mine.post(f"/lab/{experiment.pk}/stop").status_code == 302
    assert mine.post(f"/lab/{experiment.pk}/notes", {"notes": "Mine."}).status_code == 302
    experiment.refresh_from_db()
    assert (experiment.state, experiment.notes) == (State.CANCELLED, "Mine.")
    for page in (mine, browser()):
        assert "Mine." in page.get(f"/lab/{experiment.pk}/").content.decode()
    assert mine.post(f"/lab/{experiment.pk}/delete").url == "/lab/"
    assert not Experiment.objects.exists()


def test_what_is_made_signed_in_belongs_to_the_account_wherever_it_signs_in():
    bob = User.objects.create_user("bob")
    experiment = start(browser(bob))
    assert not may_change(browser(), experiment)
    assert not may_change(browser(User.objects.create_user("eve")), experiment)
    assert may_change(browser(bob), experiment)


def test_a_teacher_may_change_what_learners_made():
    ada = User.objects.create_user("ada")
    make_teacher(ada)
    assert may_change(browser(ada), start(browser()))


def test_on_a_machine_of_ones_own_anybody_may(settings):
    experiment = start(browser())
    settings.ALLOWED_HOSTS = ["localhost"]
    assert may_change(browser(), experiment)


def test_an_experiment_outlives_the_account_that_made_it():
    bob = User.objects.create_user("bob")
    experiment = start(browser(bob))
    delete_account(bob)
    experiment.refresh_from_db()
    assert experiment.made_by is None
    assert not may_change(browser(User.objects.create_user("eve")), experiment)
