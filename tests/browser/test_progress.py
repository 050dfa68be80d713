import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import events, until
from tests.browser.test_quiz import answer, send

IMPORT_RECORD = """async () => {
  const script = await fetch(document.querySelector("script[src*='/lesson.']").src);
  const [, path] = (await script.text()).match(/["'][^"']*?(progress\\.[^"'/]*)["']/);
  globalThis.record = (await import(`/static/js/${path}`)).record;
}"""


@pytest.fixture
def lesson(site) -> str:
    return f"{site.url}/lessons/{site.slugs[0]}/"


def state(page: Page, slug: str):
    return page.locator(f'[data-lesson-state="{slug}"]').first


def test_opening_a_lesson_is_kept_once_a_day(site, lesson, page):
    page.goto(lesson)
    expect(state(page, site.slugs[0])).to_have_text("Opened")
    page.reload()
    expect(state(page, site.slugs[0])).to_have_text("Opened")
    assert len(events(page, "lesson.opened")) == 1


def test_an_event_has_the_fields_that_every_device_agrees_on(site, lesson, page):
    page.goto(lesson)
    expect(state(page, site.slugs[0])).to_have_text("Opened")
    (event,) = events(page)
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", event["id"]
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["at"])
    event = {name: value for name, value in event.items() if name not in ("id", "at")}
    assert event == {"type": "lesson.opened", "lesson": site.slugs[0], "data": {}, "owner": ""}


def test_mark_as_finished_finishes_and_is_shown_at_home(site, lesson, page):
    page.goto(lesson)
    button = page.get_by_role("button", name="Mark as finished")
    button.click()
    expect(page.get_by_role("button", name="Finished", exact=True)).to_be_focused()
    expect(page.locator("[data-finish-line]")).to_contain_text("Finished on")
    expect(state(page, site.slugs[0])).to_have_text("Finished")
    page.get_by_role("button", name="Finished", exact=True).click(force=True)  # changes nothing
    page.goto(f"{site.url}/")
    expect(state(page, site.slugs[0])).to_have_text("Finished")
    expect(state(page, site.slugs[1])).to_have_text("")
    assert len(events(page, "lesson.completed")) == 1


def test_a_score_is_kept_through_a_reload_and_a_restart_of_the_browser(
    site, lesson, profile, tmp_path
):
    context = profile(tmp_path)
    page = context.pages[0]
    page.goto(lesson)
    answer(page)
    send(page)
    kept = page.locator("[data-kept]")
    expect(kept).to_contain_text("Saved in this browser · best")
    best = re.search(r"best \d+ of 10", kept.text_content())[0]
    page.reload()
    expect(state(page, site.slugs[0])).to_have_text(f"Finished · {best}")
    context.close()

    page = profile(tmp_path).pages[0]
    page.goto(f"{site.url}/")
    expect(state(page, site.slugs[0])).to_have_text(f"Finished · {best}")
    assert len(events(page, "quiz.scored")) == 1


def test_another_tab_shows_what_this_one_records(site, lesson, page):
    page.goto(lesson)
    home = page.context.new_page()
    home.goto(f"{site.url}/")
    expect(state(home, site.slugs[0])).to_have_text("Opened")
    page.get_by_role("button", name="Mark as finished").click()
    expect(state(home, site.slugs[0])).to_have_text("Finished")


def test_tabs_that_record_the_same_at_once_count_it_once(site, lesson, page):
    page.goto(lesson)
    tabs = [page, page.context.new_page()]
    tabs[1].goto(lesson)
    expect(state(tabs[1], site.slugs[0])).to_have_text("Opened")
    for tab in tabs:
        tab.evaluate(IMPORT_RECORD)
    number = "01890000-0000-7000-8000-000000000001"
    same = f"record('quiz.scored', 'x', {{score: 1, of: 2}}, {{id: '{number}'}})"
    for tab in tabs * 5:
        tab.evaluate(f"void {same}")
    for tab in tabs:
        tab.evaluate(same)
    assert len([event for event in events(page) if event["lesson"] == "x"]) == 1


