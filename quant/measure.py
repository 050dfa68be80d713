"""What quantizing did to a model, defined as llama.cpp defines it so that its tools can check it.

Text is cut into windows of n_ctx tokens; in each the first half is context, and the predictions
in the second half are scored. The reference's log-probabilities are kept in the file format of
llama-perplexity (--kl-divergence-base): 16 bits for each, so comparing takes little memory, and

    llama-perplexity -m VARIANT --kl-divergence-base FILE --kl-divergence

prints the same figures. Kullback-Leibler divergence is that of the variant from the reference, in
nats, at one position: sum over the vocabulary of p_ref * (log p_ref - log p_variant).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from quant.child import ChildProgress
from quant.llama import Batch, Context, LlamaError, Model

MAGIC = b"_logits_"
# A row: scale and smallest log-probability as floats (4 x 16 bits), then 16 bits for each token.
HEAD = 4
FLOOR = -16.0  # log-probabilities below are not compared; as llama.cpp
N_BATCH = 512
Row = NDArray[np.float32]


class MeasureError(ValueError):
    """It can't be measured; the message says what to do."""


def windows_of(model: Model, text: str, n_ctx: int, limit: int) -> NDArray[np.int32]:
    """(windows, n_ctx) tokens: the text's full windows in order, at most `limit` (0: all)."""
    if n_ctx < 8 or n_ctx > model.n_ctx_train:
        raise MeasureError(f"windows of {n_ctx} tokens: choose 8 to {model.n_ctx_train}")
    tokens = model.tokenize(text.removesuffix("\n"), add_special=True)
    count = len(tokens) // n_ctx
    if count < 2:
        raise MeasureError(
            f"the text has {len(tokens)} tokens, and two windows of {n_ctx} need {2 * n_ctx}: "
            "take a longer text or a smaller window"
        )
    count = min(count, limit) if limit else count
    return np.array(tokens[: count * n_ctx], np.int32).reshape(count, n_ctx)


