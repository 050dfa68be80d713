"""The tutor's speed while the lab quantizes and measures beside it, against its speed alone.

    .venv/bin/python bench/worker_beside.py [--rounds 2]

The lab's work runs as under the worker: children of a process at nice 19, with every thread, in the
session of the engine. Idle and busy turns alternate; each busy one begins with quantizing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from statistics import median

from lib.chat import ROOT, ChatServer, fresh, lesson, ours

TOKENS, TURNS = 64, 3
LEAST = 0.85
TYPES = "Q8_0,Q6_K,Q5_K_M,Q4_K_M,Q4_0,Q3_K_M,Q2_K"
LAB = ["nice", "-n", "19", sys.executable, "manage.py", "quantize", "smollm2-135m-instruct-f16"]
Rates = dict[str, list[float]]


def measure(server: ChatServer, mark: str, rates: Rates) -> None:
    text = lesson("beside")
    for turn in range(TURNS):
        for what, learners in (("one learner", 1), ("eight learners", 8)):
            questions = fresh(f"{mark}{turn}{what}", learners)
            rates[what].append(server.ask(text, questions, TOKENS).rate)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    idle: Rates = defaultdict(list)
    busy: Rates = defaultdict(list)
    with ours() as server:
        measure(server, "warm-up", defaultdict(list))
        for turn in range(parser.parse_args().rounds):
            measure(server, f"idle{turn}", idle)
            with tempfile.TemporaryDirectory(prefix="openbook-bench-") as folder:
                command = [*LAB, "--types", TYPES, "--out", folder]
                lab = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
                try:
                    time.sleep(2)  # its imports
                    measure(server, f"busy{turn}", busy)
                    assert lab.poll() is None, "the lab's work ended too early"
                finally:
                    lab.terminate()
                    lab.wait()
    worst = 1.0
    for what in idle:
        alone, beside = median(idle[what]), median(busy[what])
        worst = min(worst, beside / alone)
        print(f"{what:16} {alone:7.1f} tokens/s alone, {beside:7.1f} beside: {beside / alone:.3f}")
    if worst < LEAST:
        raise SystemExit(f"at least {LEAST} was wanted")


if __name__ == "__main__":
    main()
