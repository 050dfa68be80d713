"""What quantizing did to a sentence embedder: how far its vectors turned, and what it now finds.

The text is cut into passages, one sentence each. The reference's vectors of passages and
questions are kept in a file; a variant is compared with them by the cosine of each passage's
two vectors, and by the rank it gives to the passage that the reference finds first.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant.child import ChildProgress
from quant.embedder import Embedder

MAX_PASSAGES = 400
MIN_WORDS = 4  # a shorter one is a heading or a table's cell
AT_ONCE = 25
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")

Vectors = NDArray[np.float32]


class RetrievalError(ValueError):
    """It can't be measured; the message says what to do."""


def passages_of(text: str) -> list[str]:
    """The text's sentences in order, at most MAX_PASSAGES, without repetitions.

    >>> passages_of("One\\n\\nThis is one sentence. This is another one! Short.")
    ['This is one sentence.', 'This is another one!']
    """
    sentences = (sentence.strip() for sentence in _SENTENCE_END.split(text))
    kept = dict.fromkeys(s for s in sentences if len(s.split()) >= MIN_WORDS)
    return list(kept)[:MAX_PASSAGES]


def search(
    model: str,
    text_file: str,
    questions: list[str],
    n_threads: int,
    progress: ChildProgress,
    *,
    store: str,
    is_reference: bool,
) -> dict[str, Any]:
    """Embed passages and questions; keep the vectors in `store`, or compare with those there."""
    passages = passages_of(Path(text_file).read_text(encoding="utf-8"))
    if len(passages) < 2:
        raise RetrievalError("the text has fewer than two sentences: take a longer one")
    embedder = Embedder(Path(model), n_threads=n_threads)
    n_tokens = sum(len(embedder.tokenize(passage)) for passage in passages)
    began = time.perf_counter()
    pieces = []
    for done in range(0, len(passages), AT_ONCE):
        progress(done, len(passages), passages[done])
        pieces.append(embedder.embed(passages[done : done + AT_ONCE]))
    seconds = time.perf_counter() - began
    found = np.concatenate(pieces), embedder.embed(questions)
    progress(len(passages), len(passages), "")
    if is_reference:
        part = Path(f"{store}.part.npz")
        np.savez(part, passages=found[0], questions=found[1])
        part.rename(store)
    with np.load(store) as kept:
        figures = compared(passages, questions, found, (kept["passages"], kept["questions"]))
    return figures | {"prompt_tokens_per_second": n_tokens / seconds}


def compared(
    passages: list[str],
    questions: list[str],
    found: tuple[Vectors, Vectors],
    reference: tuple[Vectors, Vectors],
) -> dict[str, Any]:
    """Figures and, for each question, the passage found first.

    found, reference: vectors of length 1 of passages and of questions, (n, dimensions).
    """
    cosines = (found[0] * reference[0]).sum(axis=1)
    scores = found[1] @ found[0].T  # (questions, passages)
    wanted = (reference[1] @ reference[0].T).argmax(axis=1)
    best = scores.argmax(axis=1)
    rows = np.arange(len(questions))
    ranks = 1 + (scores > scores[rows, wanted][:, None]).sum(axis=1)
    return {
        "passages": len(passages),
        "mean_cosine": float(cosines.mean()),
        "min_cosine": float(cosines.min()),
        "same_first": float((ranks == 1).mean()) if questions else None,
        "outputs": [
            {
                "prompt": question,
                "text": passages[first],
                "first_difference": None,
                "rank": int(rank),
                "cosine": round(float(score), 4),
            }
            for question, first, rank, score in zip(
                questions, best, ranks, scores[rows, best], strict=True
            )
        ],
    }
