"""Words as the search sees them: the same for what lessons say and for what readers type.

"Quantisation", "quantization" and "quantized" are one token; "Q4_K_M" is "q4km" and its parts,
so that "q4 k m" and "Q4KM" find it too. Both databases index these tokens as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import snowballstemmer

# Letters and digits, with single marks inside: Q4_K_M, 4-bit, v0.3, llama.cpp, model's
WORD = re.compile(r"[^\W_]+(?:['’._‐‑–-][^\W_]+)*")
_PARTS = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s$")
# British and American spelling meet: quantise, colour. (Also "noise", on both sides alike.)
_BRITISH = re.compile(r"(?<=[a-z]{3})is(?=(e|ed|es|er|ers|ing|ation|ations|able)$)")
_OUR = re.compile(r"(?<=[a-z]{2})our(?=(s|ed|ing|ful)?$)")

STOP_WORDS = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "does", "for"),
        *("from", "how", "i", "in", "is", "it", "its", "of", "on", "or", "so", "than", "that"),
        *("the", "their", "then", "there", "these", "they", "this", "to", "was", "what", "when"),
        *("where", "which", "who", "why", "will", "with", "you"),
    )
)

_stem = snowballstemmer.stemmer("english").stemWord


def folded(text: str) -> str:
    """Lower case without accents; ⁿ becomes n."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def words(text: str) -> Iterator[str]:
    """The words of a text as written, in order."""
    for match in WORD.finditer(text):
        yield match.group()


@lru_cache(maxsize=50_000)
def parts(word: str) -> tuple[str, ...]:
    """A word's letters and digits, folded: the whole first, then its parts if it has several."""
    found = _PARTS.findall(folded(_POSSESSIVE.sub("", word)))
    return tuple(found) if len(found) < 2 else ("".join(found), *found)


@lru_cache(maxsize=50_000)
def tokens(word: str) -> tuple[str, ...]:
    """What a word is found by: the token of the whole first, then those of its parts."""
    return tuple(token(part) for part in parts(word))


@lru_cache(maxsize=50_000)
def token(part: str) -> str:
    """The stem of a folded word; numbers and names with digits stay as they are."""
    if not part.isalpha() or not part.isascii():
        return part
    return _stem(american(part))


def american(word: str) -> str:
    return _OUR.sub("or", _BRITISH.sub("iz", word))


def deletions(word: str) -> set[str]:
    """The word and what is left of it when one letter goes.

    Two words that share one of these differ by one letter missing, added, changed or swapped
    with its neighbour, or by two that lie apart.
    """
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def distance(first: str, second: str, limit: int | None = None) -> int:
    """Letters to insert, delete, change or swap with the neighbour (Damerau, restricted).

    More than `limit` is not told apart, which saves most of the work on unlike words.
    """
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(second, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                best = min(best, last[j - 2] + 1)
            row.append(best)
        if limit is not None and min(row) > limit:
            return limit + 1
    return row[-1]
