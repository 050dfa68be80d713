import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from quant import experiment, gguf_file
from quant.experiment import Cancelled, Plan, PlanError, StepFailed, make_plan, steps
from quant.management.commands.quantize import table
from quant.quantize import quantize
from tests.quant.conftest import write_tiny_model
from tests.quant.lab_site import ROOT, children, is_alive, until

TEXT = "The river comes down from the hills in two moods. In spring it is brown. " * 6
TASK = {"question": "Where does the river come from?", "options": ["hills", "sea"], "correct": 0}
OPTIONS = {"n_ctx": 64, "windows": 2, "n_predict": 8, "n_threads": 1}


@pytest.fixture
def folder(settings, tmp_path) -> Path:
    """An empty store and data folder, with a text and prompts to measure with."""
    settings.DATA_DIR = tmp_path / "var"
    settings.MODELS_DIR = settings.DATA_DIR / "models"
    settings.MODELS_DIR.mkdir(parents=True)
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "prompts.txt").write_text("What?\n\nTell me more.\n")
    return tmp_path


@pytest.fixture
def source(folder, tiny) -> Path:
    return quantize(tiny, "F16", folder / "tiny-F16.gguf", n_threads=1).path


def planned(source, folder, types=("Q8_0", "Q4_0"), **more) -> Plan:
    given = {"prompts": ["What?"], "text_file": str(folder / "text.txt"), "out": str(folder / "o")}
    return make_plan(str(source), types, **{**given, **OPTIONS, **more})


def run(plan: Plan, results: dict | None = None) -> dict:
    results = {} if results is None else results
    for step in steps(plan):
        if step.key not in results:
            results[step.key] = experiment.run_step(plan, step, results)
    return results


def test_a_run_reports_what_was_really_done(source, folder):
    plan = planned(source, folder)
    report = experiment.report(plan, run(plan))
    assert report["source"] == str(source)
    assert report["eval"] == {"text": str(folder / "text.txt"), "n_ctx": 64, "windows": 2}
    reference, q8, q4 = report["variants"]
    assert [v["type"] for v in report["variants"]] == ["F16", "Q8_0", "Q4_0"]
    assert reference["file"] == str(source)
    assert reference["mean_kl"] == 0
    assert 0 < q8["mean_kl"] < q4["mean_kl"] <= q4["max_kl"]
    assert q4["median_kl"] < q4["p99_kl"]
    for variant in report["variants"]:
        file = gguf_file.read(variant["file"])
        assert variant["file"].endswith(f"-{variant['type']}.gguf")
        assert variant["bytes"] == Path(variant["file"]).stat().st_size
        assert variant["tensors"] == file.type_counts
        assert variant["bits_per_weight"] == file.bits_per_weight
        (output,) = variant["outputs"]
        assert set(output) == {"prompt", "text", "first_difference"}
        assert variant["prompt_tokens_per_second"] > 0
        assert variant["generation_tokens_per_second"] > 0
    assert sorted(path.name for path in (folder / "o").iterdir()) == [
        "tiny-Q4_0.gguf",
        "tiny-Q8_0.gguf",
    ]
    experiment.clean_up(plan)
    assert list((folder / "var" / "work").iterdir()) == []


def test_methods_are_variants_like_any_other(source, folder):
    types = ["RTN-Q4_1", "IMATRIX-Q4_1", "gptq-q4_1", "Q4_1"]
    plan = planned(source, folder, types=types, prompts=[])
    assert steps(plan)[1].key == "inputs"
    report = experiment.report(plan, run(plan))
    _, rtn, imatrix, gptq, stock = report["variants"]
    assert gptq["file"] == str(folder / "o" / "tiny-GPTQ-Q4_1.gguf")
    assert rtn["bits_per_weight"] == imatrix["bits_per_weight"] == gptq["bits_per_weight"]
    assert rtn["tensors"] == gptq["tensors"] == {"Q4_1": 14, "F32": 5, "Q8_0": 1}
    assert gptq["mean_kl"] < rtn["mean_kl"]
    assert imatrix["mean_kl"] != rtn["mean_kl"]
    assert stock["tensors"] == {"Q4_1": 14, "F32": 5, "Q8_0": 1}
    assert report["calibration"]["text"].endswith("calibration.txt")
    assert report["calibration"]["windows"] == 24
    again = planned(source, folder, types=["RTN-Q4_1", "Q8_0"])
    assert steps(again)[1].key == "quantize:F16"  # nothing that goes by inputs


