"""The plan: memory, speed, cost, the pick and why; and clear words for what can't be planned."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from quant import llama, machine
from quant.machine import Check, Measured
from quant.planner import estimate, here
from quant.planner.data import data
from quant.planner.estimate import Range
from quant.planner.plan import LADDER, NOT_PUBLISHED, make_plan
from quant.planner.tensors import UnknownModel

MODELS, MACHINES = data().models, data().machines
MEASURED = Measured(
    at="2026-11-23T10:00:00+00:00",
    processor="Test processor",
    threads=2,
    memory_bytes=16 * 2**30,
    bandwidth=20.0,
    layer_ms=0.1,
    rates={"F16": 20.0, "Q8_0": 16.0, "Q4_K": 10.0},
    operations=100.0,
    steady=True,
    checks=[Check("F16", predicted=50, measured=48), Check("Q4_0", predicted=90, measured=100)],
)


@pytest.fixture
def unmeasured(monkeypatch, tmp_path):
    monkeypatch.setattr(django_settings, "DATA_DIR", tmp_path)


@pytest.fixture
def measured(unmeasured):
    machine.save(MEASURED)


def plan_of(model: str, on: str, **options):
    return make_plan(MODELS[model], MACHINES[on], **options)


# Memory


@pytest.mark.parametrize(
    ("model", "context", "users", "cache_type", "expected"),
    [
        ("llama-3-8b", 8192, 1, "F16", 2**30),
        ("llama-3-8b", 8192, 1, "Q8_0", 2**30 * 34 // 64),
        ("llama-3-8b", 8192, 3, "Q4_0", 3 * 2**30 * 18 // 64),
        ("llama-3.1-8b", 131072, 1, "F16", 16 * 2**30),
        ("qwen2.5-7b", 1, 1, "F16", 57_344),
        ("llama-3-70b", 1000, 1, "F16", 2 * 80 * 8 * 128 * 2 * 1000),
    ],
)
def test_the_cache_is_exact(model, context, users, cache_type, expected):
    plan = plan_of(model, "rtx-3090", context=context, users=users, cache_type=cache_type)
    assert plan.chosen.cache_bytes == expected


@pytest.mark.parametrize(("context", "users"), [(512, 1), (1000, 1), (4096, 1), (1024, 4)])
def test_cache_and_buffers_are_what_llama_cpp_takes(real, context, users):
    path = real("smollm2-135m-instruct-Q4_1.gguf")
    dims = here.from_file(path).dims
    lines: list[str] = []
    with llama.Model(path) as model, llama.log_lines(lines.append):
        llama.Context(model, n_ctx=context * users, n_seq_max=users, kv_unified=True, n_threads=1)
    log = "\n".join(lines)
    cache = float(re.search(r"KV buffer size = +([\d.]+) MiB", log)[1])
    buffer = float(re.search(r"compute buffer size = +([\d.]+) MiB", log)[1])
    taken = estimate.overhead_bytes(dims, context, users, "F16")
    predicted = estimate.cache_bytes(dims, context * users) + taken
    program = data().base_mib * 2**20
    assert predicted - program == pytest.approx((cache + buffer) * 2**20, rel=0.02)


@settings(deadline=None)
@given(
    model=st.sampled_from(sorted(MODELS)),
    context=st.integers(1, 100_000),
    users=st.integers(1, 20),
    more=st.integers(1, 1000),
)
def test_more_context_takes_more_memory_and_never_runs_faster(model, context, users, more):
    one = plan_of(model, "rtx-3090", quant="Q4_K_M", context=context, users=users).chosen
    other = plan_of(model, "rtx-3090", quant="Q4_K_M", context=context + more, users=users).chosen
    assert other.memory_bytes >= one.memory_bytes
    assert other.cache_bytes > one.cache_bytes
    assert other.speed.each.low <= one.speed.each.low
    assert one.fits == (one.spare_bytes >= 0)


# Speed and cost


@pytest.mark.parametrize(
    ("machine", "rate"),
    [(m, r) for m in MACHINES.values() for r in m.rates],
    ids=lambda it: getattr(it, "name", None) or f"{it.model}-{it.quant}",
)
def test_every_published_rate_lies_in_the_range(machine, rate):
    plan = make_plan(MODELS[rate.model], machine, quant=rate.quant, context=1024)
    assert plan.chosen.speed.each.low <= rate.generation <= plan.chosen.speed.each.high
    if rate.prompt:
        assert plan.chosen.speed.prompt.low <= rate.prompt <= plan.chosen.speed.prompt.high


@pytest.mark.parametrize("kind", ["card", "datacenter", "apple", "computer", "other"])
def test_the_line_is_the_best_fit_to_the_published_rates(kind):
    """layer_ms and efficiency can't be changed so that the rates lie nearer to it."""
    known = data().kinds[kind]
    rows = []
    for each in MACHINES.values():
        if each.kind == known or kind == "other":
            for rate in each.rates:
                model = MODELS[rate.model]
                weights = estimate.weights_of(model, rate.quant)
                read = weights.read_bytes + estimate.cache_bytes(model.dims, 512)
                read_ms = read / each.bandwidth / 1e6
                rows.append((weights.layers, read_ms, 1000 / rate.generation))
    layers, read_ms, measured_ms = np.array(rows).T

    def error(layer_ms: float, efficiency: float) -> float:
        line = layers * layer_ms + read_ms / efficiency
        return float(np.sqrt((np.log(measured_ms / line) ** 2).mean()))

    best = min(
        error(layer_ms, efficiency)
        for layer_ms in np.arange(0, 0.3, 0.01)
        for efficiency in np.arange(0.4, 1, 0.01)
    )
    assert error(known.layer_ms, known.efficiency) <= best + 0.002


