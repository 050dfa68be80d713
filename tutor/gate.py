"""Whether a lesson covers a question.

With the model: the best-ranked passages are read together with the question (cross_encoder), and
how likely one of them answers it is all that counts. On 738 questions that the reader was not
trained on, nothing else helped: neither the words that the lesson lacks nor how well the best
passage matches (area under the curve 0.941 alone, 0.937 with them, 0.807 for those without it).

Without the model, a few signs go into a logistic regression: how well the best passage matches by
its words; which share of the question's subject words the lesson knows, rare words counting more;
how rare the rarest word is that it never mentions ("LoRA", "H100"); how many subject words there
are, since one matching word alone says little; and whether the best passages lack what "How many
X" counts or "How do I X" does.

Both are fitted by `manage.py calibrate_tutor` and kept in calibration.json.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tutor import text
from tutor.ranking import Asked, Ranking

CALIBRATION = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True)
class Signs:
    score: float  # of the best passage
    known: float  # share of the subject words that the lesson has, 0 to 1, by rarity
    unknown: float  # rarity of the rarest one that it has not
    words: float  # how many subject words, 6 at most
    lacks: float = 0.0  # 1 where the best three lack what is counted or done


@dataclass(frozen=True)
class Gate:
    """weights: one for each of Signs' fields; covered from `threshold` on."""

    weights: tuple[float, ...]
    bias: float
    threshold: float

    def probability(self, signs: Signs) -> float:
        """That the lesson covers the question, as far as its words tell."""
        z = self.bias + float(np.dot(self.weights, astuple(signs)))
        return 1 / (1 + math.exp(-z))


def probability(asked: Asked, ranking: Ranking) -> float:
    """That the lesson covers the question: by the passages read, or else by words alone."""
    if ranking.judged is None:
        return calibration().words.probability(signs(asked, ranking))
    odds = float(np.exp(ranking.judged).sum())
    return odds / (1 + odds)


def covers(asked: Asked, ranking: Ranking) -> bool:
    kept = calibration()
    threshold = kept.words.threshold if ranking.judged is None else kept.read
    return probability(asked, ranking) >= threshold and has_answer_of_its_kind(asked, ranking)


def rarity(word: str) -> float:
    """How much a word tells: 0.3 for the commonest to 7 for one that no word list has."""
    return max(0.3, 7 - text.frequency(word))


def signs(asked: Asked, ranking: Ranking) -> Signs:
    words = dict(zip(asked.words, asked.stems, strict=True))
    total = sum(map(rarity, words))
    missing = [rarity(word) for word, stem in words.items() if not ranking.index.knows(stem)]
    return Signs(
        score=float(ranking.scores.max(initial=0)),
        known=1 - sum(missing) / total if total else 0.0,
        unknown=max(missing, default=0.0),
        words=min(len(words), 6),
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


@dataclass(frozen=True)
class Calibration:
    """read: the least probability with the model; words: the gate without."""

    read: float
    words: Gate


@cache
def calibration() -> Calibration:
    kept = json.loads(CALIBRATION.read_text())
    words = kept["words"]
    gate = Gate(tuple(words["weights"].values()), words["bias"], words["threshold"])
    return Calibration(kept["read"]["threshold"], gate)


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


def save(fitted: Calibration, about: Mapping[str, object]) -> None:
    names = list(asdict(Signs(0, 0, 0, 0)))
    words = {
        "weights": {n: round(w, 4) for n, w in zip(names, fitted.words.weights, strict=True)},
        "bias": round(fitted.words.bias, 4),
        "threshold": round(fitted.words.threshold, 3),
    }
    data = {**about, "read": {"threshold": round(fitted.read, 3)}, "words": words}
    beside = CALIBRATION.with_suffix(".part")
    beside.write_text(json.dumps(data, indent=2) + "\n")
    beside.replace(CALIBRATION)
    calibration.cache_clear()
