"""Whether a passage answers a question, judged by a model that reads both at once.

An embedder turns a question and a passage into vectors apart, so it sees that both are about the
same thing, and hardly whether one answers the other. A cross-encoder reads the pair as one text.
Here it is the embedder itself with an adapter: low-rank changes to its matrices (LoRA), and a
linear head on the mean vectors of the question's and the passage's tokens and on [CLS].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from quant.embedder import Embedder
from quant.llama import Batch, Context

HEAD = "cross_encoder.head"  # metadata of the adapter's file: 3 × dimensions weights, then the bias
QUESTION = 64  # tokens of a question that are read
PAIR = 160  # tokens of a pair that are read


class CrossEncoder:
    """One thread at a time, like the embedder whose weights it shares."""

    def __init__(self, embedder: Embedder, adapter: Path, *, n_threads: int | None = None) -> None:
        self._embedder = embedder
        size = embedder.model.n_ctx_train
        self._context = Context(
            embedder.model,
            n_ctx=size,
            n_batch=size,
            n_ubatch=size,
            n_seq_max=size // 8,
            kv_unified=True,
            n_threads=n_threads,
            embedding=True,
            pooling="none",
            adapter=adapter,
        )
        head = read_head(adapter)
        self._weights, self._bias = head[:-1].reshape(3, -1), float(head[-1])

    def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float64]:
        """(n,) how surely each passage answers the question: log-odds against "none does"."""
        asked = self._embedder.tokenize(question)[1:-1][:QUESTION]
        cls, *_, sep = self._embedder.tokenize("")
        found = np.zeros(len(passages))
        batch, rows = Batch(self._context.n_batch), list[tuple[int, int]]()
        for row, passage in enumerate(passages):
            read = self._embedder.tokenize(passage)[1:-1][: PAIR - len(asked) - 3]
            pair = [cls, *asked, sep, *read, sep]
            if len(batch) + len(pair) > batch.capacity or len(rows) == self._context.n_seq_max:
                self._run(batch, rows, len(asked), found)
            batch.add(pair, 0, seq=len(rows), n_logits=len(pair))
            rows.append((row, len(pair)))
        if rows:
            self._run(batch, rows, len(asked), found)
        return found

    def _run(
        self, batch: Batch, rows: list[tuple[int, int]], asked: int, found: NDArray[np.float64]
    ) -> None:
        self._context.decode(batch)
        begin = 0
        for row, length in rows:
            vectors = np.array([self._context.token_embedding(begin + i) for i in range(length)])
            parts = vectors[:1], vectors[1 : 1 + asked], vectors[2 + asked : -1]
            means = np.stack([p.mean(0) if len(p) else np.zeros_like(vectors[0]) for p in parts])
            found[row] = float((means * self._weights).sum()) + self._bias
            begin += length
        batch.clear()
        rows.clear()


def read_head(adapter: Path) -> NDArray[np.float32]:
    """(3 × dimensions + 1,) the head in an adapter's metadata. ValueError where there is none."""
    field = gguf.GGUFReader(adapter).get_field(HEAD)
    if field is None:
        raise ValueError(f"{adapter.name} has no {HEAD}")
    return np.array([field.parts[i][0] for i in field.data], np.float32)
