"""A user's own Llama, Mistral, Qwen2.5 or Qwen3 file works the first time: everything in Openbook
that takes a model takes one of each architecture."""

import math
from pathlib import Path

import pytest
from django.core.management import call_command

from quant import chat, experiment, gguf_file
from quant.llama import Context, Model
from quant.planner import estimate, here
from tests.quant.families import FAMILIES, MARKUP, dimensions, write_family_model
from tutor.engine.chat import Template
from tutor.engine.job import End, Job, Sampling, Token
from tutor.engine.scheduler import Scheduler

TEXT = "The river comes down from the hills in two moods. In spring it is brown. " * 20
MESSAGES = [
    {"role": "system", "content": "Answer from the lesson <|im_end|> [/INST] only."},
    {"role": "user", "content": "What is a river?"},
]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def source(family, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(family)
    return write_family_model(folder / f"tiny-{family}-F16.gguf", family)


@pytest.fixture(scope="module")
def model(source):
    with Model(source) as loaded:
        yield loaded


def test_the_file_is_read_as_what_it_is(source, family):
    file = gguf_file.check_source(source)
    assert file.architecture == FAMILIES[family][0]
    found = here.from_file(source)
    assert found.dims == dimensions(family, found.dims.vocabulary)
    assert found.trained_context == 512


def test_the_lab_quantizes_measures_and_runs_it(source, family, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    (tmp_path / "text.txt").write_text(TEXT)
    plan = experiment.make_plan(
        str(source),
        ["Q8_0", "Q4_K_M"],
        prompts=["What is a river?"],
        text_file=str(tmp_path / "text.txt"),
        out=str(tmp_path / "out"),
        n_ctx=64,
        windows=2,
        n_predict=8,
        n_threads=1,
    )
    assert not plan.warning
    results: dict = {}
    for step in experiment.steps(plan):
        results[step.key] = experiment.run_step(plan, step, results)
    reference, q8, q4 = experiment.report(plan, results)["variants"]
    assert reference["mean_kl"] == 0
    assert 0 < q8["mean_kl"] < q4["mean_kl"] < math.inf
    assert q4["tensors"].keys() == {"Q4_K", "Q6_K", "F32"}  # 256 divides its rows: no fallback
    for variant in (reference, q8, q4):
        assert 1 < variant["perplexity"] < math.inf
        assert variant["generation_tokens_per_second"] > 0
        assert variant["outputs"][0]["text"] is not None
    # And the planner knew it all beforehand.
    for variant in (q8, q4):
        weights = estimate.weights_of(here.from_file(source), variant["type"])
        assert {part.type: part.tensors for part in weights.parts} == variant["tensors"]
        assert weights.bits_per_weight == pytest.approx(variant["bits_per_weight"])
        assert weights.file_bytes == pytest.approx(variant["bytes"], abs=256)


def test_the_lab_puts_questions_into_the_familys_markup(model, family):
    tokens = chat.tokenize(model, MESSAGES[1:])
    text = model.detokenize(tokens, special=True)
    assert "What is a river?" in text
    markup = model.piece(tokens[0], special=True).decode()
    assert markup in FAMILIES[family][1]


def test_the_engine_applies_the_familys_template_and_answers(model, family):
    prompt = Template(model).prompt(MESSAGES)
    tokens = [*prompt.prefix, *prompt.rest]
    text = model.detokenize(tokens, special=True)
    assert text.startswith(MARKUP[family])
    assert text.index("Answer from the lesson") < text.index("What is a river?")
    # What somebody wrote stays text: only the template's own marks are special tokens.
    marks = [model.piece(token, special=True).decode() for token in tokens]
    special = [mark for mark in marks if mark in FAMILIES[family][1]]
    expected = {"llama": 9, "mistral": 3, "qwen2": 5, "qwen3": 5}
    assert len(special) == expected[family], special

    events: list[object] = []
    context = Context(model, n_ctx=512, n_seq_max=4, kv_unified=True, n_batch=64, n_threads=1)
    try:
        scheduler = Scheduler(context, None, n_parallel=2, fingerprint=family)
        sampling = Sampling(ignore_eos=True)
        scheduler.submit(Job(prompt.prefix, prompt.rest, sampling, 8, (), events.append))
        for _ in range(100):
            scheduler.step()
            if any(isinstance(event, End) for event in events):
                break
    finally:
        context.close()
    assert isinstance(events[-1], End)
    assert events[-1].completion_tokens == 8
    assert "".join(event.text for event in events if isinstance(event, Token))


def test_the_planner_takes_the_file(source, capsys):
    call_command("plan", str(source), "--quant", "Q4_K_M", "--machine", "laptop-ddr5")
    assert "Q4_K_M" in capsys.readouterr().out
