"""What a worker does with an experiment: hold it by a lease, do its steps, keep the results."""

import logging
import os
import socket
import tempfile
import threading
import time
import uuid
from datetime import timedelta
from typing import IO, Any

from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from quant import child, lab
from quant import experiment as run
from quant.models import Experiment, State, Step, results

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
RENEW_SECONDS = 4.0
TICK = 0.25  # seconds between two looks for a stop
MAX_ATTEMPTS = 5
LOG_BYTES = 60_000


class Hold:
    """One worker's lease on one experiment.

    Everything is a compare-and-set on the holder's name: who lost the lease, by a stop or by
    being silent too long, can change nothing any more.
    """

    def __init__(self, pk: int) -> None:
        self.pk = pk
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._renewed = 0.0

    def _mine(self) -> QuerySet[Experiment]:
        return Experiment.objects.filter(pk=self.pk, state=State.RUNNING, holder=self.name)

    def take(self) -> bool:
        now = timezone.now()
        free = Q(state=State.QUEUED) | Q(state=State.RUNNING, lease_until__lt=now)
        return bool(
            Experiment.objects.filter(free, pk=self.pk).update(
                state=State.RUNNING,
                holder=self.name,
                lease_until=now + LEASE,
                started=Coalesce("started", now),
            )
        )

    def renew(self) -> bool:
        """Whether it is still ours; and if so, for another LEASE."""
        self._renewed = time.monotonic()
        return bool(self._mine().update(lease_until=timezone.now() + LEASE))

    def is_ours(self) -> bool:
        """The same, but writes only every few seconds."""
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            return self.renew()
        return self._mine().exists()

    def release(self, state: State, **changes: Any) -> bool:
        return bool(self._mine().update(state=state, holder="", lease_until=None, **changes))


def perform(pk: int, stopping: threading.Event) -> None:
    """Do what is left of an experiment, unless somebody else holds it or it has ended.

    `stopping` set means that this worker ends: the experiment goes back to the queue.
    """
    hold = Hold(pk)
    if stopping.is_set() or not hold.take():
        return
    experiment = Experiment.objects.get(pk=pk)
    try:
        while step := experiment.steps.exclude(state=State.DONE).first():
            _do(hold, lab.prepare(experiment), step, stopping)
        hold.release(State.DONE, finished=timezone.now())
    except run.StepFailed as failure:
        _fail(hold, str(failure))
    except OSError as failure:  # say, no room for the text
        _fail(hold, str(failure))
    except run.Cancelled:
        if hold.release(State.QUEUED):
            lab.nudge(experiment)
    except DatabaseError:
        raise  # whoever finds the lease expired tries again
    except Exception as failure:  # a mistake of ours: it would come again each time
        logger.exception("Experiment %s", pk)
        _fail(hold, f"{type(failure).__name__}: {failure}")
    lab.tidy(experiment)


def _do(hold: Hold, plan: run.Plan, step: Step, stopping: threading.Event) -> None:
    """One step. Raises Cancelled when the lease is lost or the worker ends, or StepFailed."""
    with transaction.atomic():
        if not hold.renew():
            raise run.Cancelled
        step.state, step.attempts, step.started = State.RUNNING, step.attempts + 1, timezone.now()
        step.done, step.total, step.detail, step.log = 0, 0, "", ""
        step.save()
    try:
        result = _result(hold, plan, step, stopping)
    except run.StepKilled:
        if step.attempts < MAX_ATTEMPTS:
            return  # the caller finds it again
        raise
    with transaction.atomic():
        if not hold.renew():
            raise run.Cancelled
        Step.objects.filter(pk=step.pk).update(
            state=State.DONE, finished=timezone.now(), result=result
        )


def _result(hold: Hold, plan: run.Plan, step: Step, stopping: threading.Event) -> dict[str, Any]:
    known = results(step.experiment.steps.all())
    with tempfile.TemporaryFile() as log, child.log_to(log):
        shown = _Shown(step, log)
        try:
            return run.run_step(
                plan,
                run.Step(step.key, step.title, step.unit),
                known,
                progress=shown.progress,
                cancelled=lambda: shown.is_time() and (stopping.is_set() or not hold.is_ours()),
            )
        finally:
            shown.write()


def _fail(hold: Hold, reason: str) -> None:
    now = timezone.now()
    with transaction.atomic():
        if hold.release(State.FAILED, error=reason, finished=now):
            at_work = Step.objects.filter(experiment=hold.pk, state=State.RUNNING)
            at_work.update(state=State.FAILED, finished=now)


class _Shown:
    """Carries a step's progress and log to the database, a few times a second at most."""

    def __init__(self, step: Step, log: IO[bytes]) -> None:
        self._row = Step.objects.filter(pk=step.pk)
        self._log = log
        self._logged = 0
        self._changes: dict[str, Any] = {}
        self._next = 0.0

    def progress(self, _key: str, done: int, total: int, detail: str) -> None:
        self._changes = {"done": done, "total": total, "detail": detail[:200]}

    def is_time(self) -> bool:
        """Every TICK: writes what is new, and says that it is time to look around."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + TICK
        self.write()
        return True

    def write(self) -> None:
        size = os.fstat(self._log.fileno()).st_size
        if size > self._logged:
            self._logged = size
            end = os.pread(self._log.fileno(), LOG_BYTES, max(0, size - LOG_BYTES))
            self._changes["log"] = end.decode("utf-8", "replace").replace("\0", "")
        if self._changes:
            self._row.update(**self._changes)
            self._changes = {}
