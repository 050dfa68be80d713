"""What a model answers, greedily, and where a variant's answer leaves the reference's."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quant import chat
from quant.child import ChildProgress
from quant.llama import Batch, Context, Model

N_TOP = 5
N_BATCH = 512


class PromptError(ValueError):
    """A prompt can't be answered; the message says which and why."""


def first_difference(tokens: Sequence[int], other: Sequence[int]) -> int | None:
    """Index of the first token that differs (or that only one of them has); None if none does.

    >>> first_difference([5, 6, 7], [5, 6, 8, 9])
    2
    """
    for index, (one, two) in enumerate(zip(tokens, other, strict=False)):
        if one != two:
            return index
    return None if len(tokens) == len(other) else min(len(tokens), len(other))


def answers(
    model: str,
    prompts: list[str],
    n_predict: int,
    n_threads: int,
    progress: ChildProgress,
    *,
    reference: str | None = None,
    reference_tokens: list[list[int]] | None = None,
) -> dict[str, Any]:
    """The model's greedy answer to each prompt, at most n_predict tokens, with its runners-up.

    For a variant, `reference` is the reference's file and reference_tokens are its answers: every
    token then tells how far the variant's next-token distribution was from the reference's there
    (KL divergence in nats, both given the variant's own words), and what the reference would have
    said.
    """
    with Model(model) as loaded:
        asked = [_prompt_tokens(loaded, number, text) for number, text in enumerate(prompts, 1)]
        n_ctx = max(map(len, asked)) + n_predict
        outputs, rows = [], []
        with Context(loaded, n_ctx=n_ctx, n_threads=n_threads) as context:
            for done, (prompt, tokens) in enumerate(zip(prompts, asked, strict=True)):
                say = partial(_tell, progress, done, len(prompts))
                given, log_probs = _greedy(context, tokens, n_predict, say)
                rows.append(log_probs)
                outputs.append(_described(loaded, prompt, given, log_probs))
    if reference is not None:
        compared = _compared(reference, asked, outputs, rows, n_threads)
        for output, at_each in zip(outputs, compared, strict=True):
            for token, comparison in zip(output["tokens"], at_each, strict=True):
                token |= comparison
        for output, other in zip(outputs, reference_tokens or [], strict=True):
            given = [token["id"] for token in output["tokens"]]
            output["first_difference"] = first_difference(given, other)
    progress(len(prompts), len(prompts), "")
    return {"outputs": outputs}


def _tell(progress: ChildProgress, done: int, of: int, tokens: int) -> None:
    progress(done, of, f"prompt {done + 1}, token {tokens}")


def _prompt_tokens(model: Model, number: int, text: str) -> list[int]:
    tokens = chat.tokenize(model, [chat.Message(role="user", content=text)])
    if len(tokens) >= model.n_ctx_train:
        raise PromptError(
            f"prompt {number} has {len(tokens)} tokens, and the model reads at most "
            f"{model.n_ctx_train} with its answer: shorten it"
        )
    return tokens


def _greedy(
    context: Context, prompt: list[int], n_predict: int, say: Callable[[int], None]
) -> tuple[list[int], NDArray[np.float32]]:
    """Tokens up to and with the one that ends the answer; the log-probabilities at each."""
    model = context.model
    context.clear()
    batch = Batch(context.n_batch)
    for begin in range(0, len(prompt), context.n_batch):
        batch.clear()
        last = batch.add(prompt[begin : begin + context.n_batch], begin, n_logits=1)
        context.decode(batch)
    tokens: list[int] = []
    rows = []
    room = min(n_predict, model.n_ctx_train - len(prompt))
    while True:
        say(len(tokens) + 1)
        rows.append(_log_softmax(context.logits(last)))
        tokens.append(int(rows[-1].argmax()))
        if len(tokens) == room or model.is_eog(tokens[-1]):
            return tokens, np.array(rows)
        batch.clear()
        last = batch.add(tokens[-1:], len(prompt) + len(tokens) - 1, n_logits=1)
        context.decode(batch)


def _described(
    model: Model, prompt: str, tokens: list[int], rows: NDArray[np.float32]
) -> dict[str, Any]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    described = [
        {
            "id": token,
            # A character of several tokens stands in the last of them.
            "text": decoder.decode(model.piece(token, special=True), at == len(tokens)),
            "p": round(float(np.exp(row[token])), 4),
            "kl": 0.0,
            "top": _top(model, row),
        }
        for at, (token, row) in enumerate(zip(tokens, rows, strict=True), start=1)
    ]
    return {
        "prompt": prompt,
        "text": model.detokenize(tokens),
        "first_difference": None,
        "tokens": described,
    }


def _top(model: Model, log_p: NDArray[np.float32]) -> list[list[Any]]:
    """[text, probability] of the likeliest tokens, the likeliest first."""
    best = np.argpartition(log_p, -N_TOP)[-N_TOP:]
    best = best[np.argsort(-log_p[best])]
    return [
        [model.detokenize([int(t)], special=True), round(float(np.exp(log_p[t])), 4)] for t in best
    ]


def _compared(
    reference: str,
    asked: list[list[int]],
    outputs: list[dict[str, Any]],
    rows: list[NDArray[np.float32]],
    n_threads: int,
) -> list[list[dict[str, Any]]]:
    """For each answer and token: "kl", the variant's divergence from the reference in nats, and
    "reference", what that would have said there."""
    given = [[token["id"] for token in output["tokens"]] for output in outputs]
    n_ctx = max(len(p) + len(g) for p, g in zip(asked, given, strict=True))
    result = []
    with Model(reference) as model, Context(model, n_ctx=n_ctx, n_threads=n_threads) as context:
        for prompt, tokens, variant_rows in zip(asked, given, rows, strict=True):
            context.clear()
            text, first = prompt + tokens[:-1], len(prompt) - 1
            batch = Batch(context.n_batch)
            at_each: list[dict[str, Any]] = []
            for begin in range(0, len(text), context.n_batch):
                piece = text[begin : begin + context.n_batch]
                wanted = max(0, begin + len(piece) - max(begin, first))
                batch.clear()
                batch.add(piece, begin, n_logits=wanted)
                context.decode(batch)
                for logits in context.all_logits() if wanted else ():
                    log_p = _log_softmax(logits)
                    kl = float(np.exp(log_p) @ (log_p - variant_rows[len(at_each)]))
                    at_each.append({"kl": round(max(0.0, kl), 5), "reference": _top(model, log_p)})
            result.append(at_each)
    return result


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())
