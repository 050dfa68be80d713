from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import AsyncClient
from django.utils import timezone

from quant import experiment as run
from quant import lab
from quant.models import Experiment, State, Step
from quant.progress import seconds_left
from tests.quant.lab_form import TEXT, end, filled, start
from tests.quant.lab_site import files_of_at_most

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


def test_the_form_shows_models_types_and_prompts(client):
    page = client.get("/lab/").content.decode()
    assert "tiny-F32" in page
    assert 'value="Q8_0" checked' in page
    assert 'value="Q4_K_M" checked' in page
    assert "why the sky is blue" in page


def test_methods_can_be_chosen_with_a_sample_text_of_ones_own(client):
    page = client.get("/lab/?types=GPTQ-Q4_1").content.decode()
    assert 'value="GPTQ-Q4_1" checked' in page
    assert 'class="methods" open' in page
    changes = {"types": ["GPTQ-Q4_1"], "sample": "own"}
    answer = client.post("/lab/", filled(**changes))
    assert answer.status_code == 400
    assert "Paste the methods’ sample text" in answer.content.decode()
    answer = client.post("/lab/", filled(**changes, own_sample=TEXT))
    assert "they look better than they are" in answer.content.decode()
    experiment = start(client, **changes, own_sample=TEXT + "Another end.")
    assert experiment.steps.all()[1].key == "inputs"
    sample = Path(experiment.plan["calibration"])
    assert sample.read_text().endswith("Another end.")
    shown = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert "sample text: your own" in shown
    again = client.get(f"/lab/?again={experiment.pk}").content.decode()
    assert "Another end." in again


def test_a_link_from_a_lesson_chooses_source_and_types(client):
    page = client.get("/lab/?source=tiny-F32.gguf&types=Q6_K,Q2_K,nonsense").content.decode()
    assert 'value="Q6_K" checked' in page
    assert 'value="Q2_K" checked' in page
    assert 'value="Q8_0" checked' not in page
    assert 'value="nonsense"' not in page


def test_run_again_fills_the_form_as_it_was(client):
    experiment = start(
        client, types=["Q2_K"], windows="7", limit="80", tasks="own", own_tasks="What?; that"
    )
    page = client.get(f"/lab/?again={experiment.pk}").content.decode()
    assert 'value="Q2_K" checked' in page
    assert 'value="Q8_0" checked' not in page
    assert ">Hello?</textarea>" in page
    assert "Some words to measure with" in page
    assert "What?; that" in page
    assert 'name="windows" min="1" max="500" required value="7"' in page
    assert client.get("/lab/?again=99").status_code == 200


