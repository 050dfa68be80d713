"""A worker's lease on an experiment, and what happens to who has lost it."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from quant import experiment as run
from quant import work
from quant.models import Experiment, State, Step
from quant.work import LEASE, Hold


@pytest.fixture
def experiment(either_database) -> Experiment:
    return Experiment.objects.create(title="t", text_name="t", text="t", queued=timezone.now())


@pytest.fixture
def step(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Step:
    """Its only one; the files that a worker writes are left out."""
    monkeypatch.setattr(work.lab, "prepare", lambda experiment: None)
    monkeypatch.setattr(work.lab, "tidy", lambda experiment: None)
    return Step.objects.create(experiment=experiment, position=0, key="source", title="s", unit="u")


def expire(experiment: Experiment) -> None:
    Experiment.objects.filter(pk=experiment.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


def test_only_one_worker_holds_an_experiment(experiment: Experiment):
    first, second = Hold(experiment.pk), Hold(experiment.pk)
    assert first.take()
    assert not second.take()
    assert not second.renew()
    assert first.release(State.DONE)
    assert not second.take()


def test_an_expired_lease_is_taken_up_and_who_lost_it_can_change_nothing(experiment: Experiment):
    silent, other = Hold(experiment.pk), Hold(experiment.pk)
    assert silent.take()
    expire(experiment)
    assert other.take()
    assert not silent.renew()
    assert not silent.is_ours()
    assert not silent.release(State.FAILED, error="too late")
    experiment.refresh_from_db()
    assert (experiment.state, experiment.holder, experiment.error) == ("running", other.name, "")


def test_a_stopped_experiment_is_nobodys(experiment: Experiment):
    hold = Hold(experiment.pk)
    assert hold.take()
    Experiment.objects.filter(pk=experiment.pk).update(state=State.CANCELLED, holder="")
    assert not hold.is_ours()
    assert not hold.release(State.DONE)


def test_a_lease_is_renewed_during_a_long_step(
    experiment: Experiment, step: Step, monkeypatch: pytest.MonkeyPatch
):
    """Stands in for a step: one that asks for hours of its own clock whether to go on."""
    clock = [1000.0]
    leases = []

    def long_step(*_: Any, cancelled: Any, **__: Any) -> dict[str, Any]:
        for _ in range(50):
            clock[0] += work.RENEW_SECONDS / 2
            expire(experiment)
            assert not cancelled()
            leases.append(Experiment.objects.get(pk=experiment.pk).lease_until > timezone.now())
        return {"figures": 1}

    monkeypatch.setattr(work.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(run, "run_step", long_step)
    work.perform(experiment.pk, threading.Event())
    assert leases.count(True) >= 15  # every second look or so; never later than RENEW_SECONDS
    assert LEASE.total_seconds() > work.RENEW_SECONDS * 3
    experiment.refresh_from_db()
    assert experiment.state == "done"
    assert experiment.steps.get().result == {"figures": 1}


def test_a_mistake_of_ours_ends_the_experiment_with_its_reason(
    experiment: Experiment, step: Step, monkeypatch: pytest.MonkeyPatch
):
    """Not the worker, and not in another try every few seconds for ever."""

    def broken(*_: Any, **__: Any) -> dict[str, Any]:
        raise KeyError("windows")

    monkeypatch.setattr(run, "run_step", broken)
    work.perform(experiment.pk, threading.Event())
    experiment.refresh_from_db()
    assert (experiment.state, experiment.error) == ("failed", "KeyError: 'windows'")


def test_a_database_that_fails_for_a_moment_ends_nothing(
    experiment: Experiment, step: Step, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: Any, **__: Any) -> dict[str, Any]:
        raise OperationalError("database is locked")

    monkeypatch.setattr(run, "run_step", away)
    with pytest.raises(OperationalError):
        work.perform(experiment.pk, threading.Event())
    experiment.refresh_from_db()
    assert (experiment.state, experiment.error) == ("running", "")
