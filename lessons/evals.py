"""What the lab measures models with: the lessons' own text and questions.

quant names these functions in the settings and imports nothing from here.
"""

from typing import Any

from lessons.models import Lesson, Question


def lesson_text() -> str:
    """The text of all lessons in the catalogue's order, for perplexity and KL divergence."""
    rows = Lesson.objects.order_by("position").values_list("title", "text")
    return "\n\n".join(f"{title}\n\n{text}".strip() for title, text in rows)


def lesson_prompts() -> list[dict[str, Any]]:
    """{"slug", "title", "prompts": its quiz's questions} of every lesson that has a quiz."""
    lessons = Lesson.objects.order_by("position").prefetch_related("questions")
    return [
        {"slug": lesson.slug, "title": lesson.title, "prompts": asked}
        for lesson in lessons
        if (asked := [question.ask for question in lesson.questions.all()])
    ]


def quiz_tasks() -> list[dict[str, Any]]:
    """Every quiz question in the catalogue's order.

    {"id": "SLUG/KEY", "question": "…", "options": ["…" × 4], "correct": index from 0}
    """
    questions = (
        Question.objects.order_by("lesson__position", "position")
        .select_related("lesson")
        .prefetch_related("choices")
    )
    tasks = []
    for question in questions:
        choices = list(question.choices.all())
        tasks.append(
            {
                "id": f"{question.lesson.slug}/{question.key}",
                "question": question.ask,
                "options": [choice.text for choice in choices],
                "correct": next(i for i, choice in enumerate(choices) if choice.correct),
            }
        )
    return tasks
