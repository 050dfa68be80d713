"""What is done with experiments once they are finished: with a real worker, files and engine."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Site, wait_for
from tests.browser.test_lab import SECONDS, lab

__all__ = ["lab"]
MADE = """
from quant import evals, lab
text = "The quick brown fox jumps over the lazy dog, and the dog sleeps on. " * 100
for windows in (1, 2):
    made = lab.create(
        source="tiny-F32.gguf", types=["Q8_0", "Q4_0"], prompts=["Hello?"], text_name="your text",
        text=text, windows=windows, limit=0.9, speed=False,
        tasks=evals.parse("Which?; that\\nWhat?; this"),
    )
    print(made.pk)
"""


@pytest.fixture(scope="module")
def experiments(lab: Site) -> list[str]:
    """Addresses of two that are done; they differ in their windows."""
    addresses = [f"{lab.url}/lab/{number}/" for number in lab.run(MADE).split()]
    until = time.monotonic() + SECONDS / 1000
    for address in addresses:
        while "HX-Refresh" not in httpx.get(f"{address}progress").headers:
            assert time.monotonic() < until, httpx.get(f"{address}log").text
            time.sleep(0.2)
        assert "It failed" not in httpx.get(address).text, httpx.get(address).text
    return addresses


@pytest.fixture
def engine(lab: Site) -> Iterator[str]:
    """Its address; it serves the real chat model until told otherwise."""
    for name in ("smollm2-135m-instruct-Q4_1.gguf", "all-minilm-l6-v2-F32.gguf"):
        (lab.data / "models" / name).symlink_to(settings.MODELS_DIR / name)
    address = f"http://127.0.0.1:{lab.engine_port}"
    command = [sys.executable, "manage.py", "engine", "--port", str(lab.engine_port)]
    with (lab.data / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=lab.environment | {"TUTOR_MODEL": ""}, stdout=log, stderr=log
        )
    wait_for(f"{address}/health", process)
    while httpx.get(f"{address}/health").status_code != 200:
        assert process.poll() is None, (lab.data / "engine.log").read_text()
    yield address
    process.kill()
    process.wait()
    for name in ("smollm2-135m-instruct-Q4_1.gguf", "all-minilm-l6-v2-F32.gguf"):
        (lab.data / "models" / name).unlink()


def test_notes_are_written_and_changed(experiments: list[str], page: Page):
    page.goto(experiments[0])
    page.get_by_text("Write notes").click()
    page.get_by_label("Your notes on this experiment").fill("Q8_0 will do.\n<b>So</b> it is.")
    page.get_by_role("button", name="Save the notes").click()
    expect(page.locator(".written")).to_have_text("Q8_0 will do.\n<b>So</b> it is.")
    page.reload()
    page.get_by_text("Change the notes").click()
    page.get_by_label("Your notes on this experiment").fill("")
    page.get_by_role("button", name="Save the notes").click()
    expect(page.locator(".written")).to_have_count(0)


def test_two_experiments_are_chosen_and_compared(lab: Site, experiments: list[str], page: Page):
    first, second = (address.split("/")[-2] for address in experiments)
    page.goto(f"{lab.url}/lab/")
    page.get_by_label("First experiment").select_option(first)
    page.get_by_label("Second experiment").select_option(second)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two experiments")
    expect(page.get_by_role("rowheader", name="Q4_0")).to_have_count(2)
    expect(page.get_by_role("row", name="Windows 1 2")).to_be_visible()
    expect(page.locator(".notice")).to_contain_text("different stretches of the text")
    page.get_by_label("Second experiment").select_option(first)
    page.expected.append("400")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose two different experiments")


def test_a_variant_becomes_the_tutors_and_the_usual_model_comes_back(
    experiments: list[str], engine: str, page: Page
):
    page.goto(experiments[0])
    page.get_by_role("link", name="Q8_0", exact=True).click()
    page.get_by_role("button", name="Use this variant for the tutor").click()
    expect(page.get_by_role("status").first).to_contain_text("The tutor uses tiny-Q8_0 now")
    assert "tiny-Q8_0" in httpx.get(f"{engine}/health").json()["model"]
    page.goto(experiments[0])
    expect(page.locator(".files")).to_contain_text("can’t be removed now: the tutor uses it")
    expect(page.get_by_text("Delete this experiment")).to_have_count(0)
    page.get_by_role("link", name="Q8_0", exact=True).click()
    page.get_by_role("button", name="Back to the usual model").click()
    expect(page.get_by_role("button", name="Use this variant for the tutor")).to_be_visible()
    assert "smollm2" in httpx.get(f"{engine}/health").json()["model"]


def test_files_are_removed_and_the_report_stays(lab: Site, experiments: list[str], page: Page):
    number = experiments[1].split("/")[-2]
    folder = lab.data / "experiments" / number
    assert {path.name for path in folder.glob("*.gguf")} == {
        "tiny-F16.gguf",
        "tiny-Q8_0.gguf",
        "tiny-Q4_0.gguf",
    }
    page.goto(experiments[1])
    figures = page.locator(".figures").first.inner_text()
    page.get_by_text("Remove the files, keep the report").click()
    page.get_by_role("button", name="Remove 3 files").click()
    expect(page.locator(".files")).to_contain_text("No model file of its own is on the disk")
    assert list(folder.glob("*.gguf")) == []
    assert page.locator(".figures").first.inner_text() == figures
    page.expected.append("404")
    page.get_by_role("link", name="Q4_0", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This file was removed")
    page.get_by_role("link", name="run the experiment again").click()
    expect(page.get_by_label(re.compile("^Q4_0"))).to_be_checked()
    page.goto(experiments[1])
    page.get_by_text("Delete this experiment").click()
    page.get_by_role("button", name="Delete it all").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The lab")
    expect(page.get_by_role("link", name=f"{number} ·")).to_have_count(0)
    assert not folder.exists()
