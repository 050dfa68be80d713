"""This machine: what is remembered of it, and how it is measured."""

import json

import pytest

from quant import benchmark, gguf_file, machine
from quant.benchmark import DEEP, WIDE, write_random_model
from quant.planner import here
from quant.planner.tensors import Dimensions, tensors_of
from quant.quantize import quantize
from tests.quant.families import write_family_model
from tests.quant.test_planner import MEASURED


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path, tmp_path / "models"
    settings.MODELS_DIR.mkdir()
    return tmp_path


def test_a_measurement_is_kept():
    assert machine.measured() is None
    machine.save(MEASURED)
    assert machine.measured() == MEASURED
    assert [path.name for path in machine.file().parent.glob("machine*")] == ["machine.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": "today"}', '{"checks": [{"x": 1}]}'])
def test_a_damaged_file_is_no_measurement(content):
    machine.file().write_text(content)
    assert machine.measured() is None
    assert here.this_machine().measured is None


def test_memory_is_at_most_what_the_container_may_use(monkeypatch, tmp_path):
    whole = machine.memory_bytes()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "CGROUP_LIMITS", [str(limit)])
    limit.write_text("max\n")
    free = machine.memory_bytes()
    limit.write_text(f"{1 << 30}\n")
    assert machine.memory_bytes() == 1 << 30 < whole <= free


def test_reading_memory_with_two_threads_gives_a_rate(monkeypatch):
    monkeypatch.setattr(machine, "BUFFER", 1 << 20)
    assert machine.bandwidth(2, seconds=0.05) > 0


def test_the_random_models_are_what_they_are_said_to_be(folder):
    small = Dimensions("llama", 2, 64, 128, 2, 1, 32, 256)
    file = gguf_file.check_source(write_random_model(folder / "small.gguf", small))
    assert here.from_file(file.path).dims == small
    assert file.elements == sum(tensor.elements for tensor in tensors_of(small))
    assert all(tensor.offset % 64 == 32 for tensor in file.tensors)  # the slower half
    wide = sum(tensor.elements for tensor in tensors_of(WIDE))
    assert 2 * wide > 240e6
    assert sum(tensor.elements for tensor in tensors_of(DEEP)) * 2 < 4e6


def test_the_line_is_made_of_other_models_and_then_checked_on_the_embedded_one(folder, monkeypatch):
    """With small models in the place of the large ones: every part of a measurement runs."""
    embedded = write_family_model(folder / "models" / "embedded-F16.gguf", "llama")
    monkeypatch.setattr(benchmark, "EMBEDDED", str(embedded))
    monkeypatch.setattr(benchmark, "WIDE", Dimensions("llama", 2, 256, 512, 4, 2, 64, 256))
    monkeypatch.setattr(benchmark, "DEEP", Dimensions("llama", 4, 32, 32, 1, 1, 32, 256))
    monkeypatch.setattr(benchmark, "RUNS", 1)
    monkeypatch.setattr(machine, "BUFFER", 1 << 20)
    told: list[str] = []
    found = benchmark.measure_machine(told.append)
    assert set(found.rates) == set(benchmark.TYPES)
    assert min(found.rates.values()) > 0
    assert found.layer_ms > 0
    assert [check.quant for check in found.checks] == ["F16", "Q8_0", "Q4_0"]
    assert all(check.predicted > 0 and check.measured > 0 for check in found.checks)
    assert "Quantizing to Q4_K_S" in told
    assert not list(folder.glob(".measure-*"))
    machine.save(found)
    assert json.loads(machine.file().read_text())["threads"] == found.threads


def test_the_check_times_the_file_that_the_lab_would_make(folder):
    source = write_family_model(folder / "tiny-F16.gguf", "qwen2")
    bench = benchmark._Bench(folder, 1, lambda line: None)
    made = bench.quantized(source, "Q4_0", pure=False)
    wanted = quantize(source, "Q4_0", folder / "lab-Q4_0.gguf", n_threads=1).path
    assert made.read_bytes() == wanted.read_bytes()
