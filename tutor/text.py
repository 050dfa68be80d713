"""Words: what of a question or a passage is compared, and how misspelt ones are mended.

>>> stems("Does four-bit quantisation need less RAM?")
['4bit', 'quantiz', 'need', 'less', 'memori']
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, lru_cache, partial
from pathlib import Path

import snowballstemmer
import wordfreq

from lessons.words import distance

_stemmer = snowballstemmer.stemmer("english")

_FILE = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
STOP = frozenset(_FILE["stop"].split())
SCOPE = frozenset(_FILE["scope"].split())
CHAT: dict[str, str] = _FILE["chat"]
NUMBER_WORDS: dict[str, str] = _FILE["numbers"]
# Each word of a group of equals stands for its first.
_FIRST = {
    word: group.split()[0] for group in _FILE["same"].strip().splitlines() for word in group.split()
}

# What is written in several ways, as one word; what has a name of its own, with its kind.
_NAMES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(rf"\b({'|'.join(NUMBER_WORDS)})[\s-]+bits?\b"),
        lambda m: f"{NUMBER_WORDS[m[1]]}bit",
    ),
    (re.compile(r"\b(\d+)[\s-]*bits?\b"), lambda m: f"{m[1]}bit"),
    (re.compile(r"\bint[\s-]?(\d+)\b"), lambda m: f"int{m[1]} {m[1]}bit"),
    (
        re.compile(r"\bi?q(\d)((?:_[a-z0-9]+)+)\b"),
        lambda m: f"q{m[1]}{m[2]} q{m[1]} {m[1]}bit",
    ),
    (re.compile(r"\bq(\d)\b"), lambda m: f"q{m[1]} {m[1]}bit"),
    (re.compile(r"\b(b?)fp?[\s-]?(16|32)\b"), lambda m: f"{m[1]}fp{m[2]} {m[2]}bit"),
    (re.compile(r"\bfp[\s-]?(4|8)\b"), lambda m: f"fp{m[1]} {m[1]}bit"),
    (re.compile(r"\bhalf[\s-]precision\b"), lambda m: "16bit"),
    (re.compile(r"\b(\d+(?:\.\d+)?)[\s-]*(?:b|billion|bn)\b"), lambda m: f"{m[1]}b"),
    (
        re.compile(r"(?<![\w.])(1|2|4|8|16|32|64|128)k\b"),  # of tokens: in powers of two
        lambda m: f"{m[1]}k {int(m[1]) * 1024}",
    ),
    (re.compile(r"\b(?:graphics|video) cards?\b"), lambda m: "gpu"),
    (re.compile(r"\b(?:throw|throws|thrown|throwing) (?:away|out)\b"), lambda m: "delete"),
)
# What is written together and apart: "8gb", "Qwen2.5".
_GLUED = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)([kmgt]i?b(?:/s)?|gigs?)\b|\b([a-z]{4,})(\d+(?:\.\d+)?)(?![\w.]*\w)"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_WORD = re.compile(r"\d+(?:\.\d+)?(?:bit|b)?(?![a-z0-9_])|[^\W_]+(?:_[^\W_]+)*(?:'[^\W_]+)?")
_LETTERS = re.compile(r"[a-z]+$")


def plain(text: str) -> str:
    """Lower case, one kind of apostrophe and dash, no odd characters, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = text.translate({0x2018: "'", 0x2019: "'", 0x2010: "-", 0x2011: "-", 0x2212: "-"})
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def words(text: str, kinds: bool = True) -> list[str]:
    """Words in order; with `kinds`, "8-bit", "INT8" and "Q8_0" all give "8bit" too.

    >>> words("Q8_0 or 8-bit?"), words("Q8_0 or 8-bit?", kinds=False)
    (['q8_0', 'q8', '8bit', '8bit', 'or', '8bit'], ['q8_0', 'or', '8bit'])
    """
    text = _THOUSANDS.sub("", plain(text))
    text = _GLUED.sub(lambda m: f"{m[1] or m[3]} {m[2] or m[4]}", text)
    for pattern, named in _NAMES:
        text = pattern.sub(partial(_spelt, named, kinds), text)
    found = _WORD.findall(text)
    return [word.removesuffix("'s") if word.endswith("'s") else word for word in found]


def _spelt(named: Callable[[re.Match[str]], str], kinds: bool, match: re.Match[str]) -> str:
    name = named(match)
    return f" {name if kinds else name.split()[0]} "


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word's stem. Words that mean the same share one ("RAM" and "memory")."""
    if not _LETTERS.match(word):
        return word
    if re.fullmatch(r"quanti[sz](?:e[sd]?|ing|ations?|ers?)?|quants?", word):
        return "quantiz"
    if word.endswith(("izer", "izers")):  # a tokenizer is no token
        return word.removesuffix("s")
    word = _FIRST.get(word, word)
    return _stemmer.stemWord(word)


def stems(text: str, kinds: bool = True) -> list[str]:
    """Stems of the words that carry a subject, in order."""
    return [stem(word) for word in words(text, kinds) if word not in STOP and "'" not in word]


