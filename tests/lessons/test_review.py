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
QUESTIONS = 2  # with their lessons and passages; their choices
SESSION = 7  # who it is, and the note that it was used


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


@pytest.mark.parametrize("count", [1, 30])
def test_the_page_needs_as_many_queries_for_30_lessons_and_answers_as_for_one(
    client, count, django_assert_num_queries
):
    ada = get_user_model().objects.create_user("ada", password="x")
    client.force_login(ada)
    answers, sent = [], []
    for number in range(1, count + 1):
        lesson = make_lesson(number)
        question = lesson.questions.first()
        wrong = question.choices.filter(correct=False).first().position
        data = {"score": 9, "of": 10, "answers": {question.key: wrong}}
        sent.append(events.parse(raw_event(number, "quiz.scored", lesson.slug, number, data)))
        answers.append([lesson.slug, question.key, [[NOON.timestamp() * 1000, wrong]]])
    sync.keep(ada, sent)
    client.get("/review/")  # notes the session
    with django_assert_num_queries(SESSION + 1 + QUESTIONS):
        page = client.get("/review/").content.decode()
    assert f"{count} question" in page or "will come back" in page
    body = {"answers": answers, "until": (NOON + 2 * DAY).timestamp() * 1000}
    with django_assert_num_queries(SESSION + QUESTIONS):
        page = client.post("/review/due", body, "application/json").content.decode()
    assert f'data-due="{count}"' in page
