"""Numbers as a reader wants them. A figure that is not there yet (None, or "" as templates have
it) shows as an ellipsis."""

import math
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from quant.experiment_plan import REFERENCE
from quant.model_file import bits
from quant.models import Step
from quant.sides import is_special

register = template.Library()
NOT_YET = "…"


@register.filter
def as_it_ended(cells: SafeString, has_ended: bool) -> SafeString:
    """Cells of a table; what is not there at the end will not come any more."""
    return mark_safe(cells.replace(NOT_YET, "–")) if has_ended else cells


@register.filter
def decimals(value: float | None, places: int) -> str:
    return NOT_YET if value in (None, "") else f"{value:,.{places}f}"


@register.filter
def digits(value: float | None, count: int) -> str:
    """So many that count, no more: 0.0074, 0.112, 1.35. Nothing below a millionth."""
    if value in (None, ""):
        return NOT_YET
    return "0" if abs(value) < 1e-6 else f"{value:.{count}g}"


@register.filter
def kl(value: float | None) -> str:
    """A KL divergence, with as many decimals in each line of a table."""
    if value not in (None, "") and 0 < value < 0.00005:
        return "under 0.0001"
    return decimals(value, 4)


@register.filter
def megabytes(size: float | None) -> str:
    if size in (None, ""):
        return NOT_YET
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


@register.filter
def duration(seconds: float | None) -> str:
    """3 min 40 s"""
    if seconds is None:
        return NOT_YET
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def about(seconds: float) -> str:
    """A remaining time without false precision: 10 s, 50 s, 2 min, 1 h 20 min."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


@register.filter
def done_word(step: Step) -> str:
    """How a step is called in the plan, by its state."""
    kind = "prepare" if step.key == f"quantize:{REFERENCE}" else step.kind
    to_do, doing, done = {
        "prepare": ("prepare", "preparing", "ready"),
        "quantize": ("quantize", "quantizing", "quantized"),
        "measure": ("measure", "measuring", "measured"),
        "speed": ("time", "timing", "timed"),
        "generate": ("answer", "answering", "answered"),
        "tasks": ("ask", "asking", "asked"),
        "search": ("search", "searching", "searched"),
    }.get(kind, (kind, kind, kind))
    return {"running": doing, "done": done}.get(step.state, to_do)


@register.filter
def ago(moment: datetime) -> str:
    """just now, 5 minutes ago, 3 hours ago, 23 November"""
    minutes = round((timezone.now() - moment).total_seconds() / 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} minute{'s' * (minutes > 1)} ago"
    hours = minutes // 60
    if hours < 24:
        return f"{hours} hour{'s' * (hours > 1)} ago"
    return f"{moment.day} {moment:%B %Y}"


@register.filter
def size(count: int) -> str:
    """Bytes with the unit that suits: 2.3 kB, 56.6 MB."""
    if count < 1e6:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


@register.filter
def type_class(name: str) -> str:
    """The style of a tensor type on a map: by its bits, the fewer the lighter."""
    if name == "F32":
        return "bits-32"
    return f"bits-{math.floor(bits(name))}"


@register.filter
def percent(share: float) -> str:
    """A chance as a reader wants it: 62%, 3.1%, under 0.1%"""
    if share < 0.001:
        return "under 0.1%"
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.1f}%"


@register.filter
def visible(token: str) -> str:
    """A token's text without the space before it; white space alone as a sign."""
    if is_special(token):
        return "(end)"
    return token.strip() or token.replace("\n", "⏎").replace(" ", "␣") or "(part of a character)"


@register.filter
def share(value: float | None) -> str:
    """0.0123 as 1.2%: two digits that count."""
    if value in (None, ""):
        return NOT_YET
    return f"{100 * value:.0f}%" if value >= 0.1 else f"{100 * value:.2g}%"


@register.filter
def signed(value: float) -> str:
    """Four decimals with a minus sign of full width: −0.0222."""
    text = f"{abs(value):.4f}"
    return f"−{text}" if value < 0 and float(text) else text
