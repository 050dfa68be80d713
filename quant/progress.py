"""How far an experiment is, and how long it will still take."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from quant import lab
from quant.models import Experiment, State, Step


@dataclass(frozen=True)
class Progress:
    """An experiment under way."""

    steps: list[Step]
    step: Step | None  # at work now
    ahead: int  # experiments before it in the queue
    seconds_left: float | None  # None: no rate is known yet
    trouble: str  # why nothing goes on

    @property
    def finished(self) -> int:
        return sum(step.state == State.DONE for step in self.steps)

    @property
    def share(self) -> float:
        """0 to 1, every step counted the same."""
        part = self.step.done / self.step.total if self.step and self.step.total else 0.0
        return (self.finished + part) / max(len(self.steps), 1)

    @property
    def plan(self) -> dict[str, list[Step]]:
        """The steps of each variant."""
        grouped: dict[str, list[Step]] = {}
        for step in self.steps:
            if step.type:
                grouped.setdefault(step.type, []).append(step)
        return grouped


def progress(experiment: Experiment) -> Progress:
    now = timezone.now()
    steps = list(experiment.steps.defer("log", "result"))
    held = experiment.lease_until is not None and experiment.lease_until > now
    at_work = [step for step in steps if step.state == State.RUNNING] if held else []
    return Progress(
        steps=steps,
        step=at_work[0] if at_work else None,
        ahead=_ahead(experiment),
        seconds_left=seconds_left(experiment, steps, now),
        trouble="" if held or experiment.ended else lab.trouble(),
    )


def _ahead(experiment: Experiment) -> int:
    if experiment.state != State.QUEUED:
        return 0
    before = Q(state=State.RUNNING) | Q(state=State.QUEUED, queued__lt=experiment.queued)
    return Experiment.objects.filter(before).count()


def seconds_left(experiment: Experiment, steps: list[Step], now: datetime) -> float | None:
    """From what the same kinds of step took here, else in earlier experiments on this source."""
    taken = _seconds_by_kind(steps)
    if {step.kind for step in steps} - set(taken):
        earlier = Step.objects.filter(experiment__source=experiment.source, state=State.DONE)
        taken = _seconds_by_kind(earlier.defer("log", "result").order_by("-pk")[:30]) | taken
    left = 0.0
    for step in steps:
        if step.state == State.DONE:
            continue
        usual = taken.get(step.kind)
        if step.state == State.RUNNING and step.started:
            spent = (now - step.started).total_seconds()
            share = step.done / step.total if step.total else 0.0
            if share > 0.1 or (share and usual is None):
                left += spent / share - spent
                continue
            usual = None if usual is None else max(usual - spent, 0.0)
        if usual is None:
            return None
        left += usual
    return left


def _seconds_by_kind(steps: Iterable[Step]) -> dict[str, float]:
    """Mean seconds of the finished steps of each kind."""
    taken: dict[str, list[float]] = {}
    for step in steps:
        if step.state == State.DONE and step.seconds is not None:
            taken.setdefault(step.kind, []).append(step.seconds)
    return {kind: sum(each) / len(each) for kind, each in taken.items()}
