import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons import events
from lessons.events import Malformed, parse, state

EPOCH = datetime(2026, 11, 23, tzinfo=UTC)


def event(kind="lesson.opened", lesson="a", minute=0, data=None, number=0):
    at = (EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "id": f"00000000-0000-7000-8000-{number:012x}",
        "type": kind,
        "lesson": lesson,
        "at": at,
        "data": data or {},
    }


def scored(score, minute, number, lesson="a"):
    return event("quiz.scored", lesson, minute, {"score": score, "of": 10, "answers": {}}, number)


def states(*raw):
    return state([parse(one) for one in raw])


def some_events():
    kinds = st.sampled_from(["lesson.opened", "lesson.completed", "quiz.scored", "lesson.reset"])
    plain = st.builds(
        lambda kind, lesson, minute, score, number: (
            scored(score, minute, number, lesson)
            if kind == "quiz.scored"
            else event(kind, lesson, minute, None, number)
        ),
        kinds,
        st.sampled_from(["a", "b"]),
        st.integers(0, 30),
        st.integers(0, 10),
        st.integers(0, 10_000),
    )
    erasure = st.builds(
        lambda lesson, minute, also, number: event(
            "progress.erased",
            lesson,
            minute,
            {"also": [event(number=one)["id"] for one in also]},
            number,
        ),
        st.sampled_from(["a", "b", "*"]),
        st.integers(0, 30),
        st.lists(st.integers(0, 10_000), max_size=3),
        st.integers(10_001, 20_000),
    )
    return st.lists(plain | erasure, max_size=25, unique_by=lambda one: one["id"])


def test_best_is_the_highest_and_latest_the_newest():
    lesson = states(scored(8, 1, 1), scored(5, 3, 2), scored(7, 2, 3))["a"]
    assert (lesson.best, lesson.latest, lesson.attempts) == ((8, 10), (5, 10), 3)


def test_equal_times_are_ordered_by_id():
    lesson = states(scored(5, 1, 2), scored(9, 1, 1))["a"]
    assert lesson.latest == (5, 10)


def test_a_reset_starts_the_lesson_over():
    lesson = states(scored(9, 1, 1), event("lesson.reset", minute=2, number=2), scored(3, 3, 3))[
        "a"
    ]
    assert (lesson.best, lesson.attempts) == ((3, 10), 1)


def test_the_latest_score_outlives_a_reset():
    lesson = states(scored(9, 1, 1), event("lesson.reset", minute=2, number=2))["a"]
    assert (lesson.best, lesson.completed, lesson.latest) == (None, None, (9, 10))


def test_reading_alone_completes_nothing_but_a_score_does():
    assert states(event())["a"].completed is None
    assert states(scored(0, 1, 1))["a"].completed


def test_an_erasure_covers_what_came_up_to_it_and_nothing_after():
    erased = states(
        scored(9, 1, 1), event("progress.erased", "*", 1, None, 2), scored(3, 2, 3, "b")
    )
    assert list(erased) == ["b"]


def test_an_erasure_names_what_a_clock_that_ran_ahead_had_dated_later():
    erasure = event("progress.erased", "*", 5, {"also": [scored(9, 60, 1)["id"].upper()]}, 2)
    after = states(scored(9, 60, 1), erasure, scored(3, 61, 3, "b"))
    assert list(after) == ["b"]


def test_times_are_compared_as_instants_not_as_text():
    late = scored(5, 0, 1) | {"at": "2026-11-23T10:00:00.000+09:00"}  # 01:00 UTC
    early = scored(6, 0, 2) | {"at": "2026-11-23T02:00:00.000Z"}
    assert states(late, early)["a"].latest == (6, 10)


@given(some_events(), st.randoms(use_true_random=False))
def test_order_and_repetition_make_no_difference(raw, shuffle: random.Random):
    parsed = [parse(one) for one in raw]
    again = parsed + shuffle.choices(parsed, k=len(parsed)) if parsed else []
    shuffle.shuffle(again)
    assert state(again) == state(parsed)


@given(some_events())
def test_forgetting_the_data_of_erased_events_changes_no_state(raw):
    parsed = [parse(one) for one in raw]
    gone = events.reach(one for one in parsed if one.type == "progress.erased")
    forgotten = [events.erased(one) if events.is_erased(one, gone) else one for one in parsed]
    assert state(forgotten) == state(parsed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "nonsense"}, "id must be a UUID"),
        ({"id": None}, "id must be a UUID"),
        ({"type": "lesson.burnt"}, "type must be one of"),
        ({"type": []}, "type must be one of"),
        ({"lesson": "../etc"}, "slug"),
        ({"lesson": "*"}, "slug"),
        ({"at": "yesterday"}, "at must be a time"),
        ({"at": "2026-02-30T10:00:00.000Z"}, "at must be a time"),
        ({"at": 5}, "at must be a time"),
        ({"data": []}, "data must be an object"),
        ({"data": {"x": float("inf")}}, "no word for"),
        ({"data": {"x": "y" * 20_000}}, "larger than"),
        ({"type": "quiz.scored", "data": {"score": 11, "of": 10}}, "score"),
        ({"type": "quiz.scored", "data": {"score": True, "of": 10}}, "score"),
        ({"type": "quiz.scored", "data": {"score": 1, "of": 10, "answers": {"q": "b"}}}, "answers"),
        ({"type": "progress.erased", "data": {"also": ["x"]}}, "also"),
        ({"owner": "me"}, "unknown field"),
    ],
)
def test_a_malformed_event_says_which_field(change, reason):
    with pytest.raises(Malformed, match=reason):
        parse(event() | change)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted(events.FIELDS)), json_values)
    | st.builds(
        lambda change: event() | change,
        st.dictionaries(st.sampled_from(sorted(events.FIELDS)), json_values, max_size=2),
    )
    | json_values
)
def test_anything_is_parsed_or_called_malformed(raw):
    try:
        parsed = parse(raw)
    except Malformed:
        return
    assert parsed.as_json() == raw | {"id": raw["id"].lower(), "data": raw.get("data", {})}
