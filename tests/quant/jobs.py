"""Functions that tests run in a child process."""

import os
import sys
import time
from typing import Any


def describe(value: Any, progress) -> dict[str, Any]:
    print("a library's chatter")
    progress(1, 2, "half")
    return {
        "value": value,
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "pid": os.getpid(),
        "niceness": os.nice(0),
    }


def refuse(progress) -> None:
    raise ValueError("line 17 holds no prompt")


def assert_false(progress) -> None:
    sys.stderr.write("file.c:12: GGML_ASSERT(x > 0) failed\nlast line\n")
    sys.stderr.flush()
    os.abort()


def hang(progress) -> None:
    progress(0, 1, str(os.getpid()))
    time.sleep(600)
