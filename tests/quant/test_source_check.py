import os
import shutil
import struct
from pathlib import Path

import pytest

from quant import child, experiment, gguf_file
from quant.experiment import StepFailed, make_plan, run_step, steps
from quant.source_check import SourceChanged, require_unchanged
from tests.quant.conftest import write_tiny_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(settings, tmp_path: Path, tiny: Path) -> Path:
    settings.DATA_DIR, settings.MODELS_DIR = tmp_path / "var", tmp_path / "models"
    (tmp_path / "text.txt").write_text("Some words. " * 200)
    return Path(shutil.copy(tiny, tmp_path / "mine-F32.gguf"))


def planned(source: Path) -> experiment.Plan:
    return make_plan(
        str(source),
        ["Q8_0"],
        prompts=[],
        text_file=str(source.parent / "text.txt"),
        out=str(source.parent / "out"),
        n_ctx=64,
        n_threads=1,
    )


def spoil(path: Path) -> str:
    """Make one weight no number; its tensor's name."""
    tensor = gguf_file.read(path).tensors[-1]
    with path.open("r+b") as file:
        file.seek(tensor.offset + tensor.bytes - 4)
        file.write(struct.pack("<f", float("nan")))
    return tensor.name


def test_every_weight_is_looked_at_before_anything_is_made(source: Path):
    name = spoil(source)
    plan = planned(source)  # the header tells nothing
    first = steps(plan)[0]
    with pytest.raises(StepFailed, match=f"{name} holds a weight that is not a number"):
        run_step(plan, first, {})
    assert not (source.parent / "out").exists()


def test_the_check_tells_how_far_it_is_and_which_file_it_was(real):
    path = real("smollm2-135m-instruct-Q4_1.gguf")
    told = []
    kept = child.run(
        "quant.source_check:check",
        {"path": str(path)},
        progress=lambda done, total, detail: told.append((done, total)),
    )
    assert kept["bytes"] == path.stat().st_size
    assert told == sorted(told)
    assert told[-1] == (98, 98)
    require_unchanged(path, kept)


def test_a_source_that_changed_is_refused_until_the_old_one_is_back(source: Path):
    plan = planned(source)
    checked, *others = steps(plan)
    results = {checked.key: run_step(plan, checked, {})}
    kept = source.read_bytes()
    write_tiny_model(source, seed=2)
    os.utime(source, ns=(0, 0))
    for step in others:
        with pytest.raises(StepFailed, match="not the file any more that this experiment began"):
            run_step(plan, step, results)
    assert not (source.parent / "out").exists()
    source.write_bytes(kept)
    os.utime(source, ns=(1, 1))  # another time, the same bytes
    assert run_step(plan, others[0], results)["tensors"]


def test_the_same_size_and_bytes_with_another_time_is_the_same_file(source: Path):
    kept = child.run("quant.source_check:digest", {"path": str(source)})
    source.touch()
    require_unchanged(source, kept)
    spoil(source)
    with pytest.raises(SourceChanged, match=kept["sha256"][:12]):
        require_unchanged(source, kept)
    source.unlink()
    require_unchanged(source, kept)  # whoever needs it says that it is gone
