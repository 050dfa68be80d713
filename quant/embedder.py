"""Sentence embeddings in this process: for loading lessons and for the engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quant.llama import Batch, Context, Model
from quant.registry import path_of

NAME = "all-minilm-l6-v2"


class Embedder:
    """A BERT-like embedder. One thread at a time.

    Texts longer than the model's context (512 tokens) are cut off there. adapter: as llama.Context.
    """

    MAX_SEQUENCES = 64

    def __init__(
        self, path: Path, *, n_threads: int | None = None, adapter: Path | None = None
    ) -> None:
        self.model = Model(path)
        self._n_threads = n_threads
        size = self.model.n_ctx_train
        self.context = Context(
            self.model,
            n_ctx=size,
            n_batch=size,
            n_ubatch=size,
            n_seq_max=self.MAX_SEQUENCES,
            kv_unified=True,
            n_threads=n_threads,
            embedding=True,
            adapter=adapter,
        )

    @property
    def dimensions(self) -> int:
        return self.model.n_embd

    def tokenize(self, text: str) -> list[int]:
        """[CLS] ... [SEP], at most as many tokens as the context holds."""
        tokens = self.model.tokenize(text, add_special=True)
        limit = self.context.n_batch
        return tokens if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), dimensions) float32, each row of length 1."""
        result = np.zeros((len(texts), self.dimensions), np.float32)
        batch = Batch(self.context.n_batch)
        rows: list[int] = []  # the batch's sequences, as rows of the result
        for row, tokens in enumerate(map(self.tokenize, texts)):
            if len(batch) + len(tokens) > batch.capacity or len(rows) == self.MAX_SEQUENCES:
                self._run(batch, rows, result)
            batch.add(tokens, 0, seq=len(rows), n_logits=len(tokens))
            rows.append(row)
        if rows:
            self._run(batch, rows, result)
        return result

    def _run(self, batch: Batch, rows: list[int], result: NDArray[np.float32]) -> None:
        self.context.decode(batch)
        for seq, row in enumerate(rows):
            vector = self.context.embeddings(seq)
            result[row] = vector / max(float(np.linalg.norm(vector)), 1e-12)
        batch.clear()
        rows.clear()

    def close(self) -> None:
        self.model.close()


@cache
def _loaded() -> Embedder:
    return Embedder(path_of(NAME))


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, 384) float32, L2-normalised. Loads the model at the first call, once."""
    return _loaded().embed(texts)
