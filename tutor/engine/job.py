"""One request on its way through the scheduler."""

import codecs
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quant.llama import Model, Sampler


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; temperature 0 takes the likeliest."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    ignore_eos: bool = False

    def sampler(self, model: Model) -> Sampler:
        options = dict(self.__dict__)
        banned = model.eog_tokens if options.pop("ignore_eos") else ()
        return Sampler(model, banned=banned, **options)


@dataclass(frozen=True)
class Token:
    """One token's text: possibly empty, while a character or a stop word is incomplete."""

    text: str


@dataclass(frozen=True)
class End:
    reason: str  # "stop", "length", "cancelled"
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Failure:
    message: str


Event = Token | End | Failure


@dataclass(eq=False)
class Job:
    """prefix: tokens shared through a pin; rest: this request's own (at least one)."""

    prefix: tuple[int, ...]
    rest: tuple[int, ...]
    sampling: Sampling
    max_tokens: int
    stop: Sequence[str]
    emit: Callable[[Event], Any]
    user: str = ""
    arrived: float = field(default_factory=time.monotonic)
    cancelled: bool = False  # set by any thread; seen before the next step

    # The scheduler's own notes
    seq: int = -1
    fed: int = 0  # how many of `rest` have been decoded
    cached: int = 0  # tokens of the prefix that were there already
    made: int = 0
    next_token: int | None = None  # sampled, not yet decoded
    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        if not self.rest:  # the last token's logits are needed, so one must be decoded
            self.prefix, self.rest = self.prefix[:-1], self.prefix[-1:]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    @property
    def cells(self) -> int:
        """Cells that it may fill beside its prefix."""
        return len(self.rest) + self.max_tokens

    @property
    def length(self) -> int:
        return len(self.prefix) + self.cells

    @property
    def is_generating(self) -> bool:
        return self.next_token is not None

    def take(self, piece: bytes) -> str | None:
        """Emit a token's text; returns "stop" where a stop word was completed."""
        text = self._held + self._decoder.decode(piece)
        found = [at for word in self.stop if (at := text.find(word)) >= 0]
        if found:
            self._held = ""
            self.emit(Token(text[: min(found)]))
            return "stop"
        keep = max((_overlap(text, word) for word in self.stop), default=0)
        self._held = text[len(text) - keep :]
        self.emit(Token(text[: len(text) - keep]))
        return None

    def end(self, reason: str) -> None:
        left = self._held + self._decoder.decode(b"", final=True)
        if left and reason != "cancelled":
            self.emit(Token(left))
        prompt = len(self.prefix) + len(self.rest)
        self.emit(End(reason, prompt, self.cached, self.made))


def _overlap(text: str, word: str) -> int:
    """How many characters at the text's end begin the stop word."""
    return next(
        (n for n in range(min(len(text), len(word) - 1), 0, -1) if word.startswith(text[-n:])), 0
    )
