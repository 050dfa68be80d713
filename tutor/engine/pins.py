"""Prefixes (a lesson with its instructions) decoded once and shared by every learner's request.

A pin is a sequence of the context. It stays while requests use it. Attention looks at all cells in
use, so unused lessons slow everybody down: they are kept on disk, whence they come back in
milliseconds, and leave the context.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from quant.llama import Context, LlamaError

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Pin:
    tokens: tuple[int, ...]
    seq: int
    fed: int = 0  # tokens decoded so far
    users: int = 0
    tried: bool = False  # to write it to disk
    on_disk: bool = False
    used: int = field(default=0)  # the shelf's clock when it was last used

    @property
    def is_ready(self) -> bool:
        return self.fed == len(self.tokens)


class Shelf:
    """The pins in a context, and their files.

    folder: None keeps nothing on disk. fingerprint: what a file's state depends on beside its
    tokens (model, context). keep_bytes: how much the files may take together.
    """

    def __init__(
        self,
        context: Context,
        seqs: list[int],
        folder: Path | None,
        fingerprint: str,
        keep_bytes: int = 1 << 30,
    ) -> None:
        self.context, self.folder, self.fingerprint = context, folder, fingerprint
        self.keep_bytes = keep_bytes
        self.pins: dict[tuple[int, ...], Pin] = {}
        self._free = seqs
        self._clock = 0

    @property
    def cells(self) -> int:
        return sum(len(pin.tokens) for pin in self.pins.values())

    def open(self, tokens: tuple[int, ...]) -> Pin | None:
        """The pin for a prefix, new if need be (from disk if it is there); counts a user.

        None where every place is taken by pins in use.
        """
        pin = self.pins.get(tokens)
        if pin is None:
            if not self._free and not self.evict():
                return None
            pin = self.pins[tokens] = Pin(tokens, self._free.pop())
            self._load(pin)
        self._clock += 1
        pin.used = self._clock
        pin.users += 1
        return pin

    def evict(self, but: tuple[int, ...] = ()) -> bool:
        """Give up the unused pin that was used least recently; False if all are in use.

        but: the tokens of one that must stay.
        """
        idle = [pin for pin in self.pins.values() if not pin.users and pin.tokens != but]
        if not idle:
            return False
        pin = min(idle, key=lambda pin: pin.used)
        self._write(pin)
        self.drop(pin)
        return True

    def drop(self, pin: Pin) -> None:
        self.context.seq_rm(pin.seq)
        del self.pins[pin.tokens]
        self._free.append(pin.seq)

    def trim(self, idle: int) -> None:
        """Of unused pins keep only `idle` in the context, and none that a file brings back."""
        unused = [pin for pin in self.pins.values() if not pin.users]
        for pin in sorted(unused, key=lambda pin: -pin.used):
            self._write(pin)
            path = self._file(pin.tokens)
            is_safe = pin.on_disk and path is not None and path.is_file()
            if is_safe or not idle:
                self.drop(pin)
            else:
                idle -= 1

    def _file(self, tokens: tuple[int, ...]) -> Path | None:
        if self.folder is None:
            return None
        digest = sha256(self.fingerprint.encode() + np.asarray(tokens, "<i4").tobytes())
        return self.folder / f"{digest.hexdigest()[:32]}.pin"

    def _load(self, pin: Pin) -> None:
        path = self._file(pin.tokens)
        if path is None or not path.is_file():
            return
        try:
            if tuple(self.context.load_seq(pin.seq, path)) != pin.tokens:
                raise LlamaError(f"{path.name} holds other tokens")
        except LlamaError as error:  # another version's file or a damaged one: decode again
            logger.warning("a saved lesson is of no use: %s", error)
            self.context.seq_rm(pin.seq)
            path.unlink(missing_ok=True)
            return
        path.touch()
        pin.fed = len(pin.tokens)
        pin.tried = pin.on_disk = True

    def save(self) -> bool:
        """Write one ready pin that is not on disk yet; False if there is none."""
        return any(self._write(pin) for pin in self.pins.values())

    def _write(self, pin: Pin) -> bool:
        """Whether there was something to write; it is tried once, whatever comes of it."""
        path = self._file(pin.tokens)
        if path is None or not pin.is_ready or pin.tried:
            return False
        pin.tried = True
        beside = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.context.save_seq(pin.seq, beside, pin.tokens)
            beside.replace(path)
            pin.on_disk = True
            self._tidy()
        except (OSError, LlamaError) as error:
            with suppress(OSError):  # nor can it be removed where the folder can't be made
                beside.unlink(missing_ok=True)
            logger.warning("a lesson's state is not kept on disk: %s", error)
        return True

    def _tidy(self) -> None:
        assert self.folder
        files = sorted(self.folder.glob("*.pin"), key=lambda p: p.stat().st_mtime, reverse=True)
        total = 0
        for path in files:
            total += path.stat().st_size
            if total > self.keep_bytes:
                path.unlink(missing_ok=True)