def test_inputs_that_were_removed_meanwhile_are_gathered_again(source, folder):
    plan = planned(source, folder, types=["GPTQ-Q4_1"], prompts=[])
    _, inputs, reference, gptq = steps(plan)[:4]
    results = {inputs.key: experiment.run_step(plan, inputs, {})}
    for file in (folder / "var" / "calibration").glob("*/*"):
        file.unlink()
    experiment.run_step(plan, gptq, results)
    assert (folder / "o" / "tiny-GPTQ-Q4_1.gguf").is_file()
    assert reference.key == "quantize:F16"


def test_measuring_on_the_calibration_text_is_refused(source, folder):
    same = str(folder / "text.txt")
    with pytest.raises(PlanError, match="better than they are"):
        planned(source, folder, types=["AWQ-Q4_1"], calibration=same)
    assert planned(source, folder, types=["RTN-Q4_1"], calibration=same)


def test_a_model_that_a_method_can_not_round_is_refused_beforehand(folder):
    odd = write_tiny_model(folder / "odd-F32.gguf", embd=48)
    with pytest.raises(PlanError, match="48 long"):
        planned(odd, folder, types=["GPTQ-Q4_1"])
    assert planned(odd, folder, types=["Q8_0"])


def test_a_plan_survives_json_and_a_run_goes_on_where_it_stopped(source, folder):
    plan = planned(source, folder, types=["Q8_0"])
    assert Plan(**json.loads(json.dumps(asdict(plan)))) == plan
    whole = run(plan)
    experiment.clean_up(plan)
    partly = {key: whole[key] for key in list(whole)[:6]}
    assert "measure:F16" in partly
    assert "measure:Q8_0" not in partly
    again = run(plan, json.loads(json.dumps(partly)))
    assert again["measure:Q8_0"] == whole["measure:Q8_0"]
    early = experiment.report(plan, {"quantize:F16": whole["quantize:F16"]})
    assert early["variants"][0]["bytes"] == source.stat().st_size
    assert early["variants"][1]["mean_kl"] is None


def test_a_source_with_32_bits_gets_a_16_bit_reference(tiny, folder):
    plan = planned(tiny, folder, types=["Q8_0"])
    report = experiment.report(plan, run(plan))
    assert report["variants"][0]["file"] == str(folder / "o" / "tiny-F16.gguf")
    assert report["variants"][0]["tensors"] == {"F16": 15, "F32": 5}
    assert "warning" not in report


def test_a_quantized_source_is_taken_with_a_warning(source, folder):
    q4 = quantize(source, "Q4_0", folder / "tiny-Q4_0.gguf", n_threads=1).path
    plan = planned(q4, folder, types=["Q8_0"])
    assert "quantized itself (mostly Q4_0)" in plan.warning
    assert experiment.variant_path(plan, "Q8_0").name == "tiny-Q4_0-Q8_0.gguf"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"types": ["Q9_9"]}, "no type is named 'Q9_9'; there are .*Q4_K_M"),
        ({"text_file": "/none.txt"}, "No such file"),
        ({"source": "nothing"}, "neither a file nor a registered name"),
    ],
)
def test_what_can_not_be_run_is_refused_beforehand(source, folder, change, message):
    with pytest.raises(PlanError, match=message):
        planned(change.pop("source", source), folder, **change)


def test_a_file_of_the_store_is_not_written_over(folder, tiny):
    store = folder / "var" / "models"
    entry = '[mine]\nwhat = "x"\nlicence = "x"\nfile = "tiny-F16.gguf"\n'
    (folder / "var" / "models.toml").write_text(entry)
    with pytest.raises(PlanError, match="a file of the store's own"):
        planned(tiny, folder, types=["Q8_0"], out=str(store))


def test_types_are_read_kindly(source, folder):
    plan = planned(source, folder, types=["q4_k", "F16", " Q8_0", "Q4_K_M"])
    assert plan.types == ["F16", "Q4_K_M", "Q8_0"]


