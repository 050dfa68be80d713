"""A question that goes on from the one before it, taken together with that."""

import re

from tutor import intents
from tutor.index import LessonIndex
from tutor.ranking import Asked

_SHORT = 3  # subject words; a longer question stands on its own
_POINTS_BACK = re.compile(r"^(?:and|but|what about|how about|why|also|or|so|then)\b", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|its|that|this|they|them|their|those|these|one)\b", re.IGNORECASE)
# Nothing of a subject: "By how much?", "Which is better?", "For example?"
_BARE = re.compile(
    r"(?:(?:and|but|so|ok|okay|please)\W+)*(?:"
    r"why(?: not| so| (?:is|does) (?:that|it))?|how(?: so| come| exactly)?|by how much|when|where|"
    r"how (?:much|many|big|large|small|fast|slow|long|often)(?: (?:more|less|\w+er|exactly|then))?|"
    r"which(?: one)?(?: is (?:the )?(?:better|best|worse|worst|safe\w+|fast\w+|small\w+|big\w+|"
    r"cheap\w+))?|"
    r"(?:(?:for|give me|can you give(?: me)?|show me|like) )?(?:an? )?examples?(?: please)?|"
    r"such as|like what|compared to what|and then|then what)\W*",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"(?:(?:please|ok|okay|and|can you|could you)\W+)*(?:(?:tell me|say|explain|know|show me) )?"
    r"(?:(?:a (?:bit|little) |some )?more(?: (?:about|on) (?:it|that|this))?|go on|continue|"
    r"(?:what|anything) else|else|more details?)(?: please)?\W*",
    re.IGNORECASE,
)
_CONTRAST = re.compile(r"^(?:and|what about|how about|or|also|then)\b", re.IGNORECASE)


def wants_more(question: str) -> bool:
    """ "Tell me more": more of what answered the question before."""
    return bool(_MORE.fullmatch(question.strip()))


def is_bare(question: str) -> bool:
    """ "Why?": no question of its own."""
    return bool(_BARE.fullmatch(question.strip()) or wants_more(question))


def continued(asked: Asked, previous: str, index: LessonIndex) -> Asked:
    """ "And for 8-bit?" asked after another question: taken together with it.

    A name or a number takes the place of the previous question's: "How big is Llama 3 at 4 bits?",
    "and at 8?" are read as "at 8? How big is Llama 3 at bits?".
    """
    said = asked.original.strip()
    bare = is_bare(said) or (len(said.split()) <= 2 and _kind(said) == "number")
    points = _POINTS_BACK.match(said) or _PRONOUN.search(asked.mended)
    if not previous or not (bare or (points and len(asked.words) <= _SHORT)):
        return asked
    before = Asked.of(intents.without_orders(previous), index).mended
    if _CONTRAST.match(said) or len(said.split()) <= 2:
        before = _without_what_is_replaced(before, said)
    return Asked(asked.original, f"{asked.mended} {before}")


def _without_what_is_replaced(before: str, said: str) -> str:
    kinds = {kind for token in said.split()[1:] or [said] if (kind := _kind(token))}
    first, *rest = before.split() or [""]
    return " ".join([first, *(token for token in rest if _kind(token) not in kinds)])


def _kind(token: str) -> str:
    """name: "Qwen", "Q4_K_M", "Llama-3.1-8B"; number: "8", "4-bit", "7B"; else nothing."""
    token = token.strip("?!.,;:()“”\"'")
    if re.match(r"\d", token):
        return "number"
    named = re.match(r"[A-Z]", token) or (re.search(r"\d", token) and re.search(r"[a-z]", token))
    return "name" if named else ""
