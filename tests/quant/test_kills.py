"""kill -9 at random moments, under the real supervisor: everything comes to its end all the same.

A round kills four times. The suite plays one; OPENBOOK_KILL_ROUNDS=5 plays twenty kills.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.quant.lab_site import Bench, descendants, kill, until

ROUNDS = int(os.environ.get("OPENBOOK_KILL_ROUNDS", "1"))
VICTIMS = {"worker": " celery ", "redis": "redis-server", "child": "quant.child"}
KILLS = 4
TYPES = (["Q8_0", "GPTQ-Q4_1"], ["Q4_0"])


@pytest.fixture
def bench(tmp_path: Path, tiny: Path) -> Iterator[Bench]:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny-F32.gguf").symlink_to(tiny)
    bench = Bench(tmp_path)
    bench.start_supervised()
    yield bench
    bench.close()


def running(bench: Bench, victim: str) -> list[int]:
    assert bench.supervisor
    found = descendants(bench.supervisor.pid)
    return [pid for pid, line in found.items() if VICTIMS[victim] in line]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_every_experiment_completes_whoever_is_killed(bench: Bench, seed: int):
    chance = random.Random(seed)
    experiments = [bench.create(source="tiny-F32.gguf", types=types) for types in TYPES]
    victims = [*VICTIMS, chance.choice(list(VICTIMS))]
    chance.shuffle(victims)
    killed = []
    for victim in victims:
        if ended(bench, experiments):
            experiments.append(bench.create(source="tiny-F32.gguf", types=TYPES[0]))
        until(lambda: any(map(bench.running, experiments)) or ended(bench, experiments), 90)
        time.sleep(chance.uniform(0, 2))  # the random moment
        until(lambda who=victim: bool(running(bench, who)) or ended(bench, experiments), 90)
        for pid in running(bench, victim)[:1]:
            with suppress(ProcessLookupError):
                kill(pid)
                killed.append(victim)
    print(f"round {seed}: killed {killed}")
    for pk in experiments:
        until(
            lambda pk=pk: bench.state(pk) in ("done", "failed"), 120, lambda pk=pk: story(bench, pk)
        )
        if bench.state(pk) == "failed":
            print(f"experiment {pk} failed: {bench.error(pk)}")
            bench.act("retry", pk)
        bench.wait(pk, "done", 90)
    for pk in experiments:
        steps = bench.query("SELECT DISTINCT state FROM quant_step WHERE experiment_id = ?", pk)
        assert steps == [("done",)]
        until(lambda pk=pk: not leftovers(bench, pk), 10, lambda pk=pk: str(leftovers(bench, pk)))
    until(lambda: not running(bench, "child"), 5)
    assert not orphans(bench)


def ended(bench: Bench, experiments: list[int]) -> bool:
    return all(bench.state(pk) in ("done", "failed") for pk in experiments)


def story(bench: Bench, pk: int) -> str:
    worker = (bench.data / "logs" / "worker.log").read_text(errors="replace")
    return f"{bench._story(pk)}\n{worker[-3000:]}"


def leftovers(bench: Bench, pk: int) -> list[str]:
    """Files in the experiment's folder beside its models and its text."""
    return [name for name in bench.files(pk) if not name.endswith((".gguf", "text.txt"))]


def orphans(bench: Bench) -> list[str]:
    """Processes with this data folder that the supervisor does not know."""
    assert bench.supervisor
    known = descendants(bench.supervisor.pid).keys() | {bench.supervisor.pid}
    mark = f"OPENBOOK_DATA={bench.data}\0".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) not in known and mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found
