from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model

from lessons import events, review, sync
from lessons.models import Choice
from tests.lessons.samples import make_lesson
from tests.lessons.test_sync import raw_event

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_right_answer_never_comes_back():
    assert review.due_at([(NOON, 2)], correct=2) is None


def test_a_wrong_answer_comes_back_the_next_day_and_right_ones_push_it_away():
    first = review.due_at([(NOON, 1)], correct=2)
    assert first == NOON + DAY
    second = review.due_at([(NOON, 1), (first, 2)], correct=2)
    third = review.due_at([(NOON, 1), (first, 2), (second, 2)], correct=2)
    assert second - first >= DAY
    assert third - second > second - first


def test_what_is_due_is_computed_from_the_answers_that_are_sent(client):
    lesson = make_lesson(1)
    key = lesson.questions.first().key
    wrong = Choice.objects.filter(question__key=key, correct=False).first().position
    at = NOON.timestamp() * 1000
    body = {"answers": [[lesson.slug, key, [[at, wrong]]]], "until": at + 2 * 86_400_000}
    page = client.post("/review/due", body, "application/json").content.decode()
    assert 'data-due="1"' in page
    assert "Because" not in page
    body["until"] = at
    assert b'data-due="0"' in client.post("/review/due", body, "application/json").content


@pytest.mark.parametrize("body", [b"", b"[]", b'{"answers": 5}', b'{"answers": [[1, 2]]}'])
def test_anything_else_is_refused(client, body):
    assert client.post("/review/due", body, "application/json").status_code == 400


def test_an_answer_is_graded_and_kept_by_the_server_where_there_are_no_scripts(client):
    lesson = make_lesson(1)
    question = lesson.questions.first()
    right = question.choices.get(correct=True)
    ada = get_user_model().objects.create_user("ada", password="x")
    client.force_login(ada)
    form = {"lesson": lesson.slug, "question": question.key, "choice": right.position}
    page = client.post("/review/", form).content.decode()
    assert right.because in page
    [event] = sync.events_of(ada)
    assert event.data == {"question": question.key, "choice": right.position, "right": True}
    assert client.post("/review/", form | {"choice": "99"}).status_code == 400


def test_history_is_in_order_and_starts_over_with_a_reset():
    def scored(number, second, choice):
        data = {"score": 0, "of": 1, "answers": {"q": choice}}
        return events.parse(raw_event(number, "quiz.scored", "a", second, data))

    reset = events.parse(raw_event(2, "lesson.reset", "a", 10))
    answered = events.parse(
        raw_event(5, "review.answered", "a", 40, {"question": "q", "choice": 4})
    )
    found = events.history([answered, scored(4, 30, 3), scored(3, 20, 2), reset, scored(1, 5, 1)])
    assert [choice for _, choice in found["a", "q"]] == [2, 3, 4]
