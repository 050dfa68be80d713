import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from lessons import loader
from tests.lessons import content

pytestmark = pytest.mark.django_db


@pytest.fixture
def loaded(tmp_path):
    loader.load(content.write(tmp_path, "two", "one"))


def test_the_text_holds_all_lessons_in_order(loaded):
    text = import_string(settings.QUANT_TEXT_PROVIDER)()
    assert text.startswith("Two\n\nThe premise\n\nThe two lesson is short.")
    assert text.index("The two lesson") < text.index("One\n\nThe premise")


def test_the_tasks_are_the_questions_with_the_place_of_the_right_option(
    loaded, django_assert_num_queries
):
    with django_assert_num_queries(2):
        tasks = import_string(settings.QUANT_TASK_PROVIDER)()
    assert len(tasks) == 20
    assert tasks[0] == {
        "id": "two/q1",
        "question": "Question 1?",
        "options": ["Choice a", "Choice b", "Choice c", "Choice d"],
        "correct": 1,
    }


def test_the_prompts_are_each_lessons_questions(loaded, django_assert_num_queries):
    with django_assert_num_queries(2):
        lessons = import_string(settings.QUANT_PROMPT_PROVIDER)()
    assert [lesson["slug"] for lesson in lessons] == ["two", "one"]
    assert lessons[0]["prompts"][:2] == ["Question 1?", "Question 2?"]
