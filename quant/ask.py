"""Put tasks (quant/evals.py) to a model.

An option's score is its tokens' log-probability per byte, given the question, so that its length
decides nothing. An open question is answered greedily.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quant import chat
from quant.child import ChildProgress
from quant.evals import MAX_OPTIONS, Task, TaskError, is_right
from quant.llama import Batch, Context, Model

N_CTX = 2048  # tokens of a question with its answer or options
N_OUTPUTS = 512  # tokens of all options of a question
N_PREDICT = 48


def answers(
    model: str, tasks: list[Task], n_threads: int, progress: ChildProgress
) -> dict[str, Any]:
    """In the child: {"tasks": [{"id", "right", "given"}]}, in the tasks' order."""
    done = []
    with Model(model) as loaded:
        n_ctx = min(N_CTX, loaded.n_ctx_train)
        with Context(
            loaded,
            n_ctx=n_ctx,
            n_batch=n_ctx,
            n_outputs=N_OUTPUTS,
            n_seq_max=MAX_OPTIONS + 1,
            kv_unified=True,
            n_threads=n_threads,
        ) as context:
            for number, task in enumerate(tasks):
                progress(number, len(tasks), task["question"])
                answer = _choose if "options" in task else _write
                done.append({"id": task["id"], **answer(context, task)})
    progress(len(tasks), len(tasks), "")
    return {"tasks": done}


def _prompt(context: Context, task: Task, room: int) -> list[int]:
    tokens = chat.tokenize(context.model, [chat.Message(role="user", content=task["question"])])
    if len(tokens) + room > context.n_ctx:
        raise TaskError(
            f"Task {task['id']} has {len(tokens)} tokens: with its answer that is more than the "
            f"{context.n_ctx} that fit. Shorten it."
        )
    return tokens


def _choose(context: Context, task: Task) -> dict[str, Any]:
    """All options in one batch, each in a sequence of its own behind the shared question."""
    options = [context.model.tokenize(option) for option in task["options"]]
    length = sum(map(len, options))
    if length > N_OUTPUTS:
        raise TaskError(f"The options of task {task['id']} have {length} tokens; {N_OUTPUTS} fit.")
    prompt = _prompt(context, task, length)
    context.clear()
    batch = Batch(context.n_batch)
    last = batch.add(prompt, 0, n_logits=1)
    context.decode(batch)
    first = _log_softmax(context.logits(last)[None])[0]
    batch.clear()
    for seq, tokens in enumerate(options, start=1):
        context.seq_cp(0, seq)
        batch.add(tokens, len(prompt), seq, n_logits=len(tokens))
    context.decode(batch)
    rows, begin, scores = context.all_logits(), 0, []
    for option, tokens in zip(task["options"], options, strict=True):
        log_p = _log_softmax(rows[begin : begin + len(tokens) - 1])
        follow = log_p[np.arange(len(tokens) - 1), tokens[1:]].sum()
        scores.append(float(first[tokens[0]] + follow) / len(option.encode()))
        begin += len(tokens)
    chosen = int(np.argmax(scores))
    return {"right": chosen == task["correct"], "given": task["options"][chosen]}


def _write(context: Context, task: Task) -> dict[str, Any]:
    prompt = _prompt(context, task, N_PREDICT)
    context.clear()
    batch = Batch(context.n_batch)
    last = batch.add(prompt, 0, n_logits=1)
    tokens: list[int] = []
    while len(tokens) < N_PREDICT:
        context.decode(batch)
        token = int(context.logits(last).argmax())
        if context.model.is_eog(token):
            break
        tokens.append(token)
        batch.clear()
        last = batch.add([token], len(prompt) + len(tokens) - 1, n_logits=1)
    given = context.model.detokenize(tokens)
    return {"right": is_right(given, task["expected"]), "given": given}


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """(rows, n_vocab) to the same."""
    shifted = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
