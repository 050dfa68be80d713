"""This machine, as `manage.py measure_machine` found it. No model is loaded here."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from django.conf import settings

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
BUFFER = 256 << 20  # bytes for each thread, far more than a cache holds


@dataclass(frozen=True)
class Check:
    """The embedded model at one quant: what was predicted and then measured, in tokens a second."""

    quant: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was measured."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Measured:
    """Rates in 10^9 bytes a second, operations in 10^9 a second."""

    at: str  # ISO date and time
    processor: str
    threads: int
    memory_bytes: int
    bandwidth: float
    layer_ms: float  # for each layer of a step, beside reading it
    rates: dict[str, float]  # reading weights of a type while multiplying with them
    operations: float  # while a prompt is read
    steady: bool  # False: something else kept the machine busy meanwhile
    checks: list[Check] = field(default_factory=list)

    def rate(self, type_name: str) -> float:
        """Of the type itself or, if it was not measured, of the slowest that was."""
        return self.rates.get(type_name) or min(self.rates.values())


def file() -> Path:
    return Path(settings.DATA_DIR) / "machine.json"


def measured() -> Measured | None:
    """The last measurement; None if there is none, or none that this version can read."""
    try:
        table = json.loads(file().read_text(encoding="utf-8"))
        table["checks"] = [Check(**check) for check in table["checks"]]
        return Measured(**table)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save(found: Measured) -> None:
    part = file().with_suffix(".part")
    part.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    part.rename(file())


def memory_bytes() -> int:
    """Memory of the machine, or of the container if that may use less."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in CGROUP_LIMITS:
        try:
            found = min(found, int(Path(path).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return found


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def bandwidth(threads: int, seconds: float = 2.0) -> float:
    """10^9 bytes a second that `threads` threads read from memory, the best of many passes."""
    buffers = [np.ones(BUFFER // 8) for _ in range(threads)]
    until, best = time.perf_counter() + seconds, 0.0
    while time.perf_counter() < until:
        workers = [threading.Thread(target=np.add.reduce, args=(b,)) for b in buffers]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, threads * BUFFER / (time.perf_counter() - began))
    return best / 1e9


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))
