import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.quant.conftest import write_tiny_model
from tests.quant.lab_site import Bench, is_alive, kill, until


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "models").mkdir()
    (folder / "models" / "tiny-F32.gguf").symlink_to(tiny)
    return folder


@pytest.fixture
def bench(data: Path) -> Iterator[Bench]:
    bench = Bench(data)
    bench.start_redis()
    yield bench
    bench.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either_bench(request: pytest.FixtureRequest, tmp_path: Path, tiny: Path) -> Iterator[Bench]:
    url = ""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_url")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE lab")
        url = server.removesuffix("postgres") + "lab"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny-F32.gguf").symlink_to(tiny)
    bench = Bench(tmp_path, url)
    bench.start_redis()
    yield bench
    bench.close()


def wait_for_nothing_half_done(bench: Bench, pk: int) -> None:
    """A worker tidies just after it has said that an experiment ended."""
    until(lambda: all(name.endswith((".gguf", "text.txt")) for name in bench.files(pk)), 5)


def test_an_experiment_runs_to_its_end_and_keeps_every_result(bench: Bench):
    bench.start_worker()
    pk = bench.create(source="tiny-F32.gguf", types=["Q8_0"])
    bench.wait(pk, "done")
    results = bench.results(pk)
    assert results["measure:Q8_0"]["windows"] == 2
    assert results["measure:Q8_0"]["mean_kl"] > 0
    assert results["generate:Q8_0"]["outputs"][0]["prompt"] == "abc"
    assert Path(results["quantize:Q8_0"]["file"]).is_file()
    wait_for_nothing_half_done(bench, pk)


def test_a_worker_killed_in_the_middle_takes_its_child_along_and_the_next_one_goes_on(bench: Bench):
    worker = bench.start_worker()
    pk = bench.create(source="tiny-F32.gguf", types=[])
    orphan = bench.hold(pk, "measure", worker)
    kill(worker.pid)
    until(lambda: not is_alive(orphan), 2)
    before = bench.results(pk)
    bench.start_worker()
    bench.wait(pk, "done")
    after = bench.results(pk)
    assert before.items() <= after.items()
    assert after["measure:F16"]["windows"] == 2
    wait_for_nothing_half_done(bench, pk)


def test_a_child_killed_in_the_middle_is_started_again(bench: Bench):
    worker = bench.start_worker()
    pk = bench.create(source="tiny-F32.gguf", types=[])
    kill(bench.hold(pk, "measure", worker))
    bench.wait(pk, "done")
    attempts = bench.query("SELECT attempts FROM quant_step WHERE experiment_id = ?", pk)
    assert sorted(set(attempts)) == [(1,), (2,)]


def test_a_worker_that_is_told_to_end_gives_the_experiment_back_at_once(bench: Bench):
    worker = bench.start_worker()
    pk = bench.create(source="tiny-F32.gguf", types=[])
    orphan = bench.hold(pk, "measure", worker)
    worker.send_signal(signal.SIGTERM)
    bench.wait(pk, "queued", 5)
    assert worker.wait(10) == 0
    assert not is_alive(orphan)
    bench.start_worker()
    bench.wait(pk, "done")


def test_stop_ends_the_child_and_leaves_nothing_half_done(bench: Bench):
    worker = bench.start_worker()
    pk = bench.create(source="tiny-F32.gguf", types=[])
    orphan = bench.hold(pk, "quantize", worker)
    bench.act("stop", pk)
    until(lambda: not is_alive(orphan), 1)
    wait_for_nothing_half_done(bench, pk)
    assert bench.state(pk) == "cancelled"
    bench.act("retry", pk)
    bench.wait(pk, "done")


def test_redis_may_die_and_come_back(bench: Bench):
    redis = bench.processes[0]
    worker = bench.start_worker()
    first = bench.create(source="tiny-F32.gguf", types=[])
    held = bench.hold(first, "measure", worker)
    kill(redis.pid)
    redis.wait()
    second = bench.create(source="tiny-F32.gguf", types=[])
    os.kill(held, signal.SIGCONT)
    bench.wait(first, "done")
    assert bench.state(second) == "queued"
    bench.start_redis()
    bench.wait(second, "done")


