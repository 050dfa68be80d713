"""llama.cpp's log: put together into lines (it writes pieces), kept to explain failures."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

DEBUG, ERROR, CONTINUED = 1, 4, 5  # enum ggml_log_level


class LlamaLog:
    def __init__(self) -> None:
        self._errors: deque[str] = deque(maxlen=5)
        self._listener: Callable[[str], None] | None = None
        self._line = ""
        self._level = 0

    def write(self, level: int, text: bytes) -> None:
        """What llama.cpp's callback calls. It swallows exceptions."""
        *lines, rest = (self._line + text.decode("utf-8", "replace")).split("\n")
        self._level = max(self._level, 0 if level == CONTINUED else level)
        for line in lines:
            self._finish(line)
        self._line = rest

    def _finish(self, line: str) -> None:
        level, self._level = self._level, 0
        if not line.strip():
            return
        if level == ERROR:  # "llama_model_load: error loading model: ..."
            self._errors.append(line.split(": ", 1)[-1] if line.startswith("llama") else line)
        if level != DEBUG:
            logger.debug("%s", line)
        if self._listener:
            self._listener(line)

    @contextmanager
    def lines(self, listener: Callable[[str], None]) -> Iterator[None]:
        """Hand every line that is logged meanwhile to `listener`."""
        before, self._listener = self._listener, listener
        try:
            yield
        finally:
            self._listener = before

    def forget_errors(self) -> None:
        """Before a call whose failure is to be explained."""
        self._errors.clear()

    def explained(self, what: str) -> str:
        """`what` failed, and the errors that were logged since forget_errors()."""
        reasons = list(dict.fromkeys(self._errors))
        return f"{what}: {'; '.join(reasons)}" if reasons else what
