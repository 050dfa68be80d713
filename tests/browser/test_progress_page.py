"""The progress page: what was done, what is next, and everything the learner's own."""

import json

from playwright.sync_api import expect

from tests.browser.accounts import finish, sign_up, stored, synced
from tests.browser.conftest import no_violations


def test_it_shows_what_was_done_signed_out(site, new_page):
    page = new_page(color_scheme="dark", viewport={"width": 360, "height": 740})
    finish(site, page, site.slugs[0])
    page.goto(site.url + "/progress/")
    row = page.locator(f"[data-row='{site.slugs[0]}']")
    expect(row.locator(".state")).to_have_text("Finished")
    expect(page.locator("[data-days]")).to_have_text("You have studied on 1 day.")
    expect(page.locator(".studied")).to_have_count(1)
    expect(page.locator("[data-next]")).to_contain_text("Take the quiz of")
    no_violations(page)


def test_a_lesson_is_deleted_after_saying_what_goes(site, page):
    finish(site, page, site.slugs[0])
    finish(site, page, site.slugs[1])
    page.goto(site.url + "/progress/")
    row = page.locator(f"[data-row='{site.slugs[0]}']")
    row.get_by_text("Start over or delete").click()
    expect(row.locator("[data-says]")).to_contain_text("2 steps")
    row.get_by_role("button", name="Delete").click()
    expect(row.locator(".state")).to_have_text("")
    assert {it["lesson"] for it in stored(page)} == {site.slugs[1]}


def test_deleting_everything_reaches_the_account(site, new_page):
    page = new_page()
    sign_up(site, page)
    finish(site, page, site.slugs[0])
    page.goto(site.url + "/progress/")
    page.get_by_text("Delete all progress").first.click()
    page.get_by_role("button", name="Delete all progress").click()
    expect(page.locator(f"[data-row='{site.slugs[0]}'] .state")).to_have_text("")
    synced(page)
    page.reload()
    expect(page.locator("[data-days]")).to_have_text("No study day yet.")


def test_an_export_goes_into_another_browser(site, new_page, tmp_path):
    first, second = new_page(), new_page()
    finish(site, first, site.slugs[0])
    first.goto(site.url + "/progress/")
    with first.expect_download() as download:
        first.get_by_role("button", name="Export (JSON)").click()
    file = tmp_path / "progress.json"
    download.value.save_as(file)
    assert len(json.loads(file.read_text())["events"]) == 2
    with first.expect_download() as download:
        first.get_by_role("button", name="Export (xAPI)").click()
    assert len(json.loads(download.value.path().read_text())) == 2
    second.goto(site.url + "/progress/")
    second.locator("[name=file]").set_input_files(file)
    second.get_by_role("button", name="Import", exact=True).click()
    expect(second.locator("[data-import-line]")).to_have_text("2 new steps imported.")
    expect(second.locator(f"[data-row='{site.slugs[0]}'] .state")).to_have_text("Finished")


def test_deleting_the_account_leaves_nothing_here(site, page):
    sign_up(site, page)
    finish(site, page, site.slugs[0])
    synced(page)
    page.goto(site.url + "/accounts/delete/")
    page.get_by_role("button", name="Delete the account").click()
    expect(page.locator("[data-account]")).to_have_text("Sign in")
    assert stored(page) == []