def test_the_default_text_is_that_of_the_lessons_or_else_ours(source, folder, settings):
    settings.QUANT_TEXT_PROVIDER = "tests.quant.test_experiment.no_text"
    assert planned(source, folder, text_file=None).text_file.endswith("quant/eval.txt")
    settings.QUANT_TEXT_PROVIDER = "tests.quant.test_experiment.no_database"
    assert planned(source, folder, text_file=None).text_file.endswith("quant/eval.txt")
    settings.QUANT_TEXT_PROVIDER = "tests.quant.test_experiment.some_text"
    path = Path(planned(source, folder, text_file=None).text_file)
    assert path.read_text() == TEXT
    assert path.parent == folder / "var" / "eval"


def no_text() -> str:
    return ""


def no_database() -> str:
    raise OperationalError("no such table: lessons_lesson")


def some_text() -> str:
    return TEXT


def test_a_cancelled_step_leaves_nothing_and_can_be_done_again(source, folder):
    plan = planned(source, folder)
    (step,) = (step for step in steps(plan) if step.key == "quantize:Q4_0")
    with pytest.raises(Cancelled):
        experiment.run_step(plan, step, {}, cancelled=lambda: True)
    assert not list((folder / "o").iterdir())
    assert experiment.run_step(plan, step, {})["bytes"] > 0


def test_cleaning_up_removes_what_a_killed_process_left(source, folder):
    plan = planned(source, folder)
    (folder / "o").mkdir()
    for name in (".tiny-Q8_0.gguf.part", ".tiny-Q8_0.gguf.lock", "other.gguf"):
        (folder / "o" / name).write_bytes(b"half")
    blocks = folder / "o" / ".tiny-Q8_0.gguf.parts"
    (blocks / "blk.0").mkdir(parents=True)
    experiment.clean_up(plan, keep_blocks=True)
    assert {path.name for path in (folder / "o").iterdir()} == {"other.gguf", blocks.name}
    experiment.clean_up(plan)
    assert [path.name for path in (folder / "o").iterdir()] == ["other.gguf"]


def test_a_step_that_fails_says_why(source, folder):
    plan = planned(source, folder, types=["Q8_0"])
    results = run(plan)
    Path(results["quantize:Q8_0"]["file"]).unlink()
    (step,) = (step for step in steps(plan) if step.key == "speed:Q8_0")
    with pytest.raises(StepFailed, match=r"tiny-Q8_0\.gguf is gone"):
        experiment.run_step(plan, step, results)
    source.unlink()
    (step,) = (step for step in steps(plan) if step.key == "quantize:Q8_0")
    with pytest.raises(StepFailed, match="No such file"):
        experiment.run_step(plan, step, results)


def test_the_command_prints_one_object_and_its_progress_elsewhere(source, folder, capsys):
    arguments = ["quantize", str(source), "--types", "Q8_0", "--out", str(folder / "o")]
    arguments += ["--prompts", str(folder / "prompts.txt"), "--threads", "1", "--n-predict", "6"]
    arguments += ["--eval-text", str(folder / "text.txt"), "--n-ctx", "64", "--windows", "2"]
    call_command(*arguments, "--json")
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert len(report["variants"][1]["outputs"]) == 2
    assert "Quantize to Q8_0" in printed.err
    call_command(*arguments)
    text = capsys.readouterr().out
    assert "Q8_0" in text
    assert "> Tell me more." in text
    assert not (folder / "var" / "work").exists() or not list((folder / "var" / "work").iterdir())


def test_the_command_scores_tasks_and_gives_a_verdict(source, folder, capsys):
    tasks = folder / "tasks.txt"
    tasks.write_text("How deep is it?; two metres\n" + json.dumps(TASK))
    arguments = ["quantize", str(source), "--types", "Q4_0", "--out", str(folder / "o")]
    arguments += ["--tasks", str(tasks), "--no-speed", "--threads", "1", "--n-predict", "6"]
    arguments += ["--eval-text", str(folder / "text.txt"), "--n-ctx", "64", "--windows", "2"]
    call_command(*arguments, "--json")
    report = json.loads(capsys.readouterr().out)
    for variant in report["variants"]:
        assert variant["tasks"]["of"] == 2
        low, high = variant["tasks"]["interval"]
        assert 0 <= low <= variant["tasks"]["right"] / 2 <= high <= 1
        assert variant["prompt_tokens_per_second"] is None
    assert "F16" in report["verdict"]
    assert "The tasks can’t tell" in report["verdict"]
    call_command(*arguments)
    head, *_ = text = capsys.readouterr().out.splitlines()
    assert "tasks" in head
    assert "t/s" not in head
    assert report["verdict"] in text


