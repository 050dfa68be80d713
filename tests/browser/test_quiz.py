import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import events


@pytest.fixture
def lesson(site) -> str:
    return f"{site.url}/lessons/{site.slugs[0]}/"


def answer(page: Page, *, leave: int = 0) -> None:
    """Chooses the first option of each question but the last `leave` ones."""
    questions = page.locator("#quiz fieldset")
    for place in range(questions.count() - leave):
        questions.nth(place).get_by_role("radio").first.check()


def send(page: Page) -> None:
    page.get_by_role("button", name="Check my answers").click()


def test_the_quiz_works_without_javascript(lesson, new_page):
    page = new_page(java_script_enabled=False)
    page.goto(lesson)
    answer(page, leave=2)
    send(page)
    expect(page.get_by_role("alert")).to_contain_text("2 questions have no answer yet")
    expect(page.get_by_role("radio", checked=True)).to_have_count(8)
    answer(page)
    send(page)
    expect(page.locator(".score")).to_have_text(re.compile(r"^\d+ of 10 right$"))
    page.locator(".answers .src a").first.click()
    expect(page).to_have_url(re.compile(rf"{re.escape(lesson)}#p-\d+$"))
    page.go_back()
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)


def test_the_result_replaces_the_form_in_place_and_takes_the_focus(lesson, page):
    page.goto(lesson)
    answer(page)
    send(page)
    expect(page.locator(".score")).to_be_focused()
    expect(page.locator(".score")).to_be_in_viewport()
    expect(page).to_have_url(lesson)
    expect(page.locator(".answers > li")).to_have_count(10)
    expect(page.locator(".why")).to_have_count(40)


def test_unanswered_questions_are_asked_for_in_place(lesson, page):
    page.goto(lesson)
    answer(page, leave=1)
    send(page)
    notice = page.locator("#quiz .notice")
    expect(notice).to_be_focused()
    expect(notice).to_contain_text("1 question has no answer yet")
    expect(page.locator("#quiz").get_by_role("radio", checked=True)).to_have_count(9)
    notice.get_by_role("link", name="10").click()
    expect(page.locator("#quiz fieldset").nth(9)).to_be_in_viewport()
    assert events(page, "quiz.scored") == []


def test_a_passage_that_the_result_names_lights_up(lesson, page):
    page.goto(lesson)
    answer(page)
    send(page)
    link = page.locator(".answers .src a").first
    anchor = link.get_attribute("href").partition("#")[2]
    passage = page.locator(f"#{anchor}")
    before = passage.evaluate("it => getComputedStyle(it).backgroundColor")
    link.click()
    expect(passage).to_be_in_viewport()
    expect(passage).not_to_have_css("background-color", before)
    expect(page.locator(".score")).to_have_count(1)  # the page was not loaded again


def test_answers_in_progress_survive_a_reload(lesson, page):
    page.goto(lesson)
    answer(page, leave=4)
    page.reload()
    expect(page.locator("#quiz").get_by_role("radio", checked=True)).to_have_count(6)
    answer(page)
    send(page)
    expect(page.locator(".score")).to_be_visible()
    page.reload()
    expect(page.locator("#quiz").get_by_role("radio", checked=True)).to_have_count(0)


def test_try_again_gives_a_blank_form_and_counts_a_second_attempt(lesson, page):
    page.goto(lesson)
    for attempt in (1, 2):
        answer(page)
        send(page)
        expect(page.locator("[data-kept]")).to_contain_text("Saved in this browser")
        assert len(events(page, "quiz.scored")) == attempt
        page.get_by_role("link", name="Try again").click()
        expect(page.locator("#quiz fieldset")).to_have_count(10)
        expect(page.locator("#quiz").get_by_role("radio", checked=True)).to_have_count(0)


def test_an_attempt_counts_once_however_often_it_is_sent(site, lesson, page):
    page.goto(lesson)
    answer(page)
    form = "document.querySelector('form[data-quiz]')"
    page.evaluate(f"{form}.requestSubmit(); {form}.requestSubmit()")
    expect(page.locator("[data-kept]")).to_contain_text("Saved in this browser")
    assert len(events(page, "quiz.scored")) == 1
    page.goto(site.url)
    page.go_back()
    page.reload()
    expect(page.locator("[data-lesson-state]").first).to_contain_text("Finished")
    assert len(events(page, "quiz.scored")) == 1


def test_a_result_page_of_its_own_counts_once_when_loaded_again(lesson, page):
    page.goto(f"{lesson}quiz/")
    answer(page)
    page.evaluate("document.querySelector('form[data-quiz]').removeAttribute('hx-post')")
    page.evaluate(  # as where htmx did not load: the browser itself sends the form
        """() => { const form = document.querySelector('form[data-quiz]');
        form.replaceWith(form.cloneNode(true)); }"""
    )
    answer(page)
    send(page)
    expect(page.locator("[data-kept]")).to_contain_text("Saved in this browser")
    assert page.evaluate("document.title").endswith("Openbook")
    page.reload()
    expect(page.locator("[data-kept]")).to_contain_text("Saved in this browser")
    assert len(events(page, "quiz.scored")) == 1


def test_a_server_that_does_not_answer_costs_no_answers(lesson, page):
    page.goto(lesson)
    answer(page)
    page.expected += ["Failed to load resource", "htmx:", "/quiz/"]
    page.route("**/quiz/", lambda route: route.abort())
    send(page)
    expect(page.locator("#quiz").get_by_role("alert")).to_contain_text("did not answer")
    expect(page.locator("#quiz").get_by_role("radio", checked=True)).to_have_count(10)
    page.unroute("**/quiz/")
    send(page)
    expect(page.locator("[data-kept]")).to_contain_text("Saved in this browser")
    assert len(events(page, "quiz.scored")) == 1


def test_the_quiz_can_be_taken_by_keyboard_alone(lesson, page):
    page.goto(f"{lesson}quiz/")
    page.locator("#quiz").get_by_role("radio").first.focus()
    for _ in range(10):
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on the button
    expect(page.locator(".score")).to_be_focused()
