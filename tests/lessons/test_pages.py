"""The home page, a lesson's page and its quiz, as the server sends them."""

import json
import re
from html import unescape

import pytest
from django.test import Client

from lessons.models import Choice, Lesson
from tests.lessons.samples import make_catalogue, make_lesson, right_answers

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    """What the page says, tags gone and white space collapsed."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def test_a_lesson_shows_every_element_in_order(client):
    make_catalogue(4)
    shown = text_of(client.get("/lessons/lesson-2/"))
    elements = [
        "Lesson 2 of 4",
        "Lesson about 2",
        "Summary of 2.",
        "Creators · Model Families · ~7 min read",
        "The premise",
        "End-of-lesson quiz",
        "Check what stuck",
        "10 questions · Score saves to your progress.",
        "Curious about “Lesson about 2”?",
        "Progress saved locally in this browser.",
        "Related lessons",
        "Keep going",
        "Creators · 7 min Lesson about 1 Summary of 1.",
        "Creators · 7 min Lesson about 3 Summary of 3.",
        "Creators · 7 min Lesson about 4 Summary of 4.",
        "Sources",
    ]
    places = [shown.find(element, 0 if it < 2 else 100) for it, element in enumerate(elements)]
    assert -1 not in places, [it for it, place in zip(elements, places, strict=True) if place < 0]
    assert places[2:] == sorted(places[2:])


def test_previous_and_next_follow_the_catalogue(client):
    make_catalogue(3)

    def steps(number):
        page = client.get(f"/lessons/lesson-{number}/").content.decode()
        return dict(re.findall(r'<a rel="(prev|next)"[^>]* href="([^"]+)"', page))

    assert steps(1) == {"next": "/lessons/lesson-2/"}
    assert steps(2) == {"prev": "/lessons/lesson-1/", "next": "/lessons/lesson-3/"}
    assert steps(3) == {"prev": "/lessons/lesson-2/"}


def test_a_long_lesson_lists_its_contents_and_a_short_one_does_not(client):
    make_lesson(1, own_sections=3)
    make_lesson(2, own_sections=4)
    assert "In this lesson" not in text_of(client.get("/lessons/lesson-1/"))
    long = client.get("/lessons/lesson-2/").content.decode()
    assert "In this lesson" in long
    assert '<a href="#h-4">Part 4</a>' in long


def test_sources_lead_back_to_the_passages_that_rest_on_them(client):
    make_lesson()
    page = client.get("/lessons/lesson-1/").content.decode()
    assert '<li id="source-1">' in page
    assert 'href="#p-1" aria-label="Source 1: back to the text"' in page


def test_an_unknown_lesson_is_not_found(client):
    assert client.get("/lessons/nothing/").status_code == 404
    assert client.get("/lessons/nothing/quiz/").status_code == 404
    assert client.post("/lessons/nothing/quiz/").status_code == 404


@pytest.mark.parametrize("path", ["/", "/lessons/lesson-1/", "/lessons/lesson-1/quiz/"])
def test_queries_do_not_grow_with_the_catalogue(path, client, django_assert_max_num_queries):
    make_lesson(1)
    with django_assert_max_num_queries(100) as one:
        client.get(path)
    Lesson.objects.all().delete()
    make_catalogue(3)
    with django_assert_max_num_queries(100) as three:
        client.get(path)
    assert len(three.captured_queries) == len(one.captured_queries)


def test_the_key_and_the_reasons_stay_on_the_server_until_graded(client):
    lesson = make_lesson()
    for path in ("/lessons/lesson-1/", "/lessons/lesson-1/quiz/"):
        assert "Because" not in client.get(path).content.decode()
    unfinished = right_answers(lesson)
    del unfinished["quiz:key-3"]
    assert "Because" not in client.post("/lessons/lesson-1/quiz/", unfinished).content.decode()

    def form(client):
        page = client.get("/lessons/lesson-1/").content.decode()
        form = page[page.index('<form method="post"') :]
        return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", form[: form.index("</form>")])

    before = form(client)
    Choice.objects.update(correct=False)
    Choice.objects.filter(position=4).update(correct=True)
    assert form(client) == before  # nothing in the form depends on which option is right


def test_a_whole_quiz_is_graded_and_every_option_explained(client):
    lesson = make_lesson()
    answers = right_answers(lesson) | {"quiz:key-4": "2"}
    response = client.post("/lessons/lesson-1/quiz/", answers)
    shown = text_of(response)
    assert response.status_code == 200
    assert "9 of 10 right" in shown
    for place in range(1, 11):
        for option in range(1, 5):
            assert f"Because {place}.{option}" in shown
    assert 'href="/lessons/lesson-1/#p-1"' in response.content.decode()
    event = json.loads(unescape(re.search(r'data-event="([^"]+)"', response.content.decode())[1]))
    assert event["type"] == "quiz.scored"
    assert event["lesson"] == "lesson-1"
    assert event["data"]["score"] == 9
    assert event["data"]["answers"]["key-4"] == 2
    assert "Try again" in shown


def test_unanswered_questions_are_asked_for_and_the_others_kept(client):
    lesson = make_lesson()
    answers = right_answers(lesson)
    del answers["quiz:key-3"], answers["quiz:key-7"]
    response = client.post("/lessons/lesson-1/quiz/", answers)
    page = response.content.decode()
    assert response.status_code == 200
    assert "2 questions have no answer yet" in text_of(response)
    assert '<a href="#quiz:key-3">3</a>, <a href="#quiz:key-7">7</a>' in page
    assert len(re.findall(r'name="quiz:[^>]* checked>', page)) == 8
    assert "data-event" not in page


def test_an_option_that_is_not_there_gets_400_and_a_clear_line(client):
    lesson = make_lesson()
    answers = right_answers(lesson) | {"quiz:key-2": "17"}
    response = client.post("/lessons/lesson-1/quiz/", answers)
    assert response.status_code == 400
    assert "question 2 has no such option" in text_of(response)
    assert "data-event" not in response.content.decode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"quiz%3Akey-1=1&quiz%3Akey-1=2&x=%00%ff", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % it for it in range(2000)), "application/x-www-form-urlencoded"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"{", "multipart/form-data"),
        (b'{"quiz:key-1": 1}', "application/json"),
    ],
)
def test_junk_is_no_server_error(client, body, kind):
    make_lesson()
    response = client.post("/lessons/lesson-1/quiz/", data=body, content_type=kind)
    assert response.status_code in (200, 400)


def test_htmx_gets_the_quiz_alone(client):
    lesson = make_lesson()
    for response in (
        client.get("/lessons/lesson-1/quiz/", headers={"HX-Request": "true"}),
        client.post(
            "/lessons/lesson-1/quiz/", right_answers(lesson), headers={"HX-Request": "true"}
        ),
    ):
        assert response.content.lstrip().startswith(b'<section class="quiz"')
        assert b"<html" not in response.content
        assert "HX-Request" in response["Vary"]  # the back button must not show a fragment


def test_the_quiz_refuses_a_form_without_a_token():
    make_lesson()
    assert Client(enforce_csrf_checks=True).post("/lessons/lesson-1/quiz/").status_code == 403


def test_a_page_fetched_again_unchanged_is_a_304(client):
    make_catalogue(3)
    first = client.get("/lessons/lesson-1/")
    again = client.get("/lessons/lesson-1/", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    assert not again.content
    assert again["ETag"] == first["ETag"]


def test_a_kept_page_still_has_a_token_that_is_accepted():
    client = Client(enforce_csrf_checks=True)
    lesson = make_lesson()
    first = client.get("/lessons/lesson-1/")
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', first.content.decode())[1]
    client.get("/lessons/lesson-1/", headers={"If-None-Match": first["ETag"]})
    form = right_answers(lesson) | {"csrfmiddlewaretoken": token}
    assert client.post("/lessons/lesson-1/quiz/", form).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda: Lesson.objects.filter(slug="lesson-1").update(source_hash="f" * 64),
        lambda: Lesson.objects.filter(slug="lesson-2").update(source_hash="f" * 64),
        lambda: Lesson.objects.filter(slug="lesson-3").update(source_hash="f" * 64),
        lambda: make_lesson(9),
    ],
    ids=["the lesson", "the next lesson", "a related lesson", "the number of lessons"],
)
def test_a_change_that_the_page_shows_makes_a_new_page(client, change):
    make_catalogue(3)
    first = client.get("/lessons/lesson-1/")
    change()
    again = client.get("/lessons/lesson-1/", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 200
    assert again["ETag"] != first["ETag"]


def test_another_reader_gets_another_page(client, django_user_model):
    make_lesson()
    first = client.get("/lessons/lesson-1/")["ETag"]
    assert Client().get("/lessons/lesson-1/")["ETag"] != first  # another token
    client.force_login(django_user_model.objects.create_user("ada"))
    assert client.get("/lessons/lesson-1/")["ETag"] != first


def test_another_release_makes_a_new_page(client, monkeypatch):
    make_lesson()
    first = client.get("/lessons/lesson-1/")["ETag"]
    monkeypatch.setattr("lessons.views.release", lambda: "another")
    assert client.get("/lessons/lesson-1/")["ETag"] != first


def test_home_lists_tracks_topics_and_lessons_in_the_catalogues_order(client):
    make_lesson(1, track="Creators", topic="Families")
    make_lesson(2, track="Creators", topic="Hardware")
    make_lesson(3, track="Creators", topic="Families")
    make_lesson(4, track="Makers", topic="Robots")
    shown = text_of(client.get("/"))
    order = [
        "Creators",
        "Families",
        "about 1",
        "about 3",
        "Hardware",
        "about 2",
        "Makers",
        "about 4",
    ]
    body = shown[shown.index("Finished") :]
    places = [body.find(it) for it in order]
    assert -1 not in places
    assert places == sorted(places)


def test_home_narrows_to_a_track_and_a_topic_by_links(client):
    make_lesson(1, track="Creators", topic="Model Families")
    make_lesson(2, track="Creators", topic="Hardware")
    make_lesson(3, track="Makers", topic="Robots")

    def slugs(query):
        return re.findall(r'data-lesson-row="([\w-]+)"', client.get("/" + query).content.decode())

    assert slugs("?track=makers") == ["lesson-3"]
    assert slugs("?track=creators&topic=model-families") == ["lesson-1"]
    assert slugs("?topic=hardware") == ["lesson-2"]
    assert slugs("?track=nothing&topic=%00%f0") == ["lesson-1", "lesson-2", "lesson-3"]


def test_home_shows_a_large_catalogue_page_by_page(client):
    for number in range(1, 40):
        make_lesson(number, questions=0, topic="Odd" if number % 2 else "Even")

    def shown(query):
        page = client.get("/" + query).content.decode()
        slugs = re.findall(r'data-lesson-row="lesson-(\d+)"', page)
        return sorted(map(int, slugs)), dict(re.findall(r'rel="(\w+)" href="(\?[^"]*)"', page))

    assert shown("") == (list(range(1, 13)), {"next": "?page=2"})
    assert shown("?page=2") == (list(range(13, 25)), {"prev": "?page=1", "next": "?page=3"})
    assert shown("?page=4") == (list(range(37, 40)), {"prev": "?page=3"})
    assert shown("?topic=even&page=2") == (
        list(range(26, 40, 2)),
        {"prev": "?topic=even&amp;page=1"},
    )
    for junk in ("0", "-1", "x", "", "99999999999999999999", "²", "%00", "9" * 5000):
        assert shown(f"?page={junk}")[0]


def test_home_without_lessons_says_what_to_do(client):
    assert "load_lessons" in text_of(client.get("/"))


def test_what_an_author_writes_is_text_and_not_markup(client):
    lesson = make_lesson(1)
    Lesson.objects.update(title="<b>4-bit & more</b>", summary='"><script>', sources=["<i>x</i>"])
    lesson.questions.update(ask="<script>ask")
    Choice.objects.update(text="<script>text", because="<script>because")
    pages = [
        client.get("/lessons/lesson-1/"),
        client.get("/"),
        client.post("/lessons/lesson-1/quiz/", right_answers(lesson)),
    ]
    for page in pages:
        assert b"<b>4" not in page.content
        assert b"<i>x" not in page.content
        assert b"<script>" not in page.content
