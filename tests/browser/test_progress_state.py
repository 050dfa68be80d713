"""The browser computes the same state as the server, whatever the events."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lessons.events import parse, state
from tests.lessons.test_events import some_events

RUN = """async (lists) => {
  const { state } = await import("/static/js/progress-state.js");
  return lists.map((events) => Object.fromEntries(state(events)));
}"""


@pytest.fixture(scope="package")
def browser_state(browser, site) -> Callable[[list[dict]], dict]:
    page = browser.new_page()
    page.goto(f"{site.url}/healthz")
    yield lambda events: page.evaluate(RUN, [events])[0]
    page.close()


def server_state(events: list[dict]) -> dict:
    def pair(score):
        return {"score": score[0], "of": score[1]} if score else None

    return {
        lesson: {
            "opened": it.opened,
            "completed": it.completed,
            "best": pair(it.best),
            "latest": pair(it.latest),
            "latestAt": it.latest_at,
            "attempts": it.attempts,
            "answers": it.answers,
        }
        for lesson, it in state([parse(event) for event in events]).items()
    }


def quickly(test):
    return settings(
        max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )(test)


@quickly
@given(some_events())
def test_browser_and_server_agree(browser_state, events):
    assert browser_state(events) == server_state(events)


@quickly
@given(some_events(), st.randoms(use_true_random=False), st.integers(0, 3))
def test_order_and_repetition_make_no_difference(browser_state, events, random, times):
    shuffled = events + events[:times]
    random.shuffle(shuffled)
    assert browser_state(shuffled) == browser_state(events)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.001Z"),
        ("2026-11-23T10:00:00.0001Z", "2026-11-23T10:00:00.0002Z"),
        ("2026-11-23T12:00:00+02:30", "2026-11-23T10:00:00.5Z"),
    ],
)
def test_times_are_compared_as_instants(browser_state, earlier, later):
    def scored(at, score, number):
        data = {"score": score, "of": 10, "answers": {"q": score}}
        name = f"00000000-0000-7000-8000-{number:012x}"
        return {"id": name, "type": "quiz.scored", "lesson": "a", "at": at, "data": data}

    events = [scored(later, 3, 1), scored(earlier, 5, 2)]
    assert browser_state(events) == server_state(events)
    assert browser_state(events)["a"]["latest"] == {"score": 3, "of": 10}
