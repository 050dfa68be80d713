"""Every kind of page: accessible in both themes, whole on narrow screens, its own host only."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import no_violations
from tests.browser.test_quiz import answer, send

THEMES = ("light", "dark")


@pytest.mark.parametrize("theme", THEMES)
def test_home_has_no_violation(site, new_page, theme):
    page = new_page(color_scheme=theme)
    page.goto(f"{site.url}/")
    no_violations(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    no_violations(page)


@pytest.mark.parametrize("theme", THEMES)
def test_no_lesson_has_a_violation(site, new_page, theme):
    page = new_page(color_scheme=theme)
    for slug in site.slugs:
        page.goto(f"{site.url}/lessons/{slug}/")
        no_violations(page)


@pytest.mark.parametrize("theme", THEMES)
def test_no_state_of_the_quiz_has_a_violation(site, new_page, theme):
    page = new_page(color_scheme=theme)
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/quiz/")
    no_violations(page)
    answer(page, leave=1)
    send(page)
    expect(page.locator("#quiz .notice")).to_be_visible()
    no_violations(page)
    answer(page)
    send(page)
    expect(page.locator("[data-kept]")).to_contain_text("Saved")
    no_violations(page)


@pytest.mark.parametrize("theme", THEMES)
def test_no_error_page_has_a_violation(site, new_page, theme):
    page = new_page(color_scheme=theme)
    page.expected.append("Failed to load resource")
    page.goto(f"{site.url}/lessons/nothing/")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    no_violations(page)


def test_a_lit_passage_and_an_open_detail_have_no_violation(site, new_page):
    for theme in THEMES:
        page = new_page(color_scheme=theme)
        page.goto(f"{site.url}/lessons/{site.slugs[0]}/#p-2")
        page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true })")
        no_violations(page)


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_nothing_is_wider_than_the_screen(site, new_page, width):
    page = new_page(viewport={"width": width, "height": 800})
    for path in (
        "",
        *(f"lessons/{slug}/" for slug in site.slugs),
        f"lessons/{site.slugs[0]}/quiz/",
    ):
        page.goto(f"{site.url}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_text_of_twice_the_size_stays_whole(site, new_page):
    page = new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def colour(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_kept(site, new_page):
    page = new_page(color_scheme="dark")
    page.goto(f"{site.url}/")
    dark = colour(page)
    page.emulate_media(color_scheme="light")
    light = colour(page)
    assert light != dark
    page.get_by_role("radio", name="Dark").check()
    assert colour(page) == dark
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    assert colour(page) == dark
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    page.get_by_role("radio", name="Light").check()
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert colour(page) == light
    page.get_by_role("radio", name="System").check()
    assert colour(page) == dark


def test_controls_that_need_scripts_are_not_shown_without(site, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    expect(page.get_by_role("button", name="Mark as finished")).to_have_count(0)
    expect(page.get_by_role("radio", name="Dark")).to_have_count(0)
    expect(page.get_by_text("Without JavaScript nothing can be saved")).to_be_visible()


def test_pages_do_not_shift_while_they_load(site, new_page):
    page = new_page()
    page.add_init_script(
        """globalThis.shift = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) globalThis.shift += entry.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    paths = (f"lessons/{site.slugs[0]}/", "", f"lessons/{site.slugs[0]}/")
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 740})
        for path in paths:
            page.goto(f"{site.url}/{path}")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("shift") < 0.01, path  # 0.1 counts as good, 0 is usual here
        page.goto(f"{site.url}/{paths[0]}quiz/")  # then with a score to show
        answer(page)
        send(page)
        expect(page.locator("[data-kept]")).to_contain_text("Saved")


def test_every_target_is_at_least_24_pixels(site, new_page):
    page = new_page(viewport={"width": 360, "height": 740})
    for path in ("", f"lessons/{site.slugs[0]}/"):
        page.goto(f"{site.url}/{path}")
        small = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
              .filter((it) => it.checkVisibility() && !it.closest(".prose, .skip, .sources, p"))
              .map((it) => [it.closest("label") ?? it, it])
              .filter(([box]) => { const { width, height } = box.getBoundingClientRect();
                return width < 24 || height < 24; })
              .map(([box]) => box.outerHTML.slice(0, 80))"""
        )
        assert small == [], path


def test_the_first_stop_by_keyboard_skips_to_the_content(site, page):
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_page_needs_at_most_60_kilobytes(site, page):
    sizes = {}

    def count(response):
        sizes[response.url] = len(response.body()) and response.request.sizes()["responseBodySize"]

    page.on("requestfinished", lambda request: count(request.response()))
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.wait_for_load_state("networkidle")
    assert sum(sizes.values()) <= 60_000, sizes
