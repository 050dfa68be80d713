from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from lessons import loader
from lessons.embeddings import meaning
from lessons.models import Lesson, Passage
from quant.llama import Context, Model
from tests.quant.conftest import real, write_tiny_model
from tutor import index
from tutor.answer import Reader
from tutor.engine.scheduler import Scheduler
from tutor.reader import LocalReader

__all__ = ["real"]  # a fixture of the models' tests, for ours


@pytest.fixture(scope="session")
def reader(real: Callable[[str], Path]) -> Reader:
    """The tutor's embedder in this process."""
    return LocalReader(real("all-minilm-l6-v2-F32.gguf"))


@pytest.fixture(scope="session")
def vector_of() -> dict[str, bytes]:
    """Vectors of texts that were embedded before: all lessons take a quarter of a minute."""
    return {}


@pytest.fixture(scope="module")
def embedded_lessons(
    django_db_setup, django_db_blocker, reader: Reader, vector_of: dict[str, bytes]
) -> Iterator[None]:
    """The site's lessons with their vectors, for all tests of a module."""
    with django_db_blocker.unblock():
        loader.load(settings.LESSONS_DIR, embed=False)
        rows = {row: meaning(row.kind, row.text, row.context) for row in Passage.objects.all()}
        if new := sorted(set(rows.values()) - set(vector_of)):
            vectors = reader.embed(new).astype("<f4")
            vector_of |= {text: vector.tobytes() for text, vector in zip(new, vectors, strict=True)}
        for row, text in rows.items():
            row.embedding = vector_of[text]
        Passage.objects.bulk_update(rows, ["embedding"], batch_size=100)
        index._kept.clear()
        yield
        Lesson.objects.all().delete()
        index._kept.clear()


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
