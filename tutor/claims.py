"""Sentences as rows of words that matter, for checks.py to lay beside each other.

    >>> read("At FP16, a model with 8 billion weights needs 16 GB.")
    ['fp16', ',', 'model', '8', 'billion', 'weight', 'use', '16', 'gb']

Left out are words of a closed list that carry no claim (articles, "of", forms of "be" and "have").
Kept are content words as stems, numbers, names, marks that part clauses, and every word that
negates, counts, compares, hedges, refers or gives a direction.
"""

import re
from functools import lru_cache

import snowballstemmer

from tutor import text


def word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MARKS = frozenset(",;:()")
PRONOUNS = word_set("it they them he she this that these those")
_stemmer = snowballstemmer.stemmer("english")
_BE = word_set("am is are was were be been being")
_SILENT = word_set(
    """a an the of in at for on with as am is are was were be been being has have had having
    do does did which who whose there here also too very really simply own its their your our
    my his her will shall means called then thus therefore hence that this these those"""
)
_COUNT = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: str(n) for n, word in enumerate(_COUNT.split(" "))} | {
    "sixteen": "16",
    "twenty": "20",
    "thirty": "30",
    "fifty": "50",
    "hundred": "100",
}
# What each word stands for the others of its line with.
_GROUPS = """
large big
larger bigger
largest biggest
less fewer
maths math mathematics mathematical
delete remove
deletes removes
deleted removed
choose pick select
chooses picks selects
fp16 f16
while whereas
each every
% percent
about roughly around approximately
because since
processor cpu
"""
_SAME = {w: line.split()[0] for line in _GROUPS.strip().splitlines() for w in line.split()}


@lru_cache(maxsize=20_000)
def _key(word: str) -> str:
    word = _SAME.get(word, word)
    if word in _NUMBERS:
        return _NUMBERS[word]
    return _stemmer.stemWord(word) if word.isalpha() else word


def keys(words: str) -> frozenset[str]:
    """Words of a closed list, in the form that `read` gives them."""
    return frozenset(map(_key, words.split()))


NEGATIONS = keys("not no never nor neither none nothing nobody nowhere hardly without")


# The same only with an amount behind them: "needs 16 GB", but not "needs the matrix".
_TAKES = word_set("use uses used take takes took need needs needed require requires")
_UNIT = "second|token|weight|hour"
_WRITTEN = (
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\b(?:has|have|had|needs?) to\b"), "must"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'s\b"), ""),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile(r"\btokens/s\b"), "tokens /second"),
    (re.compile(rf"\b(?:per|a|for each|for every|each|every) ({_UNIT})\b"), r" /\1"),
    (re.compile(r"\b(four|eight|two|three|sixteen)[ -]bits?\b"), lambda m: f"{_NUMBERS[m[1]]}bit"),
    (re.compile(r"\b(\d+)[ -]?bits?\b"), r"\1bit"),
    (re.compile(r"\b(\d+)[ -]bit\b"), r"\1bit"),
)
_TOKEN = re.compile(r"\d+(?:\.\d+)+(?![\w])|/?\w+(?:\.\d+)?(?:_\w+)*|[÷×=+−±%<>½¼⅛]|[,;:()?]")


def read(sentence: str) -> list[str]:
    """The sentence's words that matter, in order."""
    said = text.plain(sentence)
    said = re.sub(r"(?<!\w)-(?=\s?[\d.])", "−", said)  # plain() has one kind of dash
    for pattern, how in _WRITTEN:
        said = pattern.sub(how, said)
    raw = _TOKEN.findall(said)
    found: list[str] = []
    passive = False
    for i, word in enumerate(raw):
        rest = [w for w in raw[i + 1 : i + 4] if w not in _SILENT and w != "about"]
        if not i and word in PRONOUNS:
            found.append(word)
        elif word == "to":
            if (rest and any(c.isdigit() for c in rest[0])) or "from" in found:
                found.append("to")
        elif word in _TAKES and rest and (rest[0][0].isdigit() or rest[0] in _NUMBERS):
            found.append("use")
        elif word not in _SILENT:
            key = _key(word)
            found.append(key + "#" if passive and word.endswith(("ed", "en", "ept")) else key)
        passive = word in _BE or (passive and word in ("not", "also", "always", "usually", "often"))
    return found


_OPENS = word_set(
    "at in on with without for below above by because since when if after before under once "
    "where while to until unless although though"
)


def fronted(sentence: str) -> tuple[str, str] | None:
    """("At FP16", "a model needs 16 GB") of "At FP16, a model needs 16 GB."; None without one."""
    head, comma, rest = sentence.strip().partition(", ")
    words = head.split()
    if not comma or not words or words[0].lower() not in _OPENS or len(words) > 12:
        return None
    return head, rest


_ITEM = re.compile(
    r"(?P<value>(?:about |only )?[\d.,]*\d%?)"
    r"(?P<unit>(?: (?!at\b|for\b|in\b|on\b|and\b)[\w/%]+){0,4})"
    r" (?P<prep>at|for|in|on) (?P<key>[^,;:]+?)(?=, |,? and |[;:.]? ?$|[;:])"
)

# What may follow a list and belong to its last item only.
_TAIL = re.compile(
    r"\s*[.;:]?\s*$|[;:]|, (?!if|unless|when|where|until|only|at|in|on|with|for|not)"
)


def listed(sentence: str) -> list[str]:
    """What a list of amounts says of each.

    >>> listed("It wrote 29.2 tokens at FP16, 50.9 at 8-bit and 71.9 at 4-bit.")[1:]
    ['It wrote 50.9 tokens at 8-bit', 'It wrote 71.9 tokens at 4-bit']
    """
    items = list(_ITEM.finditer(sentence))
    runs: list[list[re.Match[str]]] = []
    for item in items:
        gap = sentence[runs[-1][-1].end() : item.start()] if runs else None
        if gap in (", ", " and ", ", and ") and item["prep"] == runs[-1][0]["prep"]:
            runs[-1].append(item)
        else:
            runs.append([item])
    found = []
    for run in runs:
        head = sentence[: run[0].start()]
        tail = sentence[run[-1].end() :]
        if len(run) < 2 or not head or not _TAIL.match(tail):
            continue
        unit = run[0]["unit"]
        for item in run:
            said = f"{item['value']}{item['unit'] or unit} {item['prep']} {item['key']}"
            found.append(head + said)
    return found
