"""Figures of the planner as a reader wants them, and the numbers of their sources."""

from collections.abc import Sequence

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from quant.planner import plan
from quant.planner.data import Source
from quant.planner.estimate import Range

register = template.Library()
register.filter("gib", plan.gib)


@register.filter
def said(value: float | None) -> str:
    return "–" if value is None else plan.said(value)


@register.filter
def gigabytes(size: float) -> str:
    """As download pages count: 4.92 GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


@register.filter
def spoken(found: Range | None) -> str:
    """A range in two significant digits: 62 to 87; one number where both ends are the same."""
    if found is None:
        return "unknown"
    low, high = (_digits(value) for value in (found.low, found.high))
    return low if low == high else f"{low} to {high}"


def _digits(value: float) -> str:
    if value >= 100:
        return f"{round(value, -1 if value < 1000 else -2):,.0f}"
    return f"{value:.2g}"


@register.filter
def percent(share: float) -> str:
    """Signed: +8%, −3%."""
    return f"{100 * share:+.0f}%".replace("-", "−")


@register.filter
def cite(sources: Sequence[Source], source: Source | None) -> SafeString:
    """The source's number on this page, linked to it."""
    if source is None or source not in sources:
        return SafeString("")
    number = sources.index(source) + 1
    return format_html(
        '<sup><a href="#source-{0}"><span class="hidden">Source </span>{0}</a></sup>', number
    )
