"""Two browsers, one account; one browser, two accounts."""

from playwright.sync_api import expect

from tests.browser.accounts import (
    STORED,
    delete_account,
    finish,
    new_name,
    on_server,
    sign_in,
    sign_up,
    stored,
    synced,
)
from tests.browser.conftest import no_violations

BOTH = ["lesson.completed", "lesson.opened"]


def test_what_was_done_signed_out_is_offered_added_and_seen_on_another_device(site, new_page):
    first, second = new_page(), new_page()
    finish(site, first, site.slugs[0])
    name = sign_up(site, first)
    offer = first.get_by_label("Progress of this browser")
    expect(offer).to_contain_text("1 lesson.")
    assert on_server(site, name) == []
    offer.get_by_role("button", name="Add it").click()
    expect(offer).to_contain_text(f"Added to your account, {name}")
    synced(first)
    assert sorted(on_server(site, name)) == BOTH
    sign_in(site, second, name)
    synced(second)
    second.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    expect(second.locator("[data-finish-line]")).to_contain_text("Finished on")
    assert {it["owner"] for it in stored(second)} == {name}


def test_going_on_without_an_answer_adds_it(site, page):
    finish(site, page, site.slugs[0])
    name = sign_up(site, page)
    expect(page.get_by_label("Progress of this browser")).to_be_visible()
    page.goto(site.url)
    expect(page.get_by_label("Progress of this browser")).to_contain_text("Added")
    synced(page)
    assert sorted(on_server(site, name)) == BOTH


def test_declined_it_stays_with_the_browser_and_is_not_offered_again(site, page):
    finish(site, page, site.slugs[0])
    name = sign_up(site, page)
    page.get_by_role("button", name="Leave it out").click()
    page.goto(site.url)
    synced(page)
    expect(page.get_by_label("Progress of this browser")).to_have_count(0)
    assert on_server(site, name) == []
    page.goto(site.url + "/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator(f"[data-lesson-state='{site.slugs[0]}']")).to_contain_text("Finished")


def test_an_event_goes_to_the_server_at_once(site, page):
    name = sign_up(site, page)
    finish(site, page, site.slugs[0])
    synced(page)
    assert sorted(on_server(site, name)) == BOTH
    assert stored(page, "pending") == []


def test_offline_it_waits_and_says_why_and_goes_when_the_connection_is_back(site, page):
    page.expected.append("ERR_INTERNET_DISCONNECTED")
    name = sign_up(site, page)
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    synced(page)
    page.context.set_offline(True)
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.locator("[data-sync]")).to_have_text("Waiting: no connection")
    assert [it["type"] for it in stored(page) if it["id"] == stored(page, "pending")[0]["id"]] == [
        "lesson.completed"
    ]
    page.context.set_offline(False)
    synced(page)
    assert sorted(on_server(site, name)) == BOTH


def test_a_lost_answer_counts_once(site, page):
    page.expected.append("Failed to load resource")
    name = sign_up(site, page)
    lost = []

    def lose(route):
        if not lost and "lesson.completed" in (route.request.post_data or ""):
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    page.route("**/progress/sync", lose)
    finish(site, page, site.slugs[0])
    expect(page.locator("[data-sync]")).to_contain_text("Waiting")
    assert lost == [200]
    page.evaluate("dispatchEvent(new Event('online'))")
    synced(page)
    assert sorted(on_server(site, name)) == BOTH


