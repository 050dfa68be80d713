"""True and false sentences about quotes, and how the checks judge them.

A line: {"id", "half": tune | report, "lesson", "sentence", "supported": true | false,
"falsehood": its kind, "quotes": [{"section", "kind", "text", "context"}, …]}.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from tutor.checks import Checker
from tutor.index import Quotable

OURS: Path = settings.BASE_DIR / "tests" / "tutor" / "sentences.jsonl"


class SentenceFileError(ValueError):
    """The message names the file and the line."""


@dataclass(frozen=True)
class Case:
    id: str
    half: str
    sentence: str
    supported: bool
    falsehood: str
    quotes: tuple[Quotable, ...]

    @property
    def reason(self) -> str:
        """Why the checks refuse it; empty if they let it through."""
        return Checker(self.quotes).why_not(self.sentence)


def read(path: Path) -> list[Case]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SentenceFileError(f"{path} can't be read: {error}") from None
    cases = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(_case(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong = f"{path}, line {number}: {type(error).__name__} {error}"
            raise SentenceFileError(wrong) from None
    return cases


def _case(data: dict[str, Any]) -> Case:
    quotes = tuple(
        Quotable(
            f"q-{i}",
            quote.get("section", ""),
            quote.get("kind", "sentence"),
            quote["text"],
            quote.get("context", ""),
        )
        for i, quote in enumerate(data["quotes"])
    )
    return Case(
        str(data.get("id", "")),
        str(data.get("half", "")),
        data["sentence"],
        bool(data["supported"]),
        str(data.get("falsehood", "")),
        quotes,
    )


def figures(cases: Sequence[Case]) -> dict[str, object]:
    """precision: the share of true ones among those let through. recall: of the true ones."""
    judged = [(case, not case.reason) for case in cases]
    true = [passed for case, passed in judged if case.supported]
    false = [(case, passed) for case, passed in judged if not case.supported]
    through = sum(true) + sum(passed for _, passed in false)
    kinds = Counter(case.falsehood for case, passed in false if passed)
    return {
        "true_sentences": len(true),
        "false_sentences": len(false),
        "precision": round(sum(true) / through, 4) if through else None,
        "recall": round(sum(true) / len(true), 4) if true else None,
        "false_let_through": round(sum(p for _, p in false) / len(false), 4) if false else None,
        "kinds_let_through": dict(kinds),
    }
