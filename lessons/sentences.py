"""Where sentences end.

    >>> text = "Use Q4, e.g. Q4_K_M v0.3. It is 4.9 GB."
    >>> [text[start:end] for start, end in split(text)]
    ['Use Q4, e.g. Q4_K_M v0.3.', 'It is 4.9 GB.']

Where it is unsure it does not split: two sentences in one passage read better than half of one.
"""

import re
from collections.abc import Iterable

_END = re.compile(r"(?P<stop>[.!?…]+)(?P<close>[)\]”’\"'»*]*)(?=\s)")
_WORD = re.compile(r"[^\s(\[“‘\"']+$")
_LETTER = re.compile(r"[^\W\d_]")
_PAIRS = {"(": ")", "[": "]", "“": "”", "«": "»"}

# Followed by what they belong to, so they never end a sentence …
_LEADS_ON = {
    *("e.g", "i.e", "vs", "cf", "approx", "ca", "viz", "resp", "incl", "fig", "figs", "eq", "eqs"),
    *("dr", "mr", "mrs", "ms", "prof", "st"),
}
# … only before a number (otherwise "no." is a word) …
_BEFORE_NUMBER = {"no", "nos", "p", "pp", "ch", "sec", "vol", "art", "step", "v"}
# … and those that end one only where a capital follows.
_MAY_END = {
    *("etc", "al", "inc", "ltd", "co", "corp", "jr", "sr", "a.m", "p.m", "u.s", "u.k", "ph.d"),
}


def split(
    text: str, atoms: Iterable[tuple[int, int]] = (), cuts: Iterable[int] = ()
) -> list[tuple[int, int]]:
    """Start and end of each sentence, without the white space around it.

    atoms: ranges that are never split (code, formulas). cuts: places where one ends in any case.
    """
    atoms = list(atoms)
    whole = atoms + _enclosed(text)
    starts = {start for start, _ in atoms}
    ends = set(cuts)
    begin = 0
    for match in _END.finditer(text):
        place = match.end()
        if any(start < place < end for start, end in whole):
            continue
        if place in ends or _ends_here(text, begin, match, starts):
            ends.add(place)
            begin = place
    return _trimmed(text, sorted(ends | {len(text)}))


def _trimmed(text: str, ends: list[int]) -> list[tuple[int, int]]:
    found, start = [], 0
    for end in ends:
        piece = text[start:end]
        if piece.strip():
            found.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
        start = end
    return found


def _ends_here(text: str, begin: int, match: re.Match[str], atoms: set[int]) -> bool:
    following = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
    if following == len(text):
        return False  # the end of the text ends it anyway
    if not _LETTER.search(text, begin, match.start()):
        return False  # "1." opens a sentence
    after = text[following]
    stop, close = match["stop"], match["close"]
    if stop == "." and not close and _is_abbreviation(text[begin : match.start()], after):
        return False
    if after.islower() and following not in atoms:
        return stop == "." and not close  # "llama.cpp reads it" may follow a full stop
    return True


def _is_abbreviation(before: str, after: str) -> bool:
    found = _WORD.search(before)
    word = found.group() if found else ""
    if word.lower() in _LEADS_ON:
        return True
    if word.lower() in _BEFORE_NUMBER:
        return after.isdigit()
    if len(word) == 1 and word.isupper() and word != "I":
        return after.isupper()  # an initial: "J. Smith"
    return word.lower() in _MAY_END and not after.isupper()


def _enclosed(text: str) -> list[tuple[int, int]]:
    """Ranges between brackets or quotation marks that are closed again."""
    found: list[tuple[int, int]] = []
    open_at: list[tuple[str, int]] = []
    straight = text.count('"') % 2 == 0
    for place, letter in enumerate(text):
        if letter in _PAIRS:
            open_at.append((_PAIRS[letter], place))
        elif letter == '"' and straight:
            if open_at and open_at[-1][0] == '"':
                found.append((open_at.pop()[1], place + 1))
            else:
                open_at.append(('"', place))
        elif open_at and letter == open_at[-1][0]:
            found.append((open_at.pop()[1], place + 1))
    return found
