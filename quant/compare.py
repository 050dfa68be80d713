"""Two finished experiments side by side: their variants, what differs, what may not be compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from quant import lab, variants
from quant.calibration import DEFAULT_TEXT
from quant.model_file import sha256
from quant.models import Experiment, State
from quant.report import Report


class CannotCompare(ValueError):
    """The message says what to choose instead."""


@dataclass(frozen=True)
class Difference:
    """A setting that the two don't share, as each has it."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Comparison:
    a: Report
    b: Report

    @property
    def reports(self) -> tuple[Report, Report]:
        return self.a, self.b

    @property
    def has_tasks(self) -> bool:
        return any(report.scored for report in self.reports)

    @property
    def has_speed(self) -> bool:
        return any(report.has_speed for report in self.reports)

    @property
    def columns(self) -> int:
        """Of the table of figures."""
        return 9 if self.a.plan.embedder else 6 + self.has_tasks + 2 * self.has_speed

    @cached_property
    def source_trouble(self) -> str:
        """Why the two did not surely start from the same file; empty if they did."""
        return _source_trouble(self.a, self.b)

    @cached_property
    def warnings(self) -> list[str]:
        """Why figures of the one can't be held directly against figures of the other."""
        found = [self.source_trouble]
        if not _same_text(self.a.experiment, self.b.experiment):
            found.append(
                "They were measured on different texts: perplexity, KL divergence and the same "
                "next token depend on the text."
            )
        elif not self.a.plan.embedder and _stretch(self.a) != _stretch(self.b):
            found.append(
                "They were measured on different stretches of the text: the windows differ in "
                "length or number."
            )
        if self.has_tasks and self.a.plan.tasks != self.b.plan.tasks:
            found.append("They were asked different questions: right answers can’t be compared.")
        if self.a.plan.embedder and self.a.plan.prompts != self.b.plan.prompts:
            found.append("They searched for different questions.")
        return [warning for warning in found if warning]

    @cached_property
    def differences(self) -> list[Difference]:
        a, b = self.reports
        found = []
        if self.source_trouble:
            found.append(Difference("Source", *(report.plan.name for report in self.reports)))
        if not _same_text(a.experiment, b.experiment):
            found.append(Difference("Text to measure with", *(_text(r) for r in self.reports)))
        for name, shown in SETTINGS.items():
            if shown(a) != shown(b):
                found.append(Difference(name, shown(a), shown(b)))
        lists: dict[str, tuple[Sequence[object], Sequence[object]]] = {
            "Prompts": (a.plan.prompts, b.plan.prompts),
            "Questions with answers": (a.plan.tasks, b.plan.tasks),
        }
        for name, (its, other) in lists.items():
            if its != other:
                found.append(Difference(name, _own(its, other), _own(other, its)))
        return found


def comparison(a: str, b: str) -> Comparison:
    """Of two experiments by their numbers, as a reader typed them. Raises CannotCompare."""
    first, second = (_finished(number) for number in (a, b))
    if first.pk == second.pk:
        raise CannotCompare("Choose two different experiments.")
    made = Comparison(Report(first), Report(second))
    if made.a.plan.embedder != made.b.plan.embedder:
        raise CannotCompare(
            "One of them is about an embedder, the other about a chat model: they have no figures "
            "in common."
        )
    return made


def _finished(number: str) -> Experiment:
    if not number:
        raise CannotCompare("Choose two finished experiments.")
    usable = number.isascii() and number.isdecimal() and len(number) < 10
    found = Experiment.objects.filter(pk=int(number)).first() if usable else None
    if found is None:
        raise CannotCompare(f"There is no experiment {number[:20]}.")
    if found.state != State.DONE:
        raise CannotCompare(
            f"Experiment {found.pk} is not finished ({found.get_state_display()}): compare it once "
            "it is done."
        )
    return found


def _source_trouble(a: Report, b: Report) -> str:
    for report in (a, b):
        if not report.source_sha256:
            return (
                "Whether they started from the same model can’t be told: experiment "
                f"{report.experiment.pk} was made before the hash of the source was kept."
            )
    if a.source_sha256 == b.source_sha256:
        return ""
    return "They started from different models: a figure of one says nothing about the other."


def _same_text(a: Experiment, b: Experiment) -> bool:
    """A text is kept only as far as its windows can reach: one may be the other's beginning."""
    if a.text == b.text:
        return True
    short, long = sorted((a, b), key=lambda one: len(one.text))
    is_cut = len(short.text) == short.plan["windows"] * lab.WINDOW * lab.CHARACTERS
    return is_cut and long.text.startswith(short.text)


def _stretch(report: Report) -> tuple[int, int]:
    figures = report.measured.figures if report.measured else {}
    return figures.get("n_ctx", 0), figures.get("windows", 0)


def _text(report: Report) -> str:
    experiment = report.experiment
    return f"{experiment.text_name}, {len(experiment.text):,} characters"


def _own(items: Sequence[object], others: Sequence[object]) -> str:
    """How many there are, and how many of them the other experiment hasn't."""
    only = sum(item not in others for item in items)
    return f"{len(items)}, {only} of them only here" if items else "none"


def _n_ctx(report: Report) -> str:
    return str(report.plan.n_ctx)


def _windows(report: Report) -> str:
    return str(_stretch(report)[1] or "none")


def _pure(report: Report) -> str:
    return "yes" if report.plan.pure else "no"


def _imatrix(report: Report) -> str:
    """Whose text the inputs came from that methods and importance matrix go by."""
    if not variants.need_inputs(report.plan.types):
        return "not used"
    path = Path(report.plan.calibration)
    if path == DEFAULT_TEXT:
        return "from our sample text"
    if not path.is_file():
        return f"from {path.name} of experiment {report.experiment.pk}, which is gone"
    return f"from your own sample text ({sha256(path)[:8]})"


SETTINGS: dict[str, Callable[[Report], str]] = {
    "Window, n_ctx": _n_ctx,
    "Windows": _windows,
    "Pure types": _pure,
    "Importance matrix and methods’ inputs": _imatrix,
}
