from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class Adapter(DefaultAccountAdapter):
    """Who may sign up: anybody, or with OPENBOOK_SIGNUP=closed only who followed an invitation."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.OPENBOOK_SIGNUP == "open" or "invitation" in request.session
