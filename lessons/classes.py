"""Classes: who may own one, and what its teacher sees of the learners who joined."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, User

from lessons import events
from lessons.models import Choice, Classroom, Lesson, ProgressEvent
from lessons.sync import event_of

TEACHERS = "teachers"
MISSED = 5  # so many questions are listed
SEEN = ("lesson.completed", "quiz.scored", "lesson.reset", "progress.erased")


def make_teacher(user: User) -> None:
    user.groups.add(Group.objects.get_or_create(name=TEACHERS)[0])


def is_teacher(user: AbstractBaseUser | AnonymousUser) -> bool:
    return isinstance(user, User) and user.groups.filter(name=TEACHERS).exists()


def first_account_teaches(user: User) -> None:
    """The first account on a site is the one of whoever set it up."""
    if not User.objects.exclude(pk=user.pk).exists():
        make_teacher(user)


@dataclass
class Learner:
    """What a teacher sees, and nothing else."""

    name: str
    pk: int
    finished: int = 0
    scores: list[tuple[str, str]] = field(default_factory=list)  # lesson's title, "8 of 10"
    missed: list[tuple[str, int]] = field(default_factory=list)  # question, times wrong


@dataclass
class Overview:
    learners: list[Learner]
    missed: list[tuple[str, int]]
    lessons: int


def overview(classroom: Classroom) -> Overview:
    """Every learner of the class. Four queries, however many there are."""
    members = {it.learner_id: it.learner for it in classroom.members.select_related("learner")}
    lessons = dict(Lesson.objects.order_by("position").values_list("slug", "title"))
    rows = ProgressEvent.objects.filter(log__owner__in=members, type__in=SEEN)
    of: dict[int, list[events.Event]] = defaultdict(list)
    for row in rows.select_related("log"):
        of[row.log.owner_id].append(event_of(row))
    right = _right_choices()
    everybody: Counter[str] = Counter()
    learners = []
    for pk, user in sorted(members.items(), key=lambda it: it[1].get_username().lower()):
        missed = _missed(of[pk], right)
        everybody += missed
        states = events.state(of[pk])
        learners.append(
            Learner(
                name=user.get_username(),
                pk=pk,
                finished=sum(1 for slug in lessons if slug in states and states[slug].completed),
                scores=[
                    (title, f"{best[0]} of {best[1]}")
                    for slug, title in lessons.items()
                    if slug in states and (best := states[slug].best)
                ],
                missed=missed.most_common(MISSED),
            )
        )
    return Overview(learners, everybody.most_common(MISSED), len(lessons))


def _right_choices() -> dict[tuple[str, str], tuple[int, str]]:
    """(lesson, question) → the right choice's number and what is asked."""
    found = Choice.objects.filter(correct=True).values_list(
        "question__lesson__slug", "question__key", "position", "question__ask"
    )
    return {(slug, key): (position, ask) for slug, key, position, ask in found}


def _missed(
    of_one: list[events.Event], right: dict[tuple[str, str], tuple[int, str]]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for question, given in events.history(of_one).items():
        if question in right:
            correct, ask = right[question]
            found[ask] += sum(choice != correct for _, choice in given)
    return +found
