from collections.abc import Iterable

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from lessons.inlines import WHOLE

register = template.Library()


@register.filter
def unbroken(text: str) -> SafeString:
    """Keeps "4-bit" on one line where a title wraps; the text itself stays as it is."""
    return mark_safe(WHOLE.sub(r'<span class="nb">\g<0></span>', conditional_escape(text)))


@register.filter
def marked(pieces: Iterable[tuple[str, bool]]) -> SafeString:
    """A text in pieces, with <mark> around those that were searched for."""
    return format_html_join("", "{}", ((_piece(text, hit),) for text, hit in pieces))


def _piece(text: str, hit: bool) -> SafeString:
    whole = unbroken(text)
    return format_html("<mark>{}</mark>", whole) if hit else whole
