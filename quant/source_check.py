"""A source before an experiment: every weight looked at, and which file it was remembered.

kept = child.run("quant.source_check:check", {"path": "/…/x-F16.gguf"}, progress=...)
require_unchanged(path, kept)    # before each later step
"""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quant import child, gguf_file
from quant.child import ChildProgress

PIECE = 4 << 20


class SourceChanged(RuntimeError):
    """The file is not the one that the experiment began with; the message says what to do."""


def check(path: str, progress: ChildProgress) -> dict[str, Any]:
    """In a child. Raises BadGguf, LlamaError or OSError for what can't be used."""
    gguf_file.check_source(path)  # first: its reasons are clearer
    kept = digest(path, progress)
    load(path, progress)
    return kept


def digest(path: str, progress: ChildProgress) -> dict[str, Any]:
    """SHA-256, size and time of change (nanoseconds)."""
    hash = hashlib.sha256()
    with Path(path).open("rb") as file:
        before = os.fstat(file.fileno())
        total = before.st_size // 1_000_000
        while piece := file.read(PIECE):
            hash.update(piece)
            progress(min(file.tell() // 1_000_000, total), total, "")
    return {"sha256": hash.hexdigest(), "bytes": before.st_size, "changed": before.st_mtime_ns}


def load(path: str, progress: ChildProgress) -> None:
    """In a child, which a hostile file may end: llama.cpp loads it and looks at every weight."""
    from quant import llama

    try:
        llama.Model(path, check_weights=True).close()
    except llama.LlamaError as error:
        damaged = re.findall(r"tensor '([^']+)' has invalid data", str(error))
        if not damaged:
            raise
        more = f" and {len(damaged) - 1} more tensors" if len(damaged) > 1 else ""
        raise gguf_file.BadGguf(
            f"{Path(path).name}: {damaged[0]}{more} holds a weight that is not a number. The file "
            "is damaged: fetch or convert it again."
        ) from error


def require_unchanged(
    path: Path,
    kept: dict[str, Any],
    *,
    progress: ChildProgress = lambda done, total, detail: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Raise SourceChanged if the file holds something else than it did. One that is gone passes.

    It is read again only where its size or time says that it may have changed.
    """
    try:
        now = path.stat()
    except FileNotFoundError:
        return  # who needs it says so
    if (now.st_size, now.st_mtime_ns) == (kept["bytes"], kept["changed"]):
        return
    found = child.run(
        "quant.source_check:digest", {"path": str(path)}, progress=progress, cancelled=cancelled
    )
    if found["sha256"] != kept["sha256"]:
        raise SourceChanged(
            f"{path.name} is not the file any more that this experiment began with (SHA-256 "
            f"{kept['sha256'][:12]}…, now {found['sha256'][:12]}…). Put that one back and try "
            "again, or start a new experiment from this one."
        )
