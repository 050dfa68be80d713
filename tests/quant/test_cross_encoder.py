"""The cross-encoder with the adapter that the tutor ships, and one made by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from quant.cross_encoder import HEAD, CrossEncoder, read_head
from quant.embedder import Embedder
from quant.llama import LlamaError
from tutor.reader import JUDGE

SAID = "Bits. | A Q8_0 block holds 32 weights and one scale of 16 bits."


@pytest.fixture(scope="module")
def embedder(real: Callable[[str], Path]) -> Iterator[Embedder]:
    made = Embedder(real("all-minilm-l6-v2-F32.gguf"), n_threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def encoder(embedder: Embedder) -> CrossEncoder:
    return CrossEncoder(embedder, JUDGE, n_threads=1)


def write_adapter(path: Path, head: list[float], rank: int = 4, scale: float = 0.0) -> Path:
    """An adapter that adds `scale` times a fixed change to the first block's query matrix."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    if head:
        writer.add_array(HEAD, head)
    rng = np.random.default_rng(0)
    for half, shape in (("a", (rank, 384)), ("b", (384, rank))):
        values = scale * rng.standard_normal(shape)
        writer.add_tensor(f"blk.0.attn_q.weight.lora_{half}", values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_what_answers_scores_above_what_is_only_about_it(encoder: CrossEncoder) -> None:
    about = "Bits. | Q8_0 is the name of a type with 8 bits."
    asked = "How many weights does a Q8_0 block hold?"
    answers, near, far = encoder.scores(asked, [SAID, about, "Phones. | A phone warms up."])
    assert answers > max(near, far)


def test_pairs_in_one_batch_do_not_see_each_other(encoder: CrossEncoder) -> None:
    asked, passages = "What is a scale?", [SAID, "Files. | A file has a header.", SAID] * 8
    together = encoder.scores(asked, passages)
    alone = [encoder.scores(asked, [passage])[0] for passage in passages[:3]]
    assert together == pytest.approx(np.array(alone * 8), abs=0.05)


def test_long_and_empty_texts_are_read_as_far_as_they_go(encoder: CrossEncoder) -> None:
    scores = encoder.scores("weight " * 500, [SAID * 50, "", SAID])
    assert np.isfinite(scores).all()
    assert np.isfinite(encoder.scores("", [""])).all()
    assert encoder.scores("What is a scale?", []).shape == (0,)


def test_the_adapter_changes_its_own_context_only(embedder: Embedder, tmp_path: Path) -> None:
    before = embedder.embed(["What is a scale?"])
    head = [1.0] + [0.0] * (3 * 384 - 1) + [0.5]
    plain = CrossEncoder(embedder, write_adapter(tmp_path / "plain.gguf", head))
    turned = CrossEncoder(embedder, write_adapter(tmp_path / "turned.gguf", head, scale=0.5))
    assert plain.scores("What?", [SAID]) != pytest.approx(turned.scores("What?", [SAID]), abs=1e-3)
    assert embedder.embed(["What is a scale?"]) == pytest.approx(before)


def test_the_head_weighs_the_first_token_and_both_means(embedder: Embedder, tmp_path: Path) -> None:
    head = np.zeros(3 * 384 + 1)
    head[-1] = 0.25
    bias_only = CrossEncoder(embedder, write_adapter(tmp_path / "bias.gguf", head.tolist()))
    assert bias_only.scores("What?", [SAID]) == pytest.approx([0.25])


def test_a_file_that_is_no_adapter_is_refused(embedder: Embedder, tmp_path: Path) -> None:
    with pytest.raises(LlamaError, match="is no adapter for all-minilm"):
        CrossEncoder(embedder, embedder.model.path)
    headless = write_adapter(tmp_path / "headless.gguf", [])
    with pytest.raises(ValueError, match=f"headless.gguf has no {HEAD}"):
        read_head(headless)
