import numpy as np
import pytest

from quant.quantize import quantize
from quant.retrieval import RetrievalError, compared, passages_of, search

TEXT = """A heading

The river comes down from the hills in two moods. In summer it is green and slow.
A lock lets boats pass from the lower river to the upper one! Rain.

Water flows in from above, and the boat rises with it. In summer it is green and slow.
"""
QUESTIONS = ["How does a boat get up?", "What colour does the river have in summer?"]


def test_passages_are_whole_sentences_once_each():
    assert passages_of(TEXT) == [
        "The river comes down from the hills in two moods.",
        "In summer it is green and slow.",
        "A lock lets boats pass from the lower river to the upper one!",
        "Water flows in from above, and the boat rises with it.",
    ]


def test_ranks_and_cosines_by_hand():
    passages = ["east", "north", "west"]
    reference = np.array([[1, 0], [0, 1], [-1, 0]], np.float32), np.array([[1, 0]], np.float32)
    turned = np.array([[0.6, 0.8], [0.8, 0.6], [-1, 0]], np.float32), reference[1]
    told = compared(passages, ["where?"], turned, reference)
    assert told["mean_cosine"] == pytest.approx((0.6 + 0.6 + 1) / 3)
    assert told["min_cosine"] == pytest.approx(0.6)
    assert told["same_first"] == 0
    (output,) = told["outputs"]
    assert (output["text"], output["rank"], output["cosine"]) == ("north", 2, 0.8)


def test_the_real_embedder_finds_answers_at_8_bits_too(real, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    source = real("all-minilm-l6-v2-F32.gguf")
    variant = quantize(source, "Q8_0", tmp_path / "v-Q8_0.gguf", n_threads=1).path
    told = {}
    for path in (source, variant):
        told[path] = search(
            str(path),
            str(tmp_path / "text.txt"),
            QUESTIONS,
            1,
            lambda *_: None,
            store=str(tmp_path / "store.npz"),
            is_reference=path == source,
        )
    assert told[source]["mean_cosine"] == pytest.approx(1, abs=1e-5)
    assert told[source]["outputs"][1]["text"] == "In summer it is green and slow."
    assert 0.99 < told[variant]["min_cosine"] <= told[variant]["mean_cosine"] < 1
    assert told[variant]["same_first"] == 1
    assert told[variant]["prompt_tokens_per_second"] > 0


def test_a_text_without_sentences_is_refused(tmp_path):
    (tmp_path / "text.txt").write_text("nothing")
    with pytest.raises(RetrievalError, match="take a longer one"):
        search("none", str(tmp_path / "text.txt"), [], 1, print, store="", is_reference=True)
