"""Whether a lesson covers a question.

A few signs go into a logistic regression, fitted by `manage.py calibrate_tutor` and kept in
calibration.json: how well the best passage matches; which share of the question's subject words
the lesson knows, rare words counting more; how rare the rarest word is that it never mentions
("LoRA", "H100": a name that the page does not have is the best sign of all); how many subject
words there are, since one matching word alone says little; how well the worst-placed word is met
by the best passages (matching.py); how near the question is to the lesson as a whole, which says
what a good match is worth here; and whether the best passages lack what "How many X" counts or
"How do I X" does. Left out because they added nothing on lessons not fitted on: the margin to the
next passages, embeddings of unknown words, other lessons' scores, names and sizes of models found
in one passage, the mean of the best-matching tokens.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tutor import text
from tutor.ranking import Asked, Ranking

CALIBRATION = Path(__file__).with_name("calibration.json")
Match = Callable[[str, Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True)
class Signs:
    score: float  # of the best passage
    known: float  # share of the subject words that the lesson has, 0 to 1, by rarity
    unknown: float  # rarity of the rarest one that it has not
    words: float  # how many subject words, 6 at most
    whole: float = 0.0  # the question's worst-placed token in the best six passages
    subject: float = 0.0  # the same for tokens that carry a subject, in the best three
    usual: float = 0.0  # the mean cosine of the lesson's passages
    lacks: float = 0.0  # 1 where the best three lack what is counted or done


@dataclass(frozen=True)
class Gate:
    """weights: one for each of Signs' fields; covered from `threshold` on."""

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def probability(self, signs: Signs) -> float:
        """That the lesson covers the question, as far as the signs tell."""
        z = self.bias + float(np.dot(self.weights, astuple(signs)))
        return 1 / (1 + math.exp(-z))

    def covers(self, signs: Signs) -> bool:
        return self.probability(signs) >= self.threshold


def rarity(word: str) -> float:
    """How much a word tells: 0.3 for the commonest to 7 for one that no word list has."""
    return max(0.3, 7 - text.frequency(word))


def signs(asked: Asked, ranking: Ranking, match: Match | None = None) -> Signs:
    """match: of matching.Matcher; None without the model."""
    words = dict(zip(asked.words, asked.stems, strict=True))
    total = sum(map(rarity, words))
    missing = [rarity(word) for word, stem in words.items() if not ranking.index.knows(stem)]
    whole = subject = usual = 0.0
    if ranking.cosines is not None and len(ranking.cosines):
        usual = float(ranking.cosines.mean())
    if match and ranking.cosines is not None:
        found = match(asked.mended, [passage.read for passage, _ in ranking.best(6)])
        whole, subject = float(found[:, 0].max()), float(found[:3, 1].max())
    return Signs(
        score=float(ranking.scores.max()) if len(ranking.scores) else 0.0,
        known=1 - sum(missing) / total if total else 0.0,
        unknown=max(missing, default=0.0),
        words=min(len(words), 6),
        whole=whole,
        subject=subject,
        usual=usual,
        lacks=float(_lacks_what_is_asked(asked, ranking)),
    )


_HOW_TO = re.compile(
    r"\bhow (?:do|can|could|should|would|to)\b(?: (?:i|you|we|one))? (?:\w+ly )?([a-z]+)", re.I
)
_HOW_MANY = re.compile(r"\bhow many ([\w.-]+)(?: ([\w-]+))?", re.I)


def _lacks_what_is_asked(asked: Asked, ranking: Ranking) -> bool:
    """Whether the best passages name neither of the two words after "How many", or not the verb
    of "How do I": "How many layers has ...?" is not answered by another number about it."""
    stems = {stem for passage, _ in ranking.best(3) for stem in text.stems(passage.read)}
    for pattern in (_HOW_TO, _HOW_MANY):
        if found := pattern.search(asked.mended):
            wanted = {text.stem(w.lower()) for w in found.groups() if w} - text.STOP
            if wanted and not wanted & stems:
                return True
    return False


_WHO = re.compile(
    r"^(?:who|whose|whom|by whom)\b(?!.*\b(?:should|can|could|must|do i|to ask)\b)", re.I
)
_WHO_IS = re.compile(r"^who (?:is|was|are|were) ([\w .-]+?)\W*$", re.I)
_AGENT = re.compile(
    r"\b(?:authors?|makers?|teams?|compan(?:y|ies)|researchers?|developers?|founders?|people|person|"
    r"teachers?|experts?|adults?|statisticians?|somebody|publishers?|everyone|nobody|you|users?)\b"
    r"|\b(?:by|from|of) [A-Z][a-z]+\b",
    re.I,
)
_WHEN = re.compile(
    r"^when (?:was|were|did)\b|\b(?:what|which) (?:year|date|month)\b|\bhow (?:old|long ago)\b",
    re.I,
)
_DATE = re.compile(r"\b(?:19|20)\d\d\b|\bcentury\b|\byears? ago\b")


def has_answer_of_its_kind(asked: Asked, ranking: Ranking) -> bool:
    """Whether what would be quoted can answer at all: a person for "Who", a date for "What year".

    Topic words alone match well ("Who made AWQ?" finds what AWQ is), so this is asked apart.
    """
    found = " ".join(passage.text for passage, _ in ranking.best(2))
    if person := _WHO_IS.match(asked.mended):
        return bool(re.search(rf"\b{re.escape(person[1])}\b,? (?:is|was|an?|the)\b", found, re.I))
    if _WHO.search(asked.mended):
        return bool(_AGENT.search(found))
    if _WHEN.search(asked.mended):
        return bool(_DATE.search(found))
    return True


@cache
def gates() -> dict[str, Gate]:
    """ "meaning": with the embedder; "words": without."""
    kept = json.loads(CALIBRATION.read_text())
    return {
        name: Gate(tuple(g["weights"].values()), g["bias"], g["threshold"])
        for name, g in kept["gates"].items()
    }


def gate_for(ranking: Ranking) -> Gate:
    return gates()["words" if ranking.cosines is None else "meaning"]


def fit(rows: list[Signs], covered: list[bool], strength: float = 1.0) -> tuple[list[float], float]:
    """Weights and bias of a logistic regression (Newton's method, ridge on standardised signs)."""
    raw = np.array([astuple(row) for row in rows])
    y = np.array(covered, float)
    mean, spread = raw.mean(0), raw.std(0) + 1e-9
    x = np.c_[(raw - mean) / spread, np.ones(len(raw))]
    ridge = np.diag([strength] * raw.shape[1] + [0])
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        w -= np.linalg.solve((x.T * (p * (1 - p))) @ x + ridge, x.T @ (p - y) + ridge @ w)
    weights = w[:-1] / spread
    return weights.tolist(), float(w[-1] - weights @ mean)


def save(fitted: Mapping[str, Gate], about: Mapping[str, object]) -> None:
    names = list(asdict(Signs(0, 0, 0, 0)))
    data = {
        **about,
        "gates": {
            kind: {
                "weights": {n: round(w, 4) for n, w in zip(names, gate.weights, strict=True)},
                "bias": round(gate.bias, 4),
                "threshold": round(gate.threshold, 3),
            }
            for kind, gate in fitted.items()
        },
    }
    beside = CALIBRATION.with_suffix(".part")
    beside.write_text(json.dumps(data, indent=2) + "\n")
    beside.replace(CALIBRATION)
    gates.cache_clear()
