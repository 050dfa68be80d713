import pytest

from tutor.index import LessonIndex, Quotable
from tutor.ranking import Asked
from tutor.verdict import CANNOT, DOES_WELL, opener

GUARANTEE = (
    "Guarantee that nothing gets worse: no quantized model can promise zero quality loss on every "
    "task."
)


def verdict(question, passage, context=""):
    quotable = Quotable(
        "p-1", context or "A section", "item" if context else "sentence", passage, context
    )
    index = LessonIndex("slug", "Quantization", "", [quotable], None)
    return opener(Asked.of(question, index), quotable)


@pytest.mark.parametrize(
    ("question", "passage", "context", "expected"),
    [
        ("Is a weight deleted?", "No weight is deleted.", "", "No"),
        ("Do the scales take space?", "The scales take space.", "", "Yes"),
        ("Does it promise zero quality loss?", "Promise zero quality loss.", CANNOT, "No"),
        ("Does it write a summary?", "Write a summary.", DOES_WELL, "Yes"),
        # A sentence under "AI cannot" that denies something of its own is no double negation.
        ("can a model promise zero quality loss on every task?", GUARANTEE, CANNOT, "No"),
        ("can it guarantee that quality gets worse?", GUARANTEE, CANNOT, None),
        ("Can AI promise no quality loss?", "Promise no quality loss.", CANNOT, None),
        # What a list under "AI cannot" goes on with is nothing that AI can do.
        ("Can AI match FP16 quality?", "Promise speed, or match FP16 quality.", CANNOT, None),
        # The question's own negation, a choice, a wider claim: the quote speaks for itself.
        ("Isn't a weight deleted?", "No weight is deleted.", "", None),
        ("Do scales take space or time?", "The scales take space.", "", None),
        ("Do all scales take space?", "Some scales take space.", "", None),
        # A name that stands for two words is still one word said.
        ("is Q4_K_M really four bits", "Q4_K_M is a mixture, and not exactly 4 bits.", "", None),
        ("Is AWQ a file format?", "GGUF is a file format, while AWQ rounds.", "", None),
        ("Is GGUF a file format?", "GGUF is a file format, while AWQ rounds.", "", "Yes"),
        # Who is compared with whom matters.
        ("Is FP16 faster than INT8?", "INT8 is faster than FP16.", "", None),
    ],
)
def test_yes_and_no_only_where_the_passage_says_so(question, passage, context, expected):
    assert verdict(question, passage, context) == expected


@pytest.mark.parametrize(
    "passage", ["Match FP16.", "Match FP16: never match FP16.", "Not match FP16."]
)
def test_nothing_under_cannot_is_ever_a_yes(passage):
    assert verdict("Can 4-bit match FP16?", passage, CANNOT) != "Yes"