def test_two_workers_share_the_experiments_and_do_none_twice(either_bench: Bench):
    bench = either_bench
    workers = [bench.start_worker(), bench.start_worker()]
    first = bench.create(source="tiny-F32.gguf", types=[])
    held = bench.hold(first, "quantize", *workers)
    others = [bench.create(source="tiny-F32.gguf", types=[]) for _ in range(2)]
    for pk in others:
        bench.wait(pk, "done")
    assert bench.state(first) == "running"
    os.kill(held, signal.SIGCONT)
    bench.wait(first, "done")
    for pk in (first, *others):
        sql = "SELECT DISTINCT attempts FROM quant_step WHERE experiment_id = ?"
        assert bench.query(sql, pk) == [(1,)]


def test_a_source_that_disappears_is_the_reason_and_trying_again_completes(
    bench: Bench, data: Path, tiny: Path
):
    source = data / "models" / "gone-F32.gguf"
    source.write_bytes(tiny.read_bytes())
    pk = bench.create(source="gone-F32.gguf", types=[])
    source.unlink()
    bench.start_worker()
    bench.wait(pk, "failed")
    assert "gone-F32.gguf" in bench.error(pk)
    source.write_bytes(tiny.read_bytes())
    bench.act("retry", pk)
    bench.wait(pk, "done")


def test_a_source_deleted_in_the_middle_costs_nothing_that_was_finished(
    bench: Bench, data: Path, tiny: Path
):
    source = data / "models" / "deleted-F32.gguf"
    source.write_bytes(tiny.read_bytes())
    worker = bench.start_worker()
    pk = bench.create(source="deleted-F32.gguf", types=["Q8_0"])
    held = bench.hold(pk, "quantize", worker)
    source.unlink()
    os.kill(held, signal.SIGCONT)
    bench.wait(pk, "failed")
    assert "deleted-F32.gguf" in bench.error(pk)
    wait_for_nothing_half_done(bench, pk)
    before = bench.results(pk)
    source.write_bytes(tiny.read_bytes())
    bench.act("retry", pk)
    bench.wait(pk, "done")
    assert before.items() <= bench.results(pk).items()


def test_a_source_exchanged_in_the_middle_is_refused_until_it_is_back(
    bench: Bench, data: Path, tiny: Path
):
    source = data / "models" / "exchanged-F32.gguf"
    source.write_bytes(tiny.read_bytes())
    worker = bench.start_worker()
    pk = bench.create(source="exchanged-F32.gguf", types=["Q8_0"])
    bench.hold(pk, "quantize", worker)
    bench.act("stop", pk)
    write_tiny_model(source, seed=2)
    bench.act("retry", pk)
    bench.wait(pk, "failed")
    assert "exchanged-F32.gguf is not the file any more" in bench.error(pk)
    source.write_bytes(tiny.read_bytes())
    bench.act("retry", pk)
    bench.wait(pk, "done")


@pytest.fixture
def small_disk(data: Path) -> Iterator[Callable[[str], None]]:
    """Where experiments lie: a disk as large as it is told to be."""
    folder = data / "experiments"
    folder.mkdir(exist_ok=True)

    def size(size: str) -> None:
        command = ["mount", "-o", f"remount,size={size}", str(folder)]
        subprocess.run(command, check=True)

    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield size
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_the_reason_and_with_room_trying_again_completes(
    data: Path, small_disk: Callable[[str], None]
):
    bench = Bench(data)
    bench.start_redis()
    worker = bench.start_worker()
    try:
        pk = bench.create(source="tiny-F32.gguf", types=["Q8_0"])
        bench.wait(pk, "failed")
        assert "no room for tiny-F16.gguf" in bench.error(pk)
        wait_for_nothing_half_done(bench, pk)
        assert worker.poll() is None
        small_disk("50m")
        bench.act("retry", pk)
        bench.wait(pk, "done")
    finally:
        bench.close()


def test_a_disk_that_fills_up_while_measuring_is_named_too(
    data: Path, small_disk: Callable[[str], None]
):
    bench = Bench(data)
    bench.start_redis()
    worker = bench.start_worker()
    try:
        small_disk("50m")
        pk = bench.create(source="tiny-F32.gguf", types=[], windows=8)
        held = bench.hold(pk, "generate", worker)
        small_disk("400k")
        os.kill(held, signal.SIGCONT)
        bench.wait(pk, "failed")
        assert re.search("no room|No space left", bench.error(pk)), bench.error(pk)
        wait_for_nothing_half_done(bench, pk)
        assert worker.poll() is None
        small_disk("50m")
        bench.act("retry", pk)
        bench.wait(pk, "done")
    finally:
        bench.close()
