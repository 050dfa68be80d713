"""The search index: FTS5 in SQLite, a tsvector in PostgreSQL, both filled with our own tokens.

Tokens are letters and digits only, so no word that anybody types is syntax to either database.
A group of tokens is found if one of them is; all groups have to be found, or any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q

from lessons.models import Lesson, SearchVariant, SearchWord
from lessons.words import WORD, american, deletions, parts, token, tokens, words

# Lessons with a searched word in their title, or in what they are about, come before those with
# all words in their text alone: with many lessons few are left to be ranked, and ranking is slow.
# Among them a word in the title counts eight times, in what the lesson is about four times as
# much as in its text. PostgreSQL's weights are for D, C, B and A.
_COUNT_SQLITE = "SELECT count(*) FROM lessons_search WHERE lessons_search MATCH %s"
# Lessons of the second query, or not of it. Without the "+" each is looked for on its own.
_AMONG_SQLITE = " AND +rowid {} (SELECT rowid FROM lessons_search WHERE lessons_search MATCH %s)"
_BEST_SQLITE = (
    f"SELECT rowid FROM lessons_search WHERE lessons_search MATCH %s{_AMONG_SQLITE} "
    "ORDER BY bm25(lessons_search, 8.0, 4.0, 1.0), rowid LIMIT %s OFFSET %s"
)
_COUNT_POSTGRES = "SELECT count(*) FROM lessons_search WHERE words @@ CAST(%s AS tsquery)"
_BEST_POSTGRES = (
    "SELECT lesson_id FROM lessons_search, CAST(%s AS tsquery) AS query WHERE words @@ query "
    "ORDER BY words @@ CAST(%s AS tsquery) DESC, "
    "ts_rank('{0.0, 0.125, 0.5, 1.0}', words, query, 1) DESC, lesson_id LIMIT %s OFFSET %s"
)
_POSITIONS = 255  # PostgreSQL keeps no more of one word
_BATCH = 500
LONGEST = 40  # letters of a word that can be found
_LAST = "\U0010ffff"  # no word holds a letter after it

Fields = tuple[str, str, str]


def is_sqlite() -> bool:
    return connection.vendor == "sqlite"


def begins(letters: str) -> Q:
    """Words of the vocabulary with this beginning, read from the index of either database."""
    if is_sqlite():  # whose LIKE reads every word
        return Q(word__gte=letters, word__lt=letters + _LAST)
    return Q(word__startswith=letters)


def find(groups: Sequence[Collection[str]], *, every: bool = True) -> Matches:
    """The lessons that hold every group, or any of them; not asked for yet."""
    tokens = sorted(set().union(*groups))
    if is_sqlite():
        joined = (" AND " if every else " OR ").join(
            "(" + " OR ".join(f'"{word}"' for word in sorted(group)) + ")" for group in groups
        )
        about = "{title about} : (" + " OR ".join(f'"{word}"' for word in tokens) + ")"
    else:
        joined = (" & " if every else " | ").join(
            "(" + " | ".join(f"'{word}'" for word in sorted(group)) + ")" for group in groups
        )
        about = " | ".join(f"'{word}':AB" for word in tokens)
    return Matches(joined, about)


@dataclass(frozen=True)
class Matches:
    """query: what lessons must hold; about: one of its words in a title or a summary."""

    query: str
    about: str

    def count(self) -> int:
        return self._rows(_COUNT_SQLITE if is_sqlite() else _COUNT_POSTGRES, self.query)[0]

    def best(self, start: int, stop: int) -> list[int]:
        """Ids of the lessons from place start to stop, the best first."""
        if not is_sqlite():
            return self._rows(_BEST_POSTGRES, self.query, self.about, stop - start, start)
        among, others = _BEST_SQLITE.format("IN"), _BEST_SQLITE.format("NOT IN")
        found = self._rows(among, self.query, self.about, stop - start, start)
        if missing := stop - start - len(found):
            place = max(0, start - self._count_among()) if start else 0
            found += self._rows(others, self.query, self.about, missing, place)
        return found

    def _count_among(self) -> int:
        return self._rows(_COUNT_SQLITE + _AMONG_SQLITE.format("IN"), self.query, self.about)[0]

    def _rows(self, sql: str, *values: str | int) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return [row[0] for row in cursor.fetchall()]


def refresh(changed: Collection[int]) -> None:
    """Indexes these lessons anew, and any others that are not in the index yet."""
    _forget(changed)
    missing = _missing()
    if not missing and not changed:
        return
    for start in range(0, len(missing), _BATCH):
        rows = Lesson.objects.filter(pk__in=missing[start : start + _BATCH])
        _insert((lesson.pk, _fields(lesson)) for lesson in rows)
    if is_sqlite():
        with connection.cursor() as cursor:  # one piece is read twice as fast as many
            cursor.execute("INSERT INTO lessons_search (lessons_search) VALUES ('optimize')")
    _refresh_words()


def _fields(lesson: Lesson) -> Fields:
    about = " ".join([lesson.summary, lesson.topic, *(h["title"] for h in lesson.headings)])
    return lesson.title, about, lesson.text


def _forget(ids: Collection[int]) -> None:
    column = "rowid" if is_sqlite() else "lesson_id"
    with connection.cursor() as cursor:
        cursor.executemany(f"DELETE FROM lessons_search WHERE {column} = %s", [(i,) for i in ids])
        cursor.execute(
            f"DELETE FROM lessons_search WHERE {column} NOT IN (SELECT id FROM lessons_lesson)"
        )


def _missing() -> list[int]:
    column = "rowid" if is_sqlite() else "lesson_id"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM lessons_lesson WHERE id NOT IN "
            f"(SELECT {column} FROM lessons_search) ORDER BY id"
        )
        return [row[0] for row in cursor.fetchall()]


def _insert(lessons: Iterable[tuple[int, Fields]]) -> None:
    with connection.cursor() as cursor:
        if is_sqlite():
            cursor.executemany(
                "INSERT INTO lessons_search (rowid, title, about, body) VALUES (%s, %s, %s, %s)",
                [(pk, *(" ".join(_tokens(text)) for text in fields)) for pk, fields in lessons],
            )
        else:
            cursor.executemany(
                "INSERT INTO lessons_search (lesson_id, words) VALUES (%s, CAST(%s AS tsvector))",
                [(pk, _vector(fields)) for pk, fields in lessons],
            )


def _tokens(text: str) -> list[str]:
    return [found for word in words(text) for found in tokens(word) if len(found) <= LONGEST]


def _vector(fields: Fields) -> str:
    """PostgreSQL's text form of a tsvector: 'quantiz':1A,7C 'fit':2A. No parser touches it."""
    places: dict[str, list[str]] = {}
    place = 0
    for text, weight in zip(fields, "ABC", strict=True):
        for found in _tokens(text):
            place += 1
            known = places.setdefault(found, [])
            if len(known) < _POSITIONS and place < 16_000:
                known.append(f"{place}{weight}")
    return " ".join(f"'{found}':{','.join(at) or '16000C'}" for found, at in places.items())