def scored_rows(
    context: Context, window: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Logits (rows, n_vocab) of the window's second half and the tokens that really follow.

    In pieces; each is good until the next. The window begins with BOS if the model wants one.
    """
    tokens = window.copy()
    if context.model.adds_bos:
        tokens[0] = context.model.bos
    n_ctx, first = len(tokens), len(tokens) // 2
    context.clear()
    batch = Batch(context.n_batch)
    for begin in range(0, n_ctx, batch.capacity):
        piece = tokens[begin : begin + batch.capacity]
        end = begin + len(piece)
        batch.clear()
        batch.add(piece, begin, n_logits=max(0, end - max(begin, first)))
        context.decode(batch)
        follows = window[max(begin, first) + 1 : end + 1]
        if len(follows):  # the last position of all has no token that follows
            yield context.all_logits()[: len(follows)], follows


def open_context(path: str, n_ctx: int, n_threads: int) -> Context:
    context = Context(
        Model(path), n_ctx=n_ctx, n_batch=min(n_ctx, N_BATCH), n_ubatch=N_BATCH, n_threads=n_threads
    )
    if context.model.adds_eos:
        raise MeasureError(f"{Path(path).name} ends every text with a token: it has no perplexity")
    return context


def _error(values: NDArray[Any]) -> float:
    """Standard error of the mean."""
    return float(values.std(dtype=np.float64) / math.sqrt(max(len(values) - 1, 1)))


def summary(nll: NDArray[Any], kl: NDArray[Any], same_top: NDArray[Any]) -> dict[str, Any]:
    """The figures as llama-perplexity prints them, from one number for each scored position.

    nll: -log of the probability of the token that follows, (positions,).
    """
    perplexity = math.exp(nll.mean())
    return {
        "perplexity": perplexity,
        "perplexity_error": perplexity * _error(nll),
        "mean_kl": float(kl.mean()),
        "mean_kl_error": _error(kl),
        "median_kl": float(np.median(kl)),
        "p99_kl": float(np.quantile(kl, 0.99)),
        "max_kl": float(kl.max()),
        "same_top": float(same_top.mean()),
        "positions": len(nll),
    }


def pack(logits: Row, packed: NDArray[np.uint16], follows: int) -> float:
    """Write log-probabilities as llama-perplexity does: scale, offset, and 16-bit steps.

    Returns the nll of the token that follows.
    """
    top = logits.max()
    bottom = np.maximum(logits.min(), top - np.float32(16))
    log_sum = np.float32(math.log(np.exp(logits - top).sum(dtype=np.float64)))
    scale = np.float32((top - bottom) / np.float32(65535))
    packed[:HEAD].view(np.float32)[:] = scale, bottom - top - log_sum
    packed[HEAD:] = 0
    if scale >= np.finfo(np.float32).tiny:  # else all are the same within what can be divided by
        steps = (np.maximum(logits, bottom) - bottom) * (np.float32(1) / scale)
        packed[HEAD : HEAD + len(logits)] = np.rint(steps)
    return float(log_sum + top - logits[follows])


def compare_row(logits: Row, packed: NDArray[np.uint16], follows: int) -> tuple[float, float, bool]:
    """(nll of the token that follows, KL divergence from the packed row, same top token)."""
    steps = packed[HEAD : HEAD + len(logits)]
    scale, offset = packed[:HEAD].view(np.float32)
    top = int(logits.argmax())
    shifted = logits - logits[top]
    log_sum = np.float32(math.log(np.exp(shifted).sum(dtype=np.float64)))
    reference = steps * scale
    reference += offset
    probability = np.exp(reference)
    probability[reference <= FLOOR] = 0
    reference -= shifted
    reference += log_sum
    kl = float(np.dot(probability, reference))
    return float(log_sum - shifted[follows]), kl, top == int(steps.argmax())


class _Store:
    """The reference's log-probabilities on disk, window by window."""

    def __init__(self, file: BinaryIO, n_vocab: int, windows: NDArray[np.int32]) -> None:
        self.file, self.n_vocab, self.windows = file, n_vocab, windows
        self.width = 2 * ((n_vocab + 1) // 2) + HEAD

    @classmethod
    def create(cls, file: BinaryIO, n_vocab: int, windows: NDArray[np.int32]) -> _Store:
        count, n_ctx = windows.shape
        file.write(MAGIC + np.array([n_ctx, n_vocab, count], np.int32).tobytes())
        file.write(windows.tobytes())
        return cls(file, n_vocab, windows)

    @classmethod
    def open(cls, file: BinaryIO) -> _Store:
        if file.read(len(MAGIC)) != MAGIC:
            raise MeasureError(f"{file.name} holds no log-probabilities of llama-perplexity")
        n_ctx, n_vocab, count = (int(n) for n in np.frombuffer(file.read(12), np.int32))
        tokens = np.frombuffer(file.read(4 * n_ctx * count), np.int32)
        return cls(file, n_vocab, tokens.reshape(count, n_ctx))

    def read(self, count: int) -> NDArray[np.uint16]:
        """The next `count` rows, (count, width)."""
        data = self.file.read(2 * count * self.width)
        if len(data) < 2 * count * self.width:
            raise MeasureError(f"{self.file.name} is cut off")
        return np.frombuffer(data, np.uint16).reshape(count, self.width)


def reference(
    model: str,
    text_file: str,
    store: str,
    n_ctx: int,
    windows: int,
    n_threads: int,
    progress: ChildProgress,
) -> dict[str, Any]:
    """Score the reference and keep its log-probabilities in `store`. Its divergence is nothing."""
    text = Path(text_file).read_text(encoding="utf-8")
    part = Path(f"{store}.part")
    with open_context(model, n_ctx, n_threads) as context, part.open("wb") as file:
        cut = windows_of(context.model, text, n_ctx, windows)
        kept = _Store.create(file, context.model.n_vocab, cut)
        nll: list[float] = []
        for window in _shown(cut, nll, progress):
            for logits, follows in scored_rows(context, window):
                packed = np.empty((len(logits), kept.width), np.uint16)
                nll += map(pack, logits, packed, follows)
                file.write(packed.tobytes())
    part.rename(store)
    figures = summary(np.array(nll), np.zeros(len(nll)), np.ones(len(nll)))
    return figures | {"n_ctx": n_ctx, "windows": len(cut)}


def compare(model: str, store: str, n_threads: int, progress: ChildProgress) -> dict[str, Any]:
    """Score a variant against the reference whose log-probabilities are in `store`."""
    with Path(store).open("rb") as file:
        kept = _Store.open(file)
        count, n_ctx = kept.windows.shape
        with open_context(model, n_ctx, n_threads) as context:
            if context.model.n_vocab != kept.n_vocab:
                raise MeasureError("the reference has another vocabulary")
            nll: list[float] = []
            divergences: list[float] = []
            same_tops: list[bool] = []
            for window in _shown(kept.windows, nll, progress):
                for logits, follows in scored_rows(context, window):
                    for row in zip(logits, kept.read(len(logits)), follows, strict=True):
                        scores = compare_row(*row)
                        nll.append(scores[0])
                        divergences.append(scores[1])
                        same_tops.append(scores[2])
    figures = summary(np.array(nll), np.array(divergences), np.array(same_tops))
    return figures | {"n_ctx": n_ctx, "windows": count}


def _shown(
    windows: NDArray[np.int32], nll: list[float], progress: ChildProgress
) -> Iterator[NDArray[np.int32]]:
    """The windows, telling after each how far it is and the perplexity so far."""
    progress(0, len(windows), "")
    for done, window in enumerate(windows, 1):
        yield window
        progress(done, len(windows), f"perplexity {math.exp(np.mean(nll)):.2f}")


def speed(
    model: str,
    n_threads: int,
    progress: ChildProgress,
    *,
    n_prompt: int = 512,
    n_generate: int = 64,
    runs: int = 3,
) -> dict[str, Any]:
    """Tokens per second, the best of some runs, and the memory that it took.

    A prompt of n_prompt tokens at once; then n_generate tokens one by one. Memory: what loading
    and running the model added to this process, at most (resident: weights, cache, buffers).
    """
    before = _memory("VmRSS")
    with Model(model) as loaded:
        n_prompt = min(n_prompt, loaded.n_ctx_train - n_generate)
        if n_prompt < 1:
            raise LlamaError(f"a context of {loaded.n_ctx_train} tokens is too short to time")
        size = n_prompt + n_generate
        context = Context(loaded, n_ctx=size, n_outputs=1, n_threads=n_threads)
        tokens = np.arange(size, dtype=np.int32) % (loaded.n_vocab - 1) + 1
        prompt, generation = [], []
        for run in range(-1, runs):  # the first one warms up
            context.clear()
            prompt.append(_timed(context, tokens[:n_prompt], 0, context.n_batch))
            generation.append(_timed(context, tokens[n_prompt:], n_prompt, 1))
            progress(run + 1, runs, "")
    return {
        "prompt_tokens_per_second": n_prompt / min(prompt[1:]),
        "generation_tokens_per_second": n_generate / min(generation[1:]),
        "memory_bytes": _memory("VmHWM") - before,
        "memory_n_ctx": size,
    }


def _memory(what: str) -> int:
    """Bytes that this process holds (VmRSS) or held at most (VmHWM).

    Not getrusage's ru_maxrss, which a new process takes over from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    (kibibytes,) = (line.split()[1] for line in status.splitlines() if line.startswith(what))
    return int(kibibytes) << 10


def _timed(context: Context, tokens: NDArray[Any], start: int, at_once: int) -> float:
    batch, began = Batch(at_once), time.perf_counter()
    for at in range(0, len(tokens), at_once):
        batch.clear()
        last = batch.add(tokens[at : at + at_once], start + at, n_logits=1)
        context.decode(batch)
        context.logits(last)  # waits until it is computed
    return time.perf_counter() - began
