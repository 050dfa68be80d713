from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quant.llama import Context, Model
from tests.quant.conftest import real, write_tiny_model
from tutor.engine.scheduler import Scheduler

__all__ = ["real"]  # a fixture of the models' tests, for ours


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A model of random weights: it makes no sense, quickly."""
    path = write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny-F32.gguf")
    with Model(path) as model:
        yield model


MakeScheduler = Callable[..., Scheduler]


@pytest.fixture
def make_scheduler(tiny: Model) -> Iterator[MakeScheduler]:
    """Schedulers whose steps the test takes itself."""
    contexts = []

    def make(
        folder: Path | None = None, n_ctx: int = 256, n_parallel: int = 4, **options: int
    ) -> Scheduler:
        context = Context(
            tiny, n_ctx=n_ctx, n_seq_max=n_parallel + 2, kv_unified=True, n_batch=64, n_threads=1
        )
        contexts.append(context)
        return Scheduler(context, folder, n_parallel=n_parallel, fingerprint="t", **options)

    yield make
    for context in contexts:
        context.close()
