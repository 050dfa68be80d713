"""Lesson files into the database: read all, check all, store all or nothing.

Embeddings follow in batches of their own, so that a long first load can be stopped and taken up
again, and so that the site serves the lessons meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.db import transaction
from django.urls import Resolver404, resolve

from lessons import catalogue, embeddings, folder, related, search_index
from lessons.catalogue import Entry
from lessons.folder import ParsedLesson
from lessons.models import Choice, Lesson, Passage, Question
from lessons.problems import LessonErrors, Problems
from quant import links

Progress = Callable[[str, int, int], None]  # (what, done, total)

_SLUGS = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TO_LESSON = re.compile(r"/lessons/([^/#?]+)/(?:#(.*))?")


@dataclass
class Loaded:
    """What a load did; waiting says why passages have no embeddings yet."""

    total: int
    stored: int
    removed: int
    embedded: int = 0
    waiting: str = ""


def quiet(what: str, done: int, total: int) -> None:
    pass


def check(directory: Path, progress: Progress = quiet) -> int:
    """Reads and checks every lesson; how many there are. Raises LessonErrors."""
    problems = Problems()
    entries = _catalogue(directory, problems)
    lessons = _read(entries, problems, progress)
    _check_links(lessons, entries, {}, problems)
    if problems:
        raise LessonErrors(sorted(problems))
    return len(entries)


def check_one(entry: Entry, entries: list[Entry], problems: Problems) -> ParsedLesson:
    """Reads and checks one lesson, whether or not it is among entries, the catalogue's."""
    lesson = folder.read(entry, problems)
    addresses = (_TO_LESSON.fullmatch(address) for _, address in lesson.page.links)
    linked = {found[1] for found in addresses if found} - {entry.slug}
    anchors = {
        other.slug: {h["anchor"] for h in folder.read(other, Problems()).page.headings}
        for other in entries
        if other.slug in linked
    }
    _check_links([lesson], [*entries, entry], anchors, problems)
    return lesson


def load(directory: Path, progress: Progress = quiet, *, embed: bool = True) -> Loaded:
    """Brings the database to what directory says. Raises LessonErrors and changes nothing then."""
    problems = Problems()
    entries = _catalogue(directory, problems)
    if problems:  # the rest is read all the same, so that everything is said at once
        _check_links(_read(entries, problems, progress), entries, {}, problems)
        raise LessonErrors(sorted(problems))
    stored = dict(Lesson.objects.values_list("slug", "source_hash"))
    hashes = {entry.slug: folder.fingerprint(entry) for entry in entries}
    changed = {slug for slug, digest in hashes.items() if stored.get(slug) != digest}
    gone = stored.keys() - hashes.keys()
    touched = [entry for entry in entries if _needs_reading(entry, changed, changed | gone)]
    lessons = _read(touched, problems, progress)
    _check_links(lessons, entries, _stored_headings(hashes.keys() - changed), problems)
    if problems:
        raise LessonErrors(sorted(problems))
    lessons = [lesson for lesson in lessons if lesson.entry.slug in changed]
    with transaction.atomic():
        Lesson.objects.filter(slug__in=gone).delete()
        stored_now = []
        for done, lesson in enumerate(lessons, 1):
            stored_now.append(_store(lesson, hashes[lesson.entry.slug]))
            progress("Storing", done, len(lessons))
        moved = _place(entries)
        search_index.refresh(stored_now)
    result = Loaded(len(entries), len(lessons), len(gone))
    if embed:
        _embed(result, progress)
    if lessons or gone or moved or result.embedded:
        with transaction.atomic():
            related.refresh()
    return result


def _embed(result: Loaded, progress: Progress) -> None:
    try:
        result.embedded = embeddings.embed_missing(
            lambda done, total: progress("Embedding passages", done, total)
        )
    except embeddings.NoEmbedder as error:
        result.waiting = str(error)


def _catalogue(directory: Path, problems: Problems) -> list[Entry]:
    if not directory.is_dir():
        problems.path = str(directory)
        problems.add(1, "there is no such folder", "name the folder that holds catalogue.yaml")
        raise LessonErrors(problems)
    return catalogue.read(directory, problems)


def _read(entries: list[Entry], problems: Problems, progress: Progress) -> list[ParsedLesson]:
    lessons = []
    for done, entry in enumerate(entries, 1):
        lessons.append(folder.read(entry, problems))
        progress("Reading", done, len(entries))
    return lessons


def _needs_reading(entry: Entry, changed: set[str], suspects: set[str]) -> bool:
    """Whether the lesson changed, or names one that did and may now link to nothing."""
    if entry.slug in changed:
        return True
    text = (entry.folder / folder.LESSON).read_text(encoding="utf-8", errors="replace")
    return not suspects.isdisjoint(_SLUGS.findall(text))


def _stored_headings(slugs: Collection[str]) -> dict[str, set[str]]:
    rows = Lesson.objects.values_list("slug", "headings")
    return {slug: {h["anchor"] for h in headings} for slug, headings in rows if slug in slugs}


