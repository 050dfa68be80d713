import pytest
from django.contrib.auth import get_user_model
from django.core import mail

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def sign_up(client, **fields):
    return client.post("/accounts/signup/", {"username": "ada", "password1": PASSWORD} | fields)


def test_signing_up_takes_one_field_more_than_signing_in(client):
    def fields(address):
        form = client.get(address).context["form"]
        return {field.name for field in form.visible_fields()} - {"remember"}

    assert fields("/accounts/login/") == {"login", "password"}
    assert fields("/accounts/signup/") == {"username", "email", "password1"}


def test_a_name_and_a_password_are_enough(client):
    assert sign_up(client).status_code == 302
    client.logout()
    answer = client.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert answer.status_code == 302
    assert client.session["_auth_user_id"]


def test_the_e_mail_address_signs_in_too_and_resets_the_password(client):
    sign_up(client, email="ada@example.org")
    client.logout()
    client.post("/accounts/password/reset/", {"email": "ada@example.org"})
    assert "/accounts/password/reset/key/" in mail.outbox[0].body
    answer = client.post("/accounts/login/", {"login": "ada@example.org", "password": PASSWORD})
    assert answer.status_code == 302


def test_a_weak_password_is_refused_with_the_reason(client):
    answer = sign_up(client, password1="12345")
    assert answer.status_code == 200
    assert b"too short" in answer.content
    assert not get_user_model().objects.exists()


def test_closed_sign_up_opens_for_the_invited_alone(client, settings):
    settings.OPENBOOK_SIGNUP = "closed"
    sign_up(client)
    assert not get_user_model().objects.exists()
    session = client.session
    session["invitation"] = "code"
    session.save()
    sign_up(client)
    assert get_user_model().objects.count() == 1


@pytest.mark.parametrize(
    "address",
    ["email/", "password/change/", "2fa/", "sessions/", "logout/"],
)
def test_every_account_page_renders_inside_the_site(client, address):
    sign_up(client)
    answer = client.get(f"/accounts/{address}")
    assert answer.status_code == 200
    assert b'class="account-nav"' in answer.content
