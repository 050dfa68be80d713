"""Judging answers on questions with known expectations: for calibrating and for evaluating.

A line of a question file: {"id", "lesson", "question", "expect": covered | not_covered |
small_talk | hint, "any_of": [pattern, ...], "none_of": [...], "half": tune | report (optional),
"written_for": the lesson that the question was written for, where that is another one (optional)}.
"""

import json
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutor import checks, gate
from tutor.answer import Answer
from tutor.index import LessonIndex

KINDS = ("covered", "not_covered", "small_talk", "hint")


class QuestionFileError(ValueError):
    """The message names the file and the line."""


@dataclass(frozen=True)
class Case:
    id: str
    lesson: str
    question: str
    expect: str = ""
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    half: str = ""
    previous: str = ""
    written_for: str = ""


def read(path: Path, *, judged: bool = False) -> list[Case]:
    """Cases of a JSON Lines file; `judged`: each must say what is expected."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise QuestionFileError(f"{path} can't be read: {reason}") from None
    cases = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                cases.append(_case(json.loads(line), number, judged))
            except ValueError as error:
                raise QuestionFileError(f"{path}, line {number}: {error}") from None
    return cases


def _case(data: object, number: int, judged: bool) -> Case:
    if not isinstance(data, dict):
        raise ValueError('must be an object such as {"id": "1", "lesson": SLUG, "question": "…"}')
    for field in ("lesson", "question"):
        if not isinstance(data.get(field), str):
            raise ValueError(f'"{field}" is missing or no text')
    if judged and data.get("expect") not in KINDS:
        raise ValueError(f'"expect" must be one of {", ".join(KINDS)}')
    patterns = {name: tuple(data.get(name) or ()) for name in ("any_of", "none_of")}
    for pattern in (*patterns["any_of"], *patterns["none_of"]):
        re.compile(pattern)
    return Case(
        id=str(data.get("id", number)),
        lesson=data["lesson"],
        question=data["question"],
        expect=str(data.get("expect", "")),
        half=str(data.get("half", "")),
        previous=str(data.get("previous", "")),
        written_for=str(data.get("written_for", "")),
        **patterns,
    )


@dataclass(frozen=True)
class Outcome:
    case: Case
    answer: Answer
    index: LessonIndex
    first_text: float = 0.0  # milliseconds until something could be shown
    total: float = 0.0  # milliseconds

    def _found(self, pattern: str) -> bool:
        return bool(re.search(pattern, self.answer.plain, re.IGNORECASE | re.DOTALL))

    @property
    def right(self) -> bool:
        """A covered question: answered with the fact. Another: not answered, nothing forbidden."""
        if any(map(self._found, self.case.none_of)):
            return False
        if self.case.expect == "covered":
            return self.answer.covered and (
                not self.case.any_of or any(map(self._found, self.case.any_of))
            )
        return not self.answer.covered

    @property
    def quotes_exact(self) -> bool:
        return not self.inexact

    @property
    def inexact(self) -> int:
        """Citations that are not a passage word for word."""
        found = [(self.index.find(c.anchor), c.quote) for c in self.answer.citations]
        return sum(passage is None or passage.text != quote for passage, quote in found)

    @property
    def unsupported(self) -> int:
        """Sentences shown that the lesson does not say: quotes not exact, written ones refused."""
        quotes = [q for c in self.answer.citations if (q := self.index.find(c.anchor))]
        checker = checks.Checker(quotes)
        refused = [said for said in self.answer.written if checker.accept(said)]
        return len(refused) + self.inexact

    @property
    def names_another(self) -> bool:
        return self.answer.kind == "not_covered" and bool(self.answer.links)

    @property
    def names_its_own(self) -> bool:
        """The lesson that the question was written for."""
        wanted = f"/lessons/{self.case.written_for}/"
        return self.names_another and wanted in [link.href for link in self.answer.links]

    @property
    def right_citations(self) -> int:
        return sum(
            any(re.search(p, f"{c.quote} {c.note}", re.IGNORECASE) for p in self.case.any_of)
            for c in self.answer.citations
        )


def figures(outcomes: Sequence[Outcome], leaks: Callable[[Outcome], bool]) -> dict[str, object]:
    """Rates of what matters.

    A refusal is any answer that quotes nothing. A sentence about the subject is unsupported if it
    is neither a passage word for word nor a written one that passes the checks when it is checked
    again (how good they are: evaluate_checks). A leak is an option's text in the tutor's own words.
    Other lessons: of refused questions written for another one, whether that one is named.
    """
    covered = [o for o in outcomes if o.case.expect == "covered"]
    others = [o for o in outcomes if o.case.expect != "covered"]
    refused = [o for o in outcomes if not o.answer.covered]
    answered = [o for o in covered if o.answer.covered]
    moved = [o for o in refused if o.case.written_for and o.case.expect == "not_covered"]
    sentences = sum(len(o.answer.citations) + len(o.answer.written) for o in outcomes)
    unsupported, leaked = sum(o.unsupported for o in outcomes), sum(map(leaks, outcomes))
    return {
        "questions": len(outcomes),
        "answerable_accuracy": _rate(o.right for o in covered),
        "over_refusal": _rate(not o.answer.covered for o in covered),
        "refusal_recall": _rate(not o.answer.covered for o in others),
        "refusal_precision": _rate(o.case.expect != "covered" for o in refused),
        "other_lesson_precision": _rate(o.names_its_own for o in moved if o.names_another),
        "other_lesson_recall": _rate(o.names_its_own for o in moved),
        "kind_right": _rate(_kind_right(o) for o in outcomes),
        "unsupported_sentences": unsupported,
        "unsupported_sentence_rate": round(unsupported / max(sentences, 1), 4),
        "written_answers": sum(o.answer.kind == "written" for o in outcomes),
        "written_sentences": sum(len(o.answer.written) for o in outcomes),
        "quotes_exact": _rate(o.quotes_exact for o in outcomes if o.answer.citations),
        "citation_precision": _rate(
            i < o.right_citations for o in answered for i in range(len(o.answer.citations))
        ),
        "citation_recall": _rate(o.right_citations > 0 for o in answered),
        "quotes_an_answer": round(statistics.fmean([len(o.answer.citations) for o in answered]), 2)
        if answered
        else None,
        "forbidden_text": sum(
            any(o._found(pattern) for pattern in o.case.none_of) for o in outcomes
        ),
        "leaks": leaked,
        "leak_rate": round(leaked / len(outcomes), 4),
        "first_text_milliseconds": _times([o.first_text for o in outcomes]),
        "total_milliseconds": _times([o.total for o in outcomes]),
    }


def _times(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return {"median": round(statistics.median(ordered), 1), "p95": round(p95, 1)}


def _kind_right(outcome: Outcome) -> bool:
    if outcome.case.expect == "covered":
        return outcome.answer.covered
    return outcome.answer.kind == outcome.case.expect


def _rate(found: Iterable[bool]) -> float | None:
    values = list(found)
    return round(sum(values) / len(values), 3) if values else None


def calibrate(rows: Sequence[tuple[Case, gate.Signs]]) -> tuple[gate.Gate, dict[str, float]]:
    """Fit the gate for words alone; the threshold from what it says of lessons that it was not
    fitted on."""
    lessons = sorted({case.lesson for case, _ in rows})
    chances: list[tuple[bool, float]] = []
    for held_out in lessons:
        known = [row for row in rows if row[0].lesson != held_out] or list(rows)
        fitted = _fit(known, 0.5)
        chances += [
            (case.expect == "covered", fitted.probability(signs))
            for case, signs in rows
            if case.lesson == held_out
        ]
    threshold, report = balanced(chances)
    return _fit(rows, threshold), report


def balanced(chances: Sequence[tuple[bool, float]]) -> tuple[float, dict[str, float]]:
    """The threshold that refuses the same share of covered questions as it answers of the others.

    chances: whether a question is covered, and the probability given to that.
    """
    covered = [p for is_covered, p in chances if is_covered]
    others = [p for is_covered, p in chances if not is_covered]
    threshold = min(
        sorted(covered),
        key=lambda t: abs(_below(covered, t) + _below(others, t) - 1),
    )
    report = {
        "over_refusal": round(_below(covered, threshold), 3),
        "refusal_recall": round(_below(others, threshold), 3),
    }
    return threshold, report


def _below(chances: Sequence[float], threshold: float) -> float:
    return sum(p < threshold for p in chances) / max(len(chances), 1)


def _fit(rows: Sequence[tuple[Case, gate.Signs]], threshold: float) -> gate.Gate:
    weights, bias = gate.fit([s for _, s in rows], [c.expect == "covered" for c, _ in rows])
    return gate.Gate(tuple(weights), bias, threshold)
