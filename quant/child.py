"""Run a function of quant in a process of its own.

llama.cpp can't be stopped in the middle of some of its work and ends its process when an assertion
fails. A child can be ended at any moment, and its end harms nobody.

    result = run("quant.measure:compare", {"model": "...", ...}, progress=..., cancelled=...)

The function is called with the arguments and `progress(done, total, detail)`; arguments and result
are JSON. The child shares its parent's session (a session of its own would get a full share of the
processor whatever its niceness) but not its process group, and ends when its parent does.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
NICENESS = 10  # at least; a worker that is nicer hands its own on
PR_SET_PDEATHSIG = 1

ChildProgress = Callable[[int, int, str], None]


class ChildFailed(RuntimeError):
    """The child could not do it; the message is the reason."""


class ChildKilled(ChildFailed):
    """Somebody, or the system for want of memory, killed the child: trying again may help."""


class Cancelled(Exception):
    """cancelled() answered True and the child was ended."""


_log: ContextVar[IO[bytes] | None] = ContextVar("_log", default=None)


@contextmanager
def log_to(file: IO[bytes]) -> Iterator[None]:
    """Children started meanwhile write their log (llama.cpp's, tracebacks) to `file`.

    They share its position: read it meanwhile with os.pread, which leaves the position alone.
    """
    before = _log.set(file)
    try:
        yield
    finally:
        _log.reset(before)


def run(
    function: str,
    arguments: dict[str, Any],
    *,
    progress: ChildProgress = lambda done, total, detail: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """Call "module:function" in a child. Raises ChildFailed or Cancelled."""
    request = {"function": function, "arguments": arguments, "parent": os.getpid()}
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GGML_NO_BACKTRACE": "1",  # ggml would start a debugger to print where it failed
        # numpy's threads wait for each other in a busy loop: beside other work, twenty times slower
        "OPENBLAS_NUM_THREADS": "1",
    }
    with (
        nullcontext(log) if (log := _log.get()) else tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-m", "quant.child"],
            stdin=subprocess.PIPE,  # a command line has no room for long prompts
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            process_group=0,
        ) as child,
    ):
        try:
            _ask(child, request)
            answer = _listen(child, progress, cancelled)
        finally:
            if child.poll() is None:
                child.kill()
        child.wait()
        if "result" in answer:
            return answer["result"]
        if "error" in answer:
            raise ChildFailed(answer["error"])
        if child.returncode == -signal.SIGKILL:
            raise ChildKilled("its process was killed: most likely the machine ran out of memory")
        raise ChildFailed(_last_words(child.returncode, errors))


def _ask(child: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
    assert child.stdin
    with suppress(BrokenPipeError), child.stdin as pipe:  # it may have ended already
        pipe.write(json.dumps(request).encode())


def _listen(
    child: subprocess.Popen[bytes], progress: ChildProgress, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    """Pass progress on until the child has answered or ended."""
    assert child.stdout
    pipe, buffer = child.stdout.fileno(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if cancelled():
                raise Cancelled
            if not selector.select(timeout=0.1):
                continue
            data = os.read(pipe, 1 << 16)
            if not data:
                return {}
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "progress" not in message:
                    return message
                progress(*message["progress"])


def _last_words(status: int, errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = [line for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    told = f": {lines[-1].strip()}" if lines else ""
    if status < 0:
        asserted = [line for line in lines if "GGML_ASSERT" in line]
        told = f": {asserted[-1].strip()}" if asserted else told
        return f"its process ended with {signal.Signals(-status).name}{told}"
    return f"its process ended with status {status}{told}"


def main() -> None:
    """The child: do what the request says, answering in JSON lines on the original stdout."""
    request = json.load(sys.stdin)
    _end_with(request["parent"])
    os.nice(max(0, NICENESS - os.nice(0)))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    logging.basicConfig(format="%(message)s")
    logging.getLogger("quant").setLevel(logging.DEBUG)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    module, name = request["function"].split(":")
    try:
        call = getattr(importlib.import_module(module), name)
        result = call(**request["arguments"], progress=lambda *state: say({"progress": state}))
        say({"result": result})
    except (ValueError, RuntimeError, OSError, MemoryError) as error:
        traceback.print_exc()
        say({"error": str(error) or type(error).__name__})
    except Exception as error:
        traceback.print_exc()
        say({"error": f"{type(error).__name__}: {error}"})


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we could ask
        sys.exit(1)


if __name__ == "__main__":
    main()