def test_many_users_share_the_reading_of_the_weights_until_arithmetic_is_the_limit():
    one = plan_of("llama-3-8b", "rtx-4090", quant="Q4_K_M", context=512, users=1).chosen.speed
    four = plan_of("llama-3-8b", "rtx-4090", quant="Q4_K_M", context=512, users=4).chosen.speed
    crowd = plan_of("llama-3-8b", "rtx-4090", quant="Q4_K_M", context=16, users=500).chosen.speed
    assert four.each.middle < one.each.middle
    assert four.together.middle > 3 * one.together.middle
    assert (one.bound_by, crowd.bound_by) == ("bandwidth", "arithmetic")
    assert crowd.together.high <= crowd.prompt.high


def test_without_a_bandwidth_there_is_no_rate():
    plan = make_plan(MODELS["llama-3-8b"], here.own_machine(16, 0))
    assert plan.chosen.fits
    assert plan.chosen.speed.each is None
    assert plan.chosen.cost is None


def test_cost_is_price_over_tokens():
    rented = plan_of("llama-3-8b", "rtx-3070", quant="Q4_K_M", rent=3.6)
    rate = rented.chosen.speed.together
    assert rented.chosen.cost == Range(1000 / rate.high, 1000 / rate.low)
    powered = plan_of("llama-3-8b", "rtx-3070", quant="Q4_K_M", electricity=0.5, watts=200)
    assert powered.price.an_hour == pytest.approx(0.1)
    assert plan_of("llama-3-8b", "h100-pcie").price.how.startswith("rent: $2.86")
    assert "220 W" in plan_of("llama-3-8b", "rtx-3070").price.how


def test_this_machine_is_planned_with_what_was_measured_on_it(measured):
    here_now = here.find_machine("this")
    line = estimate.step_seconds(
        here_now, here_now.kind, estimate.weights_of(MODELS["llama-3-8b"], "F16"), 0
    )
    read = 2 * (8_030_261_248 - 128_256 * 4096)
    assert line == pytest.approx(32 * 0.1e-3 + read / 20e9, rel=0.001)
    # The range spans the errors of its own checks: 4% too fast, 10% too slow.
    spread = estimate.spread(here_now)
    assert spread.low == pytest.approx(0.9 / 1.1)
    assert spread.high == pytest.approx(50 / 48 * 1.1)
    # Types that were not measured: no faster than the slowest that was.
    assert here_now.measured.rate("IQ4_XS") == 10.0


# The pick


def test_the_pick_is_the_largest_that_fits_but_not_larger_than_8_bits():
    assert plan_of("llama-3-8b", "rtx-3090").pick.quant == "Q8_0"
    assert plan_of("llama-3-8b", "rtx-3070").pick.quant == "Q5_K_M"
    for plan in (plan_of(model, on) for model in MODELS for on in MACHINES):
        fitting = [option.quant for option in plan.options if option.fits]
        allowed = [quant for quant in LADDER[1:] if quant in fitting]
        assert (plan.pick.quant if plan.pick else None) == (allowed[0] if allowed else None)


def test_the_sentence_says_why_not_one_larger_or_smaller():
    told = plan_of("llama-3-8b", "rtx-3070").sentence
    assert told.startswith("Pick Q5_K_M: it takes 6.69 GiB of the 7.00 GiB")
    assert "Q6_K would need 505 MiB more than there is." in told
    assert "Q4_K_M would free 775 MiB" in told
    assert "0.0313 instead of 0.0108" in told


