import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from lessons import classes, events, sync
from lessons.models import Choice, Classroom
from tests.lessons.samples import make_lesson
from tests.lessons.test_sync import raw_event

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def sign_up(client, name):
    return client.post("/accounts/signup/", {"username": name, "password1": PASSWORD})


@pytest.fixture
def teacher():
    user = get_user_model().objects.create_user("teacher", password="x")
    classes.make_teacher(user)
    return user


@pytest.fixture
def classroom(teacher):
    return Classroom.objects.create(teacher=teacher, name="9b")


def learner(classroom, name, lesson):
    user = get_user_model().objects.create_user(name, password="x")
    classroom.members.create(learner=user)
    question = lesson.questions.first()
    wrong = Choice.objects.filter(question=question, correct=False).first().position
    data = {"score": 7, "of": 10, "answers": {question.key: wrong}}
    sync.keep(user, [events.parse(raw_event(1, "quiz.scored", lesson.slug, 0, data))])
    return user


def test_the_first_account_teaches_and_the_next_does_not(client):
    sign_up(client, "ada")
    client.logout()
    sign_up(client, "bob")
    users = get_user_model().objects
    assert classes.is_teacher(users.get(username="ada"))
    assert not classes.is_teacher(users.get(username="bob"))
    call_command("make_teacher", "bob")
    assert classes.is_teacher(users.get(username="bob"))
    with pytest.raises(CommandError, match="no account called"):
        call_command("make_teacher", "nobody")


def test_only_teachers_make_classes(client, teacher):
    other = get_user_model().objects.create_user("other", password="x")
    for user in (other, teacher):
        client.force_login(user)
        client.post("/classes/", {"name": "9b"})
    assert [it.teacher for it in Classroom.objects.all()] == [teacher]


def test_a_learner_is_told_what_is_seen_before_joining_and_can_leave(client, classroom):
    ada = get_user_model().objects.create_user("ada", password="x")
    client.force_login(ada)
    address = f"/classes/join/{classroom.code}/"
    assert b"best scores" in client.get(address).content
    assert not classroom.members.exists()
    client.post(address)
    assert classroom.members.get().learner == ada
    client.post(f"/classes/{classroom.pk}/leave/")
    assert not classroom.members.exists()


def test_the_link_opens_sign_up_when_it_is_closed(client, classroom, settings):
    settings.OPENBOOK_SIGNUP = "closed"
    sign_up(client, "ada")
    assert not get_user_model().objects.filter(username="ada").exists()
    client.get(f"/classes/join/{classroom.code}/")
    sign_up(client, "ada")
    assert get_user_model().objects.filter(username="ada").exists()


def test_a_teacher_sees_finished_lessons_scores_and_missed_questions(client, classroom, teacher):
    lesson = make_lesson(1)
    learner(classroom, "ada", lesson)
    seen = classes.overview(classroom)
    [ada] = seen.learners
    assert (ada.finished, ada.scores) == (1, [(lesson.title, "7 of 10")])
    assert ada.missed == seen.missed == [(lesson.questions.first().ask, 1)]
    client.force_login(teacher)
    assert b"7 of 10" in client.get(f"/classes/{classroom.pk}/").content


def test_nobody_else_sees_the_class(client, classroom):
    client.force_login(get_user_model().objects.create_user("other", password="x"))
    assert client.get(f"/classes/{classroom.pk}/").status_code == 404
    assert client.post(f"/classes/{classroom.pk}/change/", {"do": "delete"}).status_code == 404


def test_the_number_of_queries_does_not_grow(classroom, django_assert_num_queries):
    lesson = make_lesson(1)
    learner(classroom, "a1", lesson)
    with django_assert_num_queries(4):
        classes.overview(classroom)
    for name in ("a2", "a3"):
        learner(classroom, name, lesson)
    with django_assert_num_queries(4):
        classes.overview(classroom)


def test_a_new_link_stops_the_old(client, classroom, teacher):
    client.force_login(teacher)
    client.post(f"/classes/{classroom.pk}/change/", {"do": "link"})
    assert client.get(f"/classes/join/{classroom.code}/").status_code == 404
