"""What the workers do: `celery -A config worker -P threads -c 1`."""

import logging
import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutting_down
from django.db import close_old_connections

from quant import lab, work

logger = logging.getLogger(__name__)

WATCH_SECONDS = 5.0
_stopping = threading.Event()
_watcher = threading.Thread(name="watch", daemon=True, target=lambda: _watch())


@shared_task(name="quant.run_experiment")
def run_experiment(pk: int) -> None:
    work.perform(pk, _stopping)


def _watch() -> None:
    """Say that a worker is here, and look for work whose message or worker was lost."""
    while True:
        try:
            lab.announce_worker()
            lab.recover()
            lab.sweep()
        except Exception as error:
            logger.warning("Looking for lost work: %s", error)
        finally:
            close_old_connections()
        if _stopping.wait(WATCH_SECONDS):
            return


@worker_ready.connect
def _start_watching(**_: Any) -> None:
    if not _watcher.is_alive():  # ready comes again after each loss of Redis
        _watcher.start()


@worker_shutting_down.connect
def _end_the_child(**_: Any) -> None:
    _stopping.set()