@cache
def frequency(word: str) -> float:
    """How common a word is in English, on the Zipf scale: "the" 7.7, "bread" 4.5, unknown 0."""
    return wordfreq.zipf_frequency(word, "en")


def write_out(question: str) -> str:
    """Chat's short forms in full; everything else as it was."""
    return " ".join(
        CHAT.get(token.lower().strip("?!.,").replace("'", "").replace("’", ""), token)
        if token.lower().strip("?!.,") not in STOP
        else token
        for token in question.split()
    )


def mend(question: str, vocabulary: Mapping[str, int], known: Collection[str] | None = None) -> str:
    """Misspelt words replaced by the nearest word of the lesson.

    `vocabulary`: the lesson's words and how often each stands there; `known`: their stems, where
    those are at hand. A word is misspelt if it is neither there nor common English. Near is one
    slip (a letter wrong, missing, added, or two swapped), two in words of eight letters and more.

    >>> mend("wat is quantizaton?", {"quantization": 9})
    'wat is quantization?'
    """
    stems_known = {stem(word) for word in vocabulary} if known is None else known

    def mended(match: re.Match[str]) -> str:
        word = match[0].lower()
        if len(word) < 4 or word in STOP or word in CHAT or stem(word) in stems_known:
            return match[0]
        if frequency(word) >= 2.3:
            return match[0]
        return nearest(word, vocabulary) or match[0]

    return re.sub(r"[A-Za-z]+", mended, question)


def nearest(word: str, vocabulary: Mapping[str, int]) -> str | None:
    """The word of the vocabulary that `word` most likely was meant to be, or None."""
    allowed = 1 if len(word) < 8 else 2
    best: tuple[int, bool, int, str] | None = None
    for candidate, count in vocabulary.items():
        if abs(len(candidate) - len(word)) > allowed or not _LETTERS.match(candidate):
            continue
        slips = distance(word, candidate, allowed)
        if slips > allowed or len(candidate) < 4:
            continue
        key = (slips, candidate[0] != word[0], -count, candidate)
        if best is None or key < best:
            best = key
    return best[3] if best else None


_OTHERS = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))
_ENGLISH = {
    code: dict(zip(*[iter(entry["words"].split())] * 2, strict=True))
    for code, entry in _OTHERS.items()
}
# English function words that no other language here writes the same way.
_PLAINLY_ENGLISH = STOP - {
    *(word for glossary in _ENGLISH.values() for word in glossary),
    *("a", "am", "an", "as", "at", "do", "he", "i", "in", "is", "me", "no", "on", "one", "s", "so"),
    *("t", "to", "us", "was"),
}
_OPENS_ENGLISH = frozenset(
    ["how", "what", "which", "why", "when", "where", "does", "did", "should", "could", "would"]
)
SORRY = "I understand English best: please try asking in English."


def sorry(code: str) -> str:
    """That English is understood best, in the language, where there is a line for it."""
    return _OTHERS[code]["sorry"] if code in _OTHERS else SORRY


def in_english(question: str, known: Collection[str] = ()) -> str:
    """The question with the site's terms in English, if it is in a language with a glossary.

    >>> in_english("¿Cuántos bits por peso usa Q8_0?")
    'how many bits for weight use Q8_0'
    """
    glossary = _ENGLISH.get(language(question, known), {})
    if not glossary:
        return question
    tokens = [token.strip('¿¡?!.,:;()"„“”«»') for token in question.split()]
    found = [token if token in known else glossary.get(token.lower(), token) for token in tokens]
    return " ".join(
        word.replace("_", " ") if word in glossary.values() else word
        for word in found
        if word != "-"
    )


LANGUAGES = ("es", "fr", "de", "it", "pt", "nl", "pl", "tr", "id", "sv", "cs", "ro", "fi")


def language(text: str, known: Collection[str] = ()) -> str:
    """The language that a question is most likely in, as a code ("en", "de", ...).

    Words of the lesson (`known`) count for none. Other scripts than Latin are told by "other".
    """
    letters = [c for c in text if c.isalpha()]
    if letters and sum("LATIN" in unicodedata.name(c, "") for c in letters) < len(letters) / 2:
        return "other"
    tokens = [w for w in words(text) if w not in known and w not in CHAT and w.isalpha()]
    if len(tokens) < 2:
        return "en"
    written = [w for w in words(text) if w.isalpha()]
    opens = written and written[0] in _OPENS_ENGLISH
    if opens or sum(w in _PLAINLY_ENGLISH for w in written) >= 0.4 * len(written):
        return "en"
    english = _familiarity(tokens, "en")
    best = max(LANGUAGES, key=lambda code: _familiarity(tokens, code))
    return best if _familiarity(tokens, best) > english + 0.8 else "en"


def _familiarity(tokens: Iterable[str], code: str) -> float:
    found = [wordfreq.zipf_frequency(token, code, wordlist="small") for token in tokens]
    return sum(found) / len(found)
