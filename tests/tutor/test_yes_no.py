"""Yes and No against every passage of every lesson: yes_no.jsonl holds questions that are negated,
swapped, widened or narrowed, with what is true."""

import json
from pathlib import Path

import pytest
from django.conf import settings

from lessons import loader
from tutor import asking, index, verdict
from tutor.ranking import Asked

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("yes_no.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.django_db
def test_no_passage_of_a_lesson_gives_a_wrong_yes_or_no() -> None:
    loader.load(settings.LESSONS_DIR, embed=False)
    said, wrong = 0, []
    for case in CASES:
        lesson = index.of(asking.lesson(case["lesson"]))
        asked = Asked.of(case["question"], lesson)
        for passage in lesson.passages:
            if opening := verdict.opener(asked, passage):
                said += 1
                if opening.lower() != case["true"]:
                    wrong.append((case["question"], opening, passage.text))
    assert not wrong
    assert said >= 15  # it does speak


@pytest.mark.parametrize(
    "clause", ["It is a mistake to stop here.", "No file opens without the key.", "It never fails."]
)
def test_a_turned_sentence_is_no_verdict(clause: str) -> None:
    passage = index.Quotable("p-1", "A section", "sentence", clause, "")
    lesson = index.LessonIndex("slug", "Files", "", [passage], None)
    for question in ("Is it a mistake to go here?", "Does a file open the key?", "Does it fail?"):
        assert verdict.opener(Asked.of(question, lesson), passage) is None
