"""What stands inside a paragraph: pieces of text with the marks-up around each.

Keeping the tags beside the text, not around it, lets a sentence end inside **bold** or a link
and both halves still be valid HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape

from markdown_it.tree import SyntaxTreeNode

from lessons.formula import FormulaError, mathml, spoken
from lessons.problems import Problems
from lessons.sentences import split

_TAGS = {"strong": "<strong>", "em": "<em>"}
WHOLE = re.compile(r"\d+-\w+|\d[\d.,]* [KMGT]i?B\b")  # "4-bit" and "4.9 GB" stay on one line


@dataclass(frozen=True)
class Piece:
    """text as the page shows it; html the same, escaped or drawn; inside the tags around it."""

    text: str
    html: str
    inside: tuple[str, ...] = ()
    atom: bool = False  # code or a formula: never cut

    def bare(self) -> Piece:
        return replace(self, inside=())

    def cut(self, start: int, end: int) -> Piece:
        if self.atom:
            return self
        text = self.text[start:end]
        return replace(self, text=text, html=self.html if text == "\n" else shown(text))


@dataclass
class Mark:
    """A source mark after `place` letters. drawn: its number comes from the stylesheet."""

    number: int
    place: int
    line: int
    drawn: bool = False

    def html(self) -> str:
        where = f'href="#source-{self.number}" aria-label="Source {self.number}"'
        if self.drawn:
            return f'<sup class="src"><a {where} data-n="{self.number}"></a></sup>'
        return f'<sup class="src"><a {where}>{self.number}</a></sup>'


class Reader:
    """Reads a block's inline nodes into pieces, marks and links."""

    def __init__(self, problems: Problems, line: int) -> None:
        self.problems = problems
        self.line = line
        self.pieces: list[Piece] = []
        self.marks: list[Mark] = []
        self.links: list[tuple[int, str]] = []
        self.length = 0
        self.html_at = 0  # the line whose raw HTML was named: once is enough

    def read(self, nodes: Iterable[SyntaxTreeNode], inside: tuple[str, ...] = ()) -> None:
        for node in nodes:
            if node.type in _TAGS:
                self.read(node.children, (*inside, _TAGS[node.type]))
            elif node.type == "link":
                address = str(node.attrs.get("href", ""))
                self.links.append((self.line, address))
                if not plain_text(node).strip():
                    self.problems.add(self.line, "a link has no text", f"write [text]({address})")
                self.read(node.children, (*inside, f'<a href="{escape(address)}">'))
            else:
                self.leaf(node, inside)

    def leaf(self, node: SyntaxTreeNode, inside: tuple[str, ...]) -> None:
        if node.type in ("text", "text_special"):
            if "](" in node.content:
                self.problems.add(
                    self.line,
                    "a link is not understood",
                    "write [text](address) with an address that starts with https://, / or #",
                )
            self.add(Piece(node.content, shown(node.content), inside))
        elif node.type == "softbreak":
            self.add(Piece("\n", "\n", inside))
            self.line += 1
        elif node.type == "hardbreak":
            self.add(Piece("\n", "<br>\n", inside))
            self.line += 1
        elif node.type == "code_inline":
            html = f"<code>{escape(node.content, quote=False)}</code>"
            self.add(Piece(node.content, html, inside, atom=True))
        elif node.type in ("math_inline", "math_inline_double"):
            self.formula(node.content, inside)
        elif node.type == "source_mark":
            self.source_mark(node.content)
        else:
            self.refuse(node)

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.length += len(piece.text)

    def formula(self, latex: str, inside: tuple[str, ...]) -> None:
        try:
            html, text = spoken(mathml(latex))
        except FormulaError as error:
            self.problems.add(self.line, str(error), "correct it, or set it apart with $$")
            return
        self.add(Piece(text, html, inside, atom=True))

    def source_mark(self, number: str) -> None:
        if re.fullmatch(r"[1-9]\d{0,3}", number):
            self.marks.append(Mark(int(number), self.length, self.line))
        else:
            self.problems.add(
                self.line,
                f"[^{number}] is not the number of a source",
                "write [^1] for the first source of the front matter",
            )

    def refuse(self, node: SyntaxTreeNode) -> None:
        if node.type == "html_inline":
            if self.html_at == self.line:
                return
            self.html_at = self.line
            self.problems.add(
                self.line,
                f"raw HTML: {node.content[:40]}",
                "write it in Markdown, or put code between backticks",
            )
        elif node.type == "image":
            self.problems.add(
                self.line, "an image stands in the text", "put it alone into a paragraph"
            )
        else:
            self.problems.add(self.line, f"{node.type} is not known", "remove it")


def plain_text(node: SyntaxTreeNode) -> str:
    """The text of an image's alternative, without marks-up."""
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(map(plain_text, node.children)) if node.children else node.content


def raw(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def collapsed(text: str) -> str:
    """As textContent.trim().replace(/\\s+/g, " ") gives it."""
    return " ".join(text.split())


def text(pieces: Sequence[Piece]) -> str:
    return collapsed(raw(pieces))


def sentences(pieces: Sequence[Piece], marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """Start and end of each sentence that says something (a lone "…" or "→" does not)."""
    atoms, place = [], 0
    for piece in pieces:
        if piece.atom:
            atoms.append((place, place + len(piece.text)))
        place += len(piece.text)
    words = raw(pieces)
    found = split(words, atoms, [mark.place for mark in marks])
    return [(start, end) for start, end in found if re.search(r"[^\W_]", words[start:end])]


def html(
    pieces: Sequence[Piece],
    passages: Sequence[tuple[int, int, str]] = (),
    marks: Sequence[Mark] = (),
) -> str:
    """The pieces as HTML, with a span around each (start, end, id) and the marks in place."""
    out: list[str] = []
    begin = 0
    for start, end, anchor in passages:
        out.append(_between(pieces, begin, start, marks))
        inner = _nested(_range(pieces, start, end))
        out.append(f'<span id="{anchor}" class="p">{inner}</span>')
        begin = end
    length = len(raw(pieces))
    out.append(_between(pieces, begin, length + 1, marks))
    return "".join(out).strip()


def _between(pieces: Sequence[Piece], start: int, end: int, marks: Sequence[Mark]) -> str:
    """What stands outside the passages, with the marks that fall there."""
    out = []
    for mark in marks:
        if start <= mark.place < end:
            out += [_nested(_range(pieces, start, mark.place)), mark.html()]
            start = mark.place
    return "".join(out) + _nested(_range(pieces, start, end))


def _range(pieces: Sequence[Piece], start: int, end: int) -> list[Piece]:
    found, place = [], 0
    for piece in pieces:
        first, last = max(start - place, 0), min(end - place, len(piece.text))
        if first < last:
            found.append(piece.cut(first, last))
        place += len(piece.text)
    return found


def _nested(pieces: Sequence[Piece]) -> str:
    """Pieces with their tags opened and closed as they change."""
    out: list[str] = []
    open_tags: tuple[str, ...] = ()
    for piece in [*pieces, Piece("", "")]:
        shared = 0
        while open_tags[shared:] and open_tags[shared : shared + 1] == piece.inside[shared:][:1]:
            shared += 1
        out += [f"</{tag[1:].split()[0].rstrip('>')}>" for tag in reversed(open_tags[shared:])]
        out += piece.inside[shared:]
        out.append(piece.html)
        open_tags = piece.inside
    return "".join(out)


def shown(text: str) -> str:
    """Text as HTML, in which a number does not part from its word at the end of a line."""
    return WHOLE.sub(r'<span class="nb">\g<0></span>', escape(text, quote=False))
