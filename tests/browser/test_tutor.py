"""The tutor in the margin, with no engine: it answers by words and says so."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, no_violations

SLUG = "ai-model-quantization-4-bit-8-bit-fp16-tradeoffs"
QUESTION = "What is quantization?"


@pytest.fixture
def lesson(site: Site, page: Page) -> Page:
    page.goto(f"{site.url}/lessons/{SLUG}/")
    return page


def ask(page: Page, question: str) -> None:
    page.get_by_label("Ask about this lesson").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def test_an_answer_quotes_the_page_and_links_to_its_sentence(lesson: Page) -> None:
    ask(lesson, QUESTION)
    exchange = lesson.locator(".exchange")
    expect(exchange.locator(".you")).to_have_text(QUESTION)
    quote = exchange.locator("q.quote").first
    source = exchange.locator("a.src").first
    anchor = (source.get_attribute("href") or "").removeprefix("#")
    expect(lesson.locator(f"#{anchor}")).to_have_text(quote.inner_text().strip("“”"))
    expect(lesson.locator(f"#{anchor}")).to_have_class(re.compile(r"\blit\b"))
    source.click()
    expect(lesson.locator(f"#{anchor}")).to_be_in_viewport()
    assert lesson.url.endswith(f"#{anchor}")


def test_without_its_engine_it_says_so(lesson: Page) -> None:
    ask(lesson, QUESTION)
    expect(lesson.locator(".exchange")).to_contain_text("running without its model")


def test_exchanges_follow_each_other_and_are_announced_once(lesson: Page) -> None:
    ask(lesson, QUESTION)
    expect(lesson.locator("[data-tutor-status]")).to_contain_text("Quantization means storing")
    ask(lesson, "hello")
    expect(lesson.locator("[data-tutor-status]")).to_contain_text("Tutor: Hello!")
    expect(lesson.locator(".exchange")).to_have_count(2)
    expect(lesson.get_by_label("Ask about this lesson")).to_have_value("")


def test_a_suggested_question_is_answered(lesson: Page) -> None:
    lesson.locator(".chips a").first.click()
    expect(lesson.locator(".exchange q.quote").first).to_be_visible()


@pytest.mark.parametrize(
    ("question", "says"),
    [("x" * 2001, "2,001 characters"), ("   ", "Type a question"), ("🙂", "words only")],
)
def test_odd_input_is_answered_with_what_to_do(lesson: Page, question: str, says: str) -> None:
    ask(lesson, question)
    expect(lesson.locator(".exchange")).to_contain_text(says)


def test_markup_in_a_question_is_text(lesson: Page) -> None:
    ask(lesson, "<img src=x onerror=alert(1)> what is a weight?")
    expect(lesson.locator(".exchange .you")).to_contain_text("<img src=x")
    assert lesson.locator(".exchange img").count() == 0


def test_without_scripts_the_whole_page_comes_with_the_answer(
    site: Site, new_page: Callable[..., Page]
) -> None:
    page = new_page(java_script_enabled=False, viewport={"width": 360, "height": 740})
    page.goto(f"{site.url}/lessons/{SLUG}/")
    ask(page, QUESTION)
    expect(page.locator(".exchange q.quote").first).to_be_in_viewport()
    expect(page.locator("h1")).to_be_visible()
    page.locator(".exchange a.src").first.click()
    expect(page.locator(".p:target")).to_be_in_viewport()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_exchange_has_no_violation(
    site: Site, new_page: Callable[..., Page], theme: str
) -> None:
    page = new_page(color_scheme=theme)
    page.goto(f"{site.url}/lessons/{SLUG}/")
    ask(page, QUESTION)
    expect(page.locator(".exchange q.quote").first).to_be_visible()
    ask(page, "What is LoRA?")
    expect(page.locator(".exchange")).to_have_count(2)
    expect(page.locator(".exchange").nth(1)).to_contain_text("doesn't cover")
    no_violations(page)
