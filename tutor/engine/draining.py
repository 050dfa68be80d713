"""A server that is told to end finishes what it began, and refuses the rest politely."""

import time
from types import FrameType

import uvicorn

PATIENCE = 8.0  # seconds; supervisord kills after ten


class DrainingServer(uvicorn.Server):
    """At the first signal new requests get 503 while accepted ones go on, for PATIENCE seconds.

    uvicorn alone would close the door at once: clients could not tell a restart from a failure.
    A second signal ends it without waiting.
    """

    _ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._ends_at is None:
            self._ends_at = time.monotonic() + PATIENCE  # the rest is done between two requests
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._ends_at is not None:
            models = self.config.app.state.models  # type: ignore[union-attr]
            if models:
                models.scheduler.close()
            if not models or not models.scheduler.is_busy or time.monotonic() > self._ends_at:
                self.should_exit = True
        return await super().on_tick(counter)
