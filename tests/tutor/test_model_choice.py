"""The lab's button that gives the tutor another model."""

from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from lessons.classes import make_teacher
from tests.quant.conftest import write_tiny_model
from tests.tutor.test_engine_process import StartEngine, data, start
from tutor import model_choice

__all__ = ["data", "start"]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def store(settings, data):
    settings.DATA_DIR, settings.MODELS_DIR = data, data / "models"
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
    settings.ENGINE_URL = "http://127.0.0.1:9"  # nobody is there
    return write_tiny_model(data / "models" / "tiny-F32.gguf")


def press(client: Client, file: str, back: str = "/lab/models/tiny-F32.gguf/") -> str:
    answer = client.post(
        "/lab/tutor-model/", {"file": file, "next": back}, headers={"host": "localhost"}
    )
    assert answer.status_code == 302
    page = client.get(answer["Location"], headers={"host": "localhost"})
    return str(page.content.decode())


def test_a_variant_is_used_from_its_page_and_given_up_again(
    client, settings, start: StartEngine
) -> None:
    engine = start()
    settings.ENGINE_URL = str(engine.client.base_url).rstrip("/")
    usual = engine.model()
    page = client.get("/lab/models/tiny-F32.gguf/", headers={"host": "localhost"}).content.decode()
    assert "Use this variant for the tutor" in page
    page = press(client, "models/tiny-F32.gguf")
    assert "The tutor uses tiny-F32 now." in page
    assert "The tutor uses this model." in page
    assert engine.model() == "tiny-F32"
    page = press(client, "")
    assert "Use this variant for the tutor" in page
    assert engine.model() == usual


@pytest.mark.parametrize("file", ["../secret_key", "models/none.gguf", "/etc/passwd"])
def test_only_model_files_of_ours_can_be_chosen(client: Client, file: str) -> None:
    assert "there is no model file" in press(client, file)
    assert model_choice.read() is None


def test_an_engine_that_is_away_is_said_on_the_page(client: Client) -> None:
    assert "the engine does not answer" in press(client, "models/tiny-F32.gguf")


def test_with_a_class_only_its_teacher_chooses(client, settings):
    settings.ALLOWED_HOSTS += ["school.example"]
    learner, teacher = (User.objects.create_user(name) for name in ("bob", "ada"))
    make_teacher(teacher)
    assert not model_choice.may_choose(AnonymousUser())
    assert not model_choice.may_choose(learner)
    assert model_choice.may_choose(teacher)
    client.force_login(learner)
    answer = client.post("/lab/tutor-model/", {"file": ""}, headers={"host": "localhost"})
    assert answer.status_code == 403
    page = client.get("/lab/models/tiny-F32.gguf/", headers={"host": "localhost"})
    assert "for the tutor" not in page.content.decode()


def test_a_chosen_file_that_is_gone_is_told(client: Client, store: Path) -> None:
    model_choice.write(model_choice.Choice(str(store.with_name("gone.gguf"))))
    page = client.get("/lab/models/tiny-F32.gguf/", headers={"host": "localhost"}).content.decode()
    assert "gone.gguf is gone" in page
    assert "Back to the usual model" in page


def test_a_choice_that_cannot_be_read_is_none(data: Path) -> None:
    (data / "tutor_model.json").write_text("[1")
    assert model_choice.read() is None