def _check_links(
    lessons: list[ParsedLesson],
    entries: list[Entry],
    anchors: dict[str, set[str]],
    problems: Problems,
) -> None:
    """anchors: those of lessons that are not in `lessons`, by slug."""
    slugs = {entry.slug for entry in entries}
    anchors = anchors | {
        lesson.entry.slug: {h["anchor"] for h in lesson.page.headings} for lesson in lessons
    }
    for lesson in lessons:
        path = catalogue.shown(lesson.entry.folder / folder.LESSON)
        for line, address in lesson.page.links:
            if wrong := _broken(address, lesson.entry.slug, slugs, anchors):
                problems.add(line, f"the link to {address} {wrong[0]}", wrong[1], path=path)
        for place, slug in enumerate(lesson.related):
            if slug in lesson.related[:place]:
                problems.add(
                    slug.line, f'related: "{slug}" stands twice', "name it once", path=path
                )
            if slug not in slugs or slug == lesson.entry.slug:
                what = "is this lesson itself" if slug in slugs else "is not in the catalogue"
                problems.add(
                    slug.line, f'related: "{slug}" {what}', "name other lessons", path=path
                )
    titles: dict[str, str] = {}
    for lesson in lessons:
        path = catalogue.shown(lesson.entry.folder / folder.LESSON)
        if lesson.title and titles.setdefault(lesson.title, path) != path:
            problems.add(
                lesson.lines["title"],
                f"the title is that of {titles[lesson.title]} too",
                "give each lesson a title of its own",
                path=path,
            )


def _broken(
    address: str, here: str, slugs: set[str], anchors: dict[str, set[str]]
) -> tuple[str, str] | None:
    """What is wrong with a link, and what to do; None where it leads somewhere."""
    if re.match(r"(https?://[^/\s]+|mailto:[^@\s]+@)", address):
        return None
    found = _TO_LESSON.fullmatch(address)
    if found or address.startswith("#"):
        slug, anchor = (found[1], found[2]) if found else (here, address[1:])
        if slug not in slugs:
            return "leads to no lesson", "use the slug of a lesson in the catalogue"
        if anchor and anchor not in anchors.get(slug, set()):
            near = ", ".join(sorted(anchors.get(slug, set())))
            return "leads to no heading of it", f"use one of {near}"
        return None
    if not re.match(r"/(?!/)", address):
        return "leads nowhere", "write https://…, /lessons/SLUG/, another page of this site or #…"
    parts = urlsplit(address)
    try:
        page = resolve(parts.path)
    except Resolver404:
        return "leads to no page of this site", "correct the address"
    return links.problem(page, parts.query)


def _store(lesson: ParsedLesson, digest: str) -> int:
    """Writes the lesson with all its parts; its id."""
    page, entry = lesson.page, lesson.entry
    values = {
        "title": lesson.title,
        "summary": lesson.summary,
        "track": entry.track,
        "track_slug": entry.track_slug,
        "topic": lesson.topic,
        "minutes": lesson.minutes,
        "position": entry.position,
        "html": page.html,
        "text": page.text,
        "headings": [{k: h[k] for k in ("anchor", "title", "level")} for h in page.headings],
        "sources": [str(source) for source in lesson.sources],
        "related": [str(slug) for slug in lesson.related],
        "source_hash": digest,
    }
    row, created = Lesson.objects.update_or_create(slug=entry.slug, defaults=values)
    if not created:
        Question.objects.filter(lesson=row).delete()
        Passage.objects.filter(lesson=row).delete()
    passages = {
        stored.anchor: stored
        for stored in Passage.objects.bulk_create(
            Passage(
                lesson=row,
                position=position,
                anchor=passage.anchor,
                section=passage.section,
                kind=passage.kind,
                text=passage.text,
                context=passage.context,
            )
            for position, passage in enumerate(page.passages, 1)
        )
    }
    questions = Question.objects.bulk_create(
        Question(
            lesson=row,
            key=question.key,
            position=position,
            ask=question.ask,
            passage=passages[question.anchor],
        )
        for position, question in enumerate(lesson.questions, 1)
    )
    Choice.objects.bulk_create(
        Choice(
            question=stored,
            position=position,
            text=choice.text,
            correct=choice.correct,
            because=choice.because,
        )
        for stored, question in zip(questions, lesson.questions, strict=True)
        for position, choice in enumerate(question.choices, 1)
    )
    return row.pk


def _place(entries: list[Entry]) -> int:
    """Gives every lesson its place in the catalogue; how many moved."""
    positions = {entry.slug: entry.position for entry in entries}
    moved = [
        lesson
        for lesson in Lesson.objects.only("pk", "slug", "position")
        if lesson.position != positions[lesson.slug]
    ]
    for lesson in moved:
        lesson.position = positions[lesson.slug]
    Lesson.objects.bulk_update(moved, ["position"], batch_size=200)
    return len(moved)
