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


def test_a_teacher_removes_one_learner_who_keeps_everything(client, classroom, teacher):
    lesson = make_lesson(1)
    ada, bob = (learner(classroom, name, lesson) for name in ("ada", "bob"))
    client.force_login(teacher)
    page = client.get(f"/classes/{classroom.pk}/").content.decode()
    assert "Remove ada" in page
    for nobody in ("", "x", "²", "9" * 30, "999"):
        client.post(f"/classes/{classroom.pk}/change/", {"do": "remove", "learner": nobody})
    client.post(f"/classes/{classroom.pk}/change/", {"do": "remove", "learner": ada.pk})
    assert [it.name for it in classes.overview(classroom).learners] == ["bob"]
    assert len(sync.events_of(ada)) == 1
    client.force_login(bob)
    client.post(f"/classes/{classroom.pk}/change/", {"do": "remove", "learner": bob.pk})
    assert classroom.members.get().learner == bob  # only the teacher removes


def test_nothing_is_changed_by_a_change_that_is_none(client, classroom, teacher):
    client.force_login(teacher)
    client.post(f"/classes/{classroom.pk}/change/", {"do": "what"})
    assert Classroom.objects.get().code == classroom.code


def test_names_and_links_with_nul_are_answered(client, either_database, teacher):
    client.force_login(teacher)
    client.post("/classes/", {"name": "9\0b"})
    assert Classroom.objects.get().name == "9b"
    assert client.get("/classes/join/a%00b/").status_code == 404


def test_what_was_asked_of_the_tutor_and_when_is_not_on_the_teachers_page(
    client, classroom, teacher
):
    ada = learner(classroom, "ada", make_lesson(1))
    answered = raw_event(2, "lesson.opened", "only-opened", 5)
    sync.keep(ada, [events.parse(answered)])
    client.force_login(teacher)
    page = client.get(f"/classes/{classroom.pk}/").content.decode()
    assert "only-opened" not in page
    assert "2026" not in page


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_of_classes_needs_as_many_queries_for_30_as_for_one(
    client, teacher, count, django_assert_num_queries
):
    other = get_user_model().objects.create_user("other", password="x")
    for number in range(count):
        Classroom.objects.create(teacher=teacher, name=f"Own {number}")
        joined = Classroom.objects.create(teacher=other, name=f"Joined {number}")
        joined.members.create(learner=teacher)
    client.force_login(teacher)
    client.get("/classes/")  # what is looked up once
    with django_assert_num_queries(10):
        page = client.get("/classes/").content.decode()
    assert page.count("Joined ") == page.count("Own ") == count


@pytest.mark.parametrize("learners", [1, 30])
def test_the_teachers_page_needs_as_many_queries_for_30_learners_and_lessons_as_for_one(
    client, classroom, teacher, learners, django_assert_num_queries
):
    lessons = [make_lesson(number) for number in range(1, learners + 1)]
    for number, lesson in enumerate(lessons):
        learner(classroom, f"learner{number}", lesson)
    client.force_login(teacher)
    client.get(f"/classes/{classroom.pk}/")  # what is looked up once
    with django_assert_num_queries(12):
        client.get(f"/classes/{classroom.pk}/")
