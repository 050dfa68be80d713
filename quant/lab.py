"""Experiments as the learner starts, stops and keeps them.

The database is the queue. A Celery message only tells some worker to look at an experiment, so
a lost message costs seconds and a repeated one nothing: `recover` sends what is missing.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import redis
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from quant import experiment as run
from quant.evals import Task
from quant.models import Experiment, State, Step
from quant.sources import header, title

logger = logging.getLogger(__name__)

ENDED = (State.DONE, State.FAILED, State.CANCELLED)
WINDOW = 512  # tokens, as llama.cpp's own tool has it
CHARACTERS = 16  # in a token, at most: a longer text has more windows than are asked for
NUDGE_AGAIN = timedelta(seconds=6)
SILENT = timedelta(seconds=30)  # long after a worker must have noticed a stop
PRESENT_KEY = "openbook:worker"
PRESENT_SECONDS = 15
REDIS_SECONDS = 1.0  # longer than that and Redis counts as down


def home() -> Path:
    return Path(settings.DATA_DIR) / "experiments"


def folder(experiment: Experiment) -> Path:
    """Where its model files are, and while it runs what it needs beside them."""
    return home() / str(experiment.pk)


def create(
    *,
    source: str,
    types: Sequence[str],
    prompts: Sequence[str] | None,
    text_name: str,
    text: str,
    sample: str = "",
    windows: int,
    limit: float,
    speed: bool,
    tasks: Sequence[Task] = (),
    pure: bool = False,
) -> Experiment:
    """A new experiment with all its steps, told to the workers. Raises PlanError.

    prompts: None for make_plan's own.
    sample: the text that methods gather inputs from; ours if empty.
    """
    with transaction.atomic():
        experiment = Experiment.objects.create(
            title=title(source),
            source=source,
            text_name=text_name,
            text=text[: windows * WINDOW * CHARACTERS],
            limit=limit,
            queued=timezone.now(),
        )
        sample_file = folder(experiment) / "sample.txt"
        try:
            text_file = _write_text(experiment)
            if sample:
                sample_file.write_text(sample, encoding="utf-8")
            plan = run.make_plan(
                source,
                types,
                prompts=prompts,
                text_file=str(text_file),
                calibration=str(sample_file) if sample else None,
                out=str(folder(experiment)),
                work=str(folder(experiment) / "work"),
                windows=windows,
                tasks=list(tasks),
                pure=pure,
                n_ctx=min(WINDOW, header(source).get("{arch}.context_length", WINDOW)),
            )
        except BaseException as error:
            shutil.rmtree(folder(experiment), ignore_errors=True)
            if isinstance(error, OSError):
                reason = f"the experiment's texts can't be written: {error.strerror}"
                raise run.PlanError(reason) from error
            raise
        experiment.plan = asdict(plan)
        experiment.save()
        Step.objects.bulk_create(
            Step(
                experiment=experiment,
                position=position,
                key=step.key,
                title=step.title,
                unit=step.unit,
            )
            for position, step in enumerate(run.steps(plan))
            if speed or not step.key.startswith("speed:")
        )
    nudge(experiment)
    return experiment


def plan_of(experiment: Experiment) -> run.Plan:
    return run.Plan(**experiment.plan)


def prepare(experiment: Experiment) -> run.Plan:
    """Its plan, with everything that a worker finds in files."""
    _write_text(experiment)
    return plan_of(experiment)


def _write_text(experiment: Experiment) -> Path:
    path = folder(experiment) / "text.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(experiment.text, encoding="utf-8")
        part.rename(path)
    return path


# Start and stop


def stop(experiment: Experiment) -> bool:
    """End it now; its worker notices within a moment. False if it had ended already."""
    with transaction.atomic():
        stopped = (
            Experiment.objects.filter(pk=experiment.pk)
            .exclude(state__in=ENDED)
            .update(state=State.CANCELLED, finished=timezone.now(), holder="", lease_until=None)
        )
        if stopped:
            experiment.steps.filter(state=State.RUNNING).update(state=State.CANCELLED)
    return bool(stopped)


def retry(experiment: Experiment) -> bool:
    """Go on where it failed or was stopped. False if it is under way or done."""
    with transaction.atomic():
        queued = Experiment.objects.filter(
            pk=experiment.pk, state__in=(State.FAILED, State.CANCELLED)
        ).update(state=State.QUEUED, error="", queued=timezone.now(), nudged=None, finished=None)
        if queued:
            experiment.steps.exclude(state=State.DONE).update(state=State.QUEUED, attempts=0)
    if queued:
        nudge(experiment)
    return bool(queued)


def delete(experiment: Experiment) -> bool:
    """The experiment, its report and its model files. False while it is under way."""
    with transaction.atomic():
        gone, _ = Experiment.objects.filter(pk=experiment.pk, state__in=ENDED).delete()
        if gone:
            shutil.rmtree(home() / str(experiment.pk), ignore_errors=True)
    return bool(gone)


def tidy(experiment: Experiment) -> None:
    """Remove what only a running experiment needs, if this one has ended."""
    with transaction.atomic():  # nobody takes it up again meanwhile
        if Experiment.objects.select_for_update().filter(pk=experiment.pk, state__in=ENDED):
            run.clean_up(plan_of(experiment))


# Telling the workers


def nudge(experiment: Experiment) -> bool:
    """Tell the workers of an experiment; at most once in a few seconds. False if it failed."""
    from quant.tasks import run_experiment

    now = timezone.now()
    due = Q(nudged=None) | Q(nudged__lt=now - NUDGE_AGAIN)
    if not Experiment.objects.filter(due, pk=experiment.pk).update(nudged=now):
        return True
    if not _redis_answers():
        return False
    try:
        run_experiment.apply_async((experiment.pk,), retry=False)
    except OperationalError as error:
        logger.warning("Redis did not take experiment %s: %s", experiment.pk, error)
        return False
    return True


def recover() -> None:
    """Nudge what waits without a worker: its message was lost, or its worker died."""
    now = timezone.now()
    running = Experiment.objects.filter(state=State.RUNNING)
    for experiment in running.filter(lease_until__lt=now):
        nudge(experiment)
    if not running.filter(lease_until__gte=now).exists():
        waiting = Experiment.objects.filter(state=State.QUEUED).order_by("queued").first()
        if waiting:
            nudge(waiting)


def sweep() -> None:
    """Tidy after workers that died together with the experiment they held."""
    left = [path.parent.name for path in home().glob("*/work")]
    long_ended = Q(state__in=ENDED, finished__lt=timezone.now() - SILENT)
    for experiment in Experiment.objects.filter(long_ended, pk__in=left):
        tidy(experiment)


def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )


def _redis_answers() -> bool:
    try:
        with _redis() as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def announce_worker() -> None:
    """A worker is here. Said every few seconds, forgotten soon after it stops."""
    with _redis() as client:
        client.set(PRESENT_KEY, "here", ex=PRESENT_SECONDS)


def trouble() -> str:
    """One line on why nothing goes on, or nothing."""
    try:
        with _redis() as client:
            present = client.exists(PRESENT_KEY)
    except redis.RedisError:
        return "Redis, which hands out the work, does not answer. Nothing is lost: it waits."
    return "" if present else "No worker is running. Nothing is lost: it waits for one."