def test_an_erasure_empties_what_it_covers_and_leaves_the_ids(site, lesson, page):
    page.goto(lesson)
    answer(page)
    send(page)
    expect(page.locator("[data-kept]")).to_contain_text("Saved")
    (scored,) = events(page, "quiz.scored")
    assert scored["data"]["answers"]
    page.evaluate(IMPORT_RECORD)
    page.evaluate("record('quiz.scored', 'another', {score: 1, of: 2})")
    page.evaluate(f"record('progress.erased', '{site.slugs[0]}')")
    expect(state(page, site.slugs[0])).to_have_text("")
    kept = {event["id"]: event for event in events(page, "quiz.scored")}
    assert len(kept) == 2
    assert kept.pop(scored["id"])["data"] == {}
    assert next(iter(kept.values()))["data"] == {"score": 1, "of": 2}


def test_blocked_storage_is_said_and_the_page_still_works(site, lesson, new_page):
    page = new_page()
    page.add_init_script(
        """Object.defineProperty(globalThis, "indexedDB", {
          get() { throw new DOMException("blocked", "SecurityError"); },
        });"""
    )
    page.goto(lesson)
    expect(page.locator("[data-trouble-line]")).to_contain_text("this browser blocks storage")
    answer(page)
    send(page)
    expect(page.locator("[data-kept]")).to_contain_text("could not be saved")
    expect(state(page, site.slugs[0])).to_contain_text("Finished · best")


def test_full_storage_is_said_and_tried_again_with_the_next_step(site, lesson, new_page):
    page = new_page()
    page.add_init_script(
        """globalThis.full = true;
        const add = IDBObjectStore.prototype.add;
        IDBObjectStore.prototype.add = function (...values) {
          if (globalThis.full) throw new DOMException("full", "QuotaExceededError");
          return add.apply(this, values);
        };"""
    )
    page.goto(lesson)
    expect(page.locator("[data-trouble-line]")).to_contain_text("storage is full")
    page.evaluate("globalThis.full = false")
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.locator("[data-saved]")).to_be_visible()
    expect(page.locator("[data-trouble-line]")).to_be_hidden()
    assert sorted(event["type"] for event in events(page)) == ["lesson.completed", "lesson.opened"]


def test_lasting_storage_is_asked_for_with_the_first_score_and_not_before(lesson, new_page):
    page = new_page()
    page.add_init_script(
        """globalThis.asked = 0;
        StorageManager.prototype.persisted = async () => globalThis.asked > 0;
        StorageManager.prototype.persist = async () => { globalThis.asked += 1; return true; };"""
    )
    page.goto(lesson)
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.get_by_role("button", name="Finished", exact=True)).to_be_visible()
    assert page.evaluate("asked") == 0
    answer(page)
    send(page)
    until(page, "asked === 1")


def test_home_shows_only_lessons_of_the_chosen_state(site, lesson, page):
    page.goto(lesson)
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.get_by_role("button", name="Finished", exact=True)).to_be_visible()
    page.goto(f"{site.url}/")
    expect(state(page, site.slugs[0])).to_have_text("Finished")
    rows = page.locator("[data-lesson-row]:visible")
    page.get_by_label("Finished").check()
    expect(rows).to_have_count(1)
    page.get_by_label("Not started").check()
    expect(rows).to_have_count(len(site.slugs) - 1)
    page.get_by_label("Opened").check()
    expect(rows).to_have_count(0)
    expect(page.get_by_text("No lesson here is in that state.")).to_be_visible()


def test_the_place_where_reading_stopped_is_offered(lesson, page):
    page.goto(lesson)
    passage = page.locator(".prose .p").nth(40)
    passage.evaluate("it => it.scrollIntoView({behavior: 'instant', block: 'start'})")
    until(page, "Object.keys(localStorage).some((key) => key.startsWith('openbook-place'))")
    page.goto(lesson)
    page.get_by_role("button", name="Continue there").click()
    expect(passage).to_be_in_viewport()
    expect(page.get_by_role("button", name="Continue there")).to_have_count(0)