def _refresh_words() -> None:
    """Brings the vocabulary, for words that nobody spelt right, to what the lessons say."""
    written: set[str] = set()
    rows = Lesson.objects.order_by().only("title", "summary", "topic", "headings", "text")
    for lesson in rows.iterator(chunk_size=_BATCH):
        written.update(WORD.findall(" ".join(_fields(lesson))))
    said = {part for word in written for part in parts(word)}
    said = {word for word in said if len(word) <= LONGEST}
    known = set(SearchWord.objects.values_list("word", flat=True))
    _remove(sorted(known - said))
    added = sorted(said - known)
    SearchWord.objects.bulk_create(
        (SearchWord(word=word, token=token(word)) for word in added), batch_size=_BATCH
    )
    SearchVariant.objects.bulk_create(
        (
            SearchVariant(variant=variant, word=word)
            for word in added
            if can_be_misspelt(word)
            for variant in sorted(deletions(american(word)))
        ),
        batch_size=_BATCH,
    )


def can_be_misspelt(word: str) -> bool:
    """Short words and numbers are what they are: Q4 is no misspelt Q8."""
    return len(word) > 3 and any(letter.isalpha() for letter in word)


def _remove(gone: list[str]) -> None:
    tables: tuple[Any, ...] = (SearchWord, SearchVariant)
    for start in range(0, len(gone), _BATCH):
        for table in tables:
            table.objects.filter(word__in=gone[start : start + _BATCH]).delete()
