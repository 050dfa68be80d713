import re

from django import template
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_NUMBERED = re.compile(r"\d+-\w+")


@register.filter
def unbroken(text: str) -> SafeString:
    """Keeps "4-bit" on one line where a title wraps; the text itself stays as it is."""
    return mark_safe(_NUMBERED.sub(r'<span class="nb">\g<0></span>', conditional_escape(text)))
