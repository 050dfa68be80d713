import pytest

from tutor import feedback
from tutor.intents import LIMIT
from tutor.models import Feedback

SENT = {"question": "What is a bit?", "kind": "quote", "helpful": "no", "reason": "too long"}
pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("either_database")
def test_it_keeps_what_was_sent_and_no_name() -> None:
    feedback.keep("bits", SENT | {"name": "Ada", "question": " What is\0 a bit? "})
    one = Feedback.objects.get()
    assert (one.lesson, one.kind, one.helpful) == ("bits", "quote", False)
    assert (one.question, one.reason) == ("What is a bit?", "too long")
    kept = {field.name for field in Feedback._meta.get_fields()}
    assert kept == {"id", "sent", "lesson", "kind", "helpful", "reason", "question"}


def test_a_reason_is_not_needed() -> None:
    kept = feedback.keep("bits", {name: SENT[name] for name in ("question", "kind")} | YES)
    assert kept.helpful
    assert kept.reason == ""


YES = {"helpful": "yes"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"question": " \0"}, "Reload"),
        ({"question": "x" * (LIMIT + 1)}, "Reload"),
        ({"kind": "sermon"}, "Reload"),
        ({"kind": ""}, "Reload"),
        ({"helpful": "maybe"}, "Reload"),
        ({"reason": "x" * (feedback.REASON + 1)}, "500 characters"),
    ],
)
def test_what_the_page_never_sends_is_refused(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(feedback.NotFeedback, match=says):
        feedback.keep("bits", SENT | wrong)
    assert not Feedback.objects.exists()


def test_the_longest_of_both_is_kept_whole() -> None:
    kept = feedback.keep("bits", SENT | {"question": "x" * LIMIT, "reason": "y" * feedback.REASON})
    kept.refresh_from_db()
    assert (len(kept.question), len(kept.reason)) == (LIMIT, feedback.REASON)
