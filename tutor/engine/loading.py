"""The engine's models, as the settings name them and as the machine can carry them."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from quant.embedder import NAME, Embedder
from quant.llama import Context, Model, default_threads
from quant.registry import path_of
from tutor.engine.chat import Template
from tutor.engine.scheduler import SLICE, Scheduler
from tutor.engine.server import Models
from tutor.matching import Matcher

N_PARALLEL = 16  # requests at work at once; more wait in line
N_PINS = 8  # lessons in the context at once
CELLS = 16_384  # about seven lessons' worth, or one and sixteen long conversations


@dataclass(frozen=True)
class Setup:
    """What to load. n_ctx: cells shared by all; pins: folder for lessons' states."""

    chat: str
    n_ctx: int = CELLS
    n_threads: int = 0  # 0: one for each core that this process may use
    pins: Path | None = None


def setup() -> Setup:
    return Setup(
        chat=settings.TUTOR_MODEL,
        n_threads=int(os.environ.get("OPENBOOK_THREADS") or 0),
        pins=settings.DATA_DIR / "pins",
    )


def load(wanted: Setup) -> Models:
    """Load both models and start the scheduler. Takes seconds."""
    threads = wanted.n_threads or default_threads()
    path = path_of(wanted.chat)
    model = Model(path)
    context = Context(
        model,
        n_ctx=wanted.n_ctx,
        n_seq_max=N_PARALLEL + N_PINS,
        kv_unified=True,
        n_batch=SLICE + N_PARALLEL,
        n_ubatch=SLICE,
        n_outputs=N_PARALLEL + N_PINS,  # llama.cpp wants one for each sequence
        n_threads=threads,
    )
    template = Template(model)
    stat = path.stat()
    made_of = (path.name, stat.st_size, stat.st_mtime_ns, template.source, context.n_ctx)
    fingerprint = sha256(repr(made_of).encode()).hexdigest()
    embedder = Embedder(path_of(NAME), n_threads=1)  # for one sentence more would only wait
    scheduler = Scheduler(context, wanted.pins, n_parallel=N_PARALLEL, fingerprint=fingerprint)
    scheduler.start()
    match = Matcher(embedder.token_vectors).match
    return Models(scheduler, template, wanted.chat, embedder.embed, match, NAME)
