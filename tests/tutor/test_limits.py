import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutor import limits
from tutor.limits import Limit


def test_a_burst_is_free_then_one_at_a_time() -> None:
    limit = Limit(burst=2, per_minute=30)
    assert [limit.wait("a", now=100.0) for _ in range(3)] == [0, 0, 2]
    assert limit.wait("a", now=101.0) == pytest.approx(1)
    assert limit.wait("a", now=102.0) == 0
    assert limit.wait("a", now=102.0) == pytest.approx(2)


def test_a_long_pause_saves_up_one_burst_and_no_more() -> None:
    limit = Limit(burst=2, per_minute=60)
    limit.wait("a", now=0.0)
    assert [limit.wait("a", now=9_999.0) == 0 for _ in range(3)] == [True, True, False]


def test_keys_do_not_count_for_each_other() -> None:
    limit = Limit(burst=1, per_minute=1)
    assert limit.wait("a", now=0.0) == 0
    assert limit.wait("b", now=0.0) == 0
    assert limit.wait("a", now=0.0) > 0


def test_the_longest_unseen_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limit, "KEYS", 2)
    limit = Limit(burst=1, per_minute=1)
    for key in ("a", "b", "a", "c"):  # "b" was seen before "a" was seen again
        limit.wait(key, now=0.0)
    assert list(limit._buckets) == ["a", "c"]


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5), st.integers(1, 120))
def test_never_more_than_the_burst_and_the_rate(
    pauses: list[float], burst: int, per_minute: int
) -> None:
    limit, now, free = Limit(burst, per_minute), 0.0, 0
    for pause in pauses:
        now += pause
        wait = limit.wait("a", now)
        free += wait == 0
        assert 0 <= wait <= 60 / per_minute + 1e-6
        assert free <= burst + now * per_minute / 60 + 1e-6


def test_who_asks_too_fast_takes_nothing_from_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "browsers", Limit(burst=1, per_minute=1))
    monkeypatch.setattr(limits, "addresses", Limit(burst=2, per_minute=1))
    assert limits.wait("hasty", "school") == 0
    assert all(limits.wait("hasty", "school") > 0 for _ in range(5))
    assert limits.wait("patient", "school") == 0
    assert limits.wait("third", "school") > 0
