import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from config.processes import redis_server
from tests.browser.conftest import ROOT, Site, no_violations
from tests.quant.conftest import write_tiny_model

SECONDS = 180_000


@pytest.fixture(scope="module")
def lab(site: Site) -> Iterator[Site]:
    """The site with a tiny model in its store, Redis and a worker."""
    models = site.data / "models"
    if models.is_symlink():  # another test wanted the real ones
        models.unlink()
    models.mkdir(exist_ok=True)
    write_tiny_model(models / "tiny-F32.gguf")
    options = ["--port", "0", "--unixsocket", str(site.redis_socket), "--dir", str(site.data)]
    worker = [sys.executable, "-m", "celery", "-A", "config", "worker", "-P", "threads", "-c", "1"]
    with (site.data / "lab.log").open("wb") as log:
        started = [
            subprocess.Popen(command, cwd=ROOT, env=site.environment, stdout=log, stderr=log)
            for command in ([redis_server(), *options], worker)
        ]
        yield site
        for process in started:
            process.kill()
            process.wait()


def test_from_the_first_click_to_the_verdict(lab: Site, page: Page):
    page.goto(lab.url + "/lab/")
    expect(page.get_by_role("heading", name="The lab")).to_be_visible()
    no_violations(page)
    page.get_by_text("tiny-F32").click()
    page.get_by_label("Prompt 2").fill("")
    page.get_by_label("Prompt 3").fill("")
    page.get_by_label("Questions and answers").fill("Which?; that\nWhat?; this")
    page.get_by_text("The text to measure with").click()
    page.get_by_label("Measure the speed too").uncheck()
    page.get_by_label("Windows").fill("2")
    page.get_by_role("button", name="Start the experiment").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("tiny, three ways")
    expect(page.locator("#said")).to_contain_text("steps done", timeout=SECONDS)
    expect(page.locator(".verdict")).to_contain_text("F16", timeout=SECONDS)
    expect(page.locator("#progress")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="Q4_K_M").first
    expect(row).to_contain_text("%")
    expect(page.locator(".output")).to_have_count(3)
    expect(page.get_by_role("group", name="File size against mean KL divergence")).to_be_visible()
    no_violations(page)
    answer = page.locator(".answer").nth(1)
    answer.focus()
    answer.press("ArrowRight")
    expect(page.locator(".runners").nth(1)).to_contain_text("F16 here")
    no_violations(page)
    figures = page.locator(".figures").first.inner_text()
    page.reload()
    assert page.locator(".figures").first.inner_text() == figures


@pytest.mark.parametrize("scripts", [True, False])
def test_a_model_is_uploaded_and_a_bad_one_refused_with_its_reason(
    lab: Site, new_page, tmp_path, scripts: bool
):
    page = new_page(java_script_enabled=scripts)
    name = f"uploaded-{scripts}-F32.gguf"
    bad = tmp_path / name
    bad.write_bytes(b"not a model at all, but 24 bytes")
    page.expected.append("400")
    page.goto(lab.url + "/lab/")
    page.get_by_label("A GGUF file").set_input_files(bad)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("not a GGUF file")).to_be_visible()
    write_tiny_model(bad)
    page.get_by_label("A GGUF file").set_input_files(bad)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="What it is")).to_be_visible()
    assert (lab.data / "models" / name).read_bytes() == bad.read_bytes()
    assert not list((lab.data / "models").glob(".upload*"))
