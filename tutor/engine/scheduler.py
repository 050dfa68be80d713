"""Many requests on one context: each step decodes one batch for all of them.

A step's batch holds the next token of every running request, then a slice of prompts. One thread
owns the context; others only hand in jobs, cancel them, and ask for work between two steps.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from quant.llama import Batch, Context
from tutor.engine.job import Failure, Job
from tutor.engine.pins import Pin, Shelf

logger = logging.getLogger(__name__)
T = TypeVar("T")

SLICE = 512  # prompt tokens in a step while nobody waits for a next token
SHORT_SLICE = 128  # ... and while somebody does
IDLE_PINS = 1  # unused lessons left in the context, of those that no file brings back
SHARE = 4  # a named user may take one place in so many of the line


class Full(RuntimeError):
    """The queue is full or closed: try again later."""


class Turn:
    """A lock given in the order in which it was asked for.

    While one model takes over from another both have requests. Each of llama.cpp's steps wants
    every core; two at once would wait for each other, spinning.
    """

    def __init__(self) -> None:
        self._door, self._room = threading.Lock(), threading.Lock()

    def __enter__(self) -> None:
        with self._door:  # who waits in it is next: who leaves the room can't slip in again
            self._room.acquire()

    def __exit__(self, *_: object) -> None:
        self._room.release()


class TooLong(ValueError):
    """The request can never fit into the context."""


class Scheduler:
    def __init__(
        self,
        context: Context,
        folder: Path | None = None,
        *,
        n_parallel: int = 16,
        n_waiting: int = 64,
        fingerprint: str = "",
        turn: AbstractContextManager | None = None,
    ) -> None:
        """The context's first n_parallel sequences are for jobs, the others for pins.

        turn: held during every step and errand, where other contexts share the processor.
        """
        self.context, self.model = context, context.model
        self.n_waiting = n_waiting
        self._turn = turn or nullcontext()
        self.shelf = Shelf(context, list(range(n_parallel, context.n_seq_max)), folder, fingerprint)
        self.running: list[Job] = []
        self._waiting: deque[Job] = deque()
        self._pin_of: dict[Job, Pin] = {}
        self._free = list(range(n_parallel))
        self._errands: deque[tuple[Callable, Future]] = deque()
        self._batch = Batch(min(context.n_batch, SLICE + n_parallel))
        self._wake = threading.Condition()
        self._closing = self._ended = False
        self._thread = threading.Thread(target=self._loop, name="scheduler", daemon=True)

    # ---- from any thread

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job. Its events arrive through job.emit, on the scheduler's thread."""
        limit = min(self.context.n_ctx, self.model.n_ctx_train)
        if job.length > limit:
            raise TooLong(
                f"{len(job.prefix) + len(job.rest)} tokens of text and {job.max_tokens} of answer "
                f"are more than this context of {limit} holds"
            )
        with self._wake:
            if self._closing:
                raise Full("the tutor is about to restart; please try again in a moment")
            if len(self._waiting) >= self.n_waiting:
                raise Full("too many questions at once; please try again in a moment")
            mine = sum(job.user == other.user for other in self._waiting) if job.user else 0
            if mine and mine >= self.n_waiting // SHARE:
                raise Full("too many questions of yours at once; please wait for an answer")
            self._waiting.append(job)
            self._wake.notify()

    def cancel(self, job: Job) -> None:
        """Free what the job holds before the next step."""
        with self._wake:
            job.cancelled = True
            self._wake.notify()

    def between_steps(self, errand: Callable[[], T]) -> Future[T]:
        """Run something on the scheduler's thread (its cores are taken while a step runs)."""
        future: Future[T] = Future()
        with self._wake:
            if self._ended:
                raise Full("the engine is shutting down")
            self._errands.append((errand, future))
            self._wake.notify()
        return future

    def close(self) -> None:
        """Take no more jobs."""
        with self._wake:
            self._closing = True

    @property
    def is_busy(self) -> bool:
        return bool(self.running or self._waiting)

    def stop(self, patience: float = 10.0) -> None:
        """Take no more jobs, finish those that there are for `patience` seconds, then end."""
        self.close()
        deadline = time.monotonic() + patience
        while self.is_busy and time.monotonic() < deadline:
            time.sleep(0.02)
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join()

    @property
    def load(self) -> dict[str, int]:
        return {
            "running": len(self.running),
            "generating": sum(job.is_generating for job in list(self.running)),
            "waiting": len(self._waiting),
            "cells": self._cells_promised(),
            "n_ctx": self.context.n_ctx,
            "pins": len(self.shelf.pins),
        }

    # ---- on the scheduler's thread

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not (self._has_work() or self._ended):
                    if self.shelf.save():
                        continue
                    self._wake.wait()
                if self._ended:
                    break
                errands, self._errands = list(self._errands), deque()
            try:
                with self._turn:
                    for errand, future in errands:
                        _run(errand, future)
                    self.step()
            except Exception as error:  # whatever it is: without this thread nothing answers
                logger.exception("a step failed; its requests end, the engine goes on")
                self._fail_all(str(error))
        self._fail_all("the engine is shutting down")

    def _has_work(self) -> bool:
        return bool(self._errands or self.running or self._waiting)

    def step(self) -> None:
        """Decode one batch."""
        self._drop_cancelled()
        self._admit()
        if not self.running:
            return  # an unused lesson costs nothing now, and may be the next that is asked about
        self.shelf.trim(IDLE_PINS)
        for job, row in self._run_batch():
            self._advance(job, row)
        if all(job.is_generating for job in self.running):
            self.shelf.save()

    def _drop_cancelled(self) -> None:
        for job in [job for job in self.running if job.cancelled]:
            self._finish(job, "cancelled")
        with self._wake:
            gone = [job for job in self._waiting if job.cancelled]
            for job in gone:
                self._waiting.remove(job)
        for job in gone:
            job.end("cancelled")

    def _admit(self) -> None:
        """Start waiting jobs while there are sequences and cells, fairly: whoever runs least."""
        while self._free:
            with self._wake:
                if not self._waiting:
                    return
                users = [job.user for job in self.running]
                job = min(self._waiting, key=lambda job: (users.count(job.user), job.arrived))
            if not self._make_room(job):
                return  # it stays first in line
            with self._wake:
                self._waiting.remove(job)
            self._begin(job)

    def _make_room(self, job: Job) -> bool:
        """Whether the job's cells are free, unused pins given up where that helps."""
        has_pin = job.prefix in self.shelf.pins
        while True:
            need = job.cells + (0 if has_pin else len(job.prefix))
            if self._cells_promised() + need <= self.context.n_ctx:
                return True
            if not self.shelf.evict(but=job.prefix):
                return False

    def _cells_promised(self) -> int:
        return self.shelf.cells + sum(job.cells for job in self.running)

    def _begin(self, job: Job) -> None:
        job.seq = self._free.pop()
        job.sampler = job.sampling.sampler(self.model)
        self.running.append(job)
        pin = self.shelf.open(job.prefix) if job.prefix else None
        if pin:
            self._pin_of[job] = pin
            job.cached = pin.fed
            self._share(pin, [job])
        else:  # no system message, or more lessons at once than places: works without sharing
            job.prefix, job.rest = (), job.prefix + job.rest

    def _share(self, pin: Pin, jobs: list[Job]) -> None:
        if pin.is_ready:
            for job in jobs:
                self.context.seq_cp(pin.seq, job.seq)

    def _run_batch(self) -> list[tuple[Job, int]]:
        """Decode next tokens and a slice of prompts; returns whose logits stand in which row."""
        batch = self._batch
        batch.clear()
        rows = []
        for job in self.running:
            if job.next_token is not None:
                position = len(job.prefix) + len(job.rest) + job.made - 1
                rows.append((job, batch.add([job.next_token], position, job.seq, n_logits=1)))
        end = min(batch.capacity, len(batch) + (SHORT_SLICE if rows else SLICE))
        pieces = []
        for pin in self.shelf.pins.values():
            part = pin.tokens[pin.fed : pin.fed + end - len(batch)]
            if pin.users and part:
                batch.add(part, pin.fed, pin.seq)
                pieces.append((pin, len(part)))
        for job in self.running:
            part = job.rest[job.fed : job.fed + end - len(batch)]
            own = self._pin_of.get(job)
            if part and (own is None or own.is_ready):
                is_last = job.fed + len(part) == len(job.rest)
                row = batch.add(part, len(job.prefix) + job.fed, job.seq, n_logits=int(is_last))
                job.fed += len(part)
                if is_last:
                    rows.append((job, row))
        self.context.decode(batch)
        for pin, count in pieces:
            pin.fed += count
            self._share(pin, [job for job in self.running if self._pin_of.get(job) is pin])
        return rows

    def _advance(self, job: Job, row: int) -> None:
        """Choose the job's next token, and hand its text out."""
        assert job.sampler
        token = job.sampler.sample(self.context, row)
        if self.model.is_eog(token) and not job.sampling.ignore_eos:
            self._finish(job, "stop")
            return
        job.next_token = token
        job.made += 1
        stopped = job.take(self.model.piece(token))
        if stopped or job.made >= job.max_tokens:
            self._finish(job, stopped or "length")

    def _finish(self, job: Job, reason: str) -> None:
        self._release(job)
        job.end(reason)

    def _release(self, job: Job) -> None:
        self.running.remove(job)
        self.context.seq_rm(job.seq)
        self._free.append(job.seq)
        if job.sampler:
            job.sampler.close()
        pin = self._pin_of.pop(job, None)
        if pin:
            pin.users -= 1

    def _fail_all(self, message: str) -> None:
        """End every request with an error and begin with an empty context."""
        for job in list(self.running):
            self._release(job)
            job.emit(Failure(message))
        with self._wake:
            waiting, self._waiting = list(self._waiting), deque()
        for job in waiting:
            job.emit(Failure(message))
        for pin in list(self.shelf.pins.values()):
            self.shelf.drop(pin)
        self.context.clear()


def _run(errand: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(errand())
    except Exception as error:
        future.set_exception(error)
