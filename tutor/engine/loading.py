"""The engine's models, as the settings name them and as the machine can carry them."""

import logging
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from jinja2 import TemplateError

from quant.embedder import NAME
from quant.llama import Context, LlamaError, Model, default_threads
from quant.registry import StoreError, path_of
from tutor import model_choice
from tutor.engine.chat import Template
from tutor.engine.scheduler import SLICE, Scheduler, Turn
from tutor.engine.server import CannotSwitch, Models
from tutor.reader import LocalReader

logger = logging.getLogger(__name__)

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


class Loader:
    """Loads the embedder once, and chat models one after another (server.Switch)."""

    def __init__(self, wanted: Setup) -> None:
        self.wanted = wanted
        self._turn = Turn()

    def start(self) -> Models:
        """Both models: the chosen chat model or, where it can't be used, the usual one."""
        self._reader = LocalReader()
        chosen = model_choice.read()
        if chosen:
            try:
                return self.load(chosen.model)
            except CannotSwitch as error:
                logger.warning("the usual model answers: %s", error)
                model_choice.write(model_choice.Choice(chosen.model, str(error)))
        return self.load(None)

    def fits(self, wanted: str | None) -> bool:
        return 1.2 * self._path(wanted).stat().st_size < available_bytes()

    def keep(self, wanted: str | None) -> None:
        model_choice.write(model_choice.Choice(wanted) if wanted else None)

    def load(self, wanted: str | None) -> Models:
        """The chat model at a path (None: the usual one), its scheduler started."""
        path = self._path(wanted)
        try:
            context = self._context(Model(path))
            if not context.generates:
                raise CannotSwitch(f"{path.name} is an embedder and can't chat")
            template = Template(context.model)
            template.prompt([{"role": "user", "content": "Hello"}])
        except (LlamaError, TemplateError) as error:
            raise CannotSwitch(f"{path.name} can't be used: {error}") from error
        stat = path.stat()
        made_of = (path.name, stat.st_size, stat.st_mtime_ns, template.source, context.n_ctx)
        scheduler = Scheduler(
            context,
            self.wanted.pins,
            n_parallel=N_PARALLEL,
            fingerprint=sha256(repr(made_of).encode()).hexdigest(),
            turn=self._turn,
        )
        scheduler.start()
        name = Path(wanted).stem if wanted else self.wanted.chat
        return Models(scheduler, template, name, str(path), self._reader, NAME)

    def _path(self, wanted: str | None) -> Path:
        try:
            return path_of(wanted or self.wanted.chat)
        except StoreError as error:
            raise CannotSwitch(str(error)) from error

    def _context(self, model: Model) -> Context:
        return Context(
            model,
            n_ctx=self.wanted.n_ctx,
            n_seq_max=N_PARALLEL + N_PINS,
            kv_unified=True,
            n_batch=SLICE + N_PARALLEL,
            n_ubatch=SLICE,
            n_outputs=N_PARALLEL + N_PINS,  # llama.cpp wants one for each sequence
            n_threads=self.wanted.n_threads or default_threads(),
        )


def available_bytes() -> int:
    """Memory that may be taken without driving anything else out."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
