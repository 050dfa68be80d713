"""Search as a reader types, with and without JavaScript; the authors' page beside it."""

import pytest

from tests.browser.conftest import no_violations


def test_results_follow_what_is_typed_and_lead_to_the_passage(site, page):
    page.goto(site.url + "/search/")
    page.fill("#q", "qwantization")
    page.wait_for_selector("#results b >> text=quantization")
    assert page.url.endswith("/search/?q=qwantization")
    link = page.locator(".found ul a").first
    words = link.inner_text()
    link.click()
    page.wait_for_url("**/lessons/*/#p-*")
    anchor = page.url.rpartition("#")[2]
    assert page.locator(f"#{anchor}").inner_text() == words


def test_search_works_without_javascript(site, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(site.url + "/search/")
    page.fill("#q", "kv cache")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search/?q=kv+cache")
    assert page.locator(".found h2").count() > 0
    assert page.locator(".found mark").first.inner_text().lower() in ("kv", "cache")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/search/?q=bits", "/search/?q=xyzzyx", "/authors/"])
def test_nothing_is_in_anybodys_way(site, new_page, path, scheme):
    page = new_page(color_scheme=scheme, viewport={"width": 360, "height": 740})
    page.goto(site.url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    no_violations(page)
