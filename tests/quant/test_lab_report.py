from itertools import pairwise

import pytest

from quant.chart import Point, ScorePoint, chart, score_chart
from quant.intervals import mcnemar, wilson
from quant.models import State
from quant.rows import Row
from quant.templatetags.figures import about, digits, duration, megabytes
from quant.verdict import smallest_within, tasks_verdict
from quant.verdict import text_verdict as verdict
from tests.quant.finished import finished

REFERENCE = {"type": "F16", "bytes": 328_000_000, "perplexity": 12.9}


def rows(*figures: tuple[str, int, float], places: int = 3060) -> list[Row]:
    """(type, megabytes, same_top) of each variant, behind the reference."""
    variants = [
        {"type": name, "bytes": size * 10**6, "same_top": same, "positions": places}
        for name, size, same in figures
    ]
    return [Row(REFERENCE, REFERENCE), *(Row(variant, REFERENCE) for variant in variants)]


def test_wilson_by_hand():
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    low, high = wilson(10, 10)
    assert high == pytest.approx(1)
    assert low > 0.7


def test_mcnemar_by_hand():
    assert mcnemar(3, 0) == 0.25
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(10, 1) == pytest.approx(24 / 2048)
    assert mcnemar(1, 10) == mcnemar(10, 1)


def test_the_smallest_within_the_limit_is_named_and_what_lies_below_it():
    said = verdict(rows(("Q8_0", 175, 0.954), ("Q6_K", 168, 0.932), ("Q4_K_M", 125, 0.829)), 0.9)
    assert said.startswith("Q6_K is the smallest that stays within your limit of 90%")
    assert "93.2% of the time, at 51% of the size" in said
    assert "Q4_K_M, at 38%, falls to 82.9%" in said


def test_a_limit_inside_the_interval_is_not_decided():
    few = rows(("Q8_0", 175, 0.91), places=255)
    assert smallest_within(few, 0.9) is None
    assert "can’t be told from 255 places" in verdict(few, 0.9)
    many = rows(("Q8_0", 175, 0.91), places=25_500)
    assert verdict(many, 0.9).startswith("Q8_0 is the smallest")


def test_when_none_stays_within_the_limit_the_closest_is_named():
    said = verdict(rows(("Q4_K_M", 125, 0.829), ("Q2_K", 104, 0.578)), 0.95)
    assert said.startswith("None keeps to F16’s next token 95% of the time; Q4_K_M comes closest")
    assert "Q2_K" in said


def test_without_a_comparison_there_is_no_verdict():
    assert verdict(rows(), 0.9) == ""
    assert verdict([Row(REFERENCE, REFERENCE), Row({"type": "Q8_0"}, REFERENCE)], 0.9) == ""


def test_the_chart_puts_small_left_and_unlike_up():
    made = chart([Point("Q8_0", 175, 0.0074), Point("Q4_K_M", 125, 0.112), Point("Q2_K", 104, 0.9)])
    assert made
    assert [dot.name for dot in made.dots] == ["Q2_K", "Q4_K_M", "Q8_0"]
    xs, ys = [dot.x for dot in made.dots], [dot.y for dot in made.dots]
    assert xs == sorted(xs)
    assert ys == sorted(ys)  # y grows downwards
    assert all(made.left <= x <= made.right for x in xs)
    assert all(0 <= y <= made.bottom for y in ys)
    assert [tick.text for tick in made.y_ticks] == ["0.01", "0.1", "1"]
    assert [dot.value for dot in made.dots][1] == "125 MB, KL 0.112"


@pytest.mark.parametrize(
    "points",
    [
        [Point("a", 100, 0.1), Point("b", 100, 0.1)],
        [Point("a", 0.4, 1e-5), Point("b", 0.41, 2e-5)],
        [Point("a", 4_000, 3), Point("b", 9_000, 0.001)],
    ],
)
def test_a_chart_of_close_tiny_or_large_values_still_has_its_axes(points: list[Point]):
    made = chart(points)
    assert made
    assert len(made.x_ticks) >= 2
    assert made.y_ticks


def test_one_point_is_no_chart():
    assert chart([Point("Q8_0", 175, 0.0074)]) is None
    assert chart([Point("Q8_0", 175, 0.0074), Point("F16", 328, 0)]) is None


def test_scores_stand_on_a_linear_axis_with_their_intervals():
    made = score_chart(
        [
            ScorePoint("F16", 328, 0.75, *wilson(15, 20)),
            ScorePoint("Q4_K_M", 125, 0.5, *wilson(10, 20)),
            ScorePoint("Q2_K", 90, 0, *wilson(0, 20)),
        ]
    )
    assert made
    assert [dot.name for dot in made.dots] == ["Q2_K", "Q4_K_M", "F16"]
    assert [tick.text for tick in made.y_ticks] == ["0%", "25%", "50%", "75%", "100%"]
    gaps = [low.at - high.at for low, high in pairwise(made.y_ticks)]
    assert gaps == pytest.approx([gaps[0]] * 4, abs=0.11)
    q2, q4, f16 = made.dots
    assert (q2.y, q4.y, f16.y) == tuple(made.y_ticks[at].at for at in (0, 2, 3))
    for dot, bar in zip(made.dots, made.bars, strict=True):
        assert bar.x == dot.x
        assert bar.top < bar.bottom
        assert bar.top <= dot.y <= bar.bottom
    assert q4.value == "125 MB, 50% right (95% interval 30% to 70%)"


