from django import template

from lessons.models import Lesson
from tutor import suggestions, writing

register = template.Library()


@register.simple_tag
def tutor_suggestions(lesson: Lesson) -> list[str]:
    return suggestions.of_lesson(lesson)


@register.simple_tag
def tutor_sent_to() -> str:
    """The other machine that questions go to; empty where they stay on this one."""
    return writing.sent_to()
