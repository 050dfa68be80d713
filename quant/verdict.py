"""An experiment in a sentence or two that its figures bear out.

Where they don't decide, it says so: a rate counts only if its whole 95% interval lies on one side
of the limit, and lost answers only if that many would rarely be lost by chance.
"""

from collections.abc import Sequence

from quant.evals import Task, chance
from quant.intervals import wilson
from quant.rows import Row

RARE = 0.05  # p below which a difference is more than chance


def verdict(rows: list[Row], tasks: Sequence[Task], limit: float) -> str:
    """What can be said of a finished experiment."""
    said = [text_verdict(rows, limit)]
    if tasks:
        said.append(tasks_verdict(rows, limit, chance(tasks)))
    return " ".join(filter(None, said))


def smallest_within(rows: list[Row], limit: float) -> Row | None:
    """The smallest variant that keeps within the limit even at the low end of its interval."""
    within = [row for row in rows if row.is_compared and row.same_interval[0] >= limit]
    return min(within, key=lambda row: row.bytes, default=None)


def text_verdict(rows: list[Row], limit: float) -> str:
    """What the same-next-token rates say."""
    compared = [row for row in rows if row.is_compared]
    if not compared:
        return ""
    pick = smallest_within(rows, limit)
    smaller = [row for row in compared if pick is None or row.bytes < pick.bytes]
    unsure = [row for row in smaller if row.same_interval[1] >= limit]
    below = [row for row in smaller if row not in unsure]
    said = []
    if pick:
        role = "stays" if unsure else "is the smallest that stays"
        said.append(
            f"{pick.type} {role} within your limit of {limit:.0%}: it picks F16’s next token "
            f"{_percent(pick)} of the time, at {pick.share:.0f}% of the size."
        )
    elif not unsure:
        best = max(compared, key=lambda row: row.same_percent)
        below.remove(best)
        said.append(
            f"None keeps to F16’s next token {limit:.0%} of the time; {best.type} comes closest "
            f"with {_percent(best)}, at {best.share:.0f}% of the size."
        )
    if unsure:
        names, places = _or([row.type for row in unsure]), unsure[0].figures["positions"]
        which = "the limit" if pick else f"your limit of {limit:.0%}"
        said.append(
            f"Whether {names} stays within {which} can’t be told from {places:,} places in the "
            "text: measure more windows."
        )
    if below:
        best = max(below, key=lambda row: row.same_percent)
        said.append(f"{best.type}, at {best.share:.0f}%, falls to {_percent(best)}.")
    return " ".join(said)


def tasks_verdict(rows: list[Row], limit: float, guessing: float) -> str:
    """What the tasks say of the variant that the text picks, or of the smallest one.

    guessing: the share of right answers that it would give.
    """
    scored = [row for row in rows if row.score and not row.is_reference]
    if not scored or not rows[0].score:
        return ""
    its = rows[0].score
    if wilson(its.right, its.of)[0] <= guessing:
        return (
            f"The tasks can’t tell: F16 itself gets {its.right} of {its.of} right, no better than "
            "guessing."
        )
    picked = smallest_within(scored, limit) or min(scored, key=lambda row: row.bytes)
    score = picked.score
    assert score
    kept = f"{picked.type} keeps {its.right - score.lost} of F16’s {its.right} right answers"
    wins = f" and wins {score.won}" if score.won else ""
    if not score.lost:
        return f"{kept}{wins}."
    p = f"p = {score.p:.2g}".replace(" ", "\N{NO-BREAK SPACE}")  # never parted by a line's end
    if score.p >= RARE:
        one = score.lost == 1
        lost = "the one it lost" if one else f"the {score.lost} it lost"
        return f"{kept}{wins}; {lost} could be chance ({p})."
    return f"{kept}{wins}; that is more than chance ({p})."


def _percent(row: Row) -> str:
    return f"{row.same_percent:.1f}%"


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
