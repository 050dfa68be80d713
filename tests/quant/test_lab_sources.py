"""What an experiment may start from, and with which prompts and types."""

import pytest
from django.test import Client

from lessons import loader
from quant.models import Experiment
from quant.quantize import quantize
from tests.lessons import content
from tests.quant.lab_form import filled, start

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


@pytest.fixture(autouse=True)
def on_this_machine_only(settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": "localhost"})


def test_a_quantized_file_is_offered_apart_and_its_report_says_what_that_means(client, store, tiny):
    quantize(tiny, "Q4_1", store / "tiny-Q4_1.gguf", n_threads=1)
    page = client.get("/lab/").content.decode()
    wide, quantized = page.split("Files that are quantized already")
    assert 'value="tiny-Q4_1.gguf"' not in wide
    assert 'value="tiny-Q4_1.gguf"' in quantized
    assert "their variants carry both losses" in quantized
    experiment = start(client, source="tiny-Q4_1.gguf")
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert "The source is quantized itself (mostly Q4_1)" in page


def test_an_unquantized_source_carries_no_warning(client):
    page = client.get(f"/lab/{start(client).pk}/").content.decode()
    assert "quantized itself" not in page


def test_a_file_of_the_store_that_is_none_says_why_and_can_not_be_chosen(client, store):
    (store / "bad-Q4_0.gguf").write_bytes(b"not a model at all, but 24 bytes")
    page = client.get("/lab/").content.decode()
    assert "can’t be used. bad-Q4_0.gguf: not a GGUF file" in page
    assert client.get("/lab/models/bad-Q4_0.gguf/").status_code == 404


def test_a_file_anywhere_on_the_machine_is_taken_by_its_path(client, tmp_path, tiny):
    path = tmp_path / "elsewhere-F32.gguf"
    path.symlink_to(tiny)
    experiment = start(client, source="path", path=str(path))
    assert experiment.plan["source"] == str(tiny)
    page = client.get(f"/lab/?again={experiment.pk}").content.decode()
    assert 'value="path" checked' in page
    assert f'value="{path}"' in page


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "whole path"),
        ("models/tiny-F32.gguf", "whole path"),
        ("/none.gguf", "no model &#x27;/none.gguf&#x27;"),
        ("/etc/passwd", "not a GGUF file"),
    ],
)
def test_a_path_that_leads_nowhere_is_said(client, path: str, message: str):
    answer = client.post("/lab/", filled(source="path", path=path))
    assert answer.status_code == 400
    assert message in answer.content.decode()
    assert not Experiment.objects.exists()


def test_where_others_come_in_only_teachers_name_paths(client, settings, tiny):
    settings.ALLOWED_HOSTS = ["localhost", "openbook.school.lan"]
    assert 'name="path"' not in client.get("/lab/").content.decode()
    answer = client.post("/lab/", filled(source="path", path=str(tiny)))
    assert "is not one of the models" in answer.content.decode()
    answer = client.post("/lab/", filled(source=str(tiny), path=str(tiny)))
    assert "is not one of the models" in answer.content.decode()


def test_ordinary_types_are_made_with_an_importance_matrix(client):
    experiment = start(client, types=["Q8_0", "Q4_K_M", "GPTQ-Q4_1"], imatrix="on")
    assert experiment.plan["types"] == ["F16", "Q8_0", "IMATRIX-Q4_K_M", "GPTQ-Q4_1"]
    assert experiment.steps.filter(key="inputs").exists()
    page = client.get(f"/lab/?again={experiment.pk}").content.decode()
    assert 'name="imatrix" checked' in page
    assert 'value="Q4_K_M" checked' in page
    assert 'value="IMATRIX-Q4_1" checked' not in page


def test_prompts_come_from_a_lesson(client, tmp_path):
    loader.load(content.write(tmp_path, "two", "one"))
    page = client.get("/lab/").content.decode()
    assert '<option value="two">Two</option>' in page
    experiment = start(client, prompts_from="two")
    assert experiment.plan["prompts"] == ["Question 1?", "Question 2?", "Question 3?"]
    answer = client.post("/lab/", filled(prompts_from="three"))
    assert "There is no lesson three" in answer.content.decode()


def test_a_model_that_answers_is_chosen_before_an_embedder(client, store, real):
    embedder = store / "an-embedder-F32.gguf"  # first by its name
    embedder.symlink_to(real("all-minilm-l6-v2-F32.gguf"))
    page = client.get("/lab/").content.decode()
    assert page.index('"tiny-F32.gguf" required checked') < page.index('"an-embedder-F32.gguf"')
