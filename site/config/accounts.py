from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.signals import user_signed_up
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from lessons import classes, sync


class Adapter(DefaultAccountAdapter):
    """Who may sign up: anybody, or with OPENBOOK_SIGNUP=closed only who followed an invitation."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.OPENBOOK_SIGNUP == "open" or "invitation" in request.session


@receiver(user_signed_up)
def first_account_teaches(user: User, **kwargs: Any) -> None:
    classes.first_account_teaches(user)


@receiver(user_logged_in)
def name_the_log(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Each page then says whose progress it is, before the first sync: names are given anew."""
    request.session["progress_log"] = sync.log_of(user)