def test_a_model_without_figures_says_whose_are_shown():
    plan = plan_of("mistral-7b-v0.3", "rtx-3070")
    assert "(Measured on Llama 3 8B: no figure published for Mistral 7B v0.3.)" in plan.sentence
    assert plan.quality[0].note == NOT_PUBLISHED
    assert plan.quality[0].model == "Mistral 7B v0.3"
    assert {figure.model for figure in plan.quality[1:]} == {"Llama 3 8B"}
    assert {f.model for f in plan_of("qwen2.5-7b", "rtx-3070").quality[1:]} == {"Qwen2 7B"}


def test_what_would_fit_is_said_where_nothing_does():
    shorter = plan_of("llama-3.1-8b", "m1-8", context=32768)
    assert shorter.pick is None
    found = re.search(r"With a context of ([\d,]+) tokens, (\w+) would fit", shorter.sentence)
    context = int(found[1].replace(",", ""))
    by_name = {o.quant: o for o in plan_of("llama-3.1-8b", "m1-8", context=context).options}
    assert by_name[found[2]].fits
    larger = plan_of("qwen2.5-72b", "rtx-3090")
    assert "Qwen3 32B would fit at Q4_K_M" in larger.sentence
    assert plan_of("qwen3-32b", "rtx-3090", quant="Q4_K_M", context=4096).chosen.fits
    eight_bits = plan_of("mistral-7b-v0.3", "laptop-ddr4", users=2)
    assert "With a Q8_0 cache Q4_K_M would fit." in eight_bits.sentence
    again = plan_of("mistral-7b-v0.3", "laptop-ddr4", users=2, cache_type="Q8_0")
    assert again.pick.quant == "Q4_K_M"


def test_a_context_longer_than_the_model_was_trained_on_is_noted():
    assert "8,192" in plan_of("llama-3-8b", "rtx-3090", context=9000).notes[0]
    assert not plan_of("llama-3-8b", "rtx-3090", context=8192).notes


# Names, numbers and mistakes


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("llama-3-8b", "llama-3-8b"),
        ("Meta-Llama-3-8B-Instruct", "llama-3-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("mistral-7b-v0.3", "mistral-7b-v0.3"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3"),
        ("qwen2.5-7b", "qwen2.5-7b"),
        ("Qwen/Qwen2.5-7B-Instruct-GGUF", "qwen2.5-7b"),
        ("hermes-3-llama-3.1-8b", "hermes-3-llama-3.1-8b"),
        ("NousResearch/Hermes-3-Llama-3.1-8B-GGUF", "hermes-3-llama-3.1-8b"),
        ("Llama 3.2 1B", "llama-3.2-1b"),
        ("mistral-small", "mistral-small-24b"),
        ("llama3.1:8b", "llama-3.1-8b"),
        ("qwen3:8b", "qwen3-8b"),
    ],
)
def test_a_model_is_found_however_it_is_written(written, name):
    assert here.find_model(written).name == name


def test_every_model_is_found_by_its_own_name_and_title():
    for model in MODELS.values():
        assert here.find_model(model.name) is model
        assert here.find_model(model.title) is model


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UnknownModel, match=r"named 'lama-3-8b': the nearest are llama-3-8b, "):
        here.find_model("lama-3-8b")
    with pytest.raises(UnknownModel, match=r"no machine is named 'rtx-3091': .*rtx-3090"):
        here.find_machine("rtx-3091")


