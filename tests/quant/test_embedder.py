import numpy as np
import pytest

from quant.embedder import Embedder, embed


@pytest.fixture(scope="module")
def embedder(real):
    return Embedder(real("all-minilm-l6-v2-F32.gguf"), n_threads=1)


def test_near_sentences_are_near_as_published(embedder):
    happy, very_happy, sunny = embedder.embed(
        ["That is a happy person", "That is a very happy person", "Today is a sunny day"]
    )
    assert happy @ very_happy == pytest.approx(0.943, abs=0.001)
    assert happy @ sunny == pytest.approx(0.257, abs=0.001)


def test_vectors_have_length_one_and_do_not_depend_on_their_neighbours(embedder):
    texts = [f"Sentence number {i} speaks of {'cats' if i % 2 else 'rain'}." for i in range(90)]
    together = embedder.embed(texts)
    assert together.shape == (90, 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for i in (0, 63, 64, 89):
        np.testing.assert_allclose(embedder.embed([texts[i]])[0], together[i], atol=1e-3)


def test_empty_and_endless_texts_are_embedded_too(embedder):
    vectors = embedder.embed(["", "word " * 5000, "\ufffd\x00 🙂"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_embed_uses_the_registered_model(embedder):
    np.testing.assert_allclose(embed(["one"]), embedder.embed(["one"]), atol=1e-3)
