"""axe on each kind of page that has no test of its own for it, in both themes."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import sign_up
from tests.browser.conftest import Site, no_violations

SIGNED_OUT = (
    "accounts/login/",
    "accounts/signup/",
    "accounts/inactive/",
    "accounts/password/reset/",
    "accounts/password/reset/done/",
    "accounts/password/reset/key/done/",
    "accounts/password/reset/key/1-wrong/",
    "classes/",
    "search/",
    "search/?q=qwantization",
    "review/",
    "progress/",
    "planner/",
    "lab/",
    "lab/compare/",
    "lab/layer/",
    "offline/",
)
SIGNED_IN = (
    "accounts/email/",
    "accounts/password/change/",
    "accounts/reauthenticate/",
    "accounts/2fa/",
    "accounts/2fa/webauthn/",
    "accounts/2fa/webauthn/add/",
    "accounts/sessions/",
    "accounts/logout/",
    "accounts/delete/",
    "classes/",
)
MADE = """
from quant.models import Experiment, State
from tests.quant.finished import finished
numbers = []
for state in (State.DONE, State.QUEUED, State.FAILED, State.CANCELLED):
    numbers.append(finished(state=state).pk)
Experiment.objects.filter(state=State.FAILED).update(error="the disk is full")
print(*numbers)
"""
FOCUSED = """() => {
  const it = document.activeElement;
  const all = [...document.querySelectorAll("*")];
  const name = it.getAttribute("aria-label") ?? it.innerText ?? "";
  return [name, all.indexOf(it), it === document.body || Boolean(it.closest("footer"))];
}"""
CLASS = """
from django.contrib.auth import get_user_model
from lessons.models import Classroom
teacher = get_user_model().objects.get(username="{name}")
room = Classroom.objects.create(name="Year 10", teacher=teacher)
print(room.pk, room.code)
"""


MADE_LAB = """
from django.conf import settings
from quant.quantize import quantize
from tests.quant.conftest import write_tiny_model
from tests.quant.finished import finished
models, out = settings.MODELS_DIR, settings.DATA_DIR / "made"
models.mkdir(exist_ok=True)
out.mkdir(exist_ok=True)
if not (models / "tiny-F32.gguf").exists():
    write_tiny_model(models / "tiny-F32.gguf")
