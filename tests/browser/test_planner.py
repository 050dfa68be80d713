import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, no_violations


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 360])
def test_the_planner_has_no_violation_and_no_sideways_scroll(site: Site, new_page, theme, width):
    page = new_page(color_scheme=theme, viewport={"width": width, "height": 800})
    for query in ("", "?model=qwen2.5-72b&machine=rtx-3090&quant=Q4_K_M", "?model=nothing"):
        page.expected.append("400 (Bad Request)")  # the last one's
        page.goto(f"{site.url}/planner/{query}")
        no_violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_plan_follows_each_change_and_so_does_the_address(site: Site, page: Page):
    page.goto(f"{site.url}/planner/?model=llama-3-8b&machine=rtx-3070")
    verdict = page.locator(".verdict")
    expect(verdict).to_contain_text("Pick Q5_K_M")
    page.get_by_label("Machine", exact=True).select_option("rtx-3090")
    expect(verdict).to_contain_text("Pick Q8_0")
    page.get_by_label("Context, tokens for each user").fill("131072")
    expect(verdict).to_contain_text("Pick Q6_K")
    expect(page.locator("#plan-said")).to_contain_text("Pick Q6_K")  # and is said aloud
    expect(page).to_have_url(re.compile("machine=rtx-3090"))
    assert "context=131072" in page.url
    page.reload()
    expect(verdict).to_contain_text("Pick Q6_K")


def test_fields_for_ones_own_appear_when_wanted_and_mistakes_are_told(site: Site, page: Page):
    page.expected += ["400 (Bad Request)", "Response Status Error Code 400"]
    page.goto(f"{site.url}/planner/")
    memory = page.get_by_label("Memory, GB")
    expect(memory).to_be_hidden()
    page.get_by_label("Machine", exact=True).select_option("own")
    expect(memory).to_be_visible()
    memory.fill("-4")
    expect(page.get_by_role("alert")).to_contain_text("Memory, GB: give 0 or more.")
    memory.fill("24")
    expect(page.locator(".verdict")).to_contain_text("of the 23.0 GiB")
    expect(page.get_by_label("Layers")).to_be_hidden()
    page.get_by_label("Model", exact=True).select_option("five")
    expect(page.get_by_label("Layers")).to_be_visible()
    page.get_by_label("Layers").fill("16")
    expect(page.locator("#chosen")).to_contain_text("The model of your five numbers")


def test_it_works_without_javascript(site: Site, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(f"{site.url}/planner/")
    page.get_by_label("Model", exact=True).select_option("qwen3-32b")
    page.get_by_label("Machine", exact=True).select_option("rtx-4090")
    page.get_by_role("button", name="Plan").click()
    expect(page.locator("#chosen")).to_contain_text("Qwen3 32B at")
    expect(page.get_by_role("img", name="File size of Qwen3 32B")).to_be_visible()


def test_a_figure_leads_to_its_source(site: Site, page: Page):
    page.goto(f"{site.url}/planner/")
    page.locator("dd sup a").first.click()
    expect(page.locator("#source-1")).to_be_in_viewport()
    expect(page.locator("#source-1")).to_contain_text("config.json")


def test_the_bar_leads_here(site: Site, page: Page):
    page.goto(f"{site.url}/")
    page.get_by_role("navigation", name="Site").get_by_role("link", name="Planner").click()
    expect(page.get_by_role("heading", name="The planner")).to_be_visible()
