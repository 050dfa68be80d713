import pytest
from django.contrib.auth import get_user_model

from lessons import events, sync
from tests.lessons.samples import make_lesson
from tests.lessons.test_sync import scored

pytestmark = pytest.mark.django_db
SESSION = 7  # who it is, and the note that it was used


@pytest.mark.parametrize("count", [1, 30])
def test_the_page_and_the_export_need_as_many_queries_for_30_as_for_one(
    client, count, django_assert_num_queries
):
    ada = get_user_model().objects.create_user("ada", password="x")
    lessons = [make_lesson(number) for number in range(1, count + 1)]
    sent = [scored(it.position, second=it.position, lesson=it.slug) for it in lessons]
    sync.keep(ada, [events.parse(it) for it in sent])
    with django_assert_num_queries(1):
        client.get("/progress/")
    client.force_login(ada)
    client.get("/progress/")  # notes the session
    with django_assert_num_queries(SESSION + 1):
        page = client.get("/progress/").content.decode()
    assert page.count("data-row=") == count
    with django_assert_num_queries(SESSION + 1):
        export = client.get("/progress/export").json()
    assert len(export["events"]) == count
