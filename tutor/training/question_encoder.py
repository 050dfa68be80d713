"""How tutor/question-encoder-Q8_0.gguf was made: all-minilm-l6-v2 taught to read questions.

    PYTHONPATH=site:. python tutor/training/question_encoder.py MODEL_FOLDER \\
        tests/tutor/questions.jsonl tests/tutor/questions_close.jsonl \\
        tests/tutor/questions_more.jsonl --out NEW.gguf

Needs what cross_encoder.py needs. Passages keep the vectors that they have: only the question's
side changes. The loss of a question is a softmax over its lesson's passages, by the score that
they are ranked with (ranking.py), so that it learns what words alone don't find.
"""

import argparse
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from cross_encoder import (
    CLS,
    QUESTION,
    SEP,
    CrossEncoder,
    answers,
    save_adapter,
    tokenizer_of,
)
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from tutor import asking, evaluation, followups, index
from tutor.ranking import COSINE, SECTION, Asked, rank

TEMPERATURE, EPOCHS, RATE, SIZE = 0.05, 4, 4e-5, 16


@dataclass
class Case:
    """by_words: (n,) what each passage scores without vectors. near: (n, 384) what the question's
    vector is multiplied with for the rest of the score."""

    tokens: torch.Tensor
    by_words: torch.Tensor
    near: torch.Tensor
    right: list[int]


def read(paths: Iterable[Path], tokenizer: Tokenizer) -> list[Case]:
    cases = []
    for path in paths:
        for case in evaluation.read(path, judged=True):
            if case.half != "tune" or case.expect != "covered":
                continue
            lesson = index.of(asking.lesson(case.lesson))
            asked = followups.continued(Asked.of(case.question, lesson), case.previous, lesson)
            if right := answers(case, lesson):
                ids = tokenizer.encode(asked.mended, add_special_tokens=False).ids[:QUESTION]
                near = COSINE * lesson.vectors + SECTION * lesson.section_means
                cases.append(
                    Case(
                        torch.tensor([CLS, *ids, SEP]),
                        torch.tensor(rank(lesson, asked, None).scores).float(),
                        torch.tensor(near),
                        right,
                    )
                )
    return cases


def encode(model: CrossEncoder, tokens: torch.Tensor) -> torch.Tensor:
    """(n, 384), each row of length 1."""
    real = tokens > 0
    means = (model.states(tokens) * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    return functional.normalize(means, dim=1)


def fit(model: CrossEncoder, cases: list[Case]) -> None:
    chosen, steps, rng = model.blocks.parameters(), EPOCHS * (len(cases) // SIZE), random.Random(0)
    optimizer = torch.optim.AdamW(chosen, lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / 50, max(0.02, 1 - i / steps))
    )
    model.train()
    for epoch in range(EPOCHS):
        rng.shuffle(cases)
        total = 0.0
        for start in range(0, len(cases) - SIZE + 1, SIZE):
            batch = cases[start : start + SIZE]
            tokens = nn.utils.rnn.pad_sequence([case.tokens for case in batch], batch_first=True)
            losses = []
            for case, vector in zip(batch, encode(model, tokens), strict=True):
                scores = case.near @ vector + case.by_words
                chances = torch.log_softmax(scores / TEMPERATURE, 0)
                losses.append(-torch.logsumexp(chances[case.right], 0))
            loss = torch.stack(losses).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: {total / (len(cases) // SIZE):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = CrossEncoder(options.model)
    fit(model, read(options.questions, tokenizer_of(options.model)))
    model.cut()
    save_adapter(model, options.out, "Question encoder for all-minilm-l6-v2", "Apache-2.0")


if __name__ == "__main__":
    main()
