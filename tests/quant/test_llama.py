"""The wrapper on llama.cpp: what it promises, and that nothing here can end the process."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant import llama
from quant.llama import Batch, Context, ContextFull, LlamaError, Model, Sampler


@pytest.fixture(scope="module")
def model(tiny):
    with Model(tiny) as loaded:
        yield loaded


@pytest.fixture
def context(model):
    with Context(model, n_ctx=64, n_seq_max=4, kv_unified=True, n_batch=32, n_threads=1) as made:
        yield made


def logits_after(context: Context, tokens: list[int], seq: int = 0) -> np.ndarray:
    batch = Batch(context.n_batch)
    last = batch.add(tokens, context.seq_length(seq), seq, n_logits=1)
    context.decode(batch)
    return context.logits(last).copy()


def test_a_missing_file_and_a_text_file_are_refused_with_a_reason(tmp_path):
    with pytest.raises(LlamaError, match="no such file"):
        Model(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("this is no model")
    with pytest.raises(LlamaError, match="invalid magic"):
        Model(tmp_path / "text.gguf")


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_text_survives_tokens_and_back(model, text):
    assert model.detokenize(model.tokenize(text)) == text


def test_special_tokens_are_read_only_when_asked_for(model):
    assert model.tokenize("<|im_end|>", parse_special=True) == [model.eos]
    assert model.eos not in model.tokenize("<|im_end|>")
    assert model.piece(model.eos) == b""
    assert model.piece(model.eos, special=True) == b"<|im_end|>"


def test_the_file_says_what_ends_a_text_and_how_to_chat(model):
    assert model.is_eog(model.eos)
    assert model.eos in model.eog_tokens
    assert "<|im_start|>" in model.chat_template
    assert model.metadata["general.architecture"] == "llama"


def test_a_prompt_in_slices_gives_the_same_logits_as_at_once(context):
    tokens = list(range(20, 40))
    at_once = logits_after(context, tokens, seq=0)
    logits_after(context, tokens[:7], seq=1)
    in_slices = logits_after(context, tokens[7:], seq=1)
    np.testing.assert_allclose(at_once, in_slices, atol=2e-3)


def test_a_copied_sequence_goes_on_as_its_source_would(context):
    logits_after(context, list(range(20, 30)), seq=0)
    context.seq_cp(0, 1)
    assert context.seq_length(1) == 10
    np.testing.assert_allclose(
        logits_after(context, [50], seq=1), logits_after(context, [50], seq=0), atol=2e-3
    )


def test_a_saved_sequence_comes_back(context, tmp_path):
    tokens = list(range(20, 30))
    logits_after(context, tokens, seq=0)
    context.save_seq(0, tmp_path / "state", tokens)
    expected = logits_after(context, [50], seq=0)
    assert context.load_seq(2, tmp_path / "state") == tokens
    np.testing.assert_allclose(logits_after(context, [50], seq=2), expected, atol=2e-3)
    (tmp_path / "bad").write_bytes(b"not a state")
    with pytest.raises(LlamaError, match="no state for this model"):
        context.load_seq(2, tmp_path / "bad")


def test_forgetting_makes_room(context):
    for _ in range(context.n_ctx // 64):
        logits_after(context, [20] * 32, seq=0)
        logits_after(context, [21] * 32, seq=1)
    with pytest.raises(ContextFull):
        logits_after(context, [22], seq=2)
    assert context.seq_rm(1)
    logits_after(context, [22], seq=2)


def test_logits_come_in_rows_as_asked(context, model):
    batch = Batch(8)
    batch.add([20, 21, 22, 23], 0, n_logits=2)
    context.decode(batch)
    rows = context.all_logits()
    assert rows.shape == (2, model.n_vocab)
    np.testing.assert_array_equal(rows[1], context.logits(3))


def test_what_would_end_the_process_is_refused(context, model):
    batch = Batch(40)
    batch.add([20, 21], 0, n_logits=1)
    context.decode(batch)
    with pytest.raises(LlamaError, match="not asked for logits"):
        context.logits(0)
    with pytest.raises(LlamaError, match="not asked for logits"):
        Sampler(model).sample(context, 0)
    with pytest.raises(LlamaError, match="has no room for 60 more"):
        batch.add([20] * 60, 2)
    for tokens, seq in (([model.n_vocab], 0), ([-1], 0), ([20], 4), ([20] * 33, 0)):
        batch.clear()
        batch.add(tokens, 0, seq)
        with pytest.raises(LlamaError, match=r"vocabulary|sequence|1 to 32"):
            context.decode(batch)
    with pytest.raises(LlamaError):
        model.piece(model.n_vocab)


def test_greedy_takes_the_likeliest_and_ban_takes_it_away(context, model):
    best = int(np.argmax(logits_after(context, [20, 21, 22])))
    assert Sampler(model).sample(context, 2) == best
    assert Sampler(model, banned=[best]).sample(context, 2) != best


def test_a_seed_repeats_and_seeds_differ(context, model):
    logits_after(context, [20, 21, 22])

    def draws(seed):
        sampler = Sampler(model, temperature=2.0, seed=seed)
        return [sampler.sample(context, 2) for _ in range(20)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    narrow = Sampler(model, temperature=2.0, top_k=1, seed=3)
    assert {narrow.sample(context, 2) for _ in range(20)} == {int(np.argmax(context.logits(2)))}


def test_a_repeated_token_is_penalised(context, model):
    logits_after(context, [20, 21, 22])
    sampler = Sampler(model, presence_penalty=100.0)
    assert len({sampler.sample(context, 2) for _ in range(10)}) == 10


def test_closing_a_model_closes_its_contexts(tiny):
    model = Model(tiny)
    Context(model, n_ctx=32, n_threads=1)
    context = Context(model, n_ctx=32, n_threads=1)
    model.close()
    assert not context._finalizer.alive


def test_quantize_reports_each_tensor_and_refuses_with_the_reason(tiny, tmp_path):
    lines: list[str] = []
    with llama.log_lines(lines.append):
        llama.quantize(tiny, tmp_path / "out.gguf", "Q8_0", n_threads=1)
    assert sum(line.startswith("[") for line in lines) == 20
    assert (tmp_path / "out.gguf").stat().st_size < tiny.stat().st_size / 2
    with pytest.raises(LlamaError, match="requantizing from type q8_0 is disabled"):
        llama.quantize(tmp_path / "out.gguf", tmp_path / "again.gguf", "Q4_0", n_threads=1)
