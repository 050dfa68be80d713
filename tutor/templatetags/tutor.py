from django import template

from lessons.models import Lesson
from tutor import suggestions

register = template.Library()


@register.simple_tag
def tutor_suggestions(lesson: Lesson) -> list[str]:
    return suggestions.of_lesson(lesson)
