import re

from playwright.sync_api import expect


def test_shortcuts_lead_through_the_lessons(site, page):
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(site.slugs[1]))
    page.keyboard.press("p")
    expect(page).to_have_url(re.compile(site.slugs[0]))
    page.keyboard.press("q")
    expect(page.locator("#quiz").get_by_role("radio").first).to_be_focused()
    expect(page.locator("#quiz h2")).to_be_in_viewport()
    page.keyboard.press("h")
    expect(page).to_have_url(f"{site.url}/")


def test_the_list_names_them_and_turns_them_off(site, page):
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Next lesson")
    dialog.get_by_role("checkbox").uncheck()
    dialog.get_by_role("button", name="Close").click()
    page.reload()
    page.keyboard.press("n")
    page.keyboard.press("?")
    expect(page).to_have_url(re.compile(site.slugs[0]))
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(dialog.get_by_role("checkbox")).not_to_be_checked()


def test_letters_with_a_modifier_are_the_browsers(site, page):
    page.goto(f"{site.url}/lessons/{site.slugs[0]}/")
    page.keyboard.press("Alt+n")
    page.keyboard.press("Control+h")
    expect(page).to_have_url(re.compile(site.slugs[0]))
