""" "Keep going": the lessons that the author names, or else the three nearest by meaning."""

import numpy as np

from lessons.embeddings import vector
from lessons.models import Lesson, Passage, Related

COUNT = 3


def refresh() -> None:
    """Writes the cards of every lesson anew where they changed."""
    lessons = list(Lesson.objects.order_by("position").only("pk", "slug", "position", "related"))
    by_slug = {lesson.slug: lesson.pk for lesson in lessons}
    nearest = _nearest(lessons)
    wanted = {
        lesson.pk: [by_slug[slug] for slug in lesson.related if slug in by_slug]
        or nearest[lesson.pk]
        for lesson in lessons
    }
    present: dict[int, list[int]] = {lesson.pk: [] for lesson in lessons}
    for lesson_id, to_id in Related.objects.order_by("position").values_list("lesson_id", "to_id"):
        present[lesson_id].append(to_id)
    changed = [pk for pk, to in wanted.items() if to != present[pk]]
    for start in range(0, len(changed), 500):
        Related.objects.filter(lesson_id__in=changed[start : start + 500]).delete()
    Related.objects.bulk_create(
        (
            Related(lesson_id=pk, to_id=to, position=position)
            for pk in changed
            for position, to in enumerate(wanted[pk], 1)
        ),
        batch_size=500,
    )


def _nearest(lessons: list[Lesson]) -> dict[int, list[int]]:
    """For each lesson the ids of the three nearest: by meaning, or else in the catalogue."""
    means = _means()
    known = [lesson.pk for lesson in lessons if lesson.pk in means]
    matrix = np.stack([means[pk] for pk in known]) if known else np.zeros((0, 1))
    found = {}
    for place, lesson in enumerate(lessons):
        if lesson.pk in means and len(known) > 1:
            order = np.argsort(-(matrix @ means[lesson.pk]), kind="stable")
            ids = [known[index] for index in order if known[index] != lesson.pk]
        else:
            ids = []
        ids = ids[:COUNT]
        for other in _neighbours(lessons, place):
            if len(ids) < COUNT and other not in ids:
                ids.append(other)
        found[lesson.pk] = ids
    return found


def _means() -> dict[int, np.ndarray]:
    """Each lesson's mean passage vector, of length 1."""
    sums: dict[int, np.ndarray] = {}
    rows = Passage.objects.filter(embedding__isnull=False).order_by()
    for lesson_id, data in rows.values_list("lesson_id", "embedding").iterator():
        summed = sums.get(lesson_id)
        sums[lesson_id] = vector(data) if summed is None else summed + vector(data)
    return {pk: total / (np.linalg.norm(total) or 1.0) for pk, total in sums.items()}


def _neighbours(lessons: list[Lesson], place: int) -> list[int]:
    order = sorted(range(len(lessons)), key=lambda other: (abs(other - place), -other))
    return [lessons[other].pk for other in order[1 : COUNT + 1]]
