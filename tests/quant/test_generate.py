import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.generate import PromptError, answers, first_difference
from quant.quantize import quantize

PROMPTS = ["What?", "Tell me more about the weir."]
TOKENS = st.lists(st.integers(0, 3), max_size=6)


def silent(*state) -> None:
    pass


@given(TOKENS, TOKENS)
def test_up_to_the_first_difference_all_is_equal(one, two):
    at = first_difference(one, two)
    assert (at is None) == (one == two)
    if at is not None:
        assert one[:at] == two[:at]
        assert one[at : at + 1] != two[at : at + 1]


@pytest.fixture(scope="module")
def of_reference(tiny):
    return answers(str(tiny), PROMPTS, 12, 1, silent)["outputs"]


def ids(outputs) -> list[list[int]]:
    return [[token["id"] for token in output["tokens"]] for output in outputs]


def test_answers_are_greedy_and_carry_their_runners_up(of_reference):
    assert [output["prompt"] for output in of_reference] == PROMPTS
    for output in of_reference:
        assert 1 <= len(output["tokens"]) <= 12
        assert output["first_difference"] is None
        told = "".join(token["text"] for token in output["tokens"])
        assert told.removesuffix("<|im_end|>").removesuffix("<|endoftext|>") == output["text"]
        for token in output["tokens"]:
            assert token["top"][0][1] == token["p"]
            chances = [p for _, p in token["top"]]
            assert chances == sorted(chances, reverse=True)
            assert len(chances) == 5


def test_the_reference_agrees_with_itself(tiny, of_reference):
    again = answers(
        str(tiny), PROMPTS, 12, 1, silent, reference=str(tiny), reference_tokens=ids(of_reference)
    )["outputs"]
    assert ids(again) == ids(of_reference)
    assert all(output["first_difference"] is None for output in again)
    for token in (token for output in again for token in output["tokens"]):
        assert token["kl"] < 1e-3
        assert token["reference"][0][0] == token["top"][0][0]


def test_a_variant_tells_where_it_leaves_the_reference_and_how_far(tiny, of_reference, tmp_path):
    variant = quantize(tiny, "Q4_0", tmp_path / "v.gguf", n_threads=1).path
    outputs = answers(
        str(variant), PROMPTS, 12, 1, silent, reference=str(tiny),
        reference_tokens=ids(of_reference),
    )["outputs"]  # fmt: skip
    for output, other in zip(ids(outputs), ids(of_reference), strict=True):
        assert (
            first_difference(output, other)
            == outputs[ids(outputs).index(output)]["first_difference"]
        )
    assert np.mean([t["kl"] for output in outputs for t in output["tokens"]]) > 0.01


def test_a_prompt_that_is_too_long_is_named(tiny):
    with pytest.raises(PromptError, match=r"prompt 2 has .* tokens, and the model reads at most"):
        answers(str(tiny), ["short", "x" * 100_000], 12, 1, silent)