prompts = ["Why is the sky blue?", "A prompt of one long word: " + "x" * 120]
one = finished(out=str(out), prompts=prompts, notes="Q8_0 is good enough.\\n" + "y" * 200)
other = finished(out=str(out), windows=3, pure=True, sha256="cd" * 32, name="other-F32.gguf")
search = finished(out=str(out), embedder=True, tasks=[])
quantize(models / "tiny-F32.gguf", "Q8_0", out / "tiny-Q8_0.gguf", n_threads=1)
print(one.pk, other.pk, search.pk)
"""


@pytest.fixture(scope="module")
def lab_pages(site: Site) -> list[str]:
    """Paths of every kind of page that experiments and models have, with results."""
    one, other, search = site.run(MADE_LAB).split()
    return [
        f"lab/{one}/",
        f"lab/{search}/",
        f"lab/compare/?a={one}&b={other}",
        f"lab/{one}/files/tiny-Q8_0.gguf/",
        f"lab/{one}/files/tiny-Q4_K_M.gguf/",  # gone
        "lab/models/tiny-F32.gguf/",
        "lab/models/tiny-F32.gguf/?hash=1",
    ]


def in_both_themes(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        no_violations(page)


def test_no_page_of_a_visitor_has_a_violation(site: Site, page: Page):
    page.expected.append("Failed to load resource")  # a layer without a model is an error
    for path in SIGNED_OUT:
        page.goto(f"{site.url}/{path}")
        in_both_themes(page)


def test_no_form_that_comes_back_has_a_violation(site: Site, page: Page):
    page.expected.append("Failed to load resource")
    page.goto(f"{site.url}/accounts/login/")
    page.locator("[name=login]").fill("nobody")
    page.locator("[name=password]").fill("wrong")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign In", exact=True).click()
    in_both_themes(page)
    page.goto(f"{site.url}/lab/")
    page.get_by_label("Prompt 1").fill("")
    page.get_by_label("Windows").evaluate("it => { it.value = '0' }")
    form = page.locator("form").filter(has=page.get_by_label("Prompt 1"))
    with page.expect_navigation():
        form.evaluate("it => it.submit()")
    in_both_themes(page)


def test_no_page_of_a_learner_or_a_teacher_has_a_violation(site: Site, new_page):
    page = new_page()
    name = sign_up(site, page)
    room, code = site.run(CLASS.format(name=name)).split()
    for path in (*SIGNED_IN, f"classes/{room}/"):
        page.goto(f"{site.url}/{path}")
        in_both_themes(page)
    learner = new_page()
    sign_up(site, learner)
    learner.goto(f"{site.url}/classes/join/{code}/")
    in_both_themes(learner)


def test_no_experiment_has_a_violation_whatever_became_of_it(site: Site, page: Page):
    for number in site.run(MADE).split():
        page.goto(f"{site.url}/lab/{number}/")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Tiny")
        in_both_themes(page)
        page.goto(f"{site.url}/lab/{number}/log")
        in_both_themes(page)


def test_no_page_of_the_lab_with_results_has_a_violation(site: Site, page: Page, lab_pages):
    page.expected.append("Failed to load resource")  # the file that is gone
    for path in lab_pages:
        page.goto(f"{site.url}/{path}")
        in_both_themes(page)


def test_nothing_of_the_lab_is_cut_off_on_a_phone(site: Site, new_page, lab_pages):
    page = new_page(viewport={"width": 360, "height": 740})
    page.expected.append("Failed to load resource")
    for path in ("lab/", *lab_pages):
        page.goto(f"{site.url}/{path}")
        page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        cut = "[...document.querySelectorAll('main *')].filter((it) => getComputedStyle(it)"
        cut += ".overflowX !== 'visible' && it.scrollWidth > it.clientWidth + 1 && it.tabIndex < 0"
        cut += " && !it.matches('progress, svg, .hidden, .needs-js')).map((it) => it.outerHTML)"
        assert page.evaluate(cut) == [], path


def test_every_figure_of_a_report_is_reached_by_keyboard(site: Site, page: Page, lab_pages):
    page.goto(f"{site.url}/{lab_pages[0]}")
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    reached = []
    places = []
    for _ in range(200):
        page.keyboard.press("Tab")
        name, place, passed = page.evaluate(FOCUSED)
        if passed:
            break
        reached.append(name)
        places.append(place)
    assert places == sorted(places)  # in the page's order
    assert "Q4_K_M: 125 MB, KL 0.112" in reached
    assert "Q4_K_M: 125 MB, 55% right (95% interval 34% to 74%)" in reached
    assert "What each tensor became" in reached
    assert "Answer of Q4_K_M: arrow keys step through its tokens" in reached
    point = page.get_by_role("img", name="Q4_K_M: 125 MB, KL")
    point.focus()
    expect(point.locator(".value")).to_have_css("opacity", "1")
    expect(page.get_by_role("img", name="Q8_0: 175 MB, KL").locator(".value")).to_have_css(
        "opacity", "0"
    )
    scrolled = page.evaluate(
        "[...document.querySelectorAll('main .table')].filter((it) => it.tabIndex < 0).length"
    )
    assert scrolled == 0


@pytest.mark.parametrize("name", ["400.html", "403_csrf.html", "404.html", "500.html"])
def test_no_page_for_a_mistake_has_a_violation(site: Site, page: Page, name: str):
    code = "import json; from django.template.loader import render_to_string as r; "
    html = json.loads(site.run(f"{code}print(json.dumps(r({name!r})))"))
    page.route("**/broken/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{site.url}/broken/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    in_both_themes(page)