def test_signing_out_takes_the_account_off_the_browser(site, page):
    name = sign_up(site, page)
    finish(site, page, site.slugs[0])
    synced(page)
    page.goto(site.url + "/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("[data-account]")).to_have_text("Sign in")
    assert stored(page) == []
    sign_in(site, page, name)
    synced(page)
    assert len(stored(page)) == 2


def test_signing_out_asks_before_anything_unsent_goes(site, page):
    page.expected.append("Failed to load resource")
    name = sign_up(site, page)
    page.route("**/progress/sync", lambda route: route.abort())
    finish(site, page, site.slugs[0])
    page.goto(site.url + "/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_contain_text("2 steps have not reached the server")
    page.get_by_role("button", name="Keep them here and sign out").click()
    expect(page.locator("[data-account]")).to_have_text("Sign in")
    page.unroute("**/progress/sync")
    sign_in(site, page, name)
    synced(page)
    assert sorted(on_server(site, name)) == BOTH


def test_the_next_person_on_the_browser_sees_nothing_of_the_first(site, page):
    first = sign_up(site, page)
    finish(site, page, site.slugs[0])
    synced(page)
    page.context.clear_cookies()  # the session ended without signing out
    page.goto(site.url)
    expect(page.locator(f"[data-lesson-state='{site.slugs[0]}']")).to_have_text("")
    second = sign_up(site, page)
    synced(page)
    expect(page.get_by_label("Progress of this browser")).to_have_count(0)
    assert stored(page) == []
    assert on_server(site, second) == []
    assert len(on_server(site, first)) == 2


def test_a_tab_left_open_never_sends_to_somebody_elses_account(site, page):
    page.expected.append("409")
    page.expected.append("403")
    first = sign_up(site, page)
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    synced(page)
    other = page.context.new_page()
    other.goto(site.url + "/accounts/logout/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.locator("[data-account]")).to_have_text("Sign in")
    second = sign_up(site, other)
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.locator("[data-sync]")).to_contain_text("reload this page")
    assert on_server(site, second) == []
    other.goto(site.url + "/accounts/logout/")
    other.get_by_role("button", name="Sign out").click()
    expect(other.locator("[data-account]")).to_have_text("Sign in")
    sign_in(site, other, first)
    synced(other)
    assert "lesson.completed" in on_server(site, first)


def test_two_tabs_record_and_count_once(site, page):
    name = sign_up(site, page)
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.get_by_role("button", name="Mark as finished").click()
    expect(other.locator("[data-finish-line]")).to_contain_text("Finished on")
    synced(page)
    synced(other)
    assert sorted(on_server(site, name)) == BOTH


def test_a_restored_server_is_offered_everything_again(site, page):
    name = sign_up(site, page)
    finish(site, page, site.slugs[0])
    synced(page)
    site.run(
        "import uuid; from lessons.models import *; "
        f"log = ProgressLog.objects.get(owner__username='{name}'); log.events.all().delete(); "
        "log.head = 0; log.restored = uuid.uuid4(); log.save()"
    )
    page.goto(site.url)
    synced(page)
    assert sorted(on_server(site, name)) == BOTH


def test_a_clock_that_is_hours_off_is_put_right(site, new_page):
    page = new_page()
    page.add_init_script("{ const real = Date.now; Date.now = () => real() + 5 * 3600e3; }")
    name = sign_up(site, page, new_name())
    synced(page)
    finish(site, page, site.slugs[0])
    synced(page)
    ahead = site.run(
        "from django.utils import timezone; from lessons.models import ProgressEvent as E; "
        f"print(*[(e.instant - timezone.now()).total_seconds() > 60 "
        f"for e in E.objects.filter(log__owner__username='{name}')])"
    )
    assert ahead.split() == ["False", "False"]


def test_a_device_drops_a_deleted_account_at_its_next_page(site, new_page):
    first, second = new_page(), new_page()
    second.expected.append("401")
    name = sign_up(site, first)
    finish(site, first, site.slugs[0])
    synced(first)
    sign_in(site, second, name)
    synced(second)
    assert len(stored(second)) == 2
    delete_account(site, first)
    second.goto(site.url)
    gone(second)
    expect(second.locator(f"[data-lesson-state='{site.slugs[0]}']")).to_have_text("")


def test_an_open_tab_drops_a_deleted_account_at_its_next_sync(site, new_page):
    first, second = new_page(), new_page()
    second.expected.append("401")
    name = sign_up(site, first)
    finish(site, first, site.slugs[0])
    synced(first)
    sign_in(site, second, name)
    second.goto(f"{site.url}/lessons/{site.slugs[1]}/")
    synced(second)
    delete_account(site, first)
    second.get_by_role("button", name="Mark as finished").click()
    expect(second.locator("[data-sync]")).to_contain_text("this account was deleted")
    assert [it["type"] for it in stored(second)] == ["lesson.completed"]  # nobody else has it
    second.reload()
    second.get_by_role("button", name="Delete it").click()
    expect(second.get_by_label("Progress of this browser")).to_have_text("Deleted.")
    assert {it["owner"] for it in stored(second)} <= {""}


def test_what_a_deleted_account_left_unsent_never_gets_to_another_of_its_name(site, new_page):
    first, second = new_page(), new_page()
    for part in ("401", "410", "Failed to load"):
        second.expected.append(part)
    name = sign_up(site, first)
    sign_in(site, second, name)
    synced(second)
    second.route("**/progress/sync", lambda route: route.abort())
    finish(site, second, site.slugs[0])  # stays here
    expect(second.locator("[data-sync]")).to_contain_text("Waiting")
    delete_account(site, first)
    second.context.clear_cookies()
    second.unroute("**/progress/sync")
    second.route("**/progress/deleted*", lambda route: route.abort())  # and is not told
    sign_up(site, second, name)
    second.goto(f"{site.url}/lessons/{site.slugs[1]}/")
    synced(second)
    assert {it["lesson"] for it in stored(second) if it["owner"] == name} == {site.slugs[1]}
    assert on_server(site, name) == ["lesson.opened"]
    second.goto(site.url + "/accounts/logout/")
    second.get_by_role("button", name="Sign out").click()
    left = second.get_by_label("Progress of this browser")
    expect(left).to_contain_text(f"The account “{name}” was deleted. Keep what it had not sent?")
    left.get_by_role("button", name="Delete it").click()
    gone(second)
    second.reload()
    expect(second.locator("[data-account]")).to_have_text("Sign in")
    expect(left).to_have_count(0)


def test_what_a_deleted_account_did_on_a_device_that_never_synced_is_kept_if_wanted(site, new_page):
    first, second = new_page(), new_page()
    for part in ("401", "Failed to load"):
        second.expected.append(part)
    name = sign_up(site, first)
    second.route("**/progress/sync", lambda route: route.abort())
    sign_in(site, second, name)
    finish(site, second, site.slugs[0])
    delete_account(site, first)
    second.unroute("**/progress/sync")
    second.evaluate("dispatchEvent(new Event('online'))")
    state = second.locator("[data-sync]")
    expect(state).to_contain_text("this account was deleted, reload this page to keep what")
    second.reload()
    left = second.get_by_label("Progress of this browser")
    expect(left).to_contain_text(f"The account “{name}” was deleted. Keep what it had not sent?")
    expect(left).to_contain_text("2 steps of it never reached the server")
    no_violations(second)
    left.get_by_role("button", name="Keep it here").click()
    expect(left).to_contain_text("Kept in this browser.")
    expect(second.locator("[data-finish-line]")).to_contain_text("Finished on")
    other = sign_up(site, second)
    expect(left).to_contain_text("Add the progress of this browser to your account?")
    left.get_by_role("button", name="Add it").click()
    synced(second)
    assert "lesson.completed" in on_server(site, other)


def gone(page):
    """Nothing of anybody is kept in this browser."""
    page.evaluate(
        f"""async () => {{
          const read = {STORED};
          while ((await read("events")).length + (await read("pending")).length) {{
            await new Promise(requestAnimationFrame);
          }}
        }}"""
    )
