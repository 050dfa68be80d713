"""Passages as vectors, so that questions find them by meaning."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from lessons.models import Passage

BATCH = 256  # passages embedded and stored at a time: what an interruption can cost


class NoEmbedder(Exception):
    """The embedder cannot be used; says why."""


def meaning(kind: str, text: str, context: str) -> str:
    """What a passage says, with what it hangs on.

    >>> meaning("item", "Promise zero quality loss.", "What AI cannot do")
    'AI cannot promise zero quality loss.'
    """
    if kind == Passage.Kind.ROW:
        return context
    lowered = text[:1].lower() + text[1:] if text[1:2].islower() else text
    if context == "What AI cannot do":
        return f"AI cannot {lowered}"
    if context == "What AI does well here":
        return f"AI does this well: {lowered}"
    if context:
        return f"{context.rstrip(':')}: {text}"
    return text


def embed_missing(progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Embeds every passage that has no vector yet, in committed batches; how many that were.

    Raises NoEmbedder where the model is missing; what is done by then stays.
    """
    waiting = Passage.objects.filter(embedding__isnull=True)
    total = waiting.count()
    if not total:
        return 0
    try:
        from quant.embedder import embed
    except ImportError as error:
        raise NoEmbedder(str(error)) from error
    done = 0
    for batch in _batches(waiting.order_by("pk").iterator(chunk_size=BATCH)):
        try:
            vectors = embed([meaning(p.kind, p.text, p.context) for p in batch])
        except Exception as error:
            raise NoEmbedder(str(error) or type(error).__name__) from error
        for passage, vector in zip(batch, vectors, strict=True):
            passage.embedding = np.asarray(vector, dtype="<f4").tobytes()
        Passage.objects.bulk_update(batch, ["embedding"])
        done += len(batch)
        progress(done, total)
    return done


def _batches(passages: Iterable[Passage]) -> Iterator[list[Passage]]:
    rest = iter(passages)
    while batch := list(islice(rest, BATCH)):
        yield batch


def vector(data: bytes | memoryview | None) -> np.ndarray:
    """(384,) float32 out of Passage.embedding; empty where there is none yet."""
    return np.frombuffer(data or b"", dtype="<f4")
