"""catalogue.yaml: which lessons there are, and in which order."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lessons import yamlfile
from lessons.problems import Problems
from lessons.yamlfile import Form, Text

FILE = "catalogue.yaml"


@dataclass(frozen=True)
class Entry:
    """A lesson's place: position counts from 1."""

    slug: str
    track: str
    track_slug: str
    position: int
    folder: Path


def shown(path: Path) -> str:
    """A path as messages show it: from here if it lies below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def read_text(path: Path, problems: Problems) -> str | None:
    """The file's text with \\n line ends; None, and a problem, where it cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        problems.add(1, "the file is missing", "add it (manage.py new_lesson starts both files)")
        return None
    except OSError as error:
        problems.add(1, f"cannot be read ({error.strerror})", "check the file and its permissions")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        problems.add(line, "the file is not UTF-8", "save it with the encoding UTF-8")
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for place, letter in enumerate(text):
        if (ord(letter) < 32 and letter not in "\n\t") or letter in "\x7f\x85\ufeff\u2028\u2029":
            line = text.count("\n", 0, place) + 1
            problems.add(line, f"a control character (U+{ord(letter):04X})", "remove it")
            return None
    return text


def read(directory: Path, problems: Problems) -> list[Entry]:
    """The lessons of directory in order; adds what is wrong with catalogue and folders."""
    path = directory / FILE
    problems.path = shown(path)
    text = read_text(path, problems)
    if text is None:
        return []
    value = yamlfile.read(text, problems)
    if value is None:
        problems.add(1, "the catalogue is empty", "list the tracks") if not problems else None
        return []
    form = Form(value, problems, "the catalogue").only(["tracks"])
    entries: list[Entry] = []
    places: dict[str, int] = {}
    track_lines: dict[str, int] = {}
    for value in form.items("tracks"):
        track = Form(value, problems, "a track").only(["name", "slug", "lessons"])
        name, slug = track.text("name", longest=100), track.name("slug", longest=100)
        if slug in track_lines:
            track.wrong("slug", f'"{slug}" is taken by another track', "choose another one")
        track_lines[slug] = track.line
        for lesson in track.texts("lessons"):
            folder = directory / slug / lesson
            if _is_new(lesson, folder, places, problems) and slug:
                entries.append(Entry(str(lesson), name, slug, len(entries) + 1, folder))
    _find_strangers(directory, entries, set(track_lines), problems)
    return entries


def entry_of(directory: Path, slug: str) -> Entry:
    """The lesson of that slug. Raises LookupError with a line that says what to do."""
    entries = read(directory, Problems())
    found = next((entry for entry in entries if entry.slug == slug), None)
    if found is None:
        near = get_close_matches(slug, [entry.slug for entry in entries], n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise LookupError(f"There is no lesson {slug} in {shown(directory / FILE)}{meant}")
    return found


def _is_new(lesson: Text, folder: Path, places: dict[str, int], problems: Problems) -> bool:
    if lesson in places:
        problems.add(
            lesson.line,
            f'the lesson "{lesson}" stands here twice (also on line {places[lesson]})',
            "keep one of them",
        )
        return False
    places[lesson] = lesson.line
    if not all(part.isalnum() and part.isascii() for part in lesson.split("-")) or (
        lesson != lesson.lower()
    ):
        problems.add(
            lesson.line,
            f'"{lesson}" cannot be the address of a lesson',
            "rename it with a-z, 0-9 and hyphens",
        )
        return False
    if not folder.is_dir():
        problems.add(
            lesson.line,
            f'the catalogue names "{lesson}", but there is no folder {shown(folder)}',
            f"add it (manage.py new_lesson {lesson} --title …) or remove the line",
        )
        return False
    return True


def _find_strangers(
    directory: Path, entries: list[Entry], tracks: set[str], problems: Problems
) -> None:
    named = {entry.folder for entry in entries}
    tracks_there = (p for p in directory.iterdir() if p.is_dir() and p.name[0] not in "._")
    for track in sorted(tracks_there):
        folders = sorted(path for path in track.iterdir() if path.is_dir())
        for folder in folders:
            if folder not in named and not folder.name.startswith((".", "_")):
                mentioned = folder.name in {entry.slug for entry in entries}
                if track.name in tracks and mentioned:
                    continue
                problems.add(
                    1,
                    f"the folder {shown(folder)} is not in the catalogue",
                    f"add {folder.name} to the lessons of its track, or remove the folder",
                )
