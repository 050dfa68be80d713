"""The tutor in the margin, with no engine: it answers by words and says so."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import sign_up, synced
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


def talk(page: Page) -> list[str]:
    return page.locator(".exchange .you").all_inner_texts()


def test_an_answer_quotes_the_page_and_links_to_its_sentence(lesson: Page) -> None:
    ask(lesson, QUESTION)
    exchange = lesson.locator(".exchange")
    expect(exchange.locator(".you")).to_have_text(QUESTION)
    quote = exchange.locator("q.quote").first
    source = exchange.locator("a.src").first
    anchor = (source.get_attribute("href") or "").removeprefix("#")
    expect(lesson.locator(f"#{anchor}")).to_have_text(quote.inner_text().strip("“”"))
    expect(lesson.locator(f"#{anchor}")).to_have_class(re.compile(r"\blit\b"))
    source.press("Enter")
    expect(lesson.locator(f"#{anchor}")).to_be_in_viewport()
    expect(lesson.locator(f"#{anchor}")).to_be_focused()
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
    lesson.locator("[data-beginnings] a").first.click()
    expect(lesson.locator(".exchange q.quote").first).to_be_visible()


@pytest.mark.parametrize(
    ("question", "says"), [("x" * 2001, "2,001 characters"), ("   ", "Type a question")]
)
def test_what_cannot_be_asked_is_kept_with_what_to_do(
    site: Site, new_page: Callable[..., Page], question: str, says: str
) -> None:
    for scripts in (True, False):
        page = new_page(java_script_enabled=scripts)
        page.expected.append("400")
        page.goto(f"{site.url}/lessons/{SLUG}/")
        ask(page, question)
        expect(page.locator("#tutor .notice")).to_contain_text(says)
        expect(page.get_by_label("Ask about this lesson")).to_have_value(
            question if scripts or question.strip() else ""
        )


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


def test_enter_sends_and_shift_enter_does_not(lesson: Page) -> None:
    field = lesson.get_by_label("Ask about this lesson")
    field.fill("What is")
    field.press("Shift+Enter")
    field.press_sequentially("a weight?")
    expect(lesson.locator(".exchange")).to_have_count(0)
    field.press("Enter")
    expect(lesson.locator(".exchange q.quote").first).to_be_visible()
    assert lesson.locator(".exchange .you").text_content() == "What is\na weight?"


def test_the_conversation_survives_a_reload_until_it_is_cleared(lesson: Page) -> None:
    ask(lesson, QUESTION)
    expect(lesson.locator(".exchange .acts")).to_have_count(1)
    ask(lesson, "<b>hello</b>")
    expect(lesson.locator(".exchange .acts")).to_have_count(2)
    lesson.get_by_role("button", name="This helped").first.click()
    lesson.reload()
    assert talk(lesson) == [QUESTION, "<b>hello</b>"]
    expect(lesson.locator(".exchange q.quote").first).to_be_visible()
    expect(lesson.get_by_role("button", name="This helped").first).to_have_attribute(
        "aria-pressed", "true"
    )
    lesson.get_by_role("button", name="Clear this conversation").click()
    lesson.reload()
    expect(lesson.locator("[data-conversation]")).to_be_hidden()
    assert talk(lesson) == []


def test_of_a_kept_answer_only_an_answers_parts_are_used(lesson: Page) -> None:
    lesson.expected.append("inline event handler")  # type: ignore[attr-defined]
    answer = (
        '<div class="said" data-said data-kind="quote"><script>alert(1)</script><p onclick="x">Said'
        '</p><img src="/x" onerror="alert(1)"><a href="javascript:alert(1)">there</a>'
        "<form><p>no</p></form></div>"
    )
    lesson.evaluate(
        "([key, kept]) => localStorage.setItem(key, kept)",
        [f"openbook-talk::{SLUG}", json.dumps([{"question": "<i>hi</i>", "answer": answer}])],
    )
    lesson.reload()
    expect(lesson.locator(".exchange .you")).to_have_text("<i>hi</i>")
    inside = lesson.locator(".exchange [data-said]")
    assert inside.inner_html() == "<p>Said</p><a>there</a>"


def test_a_conversation_is_its_owners(site: Site, page: Page) -> None:
    address = f"{site.url}/lessons/{SLUG}/"
    page.goto(address)
    ask(page, "What is a quant?")
    expect(page.locator(".exchange .acts")).to_have_count(1)
    sign_up(site, page)
    page.goto(address)
    expect(page.locator("[data-conversation]")).to_be_hidden()
    assert talk(page) == []
    ask(page, QUESTION)
    expect(page.locator(".exchange .acts")).to_have_count(1)
    synced(page)  # else signing out asks about what was not sent
    page.expected.append("401")  # a last look for news may come after signing out
    page.goto(site.url + "/accounts/logout/")
    page.locator("[data-signout] button").first.click()
    expect(page.locator("[data-account]")).to_have_text("Sign in")
    kept = page.evaluate("Object.keys(localStorage).filter((it) => it.startsWith('openbook-talk'))")
    assert kept == [f"openbook-talk::{SLUG}"]
    page.goto(address)
    assert talk(page) == ["What is a quant?"]


def test_a_changed_lesson_is_told_beside_the_older_answer(lesson: Page) -> None:
    ask(lesson, QUESTION)
    expect(lesson.locator(".exchange .acts")).to_have_count(1)
    key = f"openbook-talk::{SLUG}"
    lesson.evaluate(
        "(key) => localStorage.setItem(key, localStorage.getItem(key).replace(/fewer/g, 'no'))", key
    )
    lesson.reload()
    expect(lesson.locator(".exchange .again")).to_contain_text("The lesson has been changed since")
    lesson.get_by_role("button", name="Ask again").click()
    expect(lesson.locator(".exchange [data-said]")).to_contain_text("fewer bits")
    expect(lesson.locator(".exchange .again")).to_have_count(0)


def test_offline_it_says_so_and_keeps_the_question(lesson: Page) -> None:
    lesson.expected.append("ERR_INTERNET_DISCONNECTED")  # type: ignore[attr-defined]
    lesson.context.set_offline(True)
    ask(lesson, QUESTION)
    expect(lesson.locator(".exchange .again")).to_contain_text("You are offline")
    lesson.context.set_offline(False)
    lesson.reload()
    expect(lesson.locator(".exchange .again")).to_contain_text("no answer yet")
    lesson.get_by_role("button", name="Ask again").click()
    expect(lesson.locator(".exchange q.quote").first).to_be_visible()
    assert talk(lesson) == [QUESTION]


def test_too_many_questions_say_when_to_go_on_and_keep_the_question(
    site: Site, new_page: Callable[..., Page]
) -> None:
    for scripts in (True, False):
        page = new_page(java_script_enabled=scripts)
        page.expected.append("429")
        page.goto(f"{site.url}/lessons/{SLUG}/")
        for _ in range(14):
            page.request.get(f"{site.url}/lessons/{SLUG}/tutor/stream?q=hello")
        ask(page, "hello there")
        expect(page.locator("#tutor .notice")).to_contain_text(
            re.compile(r"ask again (in \d seconds?|now)")
        )
        expect(page.get_by_label("Ask about this lesson")).to_have_value("hello there")


def test_a_hint_leads_a_step_further_each_time(site: Site, new_page: Callable[..., Page]) -> None:
    for scripts in (True, False):
        page = new_page(java_script_enabled=scripts)
        page.goto(f"{site.url}/lessons/{SLUG}/")
        ask(page, "I need help with question 1")
        expect(page.locator(".exchange").last).to_contain_text("read “The premise” again")
        page.get_by_role("link", name="Another hint for question 1").last.click()
        expect(page.locator(".exchange").last).to_contain_text("A closer hint")
        ask(page, "another hint")
        expect(page.locator(".exchange").last.locator("q.quote")).to_contain_text("fewer bits")


def test_feedback_goes_to_the_owner_only_when_sent(site: Site, lesson: Page) -> None:
    ask(lesson, QUESTION)
    lesson.get_by_role("button", name="This did not help").click()
    assert "Nothing has been sent" in site.manage("tutor_feedback")
    form = lesson.locator(".feedback")
    expect(form).to_contain_text("go to the owner of this site, without your name")
    form.get_by_label("Why?").fill("Too \x1b[31mlong")
    no_violations(lesson)
    form.get_by_role("button").click()
    expect(lesson.get_by_text("Sent. Thank you.")).to_be_focused()
    sent = json.loads(site.manage("tutor_feedback", "--json"))
    assert (sent["lesson"], sent["kind"], sent["helpful"]) == (SLUG, "quote", False)
    assert sent["question"] == QUESTION
    assert "\x1b" not in site.manage("tutor_feedback", "--delete")
    assert "Nothing has been sent" in site.manage("tutor_feedback")


def test_copying_takes_the_quotes_and_where_they_stand(
    site: Site, new_page: Callable[..., Page]
) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site.url}/lessons/{SLUG}/")
    ask(page, QUESTION)
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    quote = page.locator(".exchange q.quote").first.text_content()
    anchor = page.locator(".exchange a.src").first.get_attribute("href")
    assert f"“{quote}” (The premise, in “" in copied
    assert f"{site.url}/lessons/{SLUG}/{anchor})" in copied


def test_on_a_phone_the_answer_is_in_view_and_the_way_back_is_there(
    site: Site, new_page: Callable[..., Page]
) -> None:
    page = new_page(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    page.goto(f"{site.url}/lessons/{SLUG}/")
    field = page.get_by_label("Ask about this lesson")
    assert float(field.evaluate("it => parseFloat(getComputedStyle(it).fontSize)")) >= 16
    ask(page, QUESTION)
    expect(page.locator(".exchange .you")).to_be_in_viewport()
    expect(page.locator(".exchange q.quote").first).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator(".exchange a.src").first.click()
    expect(page.locator(".exchange q.quote").first).not_to_be_in_viewport()
    page.get_by_role("button", name="Back to the answer").click()
    expect(page.locator(".exchange a.src").first).to_be_focused()
    expect(page.locator(".exchange q.quote").first).to_be_in_viewport()


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
