"""What the home page and a lesson's page show, in a constant number of queries."""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from string import ascii_lowercase
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Min, Q, QuerySet
from django.utils.text import slugify

from lessons.models import Lesson

REQUIRED_SECTIONS = (
    "The premise",
    "What AI does well here",
    "What AI cannot do",
    "Practice this safely",
)
LONG = 4  # so many sections of its own, and a lesson gets a list of contents

PAGE_SIZE = 12  # lessons on one page of the catalogue

_PASSAGE_OR_MARK = re.compile(r'id="(p-\d+)"|href="#source-(\d+)"')
CARD = ("slug", "title", "summary", "track", "topic", "minutes", "position", "source_hash")

Row = dict[str, Any]  # a lesson's columns, those of CARD


@dataclass(frozen=True)
class Source:
    """One line of the list of sources; cited_at: the passages that rest on it."""

    number: int
    text: str
    cited_at: list[str]

    @property
    def back(self) -> list[tuple[str, str]]:
        """Links back to the text: an arrow for one, letters for several."""
        marks = ascii_lowercase if len(self.cited_at) > 1 else "↑"
        return list(zip(marks, self.cited_at, strict=False))


@dataclass(frozen=True)
class LessonPage:
    lesson: Lesson
    total: int
    previous: Lesson | None
    next: Lesson | None
    related: list[Lesson]

    @property
    def contents(self) -> list[dict[str, str]]:
        """The sections to list at the top; empty for a short lesson."""
        sections = [heading for heading in self.lesson.headings if heading["level"] == 2]
        own = [section for section in sections if section["title"] not in REQUIRED_SECTIONS]
        return sections if len(own) >= LONG else []

    @property
    def sources(self) -> list[Source]:
        cited = _citations(self.lesson.html)
        return [
            Source(number, text, cited.get(number, []))
            for number, text in enumerate(self.lesson.sources, start=1)
        ]

    @property
    def fingerprint(self) -> str:
        """Changes whenever anything that the page shows of the catalogue does."""
        shown = [self.lesson, self.previous, self.next, *self.related]
        parts = [f"{it.position} {it.source_hash}" if it else "-" for it in shown]
        return sha256(f"{self.total} {' '.join(parts)}".encode()).hexdigest()[:32]


def _citations(html: str) -> dict[int, list[str]]:
    """Source number → anchors of the passages that its marks follow, each once, in order."""
    found: dict[int, list[str]] = {}
    passage = ""
    for anchor, number in _PASSAGE_OR_MARK.findall(html):
        passage = anchor or passage
        if number and passage and passage not in found.setdefault(int(number), []):
            found[int(number)].append(passage)
    return found


def cards() -> QuerySet[Lesson]:
    """Lessons without their text: what a list shows."""
    return Lesson.objects.only(*CARD)


def lesson_page(slug: str) -> LessonPage:
    """The lesson and its neighbours; raises Lesson.DoesNotExist. Four queries."""
    lesson = Lesson.objects.get(slug=slug)
    near = {
        it.position: it
        for it in cards().filter(position__in=(lesson.position - 1, lesson.position + 1))
    }
    return LessonPage(
        lesson=lesson,
        total=Lesson.objects.count(),
        previous=near.get(lesson.position - 1),
        next=near.get(lesson.position + 1),
        related=related(lesson),
    )


def related(lesson: Lesson) -> list[Lesson]:
    """The lessons to keep going with, three at most."""
    links = lesson.keep_going.select_related("to").only("lesson", *(f"to__{name}" for name in CARD))
    return [link.to for link in links.order_by("position")[:3]]


@dataclass(frozen=True)
class Facet:
    """One value that the home page can be narrowed to."""

    name: str
    slug: str
    count: int


@dataclass
class Home:
    """The catalogue, narrowed to a track and a topic where asked."""

    groups: list[tuple[str, list[tuple[str, list[Row]]]]] = field(default_factory=list)
    tracks: list[Facet] = field(default_factory=list)
    topics: list[Facet] = field(default_factory=list)
    track: Facet | None = None
    topic: Facet | None = None
    total: int = 0
    number: int = 1  # of the page
    pages: int = 1

    @property
    def query(self) -> str:
        """What other pages of the same choice have in their address."""
        chosen = {"track": self.track, "topic": self.topic}
        return urlencode({name: it.slug for name, it in chosen.items() if it})


def home(track: str = "", topic: str = "", number: str = "1") -> Home:
    """Tracks → topics → lessons in the catalogue's order, PAGE_SIZE at a time. An unknown track
    or topic narrows nothing, an unknown page is the nearest. Two queries."""
    page = Home()
    counts = list(
        Lesson.objects.order_by()
        .values("track", "track_slug", "topic")
        .annotate(lessons=Count("*"), first=Min("position"))
        .order_by("first")
        .values_list("track", "track_slug", "topic", "lessons")
    )
    page.total = sum(count for *_, count in counts)
    page.tracks = _facets([(name, slug, count) for name, slug, _, count in counts])
    page.track = next((it for it in page.tracks if it.slug == track), None)
    page.topics = _facets(
        [
            (name, slugify(name), count)
            for _, track_slug, name, count in counts
            if page.track is None or track_slug == page.track.slug
        ]
    )
    page.topic = next((it for it in page.topics if it.slug == topic), None)
    wanted = Q()
    if page.track:
        wanted &= Q(track_slug=page.track.slug)
    if page.topic:
        wanted &= Q(topic=page.topic.name)
    matching = page.topic or page.track
    page.pages = max(1, ceil((matching.count if matching else page.total) / PAGE_SIZE))
    page.number = min(page.pages, max(1, int(number) if re.fullmatch(r"[0-9]{1,9}", number) else 1))
    start = (page.number - 1) * PAGE_SIZE
    rows = Lesson.objects.filter(wanted).order_by("position").values(*CARD)
    lessons = list(rows[start : start + PAGE_SIZE])
    page.groups = [(name, _by(of_track, "topic")) for name, of_track in _by(lessons, "track")]
    return page


def _facets(rows: list[tuple[str, str, int]]) -> list[Facet]:
    found: dict[str, Facet] = {}
    for name, slug, count in rows:
        before = found[slug].count if slug in found else 0
        found[slug] = Facet(name, slug, before + count)
    return list(found.values())


def _by(lessons: list[Row], column: str) -> list[tuple[str, list[Row]]]:
    """Grouped by a column, groups in the order of their first lessons."""
    groups: dict[str, list[Row]] = {}
    for lesson in lessons:
        groups.setdefault(lesson[column], []).append(lesson)
    return list(groups.items())


def by_track() -> list[tuple[str, list[Row]]]:
    """The whole catalogue, track by track. One query."""
    return _by(list(Lesson.objects.order_by("position").values(*CARD)), "track")
