"""Whether the quotes say what a sentence says: plain code, no model.

A sentence passes if its words that matter (claims.py) stand in one clause of a quote, all of them,
in the same order, with nothing left out between them. So no number, name, negation, quantifier,
comparison, condition or role can be changed, added or dropped. Some freedom is safe: words that
carry no claim, whole clauses left out at either end, "At FP16, …" moved to the end, one item of a
list of amounts, one cell of a table's row, and several such claims joined by "and" or "while".
In doubt a sentence is not supported.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tutor import quizhelp, verdict
from tutor.claims import MARKS, NEGATIONS, PRONOUNS, fronted, keys, listed, read
from tutor.index import Quotable

_MARKUP = re.compile(r"[<>{}\[\]|*`#\\]|https?:|www\.|\w@\w")
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|obey)\b.*\b(?:instruct|prompt|rule|previous|above|lesson)|"
    r"\b(?:system prompt|password|api key|as an ai|click here|subscribe|my instructions)\b",
    re.IGNORECASE,
)
_KEYS = re.compile(
    r"\b(?:option|answer|choice)s?\s+(?:is\s+|to \w+\s+(?:\d+\s+)?is\s+)?[A-E]\b|"
    r"\b(?:correct|right) (?:answer|option|choice)\b.*\b(?:is|quiz|question)\b",
)
_CAUSED = re.compile(r"^(?:so|therefore|thus|hence|as a result|consequently)\b", re.IGNORECASE)
_OPENERS = re.compile(
    r"^(?:according to (?:the|this) lesson,?|(?:the|this) lesson says(?: that|,)?|"
    r"in (?:short|other words|the lesson|this lesson),|also,|additionally,|however,)\s+",
    re.IGNORECASE,
)
_NAMES_A_TRAP = re.compile(r"mistake|wrong|misconfigur|spoil|myth|trap|avoid|fail|not\b", re.I)
_JOINED = re.compile(r"\s*(?:;|,? (?:and|but|while|whereas|yet)(?: (?:that|also))?(?= ))\s*")
# Leaving out what begins so would claim more than the quote does.
_LIMITS = keys("""if unless when where until except only provided long as once not or than rather
    though depend but yet while nor""")
BECAUSE, ONLY = (next(iter(keys(word))) for word in ("because", "only"))
_SUPPOSES = keys("if unless when suppose imagine")
_REPORTS = keys("say said claim found find report until whether why how") | NEGATIONS
_MODAL = keys("can may might must should")
_TOGETHER = keys("both between either together same sum all not")
_JOINTS = keys("and but while yet so")


class Checker:
    """Checks sentences against some quotes, and against those that it let through before."""

    def __init__(self, quotes: Sequence[Quotable], quiz: Sequence[quizhelp.Question] = ()) -> None:
        self.quiz = quiz
        self.statements = [s for quote in quotes for s in _statements(quote)]
        self.rows = [_Row.of(quote) for quote in quotes if quote.kind == "row"]
        self.exact = {_plain(quote.text) for quote in quotes if not _needs_lead(quote)}
        self._words = {w for s in self.statements for w in s.words}
        self._words |= {w for row in self.rows for w in row.words}
        self._said: list[list[str]] = []

    def why_not(self, sentence: str) -> str:
        """Why the sentence may not be shown; empty if it may."""
        said = _OPENERS.sub("", " ".join(sentence.split()))
        if _plain(said) in self.exact and not quizhelp.leaks(said, self.quiz):
            return "repeated" if _bare(read(said)) in self._said else ""
        if _MARKUP.search(said):
            return "markup"
        if _ORDERS.search(said):
            return "order"
        if _KEYS.search(said) or quizhelp.leaks(said, self.quiz):
            return "quiz"
        if _CAUSED.match(said):
            return "a cause in another sentence"
        words = _bare(read(said))
        if len(words) < 2:
            return "says too little"
        if any(_within(words, old) or _within(old, words) for old in self._said):
            return "repeated"
        if not self._supported(said):
            strange = [w for w in words if w not in self._words]
            return f"not in the quotes: {', '.join(strange)}" if strange else "not said so"
        return ""

    def accept(self, sentence: str) -> str:
        """As why_not; a sentence let through is remembered."""
        if not (reason := self.why_not(sentence)):
            self._said.append(_bare(read(_OPENERS.sub("", sentence))))
        return reason

    def _supported(self, said: str) -> bool:
        if self._claimed(said) or any(row.says(said) for row in self.rows):
            return True
        # In parts: first where a comma or semicolon helps to tell them apart, then at any "and".
        for joint in (re.compile(r"\s*;\s*|,\s+(?:and|but|while|whereas|yet)\s+"), _JOINED):
            parts = [part for part in joint.split(said.rstrip(".!")) if part]
            if len(parts) > 1 and all(map(self._part, parts)):
                return True
        return False

    def _part(self, said: str) -> bool:
        words = _bare(read(said))
        if len(words) < 2 or words[0] in PRONOUNS:
            return False
        return self._claimed(said) or any(row.says(said) for row in self.rows)

    def _claimed(self, said: str) -> bool:
        versions = [_bare(read(said))]
        if parts := fronted(said):
            versions.append(_bare(read(parts[1]) + read(parts[0])))
        return any(s.says(words) for s in self.statements for words in versions)


def _plain(said: str) -> str:
    return " ".join(said.split())


def _needs_lead(quote: Quotable) -> bool:
    """Whether its text alone would say another thing than the lesson does."""
    if quote.kind != "item":
        return quote.kind == "row"
    return quote.context in _SUBJECT or bool(_NAMES_A_TRAP.search(quote.context))


def _bare(words: list[str]) -> list[str]:
    return [w for w in words if w not in MARKS]


def _within(words: list[str], other: list[str]) -> bool:
    return any(other[i : i + len(words)] == words for i in range(len(other) - len(words) + 1))


@dataclass(frozen=True)
class Statement:
    """words: as claims.read. whole_from: up to where nothing may be left out at the end."""

    words: list[str]
    whole_from: int = 0

    def says(self, claim: list[str]) -> bool:
        return any(self._from(start, claim) for start in self._starts())

    def _starts(self) -> Iterator[int]:
        at = 0
        while at < len(self.words) and self.words[at] in (*_JOINTS, ","):
            at += 1
        yield 0
        yield at
        if self.whole_from:
            return
        for i, word in enumerate(self.words):
            if _SUPPOSES & set(self.words[:i]):
                return
            clause = self._clause(i)
            following = self.words[i + 1 : i + 3]
            gives_reason = word == BECAUSE and (self.words[i - 1] == "," or not NEGATIONS & clause)
            is_label = word == ":" and len(clause) < 3  # "FP16: …" is about FP16
            if (word in (";", ":") and not is_label) or gives_reason:
                yield i + 1
            elif (
                word == ","
                and len(following) == 2
                and following[0] in _JOINTS
                and (not clause & _REPORTS or self._stands_alone(i + 2))
            ):
                yield i + (3 if following[1] in _JOINTS else 2)

    def _clause(self, end: int) -> set[str]:
        """The words between the last colon or semicolon and `end`."""
        begin = max((i for i in range(end) if self.words[i] in ";:"), default=-1) + 1
        return set(self.words[begin:end])

    def _stands_alone(self, start: int) -> bool:
        """Whether what begins here has a subject and a modal verb of its own."""
        following = self.words[start + 1 : start + 3]
        return any(word in _MODAL for word in following)

    def _from(self, start: int, claim: list[str]) -> bool:
        at, place = start, 0
        while place < len(claim):
            if at >= len(self.words):
                return False
            if self.words[at] == claim[place]:
                at, place = at + 1, place + 1
            elif self.words[at] in MARKS:
                at += 1
            elif claim[place] == "about" and self.words[at][:1].isdigit():
                place += 1
            else:
                return False
        if claim[0] in PRONOUNS and (start or at < len(self.words)):
            return False  # "It" means what the lesson said before
        return at >= self.whole_from and self._may_end(at, claim)

    def _may_end(self, at: int, claim: list[str]) -> bool:
        rest = self.words[at:]
        if not rest or rest[0] in (";", ":"):
            return True
        if rest[0] == BECAUSE:
            return not NEGATIONS & set(claim)
        if rest[0] == "and":
            return self._may_stop_at_and(rest[1:], claim)
        if rest[0] != "," or len(rest) < 2 or "either" in claim or "between" in claim:
            return False
        if rest[1] in ("but", "yet", "while"):
            return len(rest) > 2 and rest[2] not in ("not", ONLY)
        return rest[1] not in _LIMITS and not (rest[1] == "and" and rest[2:3] == ["not"])

    def _may_stop_at_and(self, rest: list[str], claim: list[str]) -> bool:
        """Whether "A does B and C" may be told as "A does B"."""
        more = next((rest[:i] for i, w in enumerate(rest) if w in MARKS), rest)
        amounts = any(w[0].isdigit() for w in (claim[-1], *more[:1]))
        return not amounts and not _TOGETHER & set(claim) and not NEGATIONS & {*claim, *more}


_SUBJECT = {verdict.CANNOT: "AI cannot", verdict.DOES_WELL: "AI can"}


def _statements(quote: Quotable) -> Iterator[Statement]:
    """What a quote says, in each way in which it may be said again."""
    if quote.kind == "row":
        return
    said = quote.text
    if quote.context in _SUBJECT:
        subject = _SUBJECT[quote.context]
        yield from _ways(f"{subject} {said[:1].lower()}{said[1:]}")
        if quote.context == verdict.DOES_WELL:
            return
        # Behind the colon the list's lead no longer holds.
        if after := re.split(r"[:;] ", said, maxsplit=1)[1:]:
            yield from _ways(after[0])
    elif not _needs_lead(quote):
        yield from _ways(said)


def _ways(said: str) -> Iterator[Statement]:
    plain = said if "=" in said else re.sub(r"\s*\([^()]*\)", "", said)
    without_aside = re.sub(r", (?:which|who|an?|the|called) [^,;:]+,(?= )", "", plain)
    without_aside = re.sub(r", such as [^,;:]+,(?= )", "", without_aside)
    # A name needs no "the popular 4-bit type" before it.
    named = re.sub(r"\bthe (?:[\w-]+ ){0,2}(?:type|format) (?=[A-Z]\w*\d)", "", without_aside)
    for one in dict.fromkeys((said, plain, without_aside, named)):
        one = one.rstrip(".!")
        yield Statement(read(one), 0)
        parts = fronted(one)
        if parts:
            first = re.split(r"[;:] |, (?:and|but|so|while|yet) ", parts[1], maxsplit=1)[0]
            moved = read(first) + read(parts[0])
            yield Statement(moved, len(moved))
        for item in listed(one):
            words = read(item)
            yield Statement(words, len(words))
            if parts := fronted(item):
                moved = read(parts[1]) + read(parts[0])
                yield Statement(moved, len(moved))


_WITH_CELLS = frozenset({"use", "score", "file", "it"})


@dataclass(frozen=True)
class _Row:
    """A table's row: what its first cell names, and each other column's words with its cell's."""

    name: frozenset[str]
    title: frozenset[str]
    cells: tuple[tuple[frozenset[str], frozenset[str]], ...]

    @classmethod
    def of(cls, quote: Quotable) -> "_Row":
        pairs = [pair.partition(": ")[::2] for pair in quote.context.split("; ")]
        sets = [(frozenset(_bare(read(h))), frozenset(_bare(read(v)))) for h, v in pairs]
        return cls(sets[0][1], sets[0][0], tuple(sets[1:]))

    @property
    def words(self) -> set[str]:
        return set(self.name | self.title).union(*(h | v for h, v in self.cells), _WITH_CELLS)

    def says(self, said: str) -> bool:
        """Parts such as "a size of 4.58 GiB" belong to the row that the first part names."""
        if not self.name or all(word[0].isdigit() for word in self.name):
            return False  # a number for a name: nothing shows which number is which
        parts = [_bare(read(p)) for p in re.split(r",? and |, | with ", said.rstrip(".!")) if p]
        whole = _bare(read(said))
        if self._cell_says(whole):
            return True
        if len(parts) < 2 or not self.name <= set(parts[0]):
            return False
        return all(self._cell_says([*self.name, *part]) for part in parts)

    def _cell_says(self, words: list[str]) -> bool:
        said = set(words)
        for i, (header, value) in enumerate(self.cells):
            others = self.name.union(*(h for j, (h, _) in enumerate(self.cells) if j != i))
            amounts = [w for w in words if w[0].isdigit() and w not in self.name | header]
            if (
                value
                and any(w[0].isdigit() for w in value)
                and self.name | value <= said
                and (header - others) & said
                and said <= self.name | self.title | header | value | _WITH_CELLS
                and len(amounts) == len({w for w in value if w[0].isdigit()} - self.name - header)
            ):
                return True
        return False
