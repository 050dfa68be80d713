from playwright.sync_api import expect

from tests.browser.accounts import stored
from tests.browser.conftest import no_violations


def test_a_wrong_answer_comes_back_the_next_day_signed_out(site, new_page):
    page = new_page()
    slug = site.slugs[0]
    right = site.run(
        "from lessons.models import Choice; "
        f"print(*Choice.objects.filter(question__lesson__slug='{slug}', question__position=1, "
        "correct=True).values_list('position', flat=True))"
    ).strip()
    key = site.run(
        "from lessons.models import Question; "
        f"print(Question.objects.get(lesson__slug='{slug}', position=1).key)"
    ).strip()
    wrong = 1 if right != "1" else 2
    page.goto(site.url + "/review/")
    expect(page.locator("[data-due]")).to_contain_text("Nothing to review.")
    page.evaluate(
        """async ([slug, key, wrong]) => {
          const { record } = await import("/static/js/progress.js");
          const at = new Date(Date.now() - 36 * 3600e3);
          await record("quiz.scored", slug, { score: 0, of: 1, answers: { [key]: wrong } }, { at });
        }""",
        [slug, key, wrong],
    )
    page.reload()
    expect(page.locator("[data-due]")).to_contain_text("1 question to review")
    no_violations(page)
    page.locator(f"[name=choice][value='{right}']").check()
    page.get_by_role("button", name="Check my answer").click()
    expect(page.get_by_role("heading", name="Right")).to_be_visible()
    no_violations(page)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("[data-due]")).to_contain_text("Nothing to review today")
    assert "review.answered" in {it["type"] for it in stored(page)}
