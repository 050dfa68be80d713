"""A report in one HTML file that needs nothing else: for a mail, or an archive."""

from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from quant import sources
from quant.report import Report

STYLES = ("css/openbook.css", "css/lab.css")


def as_html(report: Report) -> str:
    """Follows the reader's light or dark theme; no script, no link, nothing to load."""
    context = {
        "report": report,
        "experiment": report.experiment,
        "source": sources.what(report.experiment.source),
        "styles": mark_safe("\n".join(_style(name) for name in STYLES)),
        "standalone": True,
    }
    return render_to_string("quant/export.html", context)


def _style(name: str) -> str:
    found = finders.find(name)
    assert isinstance(found, str), f"{name} is missing"
    return Path(found).read_text(encoding="utf-8")