def test_one_score_is_no_plot():
    assert score_chart([ScorePoint("F16", 328, 0.75, 0.5, 0.9)]) is None


@pytest.mark.django_db
def test_each_point_of_both_plots_can_be_reached_and_is_read_with_its_figures(client):
    page = client.get(f"/lab/{finished().pk}/").content.decode()
    assert page.count('class="point" tabindex="0" role="img"') == 2 + 3
    assert 'aria-label="Q4_K_M: 125 MB, KL 0.112"' in page
    assert 'aria-label="Q4_K_M: 125 MB, 55% right (95% interval 34% to 74%)"' in page
    assert page.count('role="group" aria-labelledby') == 2
    without = client.get(f"/lab/{finished(tasks=[]).pk}/").content.decode()
    assert "scores-title" not in without


def test_labels_do_not_cover_each_other():
    near = [Point("Q4_K_M", 125, 0.112), Point("Q5_K_M", 126, 0.11), Point("Q2_K", 90, 0.9)]
    made = chart(near)
    assert made
    places = [(dot.label_x, dot.label_y) for dot in made.dots]
    assert len(set(places)) == 3
    (first_x, first_y), (second_x, second_y) = places[1:]
    assert abs(first_y - second_y) >= 18 or abs(first_x - second_x) >= 52


def test_numbers_are_shown_as_they_are_read():
    assert [digits(value, 3) for value in (0.0074, 0.112, 1.3549, 0.0, 3e-9)] == [
        "0.0074",
        "0.112",
        "1.35",
        "0",
        "0",
    ]
    assert digits(None, 3) == digits("", 3) == "…"
    assert [megabytes(size) for size in (328_000_000, 16_060_000_000)] == ["328 MB", "16.06 GB"]
    assert [duration(seconds) for seconds in (7, 220, 7300)] == ["7 s", "3 min 40 s", "2 h 1 min"]
    assert [about(seconds) for seconds in (1, 44, 100, 7300)] == [
        "5 s",
        "45 s",
        "2 min",
        "2 h 2 min",
    ]


def with_answers(reference: str, variant: str) -> list[Row]:
    """Rows whose answers are right ("1") or wrong ("0")."""

    def tasks(pattern: str) -> list[dict[str, object]]:
        return [
            {"id": str(at), "right": sign == "1", "given": sign} for at, sign in enumerate(pattern)
        ]

    first = REFERENCE | {"tasks": tasks(reference)}
    second = {"type": "Q4_K_M", "bytes": 125_000_000, "tasks": tasks(variant)}
    return [Row(first, first), Row(second, first)]


def test_lost_answers_that_could_be_chance_are_called_so():
    said = tasks_verdict(with_answers("1" * 20, "1" * 17 + "000"), 0.9, guessing=0)
    assert said.replace("\N{NO-BREAK SPACE}", " ") == (
        "Q4_K_M keeps 17 of F16’s 20 right answers; the 3 it lost could be chance (p = 0.25)."
    )


def test_many_lost_answers_are_more_than_chance():
    said = tasks_verdict(with_answers("1" * 20, "1" * 10 + "0" * 10), 0.9, guessing=0)
    assert "keeps 10 of F16’s 20" in said
    assert "more than chance (p = 0.002)" in said.replace("\N{NO-BREAK SPACE}", " ")


def test_won_answers_count_against_lost_ones():
    rows = with_answers("1" * 10 + "0" * 10, "1" * 5 + "0" * 5 + "1" * 5 + "0" * 5)
    score = rows[1].score
    assert score
    assert (score.lost, score.won, score.p) == (5, 5, 1)
    assert [flip.is_lost for flip in rows[1].flips({str(n): "?" for n in range(20)})] == (
        [True] * 5 + [False] * 5
    )


def test_tasks_that_the_reference_only_guesses_tell_nothing():
    said = tasks_verdict(with_answers("1" * 6 + "0" * 14, "1" * 6 + "0" * 14), 0.9, guessing=0.25)
    assert said == ("The tasks can’t tell: F16 itself gets 6 of 20 right, no better than guessing.")
    assert tasks_verdict(rows(("Q8_0", 175, 0.95)), 0.9, 0) == ""


@pytest.mark.django_db
def test_what_did_not_come_before_the_end_is_not_awaited(client):
    stopped = finished(state=State.CANCELLED)
    stopped.steps.filter(key__startswith="measure:").update(result=None)
    page = client.get(f"/lab/{stopped.pk}/report").content.decode()
    table = page.split("<tbody>")[1].split("</tbody>")[0]
    assert "…" not in table
    assert "<td>–</td>" in table
    stopped.state = State.QUEUED
    stopped.save()
    assert "<td>…</td>" in client.get(f"/lab/{stopped.pk}/report").content.decode()
