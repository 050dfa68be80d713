"""Yes or No, only where a passage plainly says so.

A wrong Yes is worse than none, so everything must fit: every subject word of the question stands
in one clause of the passage, in the same order; the clause says little else; and neither side
hedges, compares or counts in a way that the other does not. Otherwise there is no verdict, and the
quote speaks for itself.
"""

import re

from tutor import text
from tutor.index import Quotable
from tutor.ranking import Asked

CANNOT, DOES_WELL = "What AI cannot do", "What AI does well here"

_YES_NO = re.compile(
    r"^(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|may|might|must)\b(?!.*\bor\b)",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|can't|none|nothing|nobody|neither|nor)\b|n't\b", re.IGNORECASE
)
# What may turn a sentence round or not ("stop here"): no verdict where one stands.
_TURNS = re.compile(
    r"\b(?:without|hardly|seldom|rarely|fail(?:s|ed)? to|stop(?:s|ped)?|avoids?|instead|unless|"
    r"except|mistake|myth|wrong|false|untrue)\b",
    re.IGNORECASE,
)
_UNSAID = frozenset({"ai", "model"})  # "AI" is in the headings; a "4-bit" is a 4-bit model
_CLAUSE = re.compile(r"[:;,()]|\b(?:but|because|so that|so|which|while|although|and then|yet)\b")


def opener(asked: Asked, passage: Quotable) -> str | None:
    """ "Yes" or "No" where the passage settles a yes/no question; else None."""
    question = asked.mended.strip()
    if not _YES_NO.match(question) or passage.kind == "row":
        return None
    if _NEGATION.search(question) or _TURNS.search(question):
        return None
    if passage.context not in ("", CANNOT, DOES_WELL):
        return None
    wanted = [stem for stem in text.stems(question, kinds=False) if stem not in _UNSAID]
    if len(set(wanted)) < 2:
        return None
    for number, clause in enumerate(_CLAUSE.split(passage.text)):
        if _says(wanted, question, clause):
            negations = len(_NEGATION.findall(clause))
            if negations > 1 or _TURNS.search(clause):
                return None
            return _polarity(passage, number, negations == 1)
    return None


def _polarity(passage: Quotable, clause: int, negated: bool) -> str | None:
    """What a clause that says the question's words says to the question.

    "AI cannot" reaches the words that finish its sentence, the first clause; a later one is a
    sentence of its own ("…: no model can promise that"), or a list that may go on with the first.
    So under that heading nothing is ever a Yes, and what is not plain is no verdict.
    """
    if passage.context != CANNOT:
        return "No" if negated else "Yes"
    return "No" if negated != (clause == 0) else None


def _says(wanted: list[str], question: str, clause: str) -> bool:
    """Whether the clause has the wanted words in their order, and hardly any others."""
    said = text.stems(clause, kinds=False)
    places = [said.index(stem) for stem in wanted if stem in said]
    if len(places) < len(wanted) or places != sorted(set(places)):
        return False
    extra = set(said) - set(wanted)
    if len(extra) > max(1, len(set(said)) // 3):
        return False
    in_clause, in_question = (text.SCOPE & set(text.words(part)) for part in (clause, question))
    return in_clause == in_question
