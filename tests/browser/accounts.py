"""Learners in a browser: accounts, events, answers."""

import itertools
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site

PASSWORD = "correct horse battery"
STORED = """(store) => new Promise((resolve, reject) => {
  const opening = indexedDB.open("openbook");
  opening.onerror = reject;
  opening.onsuccess = () => {
    const all = opening.result.transaction(store).objectStore(store).getAll();
    all.onsuccess = () => { opening.result.close(); resolve(all.result); };
  };
})"""
NOTHING_UNSENT = f"""async () => {{
  const read = {STORED};
  const owner = document.documentElement.dataset.owner;
  while ((await read("pending")).some((it) => it.owner === owner)) {{
    await new Promise(requestAnimationFrame);
  }}
}}"""
_numbers = itertools.count(1)


def new_name() -> str:
    return f"learner{next(_numbers)}"


def sign_up(site: Site, page: Page, name: str = "") -> str:
    name = name or new_name()
    page.goto(site.url + "/accounts/signup/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.locator("[data-account]")).to_have_text(name)
    return name


def sign_in(site: Site, page: Page, name: str) -> None:
    page.goto(site.url + "/accounts/login/")
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()
    expect(page.locator("[data-account]")).to_have_text(name)


def synced(page: Page) -> None:
    """Waits until nothing of the page's owner is unsent."""
    page.evaluate(NOTHING_UNSENT)
    expect(page.locator("[data-sync=synced]")).to_have_text("Synced")


def stored(page: Page, store: str = "events") -> list[dict[str, Any]]:
    """What the browser keeps, of everybody."""
    return page.evaluate(STORED, store)


def on_server(site: Site, name: str) -> list[str]:
    """Types of the account's events, in the server's order."""
    code = (
        "from lessons.models import ProgressEvent as E; "
        f"print(*E.objects.filter(log__owner__username='{name}').values_list('type', flat=True))"
    )
    return site.run(code).split()


def finish(site: Site, page: Page, slug: str) -> None:
    page.goto(f"{site.url}/lessons/{slug}/")
    page.get_by_role("button", name="Mark as finished").click()
    expect(page.locator("[data-finish-line]")).to_contain_text("Finished on")


def delete_account(site: Site, page: Page) -> None:
    page.goto(site.url + "/accounts/delete/")
    page.get_by_role("button", name="Delete the account").click()
    expect(page.locator("[data-account]")).to_have_text("Sign in")
