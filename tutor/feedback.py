"""What learners send about answers, for the site's owner (manage.py tutor_feedback)."""

from collections.abc import Mapping

from tutor.intents import LIMIT
from tutor.models import Feedback

REASON = 500  # characters
KINDS = ("quote", "written", "not_covered", "small_talk", "hint")


class NotFeedback(ValueError):
    """The message says what to do."""


def keep(slug: str, form: Mapping[str, str]) -> Feedback:
    """form: question, kind, helpful ("yes" or "no"), reason. Nobody's name is kept with it."""
    sent = {name: form.get(name, "").replace("\0", "").strip() for name in ("question", "reason")}
    kind, helpful = form.get("kind", ""), form.get("helpful", "")
    if not 0 < len(sent["question"]) <= LIMIT or kind not in KINDS or helpful not in ("yes", "no"):
        raise NotFeedback("This page is too old to send that. Reload it and try again.")
    if len(sent["reason"]) > REASON:
        raise NotFeedback(f"Please give your reason in {REASON} characters at most.")
    return Feedback.objects.create(lesson=slug, kind=kind, helpful=helpful == "yes", **sent)
