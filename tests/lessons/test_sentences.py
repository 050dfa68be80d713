from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.sentences import split


def sentences(text: str, **places) -> list[str]:
    return [text[start:end] for start, end in split(text, **places)]


@pytest.mark.parametrize(
    "expected",
    [
        ["One.", "Two!", "Three?", "Four…", "Five"],
        ["Use Q4, e.g. Q4_K_M, i.e. 4.89 bits.", "It is small."],
        ["Q4 vs. Q8 is about v0.3 and 3.5 GB.", "16 bits follow."],
        ["It fits.", "llama.cpp reads it."],
        ["Ask “Is it true? Why?” and check.", "Then decide."],
        ["He said “It works.”", "Then it broke."],
        ['She asked "why?" and left.', 'He said "Because."', "So be it."],
        ["It is small (about 5 GB. Really).", "It runs."],
        ["Kurtic et al. measured it.", "See Fig. 3 and No. 4."],
        ["The answer is no.", "Then stop."],
        ["J. Smith and Dr. Wu wrote it.", "They know."],
        ["Weights, scales, etc.", "All are stored."],
        ["Weights, scales, etc. are stored."],
        ["It grows … and grows.", "It stops..."],
        ["In the U.S. it is sold.", "Here it is not."],
        ["Wait … what?!", "Yes."],
        ["1. is the first."],
        ['A 6" disk holds 1 GB.', "It is old."],
        ["E = mc².", "Energy."],
    ],
)
def test_splits_where_a_reader_would(expected):
    assert sentences(" ".join(expected)) == expected


def test_code_and_formulas_are_never_split():
    text = "Run a. B now. Done."
    assert sentences(text, atoms=[(4, 8)]) == ["Run a. B now.", "Done."]


def test_a_sentence_may_open_with_code_in_lower_case():
    text = "Ask “why?” make run starts it! make test tests it."
    assert len(sentences(text)) == 1
    start = text.index("make test")
    assert len(sentences(text, atoms=[(start, start + 9)])) == 2


def test_a_cut_ends_a_sentence_in_any_case():
    assert sentences("So said they and so did we", cuts=[12]) == ["So said they", "and so did we"]


@given(st.text(alphabet="aA1 .!?…()“”\"'\n’e.g.", max_size=80))
def test_nothing_but_white_space_is_lost(text):
    found = split(text)
    assert "".join("".join(text[start:end].split()) for start, end in found) == "".join(
        text.split()
    )
    assert all(start < end for start, end in found)
    assert all(first[1] <= second[0] for first, second in pairwise(found))
