"""Lessons as load_lessons stores them, small."""

from lessons.models import Choice, Lesson, Passage, Question, Related

SECTIONS = ("The premise", "What AI does well here", "What AI cannot do", "Practice this safely")


def make_lesson(
    number: int = 1,
    *,
    slug: str = "",
    track: str = "Creators",
    topic: str = "Model Families",
    questions: int = 10,
    own_sections: int = 0,
) -> Lesson:
    titles = [SECTIONS[0], *(f"Part {it}" for it in range(1, own_sections + 1)), *SECTIONS[1:]]
    lesson = Lesson.objects.create(
        slug=slug or f"lesson-{number}",
        title=f"Lesson about {number}",
        summary=f"Summary of {number}.",
        track=track,
        track_slug=track.lower(),
        topic=topic,
        minutes=7,
        position=number,
        html='<h2 id="the-premise">The premise</h2><p><span id="p-1" class="p">A fact.</span>'
        '<sup class="src"><a href="#source-1">1</a></sup></p>',
        text="A fact.",
        headings=[
            {"anchor": f"h-{place}", "title": title, "level": 2}
            for place, title in enumerate(titles)
        ],
        sources=["Somebody, Something, 2026. https://example.org/paper"],
        source_hash=f"{number:064x}",
    )
    passage = Passage.objects.create(
        lesson=lesson,
        position=1,
        anchor="p-1",
        section="The premise",
        kind="sentence",
        text="A fact.",
    )
    for place in range(1, questions + 1):
        question = Question.objects.create(
            lesson=lesson, key=f"key-{place}", position=place, ask=f"Ask {place}?", passage=passage
        )
        for option in range(1, 5):
            Choice.objects.create(
                question=question,
                position=option,
                text=f"Option {place}.{option}",
                correct=option == 1 + place % 4,
                because=f"Because {place}.{option}",
            )
    return lesson


def make_catalogue(count: int) -> list[Lesson]:
    """So many lessons, each related to up to three others."""
    lessons = [make_lesson(number) for number in range(1, count + 1)]
    for lesson in lessons:
        others = [other for other in lessons if other != lesson][:3]
        for place, other in enumerate(others):
            Related.objects.create(lesson=lesson, to=other, position=place)
    return lessons


def right_answers(lesson: Lesson) -> dict[str, str]:
    """The form of somebody who knows everything."""
    found = Choice.objects.filter(question__lesson=lesson, correct=True).select_related("question")
    return {f"quiz:{choice.question.key}": str(choice.position) for choice in found}
