"""The page: a GET form that works by itself, fragments for htmx, and a source for every figure."""

import re
from html import unescape

import pytest

from quant import machine
from quant.planner.data import data
from quant.planner.forms import PlannerForm
from tests.quant.test_planner import MEASURED


@pytest.fixture(autouse=True)
def store(settings, tmp_path, tiny):
    """An unmeasured machine whose model store has one file."""
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.MODELS_DIR.mkdir()
    (settings.MODELS_DIR / "tiny-F32.gguf").symlink_to(tiny)
    return settings.MODELS_DIR


def words(response) -> str:
    """The page's text, without tags."""
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return " ".join(unescape(text).split())


def test_the_page_alone_is_a_plan(client):
    response = client.get("/planner/")
    assert response.status_code == 200
    assert "Pick Q8_0: it takes 9.30 GiB of the 14.0 GiB" in words(response)
    assert "HX-Request" in response["Vary"]


def test_a_link_from_a_lesson_chooses(client):
    response = client.get("/planner/?model=Hermes-3-Llama-3.1-8B&quant=q4_k_m&machine=rtx-3070")
    page = response.content.decode()
    assert '<option value="hermes-3-llama-3.1-8b" selected>' in page
    assert '<option value="Q4_K_M" selected>' in page
    assert '<option value="rtx-3070" selected>' in page
    assert "Hermes 3 8B at Q4_K_M" in page
    assert "4.58 GiB 4.92 GB · 4.89 bits per weight" in words(response)


def test_htmx_gets_the_plan_alone_and_a_short_address(client):
    query = {"model": "qwen2.5-7b", "quant": "best", "context": "4096", "users": "1", "kv": "F16"}
    response = client.get("/planner/", query | {"layers": "32"}, headers={"HX-Request": "true"})
    page = response.content.decode()
    assert "<html" not in page
    assert 'id="plan-said"' in page
    assert response["HX-Replace-Url"] == "/planner/?model=qwen2.5-7b&context=4096"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("machine=own&memory=-4", "Memory, GB: give 0 or more."),
        ("machine=own&memory=0", "0 GB of memory: give a number above 0"),
        ("machine=own&memory=lots", "Memory, GB: give a number."),
        ("machine=own&memory=nan", "Memory, GB: give a number."),
        ("machine=rtx-3091", "the nearest are rtx-3090"),
        ("model=lama-3-8b", "the nearest are llama-3-8b"),
        ("model=<b>x</b>", "no model is named '<b>x</b>'"),
        ("model=/etc/passwd.gguf", "no file /etc/passwd.gguf is in this site's model store"),
        ("model=../models/tiny-F32.gguf", "is in this site's model store"),
        ("quant=Q9", "no quant is named 'Q9'"),
        ("context=0", "Context, tokens for each user: give a whole number from 1"),
        ("users=many", "Users at once: give a whole number from 1 to 10,000."),
        ("kv=Q1", "No KV cache type is named Q1."),
        ("model=five&width=100", "the width must be a multiple of 64"),
        ("rent=-1", "Rent, price of an hour: give 0 or more."),
    ],
)
def test_a_mistake_gets_one_clear_line(client, query, told):
    for headers in ({}, {"HX-Request": "true"}):
        response = client.get(f"/planner/?{query}", headers=headers)
        assert response.status_code == 400
        assert told in words(response)
        assert "<b>x</b>" not in response.content.decode()


def test_a_file_of_the_store_is_planned(client):
    response = client.get("/planner/?model=tiny-F32.gguf&context=256")
    assert response.status_code == 200
    assert "tiny at Q8_0" in words(response)
    assert "No figure published for tiny at any quant" in words(response)


def test_five_numbers_are_planned(client):
    response = client.get("/planner/?model=five&layers=80&width=8192&feed_forward=28672")
    assert "Nothing fits: even Q2_K needs" in words(response)


def test_many_users_and_own_prices_are_told(client):
    text = words(client.get("/planner/?users=3&machine=rtx-4090&electricity=0.3&watts=500"))
    assert "for each user" in text
    assert "electricity only: 500 W at 0.3 a kWh" in text


def test_where_there_is_no_figure_the_page_says_so(client):
    text = words(client.get("/planner/?model=mistral-small&machine=l4"))
    assert "No figure published for Mistral Small 24B (2501) at any quant" in text
    assert "those of Llama 3 8B" in text
    assert "nobody has published this machine’s" in text


@pytest.mark.parametrize("machine", ["rtx-3090", "m1-8", "h100-sxm", "laptop-ddr4", "own"])
@pytest.mark.parametrize("model", ["llama-3-8b", "qwen2.5-72b", "mistral-7b"])
def test_every_figure_leads_to_its_source(client, model, machine):
    page = client.get(f"/planner/?model={model}&machine={machine}").content.decode()
    cited = {int(n) for n in re.findall(r'href="#source-(\d+)"', page)}
    listed = {int(n) for n in re.findall(r'id="source-(\d+)"', page)}
    assert cited == listed == set(range(1, len(listed) + 1))
    for part in ("File", "Memory", "On ", "Generation", "A million tokens"):
        row = re.search(rf"<dt>{part}.*?</div>", page, re.DOTALL)[0]
        assert "#source-" in row or "unknown" in row, part
    for heading in re.findall(r'<th scope="col">(?:perplexity|mean KL|same|MMLU).*?</th>', page):
        assert "#source-" in heading


def test_this_machine_shows_predicted_against_measured(client):
    machine.save(MEASURED)
    text = words(client.get("/planner/"))
    assert "Predicted and measured, here" in text
    assert "F16 50.0 48.0 +4%" in text
    assert "Q4_0 90.0 100.0 −10%" in text
    assert "on this machine" in text.lower()


def test_a_machine_with_published_rates_shows_them_beside_the_prediction(client):
    text = words(client.get("/planner/?machine=rtx-3090"))
    assert re.search(r"Llama 3 8B Q4_K_M \d+ to \d+ 111.74", text)


def test_the_chart_says_in_words_what_it_shows(client):
    page = client.get("/planner/?model=llama-3-8b&machine=rtx-3070").content.decode()
    assert "<desc" in page
    description = re.search(r"<desc[^>]*>(.*?)</desc>", page)[1]
    assert description.startswith("Q8_0: 7.95 GiB, 0.00136; Q6_K: 6.14 GiB, 0.00545;")
    assert ">too large</text>" in page


@pytest.mark.parametrize("model", sorted(data().models))
def test_every_model_can_be_shown(client, model):
    assert client.get(f"/planner/?model={model}&machine=rtx-4090").status_code == 200


@pytest.mark.parametrize("machine", sorted(data().machines))
def test_every_machine_can_be_shown(client, machine):
    assert client.get(f"/planner/?model=llama-3.1-70b&machine={machine}").status_code == 200


def test_the_address_of_a_plan_is_made_of_what_differs_from_the_default(rf):
    request = rf.get("/planner/", {"model": "Qwen3 8B", "users": "2", "context": "8192"})
    assert PlannerForm.asked(request.GET).link == "model=Qwen3+8B&users=2"
