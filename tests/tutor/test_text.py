import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons.words import distance
from tutor import text


@pytest.mark.parametrize(
    "written", ["8-bit", "8 bit", "8bits", "eight-bit", "INT8", "int 8", "Q8", "Q8_0", "FP8"]
)
def test_every_way_to_write_eight_bits_gives_the_same_word(written: str) -> None:
    assert "8bit" in text.words(f"is {written} good?")


def test_named_types_stay_told_apart() -> None:
    assert "q4_k_m" in text.words("Q4_K_M")
    assert "q4_k_m" not in text.words("Q4_0")
    assert "bfp16" in text.words("BF16")
    assert "bfp16" not in text.words("FP16")


def test_numbers_keep_their_value() -> None:
    assert text.words("8,192 tokens at 0.70") == ["8192", "tokens", "at", "0.70"]


@pytest.mark.parametrize(("one", "other"), [("RAM", "memory"), ("quant", "quantisation")])
def test_words_of_one_meaning_share_a_stem(one: str, other: str) -> None:
    assert text.stems(one) == text.stems(other)


def test_a_tokenizer_is_not_taken_for_a_token() -> None:
    assert text.stems("tokenizer") != text.stems("token")


VOCABULARY = {"quantization": 9, "memory": 5, "weights": 4, "make": 1, "read": 2}


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("quantizaton", "quantization"), ("qauntization", "quantization"), ("memry", "memory")],
)
def test_a_slip_is_mended_with_the_lessons_word(slip: str, meant: str) -> None:
    assert text.mend(f"wat is {slip}?", VOCABULARY) == f"wat is {meant}?"


@pytest.mark.parametrize("word", ["bake", "bread", "france", "LoRA", "H100"])
def test_words_that_are_no_slips_stay(word: str) -> None:
    assert text.mend(word, VOCABULARY) == word


def test_chats_short_forms_are_written_out() -> None:
    assert text.write_out("wat r u, pls?") == "what are you please"


@given(st.text("abcd", min_size=1, max_size=8), st.text("abcd", min_size=1, max_size=8))
def test_slips_are_counted_alike_both_ways(a: str, b: str) -> None:
    assert distance(a, b, 9) == distance(b, a, 9)
    assert (distance(a, b, 9) == 0) == (a == b)


@settings(deadline=None)  # the first question loads word lists
@given(st.text())
def test_any_text_can_be_read(written: str) -> None:
    assert all(text.words(written))
    text.language(written)


def test_languages_are_told_apart() -> None:
    assert text.language("what does 4-bit do to memory") == "en"
    assert text.language("¿cuánta memoria necesita un modelo de 8 bits?") == "es"
    assert text.language("wie viel Speicher braucht das Modell") == "de"
    assert text.language("量化是什么意思") == "other"


def test_numbers_and_names_are_the_same_written_together_and_apart():
    assert text.words("my 8gb card") == text.words("my 8 GB card")
    assert text.words("Qwen2.5-7B") == text.words("qwen 2.5 7b")
    assert text.words("llama3.1:8b") == text.words("Llama 3.1 8B")
    assert "32768" in text.words("32k tokens")
    assert text.words("q8_0 and h100", kinds=False) == ["q8_0", "and", "h100"]