def test_starting_keeps_the_whole_setup_and_waits_for_redis(client):
    experiment = start(client)
    assert experiment.state == State.QUEUED
    assert experiment.text.startswith("Some words")
    assert experiment.plan["types"] == ["F16", "Q8_0", "Q4_K_M"]
    assert experiment.plan["prompts"] == ["Hello?"]
    assert not experiment.steps.filter(key__startswith="speed:").exists()
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert "tiny, three ways" in page
    assert "Redis, which hands out the work, does not answer" in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"types": []}, "Choose at least one type"),
        ({"types": ["Q9_X"]}, "Q9_X is not one of the types"),
        ({"source": "/etc/passwd"}, "is not one of the models"),
        ({"prompt_1": "x" * 100_000}, "at most 4000 characters"),
        ({"own_text": "  "}, "Paste the text"),
        ({"text": "lessons"}, "No lessons are loaded"),
        ({"tasks": "own", "own_tasks": "What?\tthat\nWhat?"}, "Line 2: expected a question"),
        ({"tasks": "lessons"}, "No quizzes are loaded"),
        ({"windows": "0"}, "at least one window"),
        ({"windows": "many"}, "whole number from 1 to 500"),
        ({"limit": "120"}, "can’t be over 100%"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_started(client, changes, message):
    answer = client.post("/lab/", filled(**changes))
    assert answer.status_code == 400
    assert message in answer.content.decode()
    assert not Experiment.objects.exists()
    assert not list(lab.home().glob("*"))


def test_a_source_that_is_no_model_is_refused_with_the_reason(client, store: Path):
    (store / "bad-F16.gguf").write_bytes(b"not a model at all, but 24 bytes")
    answer = client.post("/lab/", filled(source="bad-F16.gguf"))
    assert answer.status_code == 400
    assert "not a GGUF file" in answer.content.decode()


def test_a_full_disk_is_said_and_nothing_is_started(client):
    with files_of_at_most(1000):
        answer = client.post("/lab/", filled())
    assert answer.status_code == 400
    assert "can&#x27;t be written: File too large" in answer.content.decode()
    assert not Experiment.objects.exists()
    assert not list(lab.home().glob("*"))


def test_stop_retry_and_delete(client):
    experiment = start(client)
    here = f"/lab/{experiment.pk}/"
    assert client.post(f"{here}delete").url == here  # not while it is under way
    assert client.post(f"{here}stop").url == here
    assert "What was finished by then is kept" in client.get(here).content.decode()
    assert client.post(f"{here}retry").url == here
    experiment.refresh_from_db()
    assert experiment.state == State.QUEUED
    client.post(f"{here}stop")
    assert client.post(f"{here}delete").url == "/lab/"
    assert client.get(here).status_code == 404
    assert not lab.folder(experiment).exists()


def test_only_a_post_with_a_token_changes_anything(client):
    from django.test import Client

    experiment = start(client)
    for verb in ("stop", "retry", "delete", "notes", "remove-files"):
        assert client.get(f"/lab/{experiment.pk}/{verb}").status_code == 405
        strict = Client(enforce_csrf_checks=True)
        assert strict.post(f"/lab/{experiment.pk}/{verb}").status_code == 403


def test_a_failure_shows_its_reason_and_offers_another_try(client):
    experiment = start(client)
    Experiment.objects.update(state=State.FAILED, error="disk <full>")
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert "disk &lt;full&gt;" in page
    assert "Try again" in page


def test_polling_says_when_a_step_is_done_and_reloads_at_the_end(client):
    experiment = start(client)
    step = experiment.steps.get(key="quantize:F16")
    now = timezone.now()
    Experiment.objects.update(state=State.RUNNING, lease_until=now + timedelta(minutes=1))
    Step.objects.filter(pk=step.pk).update(state=State.RUNNING, done=3, total=20, started=now)
    address = f"/lab/{experiment.pk}/progress?finished=0"
    answer = client.get(address)
    assert "3 of 20 tensors" in answer.content.decode()
    assert "HX-Trigger" not in answer
    assert "#said" not in answer.content.decode()
    Step.objects.filter(pk=step.pk).update(state=State.DONE, finished=now)
    answer = client.get(address)
    assert answer["HX-Trigger"] == "lab:step"
    said = answer.content.decode().split("innerHTML:#said")[1]  # to who can't see the bar move
    assert "1 of " in said
    assert " steps done." in said
    Experiment.objects.update(state=State.DONE)
    assert client.get(address)["HX-Refresh"] == "true"


def test_the_queue_position_counts_those_before(client):
    for _ in range(3):
        client.post("/lab/", filled())
    last = Experiment.objects.first()
    assert last
    Experiment.objects.exclude(pk=last.pk).update(nudged=timezone.now())
    page = client.get(f"/lab/{last.pk}/").content.decode()
    assert "does not answer" in page  # that comes first
    from quant.progress import progress

    assert progress(last).ahead == 2


def test_time_left_comes_from_what_the_same_kind_of_step_took():
    now = timezone.now()

    def step(kind: str, state: State, seconds: float = 0, done: int = 0) -> Step:
        started = now - timedelta(seconds=seconds)
        finished = now if state == State.DONE else None
        return Step(
            key=f"{kind}:F16", state=state, started=started, finished=finished, done=done, total=10
        )

    experiment = Experiment(source="never seen")
    done, later = step("measure", State.DONE, 8), step("measure", State.QUEUED)
    assert seconds_left(experiment, [done, later], now) == 8
    half = step("measure", State.RUNNING, 3, done=5)
    assert seconds_left(experiment, [half, later], now) is None
    assert seconds_left(experiment, [done, half, later], now) == 3 + 8
    unknown = step("speed", State.QUEUED)
    assert seconds_left(experiment, [done, unknown], now) is None


def test_the_pages_of_model_files(client, tiny: Path):
    page = client.get("/lab/models/tiny-F32.gguf/").content.decode()
    assert "Every tensor" in page
    assert "2 × F32" in page
    assert client.get("/lab/models/tiny-F32.gguf/?hash=1").content.count(b"<code>") >= 1
    assert client.get("/lab/models/none.gguf/").status_code == 404
    assert client.get("/lab/models/..%2Fsecret_key/").status_code == 404


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
async def test_a_variant_can_be_downloaded_whole(tiny: Path, tmp_path: Path):
    file = tmp_path / "experiments" / "7" / "tiny-F16.gguf"
    plan = run.Plan(
        source=str(tiny),
        name="tiny",
        types=["F16"],
        prompts=[],
        text_file="",
        out=str(file.parent),
        work=str(file.parent / "work"),
    )
    experiment = await Experiment.objects.acreate(plan=asdict(plan), queued=timezone.now())
    await experiment.steps.acreate(position=0, key="quantize:F16", result={"file": str(file)})
    client = AsyncClient()
    address = f"/lab/{experiment.pk}/files/tiny-F16.gguf"
    assert (await client.get(address)).status_code == 404
    file.parent.mkdir(parents=True)
    file.write_bytes(tiny.read_bytes())
    answer = await client.get(address)
    assert answer["Content-Length"] == str(file.stat().st_size)
    assert b"".join([piece async for piece in answer]) == tiny.read_bytes()
    assert (await client.get(f"/lab/{experiment.pk}/files/other.gguf")).status_code == 404


def test_exports_hold_what_is_known(client):
    experiment = start(client)
    exported = client.get(f"/lab/{experiment.pk}/experiment.json").json()
    assert [variant["type"] for variant in exported["variants"]] == ["F16", "Q8_0", "Q4_K_M"]
    lines = client.get(f"/lab/{experiment.pk}/experiment.csv").content.decode().splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("F16,")


def test_notes_are_kept_shown_and_exported(client):
    experiment = start(client)
    end(experiment)
    here = f"/lab/{experiment.pk}/"
    assert "notes" not in client.get(f"{here}experiment.json").json()
    written = "For my <b>phone</b>.\r\n\r\n  Ask again with Q6_K."
    answer = client.post(f"{here}notes", {"notes": written})
    assert (answer.status_code, answer.url) == (302, f"{here}#notes")
    page = client.get(here).content.decode()
    assert '<p class="written">For my &lt;b&gt;phone&lt;/b&gt;.\n\n  Ask again' in page
    assert '<label for="id_notes">' in page
    exported = client.get(f"{here}experiment.json").json()
    assert exported["notes"] == "For my <b>phone</b>.\n\n  Ask again with Q6_K."
    client.post(f"{here}notes", {"notes": ""})
    assert 'class="written"' not in client.get(here).content.decode()


def test_notes_that_are_too_long_are_refused_and_shown_again(client):
    experiment = start(client)
    end(experiment)
    here = f"/lab/{experiment.pk}/"
    client.post(f"{here}notes", {"notes": "before"})
    assert client.post(f"{here}notes", {"notes": "line\r\n" * 1999 + "x" * 5}).status_code == 302
    client.post(f"{here}notes", {"notes": "before"})
    answer = client.post(f"{here}notes", {"notes": "x" * 10_001})
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "at most 10,000 characters; these are 10,001" in page
    assert "x" * 10_001 in page
    experiment.refresh_from_db()
    assert experiment.notes == "before"


def test_a_page_that_renews_itself_asks_for_no_notes(client):
    experiment = start(client)
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert "can be written once the experiment has ended" in page
    assert 'id="id_notes"' not in page