def test_a_stopped_command_leaves_finished_blocks_and_nothing_half_done(
    source, folder, monkeypatch
):
    def stop(plan, *_, **__):
        target = experiment.variant_path(plan, "RTN-Q4_1")
        target.parent.mkdir()
        target.with_name(f".{target.name}.part").write_bytes(b"half")
        (target.with_name(f".{target.name}.parts") / "blk.0").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run_step", stop)
    arguments = ["--types", "RTN-Q4_1", "--out", str(folder / "o")]
    arguments += ["--eval-text", str(folder / "text.txt")]
    with pytest.raises(CommandError, match="goes on at the next block"):
        call_command("quantize", str(source), *arguments)
    assert [path.name for path in (folder / "o").iterdir()] == [".tiny-RTN-Q4_1.gguf.parts"]


def test_the_command_gives_a_verdict_on_an_embedder(real, folder, capsys):
    path = str(real("all-minilm-l6-v2-F32.gguf"))
    texts = ["--eval-text", str(folder / "text.txt"), "--prompts", str(folder / "prompts.txt")]
    call_command("quantize", path, "--types", "Q8_0", "--out", str(folder / "o"), *texts)
    said = capsys.readouterr().out
    assert "Q8_0 finds the same passage first as F16" in said


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_told_to_end_cleans_up(source, folder, told):
    long = folder / "long.txt"
    long.write_text(TEXT * 200)
    command = [sys.executable, "manage.py", "quantize", str(source), "--out", str(folder / "o")]
    command += ["--types", "Q8_0", "--eval-text", str(long), "--n-ctx", "64", "--windows", "0"]
    data = folder / "var"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OPENBOOK_DATA": str(data)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    ) as process:
        until(lambda: bool(list((data / "work").glob("command-*/reference.logits*"))))
        (child,) = children(process.pid)
        process.send_signal(told)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Stopped. Finished variants stay" in said
    assert "Traceback" not in said
    assert not is_alive(child)
    assert not list((data / "work").iterdir())
    assert all(path.suffix == ".gguf" for path in (folder / "o").iterdir())


def test_the_command_names_the_line_of_a_mistake(source, folder):
    tasks = folder / "tasks.jsonl"
    tasks.write_text("What?\tthat\n" * 16 + "no answer here\nWhat?\tthat\n")
    with pytest.raises(CommandError, match=r"tasks\.jsonl: Line 17: expected a question"):
        call_command("quantize", str(source), "--tasks", str(tasks))
    assert not (folder / "var" / "work").exists()


def test_the_command_says_what_is_wrong_in_one_line(source, folder):
    empty, bad = folder / "empty.txt", folder / "bad.gguf"
    empty.write_text("\n\n")
    with pytest.raises(CommandError, match="holds no prompt"):
        call_command("quantize", str(source), "--prompts", str(empty))
    bad.write_text("a question without an answer")
    with pytest.raises(CommandError, match=r"bad\.gguf: Line 1: expected a question"):
        call_command("quantize", str(source), "--tasks", str(bad))
    with pytest.raises(CommandError, match="not a GGUF file"):
        call_command("quantize", str(bad))


def test_an_embedder_is_compared_by_what_it_finds(real, folder):
    plan = planned(real("all-minilm-l6-v2-F32.gguf"), folder, types=["Q4_0"])
    assert [step.key for step in steps(plan)] == [
        "source",
        "quantize:F16",
        "quantize:Q4_0",
        "search:F16",
        "search:Q4_0",
    ]
    report = experiment.report(plan, run(plan))
    assert report["eval"] == {"text": str(folder / "text.txt"), "passages": 2}
    reference, variant = report["variants"]
    assert reference["mean_cosine"] == pytest.approx(1, abs=1e-5)
    assert 0.8 < variant["mean_cosine"] < 0.9999
    assert variant["outputs"][0]["rank"] in (1, 2)
    assert "Q4_0" in table(report)
