"""Passkeys with Chromium's virtual authenticator, and the recovery codes that stand in for one."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts import PASSWORD, sign_up
from tests.browser.conftest import Site, no_violations

PLATFORM = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def device(page: Page):
    """A phone or laptop that holds passkeys and lets its owner in; what it holds is device()."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": PLATFORM})
    return lambda: session.send("WebAuthn.getCredentials", made)["credentials"]


def add_passkey(site: Site, page: Page, name: str = "My laptop") -> None:
    page.goto(site.url + "/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill(PASSWORD)  # who signed up gives it once more
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill(name)
    no_violations(page)
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()


def sign_out(site: Site, page: Page) -> None:
    page.goto(site.url + "/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("[data-account]")).to_have_text("Sign in")


def with_password(site: Site, page: Page, name: str) -> None:
    page.goto(site.url + "/accounts/login/")
    page.locator("[name=login]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()


def with_code(page: Page, code: str) -> None:
    page.get_by_label("Recovery code").fill(code)
    page.get_by_role("button", name="Sign in with the code").click()


def test_a_passkey_is_added_signs_in_without_a_password_and_is_removed(site, page, device):
    name = sign_up(site, page)
    add_passkey(site, page)
    assert len(device()) == 1
    page.goto(site.url + "/accounts/2fa/webauthn/")
    expect(page.get_by_text("My laptop")).to_be_visible()
    no_violations(page)

    sign_out(site, page)
    page.goto(site.url + "/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("[data-account]")).to_have_text(name)

    page.goto(site.url + "/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove My laptop").click()
    page.get_by_label("Password").fill(PASSWORD)  # what matters this much asks once more
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()
    sign_out(site, page)
    with_password(site, page, name)  # which alone is enough again
    expect(page.locator("[data-account]")).to_have_text(name)


def test_a_recovery_code_stands_in_for_the_passkey_once(site, page, device):
    name = sign_up(site, page)
    add_passkey(site, page)
    page.goto(site.url + "/accounts/2fa/recovery-codes/")
    no_violations(page)
    codes = re.findall(r"\d{8}", page.get_by_label("Unused codes").input_value())
    assert len(codes) == 10

    sign_out(site, page)
    with_password(site, page, name)
    no_violations(page)
    with_code(page, codes[0])
    expect(page.locator("[data-account]")).to_have_text(name)

    sign_out(site, page)
    with_password(site, page, name)
    with_code(page, codes[0])
    expect(page.get_by_text("Incorrect code")).to_be_visible()
    with_code(page, codes[1])
    expect(page.locator("[data-account]")).to_have_text(name)
