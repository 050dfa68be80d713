"""The page of one layer: its sliders answer at once, and its form works without JavaScript."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, no_violations
from tests.quant.conftest import write_tiny_model


@pytest.fixture(scope="module")
def lab(site: Site) -> Site:
    """The site with a tiny model in its store, whose inputs have been gathered."""
    models = site.data / "models"
    if models.is_symlink():  # another test wanted the real ones
        models.unlink()
    models.mkdir(exist_ok=True)
    if not (models / "tiny-F32.gguf").exists():
        write_tiny_model(models / "tiny-F32.gguf")
    site.manage("calibrate", "tiny-F32.gguf", "--threads", "1")
    return site


def slide(page: Page, label: str, key: str) -> None:
    slider = page.get_by_label(label)
    slider.focus()
    slider.press(key)


def test_sliders_answer_without_leaving_the_page(lab: Site, page: Page):
    page.goto(lab.url + "/lab/layer/")
    said = page.locator(".chosen")
    expect(said).to_contain_text("4 bits")
    errors = page.locator(".methods tbody tr").first
    before = errors.inner_text()
    page.evaluate("window.stays = true")
    slide(page, "Bits for a code", "ArrowLeft")
    expect(said).to_contain_text("3 bits")
    expect(page.locator("#bits-now")).to_have_text("3")
    assert errors.inner_text() != before
    slide(page, "Weights in a group", "ArrowLeft")
    expect(said).to_contain_text("groups of 16")
    expect(page.locator("#size-now")).to_have_text("16")
    page.get_by_label("Method in the pictures").select_option("AWQ")
    expect(page.get_by_role("heading", name="before and after: AWQ")).to_be_visible()
    assert page.evaluate("window.stays")
    assert "bits=3" in page.url
    page.reload()
    expect(said).to_contain_text("3 bits")


def test_the_form_works_without_javascript(lab: Site, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(lab.url + "/lab/layer/")
    page.get_by_label("Matrix").select_option("attn_q")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".chosen")).to_contain_text("attn_q")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible_and_whole_on_a_narrow_screen(lab: Site, new_page, theme):
    page = new_page(color_scheme=theme, viewport={"width": 360, "height": 740})
    page.goto(lab.url + "/lab/layer/")
    no_violations(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
