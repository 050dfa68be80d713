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
CLASS = """
from django.contrib.auth import get_user_model
from lessons.models import Classroom
teacher = get_user_model().objects.get(username="{name}")
room = Classroom.objects.create(name="Year 10", teacher=teacher)
print(room.pk, room.code)
"""


def in_both_themes(page: Page) -> None:
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


@pytest.mark.parametrize("name", ["400.html", "403_csrf.html", "404.html", "500.html"])
def test_no_page_for_a_mistake_has_a_violation(site: Site, page: Page, name: str):
    code = "import json; from django.template.loader import render_to_string as r; "
    html = json.loads(site.run(f"{code}print(json.dumps(r({name!r})))"))
    page.route("**/broken/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{site.url}/broken/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    in_both_themes(page)