def test_five_numbers_are_a_model():
    five = here.find_model("32,4096,14336,8,128256")
    assert five.dims == MODELS["llama-3-8b"].dims
    own = make_plan(five, MACHINES["rtx-3090"], quant="Q4_K_M").chosen
    known = plan_of("llama-3-8b", "rtx-3090", quant="Q4_K_M").chosen
    assert own.weights.file_bytes == pytest.approx(known.weights.file_bytes, rel=0.001)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["llama-3-8b", "--memory", "-4"], "-4 GB of memory: give a number above 0"),
        (["llama-3-8b", "--bandwidth", "50"], "--bandwidth goes with --memory"),
        (["llama-3-8b", "--memory", "8", "--bandwidth", "-1"], "bandwidth of -1 GB/s"),
        (["llama-3-8b", "--machine", "m1-8", "--memory", "8"], "either --machine or --memory"),
        (["llama-3-8b", "--quant", "Q7"], "no quant is named 'Q7': there are F16"),
        (["llama-3-8b", "--context", "0"], "a context of 0 tokens: give 1 to"),
        (["llama-3-8b", "--users", "-1"], "-1 users at once: give 1 to"),
        (["llama-3-8b", "--kv-type", "Q2"], "no KV cache type is named 'Q2'"),
        (["llama-3-8b", "--rent", "-1"], "rent: -1 can't be"),
        (["llama-3-8b", "--electricity", "nan"], "electricity: nan can't be"),
        (["32,4096,14336,7,128256"], "7 key-value heads: give a divisor of the 32"),
        (["32,4096,14336"], "five whole numbers are needed: layers"),
        (["32,4096,14336,8,many"], "five whole numbers are needed: layers"),
        (["32,100,14336,8,128256"], "the width must be a multiple of 64"),
        (["README.md"], "README.md: not a GGUF file"),
        (["no-such.gguf"], "no model 'no-such.gguf': neither a file nor"),
        ([], "name a model; --list shows"),
    ],
)
def test_bad_input_gets_one_clear_line(arguments, told):
    with pytest.raises(CommandError) as error:
        call_command("plan", *arguments, *(["--machine", "rtx-3090"] * (len(arguments) == 1)))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_prints_one_object(capsys, measured):
    call_command("plan", "llama-3-8b", "--quant", "q4_k_m", "--context=8192", "--users=1", "--json")
    found = json.loads(capsys.readouterr().out)
    assert list(found)[:9] == [
        "model", "quant", "file_bytes", "kv_bytes", "memory_bytes", "fits",
        "tokens_per_second", "cost_per_million_tokens", "quality",
    ]  # fmt: skip
    assert (found["model"], found["quant"], found["kv_bytes"]) == ("llama-3-8b", "Q4_K_M", 2**30)
    assert found["fits"] is True
    assert 0 < found["tokens_per_second"]["low"] < found["tokens_per_second"]["high"]
    kl = next(q for q in found["quality"] if q["measure"] == "mean KL divergence")
    assert kl["value"] == 0.031273
    assert "perplexity/README.md" in kl["source"]
    assert found["measured_here"][0] == {"quant": "F16", "predicted": 50, "measured": 48}


def test_the_command_says_no_figure_published(capsys):
    call_command("plan", "qwen3-4b", "--machine", "rtx-3090", "--json")
    quality = json.loads(capsys.readouterr().out)["quality"]
    first = {"measure": "any", "value": None, "source": NOT_PUBLISHED, "model": "Qwen3 4B"}
    assert quality[0] == first


def test_the_command_prints_a_table_with_sources(capsys):
    call_command("plan", "mistral-7b-v0.3", "--machine", "rtx-4060", "--quant", "q4_0")
    out = capsys.readouterr().out
    assert "→ Q4_0" in out
    assert "no figure published for Mistral 7B v0.3" in out
    assert "huggingface.co/mistralai/Mistral-7B-v0.3" in out


def test_the_known_names_are_listed(capsys):
    call_command("plan", "--list")
    out = capsys.readouterr().out
    assert all(name in out for name in (*MODELS, *MACHINES, "this"))


def test_an_unmeasured_machine_is_timed_on_the_spot(capsys, unmeasured, monkeypatch):
    monkeypatch.setattr(machine, "BUFFER", 1 << 20)
    call_command("plan", "qwen3-0.6b", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["tokens_per_second"]["low"] > 0
    assert "not measured yet" in found["sources"]["machine"]


# The data file


def test_every_number_has_a_dated_source():
    for model in MODELS.values():
        assert model.source.url.startswith("https://")
        assert model.source.date.year >= 2023
    for each in MACHINES.values():
        assert each.source
        assert bool(each.rates) == bool(each.rates_source)
        assert bool(each.rent) == bool(each.rent_source)
        assert each.watts
    for figures in data().figures:
        assert figures.model in MODELS
        assert figures.better in ("lower", "higher")
        assert set(figures.values) <= {"F16", *estimate.recipe.QUANTS}
        assert figures.measure != "perplexity" or "F16" in figures.values
    for source in data().sources.values():
        assert source.title
        assert source.date


def test_relatives_have_figures():
    for model in MODELS.values():
        assert not model.relative or data().published(model.relative)


@pytest.mark.parametrize("figures", data().figures, ids=lambda f: f"{f.model}-{f.measure}")
def test_published_figures_get_worse_with_fewer_bits(figures):
    """A slip of the pen would show; MMLU's noise of half a point is allowed."""
    slack = 0.6 if "MMLU" in figures.measure else 0
    values = [figures.values[quant] for quant in LADDER if quant in figures.values]
    sign = 1 if figures.better == "lower" else -1
    for larger, smaller in pairwise(values):
        assert sign * (smaller - larger) >= -slack
