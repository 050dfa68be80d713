"""A lesson's Markdown to HTML in which every sentence has an address.

CommonMark with GFM tables, formulas ($…$, $$…$$), source marks ([^3]), callouts (> [!NOTE])
and figures (an SVG alone in its paragraph); no raw HTML. What the tutor may quote is a passage:

- kind "sentence": `<span id="p-7" class="p">…</span>`, in paragraphs, list items and callouts;
- kind "item": the same for the first sentence of a list item; its context is what it hangs on,
  the lead sentence that ends in ":" or else the heading ("What AI cannot do");
- kind "row": `<tr id="p-8" class="p">`, a row of a table. Its text is its cells as shown, with a
  space between, and its context says what they mean: "Type: Q4_K_M; Perplexity: 14.17". Judge
  a question against the context; quote the text (or link to the row and show the context).

A passage's text equals the element's textContent with white space collapsed, letter for letter:
source marks stand outside the spans, and in tables their number is drawn by the stylesheet.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.dollarmath import dollarmath_plugin

from lessons import inlines, slips
from lessons.formula import FormulaError, mathml
from lessons.inlines import Mark, Piece
from lessons.problems import Problems

RENDERER = 2  # raise it when the same lesson would give other HTML: every lesson loads again

# What a polarity hangs on stays the section of its passages, also below a ### heading.
SECTIONS = (
    "The premise",
    "What AI does well here",
    "What AI cannot do",
    "Practice this safely",
)
CALLOUTS = {"NOTE": "Note", "TIP": "Tip", "WARNING": "Warning", "EXAMPLE": "Example"}
RESERVED_IDS = ("content", "quiz", "tutor", "sources", "progress", "related", "contents")

_ALERT = re.compile(r"\[!(\w+)\][ \t]*(.*)")
_MARK = re.compile(r"\[\^([^\]\s]+)\]")


@dataclass(frozen=True)
class RenderedPassage:
    anchor: str
    section: str
    kind: str
    text: str
    context: str


@dataclass
class Rendered:
    """A lesson's sections as HTML and as plain text, and what was found in them."""

    html: str = ""
    text: str = ""
    passages: list[RenderedPassage] = field(default_factory=list)
    headings: list[dict[str, Any]] = field(default_factory=list)  # {anchor, title, level, line}
    links: list[tuple[int, str]] = field(default_factory=list)  # (line, address)
    sources: dict[int, int] = field(default_factory=dict)  # number: line of its first mark
    lists: set[tuple[str, str]] = field(default_factory=set)  # (section, "ul" or "ol")
    torn: bool = False  # its end is not read as it was meant
    words: int = 0
    rows: int = 0
    figures: int = 0


def render(
    source: str,
    problems: Problems,
    *,
    line: int = 1,
    figure: Callable[[str, str, int], str] = lambda name, alt, line: "",
) -> Rendered:
    """source: the Markdown below the front matter, whose first line is `line` of the file.

    figure(file name, alt, line) gives the drawing's markup. Mistakes are added to problems.
    """
    page = _Page(problems, line, figure, source.splitlines())
    page.blocks(SyntaxTreeNode(_parser().parse(source)))
    page.out.text = "\n".join(page.plain).strip() + "\n"
    page.out.html = "".join(page.html)
    return page.out


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")  # HTML is seen, and refused
    parser.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False)
    parser.inline.ruler.before("link", "source_mark", _source_mark)
    return parser


def _source_mark(state: StateInline, silent: bool) -> bool:
    found = _MARK.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    if not silent:
        state.push("source_mark", "", 0).content = found[1]
    state.pos = found.end()
    return True


class _Page:
    """Walks the blocks in order; what it has written so far is its whole state."""

    def __init__(
        self,
        problems: Problems,
        line: int,
        figure: Callable[[str, str, int], str],
        lines: list[str],
    ) -> None:
        self.out = Rendered()
        self.html: list[str] = []
        self.plain: list[str] = []
        self.problems = problems
        self.first_line = line
        self.figure = figure
        self.lines = lines
        self.ids = set(RESERVED_IDS)
        self.section = ""
        self.in_required = False
        self.lead = ""  # the sentence just before, if it ends in ":"
        self.tables = 0

    def line(self, node: SyntaxTreeNode) -> int:
        at: SyntaxTreeNode | None = node
        while at and not at.is_root and not at.map:
            at = at.parent
        return self.first_line + (at.map[0] if at and not at.is_root and at.map else 0)

    def blocks(self, parent: SyntaxTreeNode) -> None:
        for node in parent.children:
            self.block(node)

    def block(self, node: SyntaxTreeNode) -> None:
        write = getattr(self, f"write_{node.type}", None)
        if write is None:
            self.problems.add(self.line(node), f"{node.type} is not known", "remove it")
        else:
            write(node)
        if node.type != "paragraph":
            self.lead = ""

    # Blocks, named as markdown-it names them

    def write_heading(self, node: SyntaxTreeNode) -> None:
        level, line = int(node.tag[1]), self.line(node)
        pieces, marks = self.pieces(node)
        title = inlines.text(pieces)
        if level not in (2, 3):
            self.problems.add(
                line,
                f'"{"#" * level} {title}" is a heading of level {level}',
                "use ## for sections and ### inside them; the title is in the front matter",
            )
        if marks or any(tag.startswith("<a") for piece in pieces for tag in piece.inside):
            self.problems.add(line, "a heading holds a link or a source", "move it into the text")
            pieces = [piece.bare() for piece in pieces]
        if not title:
            self.problems.add(line, "a heading is empty", "write its words, or remove the #")
        anchor = self.anchor(title)
        level = max(level, 2)
        self.out.headings.append({"anchor": anchor, "title": title, "level": level, "line": line})
        if level == 2:
            self.in_required = title in SECTIONS
        if level == 2 or not self.in_required:
            self.section = title
        self.html.append(
            f'<h{level} id="{anchor}"><a class="anchor" href="#{anchor}">'
            f"{inlines.html(pieces)}</a></h{level}>\n"
        )
        self.plain += ["", title, ""]
        self.out.words += len(title.split())

    def anchor(self, title: str) -> str:
        base = slugify(title) or "section"
        if re.fullmatch(r"(p|source|cite|q)-\d+", base):
            base = f"section-{base}"
        anchor, number = base, 2
        while anchor in self.ids:
            anchor, number = f"{base}-{number}", number + 1
        self.ids.add(anchor)
        return anchor

    def write_paragraph(self, node: SyntaxTreeNode, *, item: str = "") -> None:
        """item: what the first sentence hangs on, where the paragraph opens a list item."""
        content = node.children[0].children if node.children else []
        if len(content) == 1 and content[0].type == "image":
            self.figure_of(content[0], self.line(node))
            return
        if node.children:
            slips.in_paragraph(node.children[0], self.line(node), self.problems)
        html = self.sentences(node, item)
        hidden = node.hidden  # in a list without empty lines
        self.html.append(f"{html}\n" if hidden else f"<p>{html}</p>\n")

    def sentences(self, node: SyntaxTreeNode, item: str) -> str:
        pieces, marks = self.pieces(node)
        for mark in marks:
            self.check_place(pieces, mark)
        text = inlines.raw(pieces)
        self.plain.append(inlines.collapsed(text))
        self.out.words += len(text.split())
        found = inlines.sentences(pieces, marks)
        opened = []
        for place, (start, end) in enumerate(found):
            first = bool(item) and place == 0
            words = inlines.collapsed(text[start:end])
            kind, context = ("item", item) if first else ("sentence", "")
            opened.append((start, end, self.passage(kind, words, context)))
        last = inlines.collapsed(text[slice(*found[-1])]) if found else ""
        self.lead = last if last.endswith(":") else ""
        return inlines.html(pieces, opened, marks)

    def passage(self, kind: str, text: str, context: str) -> str:
        anchor = f"p-{len(self.out.passages) + 1}"
        self.out.passages.append(RenderedPassage(anchor, self.section, kind, text, context))
        return anchor

    def write_bullet_list(self, node: SyntaxTreeNode) -> None:
        self.write_list(node, "ul", "", lambda place: "- ")

    def write_ordered_list(self, node: SyntaxTreeNode) -> None:
        first = int(node.attrs.get("start", 1))
        start = f' start="{first}"' if first != 1 else ""
        self.write_list(node, "ol", start, lambda place: f"{first + place}. ")

    def write_list(
        self, node: SyntaxTreeNode, tag: str, attributes: str, bullet: Callable[[int], str]
    ) -> None:
        self.out.lists.add((self.section, tag))
        context = self.lead or self.section
        self.html.append(f"<{tag}{attributes}>\n")
        for place, item in enumerate(node.children):
            self.html.append("<li>")
            begin = len(self.plain)
            self.list_item(item, context)
            if len(self.plain) > begin:
                self.plain[begin] = bullet(place) + self.plain[begin]
            self.html.append("</li>\n")
        self.html.append(f"</{tag}>\n")

    def list_item(self, node: SyntaxTreeNode, context: str) -> None:
        rest = list(node.children)
        self.lead = ""
        if rest and rest[0].type == "paragraph":
            count = len(self.out.passages)
            self.write_paragraph(rest.pop(0), item=context)
            if not self.lead and len(self.out.passages) > count:
                self.lead = self.out.passages[count].text  # a list inside hangs on its item
        for child in rest:
            self.block(child)

    def write_blockquote(self, node: SyntaxTreeNode) -> None:
        kind, title = self.alert(node)
        if not kind:
            self.html.append("<blockquote>\n")
            self.blocks(node)
            self.html.append("</blockquote>\n")
        elif kind == "DEEPER":
            self.html.append(f'<details class="deeper">\n<summary>{escape(title)}</summary>\n')
            self.plain += ["", title]
            self.blocks(node)
            self.html.append("</details>\n")
        else:
            name = kind.lower()
            shown = escape(title or CALLOUTS[kind])
            self.html.append(
                f'<div class="callout {name}" role="note" aria-label="{CALLOUTS[kind]}">\n'
                f'<p class="callout-title">{shown}</p>\n'
            )
            self.blocks(node)
            self.html.append("</div>\n")

    def alert(self, node: SyntaxTreeNode) -> tuple[str, str]:
        """("NOTE", title) from "> [!NOTE] title"; takes that line away. ("", "") without it."""
        first = node.children[0] if node.children else None
        inline = first.children[0] if first and first.type == "paragraph" else None
        found = _ALERT.match(inline.content.partition("\n")[0]) if inline else None
        if not (inline and found and first):
            return "", ""
        kind, title = found[1].upper(), found[2].strip()
        line = self.line(node)
        known = ", ".join(f"[!{name}]" for name in (*CALLOUTS, "DEEPER"))
        if kind not in CALLOUTS and kind != "DEEPER":
            self.problems.add(line, f"[!{kind}] is not a callout", f"use one of {known}")
            kind = "NOTE"
        if kind == "DEEPER" and not title:
            self.problems.add(line, "[!DEEPER] has no title", "write > [!DEEPER] What it is about")
        nodes = inline.children
        while nodes and nodes[0].type != "softbreak":
            nodes.pop(0)
        del nodes[:1]
        if not nodes:
            node.children.remove(first)
        if not node.children:
            self.problems.add(line, f"[!{kind}] is empty", "write its text on the next lines, > …")
        return kind, title

    def write_fence(self, node: SyntaxTreeNode) -> None:
        if node.type == "fence" and slips.unclosed_fence(node, self.lines):
            self.out.torn = True
            self.problems.add(
                self.line(node),
                f"{node.markup} is not closed",
                f"write {node.markup} below the code",
            )
        self.html.append(f"<pre><code>{escape(node.content)}</code></pre>\n")
        self.plain.append(node.content.rstrip("\n"))

    write_code_block = write_fence

    def write_hr(self, node: SyntaxTreeNode) -> None:
        self.html.append("<hr>\n")

    def write_html_block(self, node: SyntaxTreeNode) -> None:
        self.raw_html(self.line(node), node.content)

    def raw_html(self, line: int, html: str) -> None:
        shown = html.strip().partition("\n")[0][:40]
        self.problems.add(
            line, f"raw HTML: {shown}", "write it in Markdown, or put code between backticks"
        )

    def write_math_block(self, node: SyntaxTreeNode) -> None:
        try:
            html = mathml(node.content.strip(), display=True)
        except FormulaError as error:
            self.problems.add(self.line(node), str(error), "correct it")
            return
        self.html.append(
            f'<div class="math" role="group" aria-label="Formula" tabindex="0">{html}</div>\n'
        )
        self.plain.append(node.content.strip())

    def figure_of(self, image: SyntaxTreeNode, line: int) -> None:
        name, alt = str(image.attrs.get("src", "")), inlines.plain_text(image)
        caption = str(image.attrs.get("title", "") or "")
        if not alt.strip():
            self.problems.add(
                line, f"the image {name} has no alt text", "write what it shows: ![…](…)"
            )
        drawing = self.figure(name, alt, line)
        self.out.figures += 1
        below = f"<figcaption>{self.caption(caption, line)}</figcaption>\n" if caption else ""
        self.html.append(f"<figure>\n{drawing}\n{below}</figure>\n")
        self.plain.append(f"Figure: {_MARK.sub('', caption) or alt}")

    def caption(self, caption: str, line: int) -> str:
        reader = inlines.Reader(self.problems, line)
        for place, part in enumerate(_MARK.split(caption)):  # text, number, text, number, …
            if place % 2:
                reader.source_mark(part)
            else:
                reader.add(Piece(part, inlines.shown(part)))
        for mark in reader.marks:
            self.out.sources.setdefault(mark.number, mark.line)
        return inlines.html(reader.pieces, [], reader.marks)

    def write_table(self, node: SyntaxTreeNode) -> None:
        self.tables += 1
        label = escape(f"Table {self.tables}: {self.lead.rstrip(':') or self.section}")
        self.html.append(
            f'<div class="table" role="region" aria-label="{label}" tabindex="0">\n<table>\n'
        )
        head = [row for part in node.children if part.type == "thead" for row in part.children]
        body = [row for part in node.children if part.type == "tbody" for row in part.children]
        names = self.cells(head[0], "col")
        self.html.append(f"<thead>\n<tr>\n{names[0]}</tr>\n</thead>\n<tbody>\n")
        self.plain.append(" | ".join(names[1]))
        for row in body:
            if dropped := slips.dropped_cells(row, self.lines):
                said = f"the row has {dropped} more than the table's {len(names[1])} columns"
                self.problems.add(self.line(row), said, "write as many cells; \\| is a | in a text")
            html, texts = self.cells(row, "row")
            self.out.rows += 1
            context = "; ".join(
                f"{name}: {text}" if name else text
                for name, text in zip(names[1], texts, strict=True)
                if text
            )
            anchor = self.passage("row", " ".join(filter(None, texts)), context)
            self.html.append(f'<tr id="{anchor}" class="p">\n{html}</tr>\n')
            self.plain.append(" | ".join(texts))
        self.html.append("</tbody>\n</table>\n</div>\n")
        self.out.rows += 1

    def cells(self, row: SyntaxTreeNode, scope: str) -> tuple[str, list[str]]:
        html, texts = [], []
        for place, cell in enumerate(row.children):
            pieces, marks = self.pieces(cell)
            for mark in marks:
                mark.drawn = True
                if mark.place < len(inlines.raw(pieces).rstrip()):
                    self.misplaced(mark)
            side = re.search(r"right|center", str(cell.attrs.get("style", "")))
            css = f' class="{side.group()}"' if side else ""
            head = scope == "col" or place == 0
            tag = f'th scope="{scope}"' if head else "td"
            content = inlines.html(pieces, [], marks)
            html.append(f"<{tag}{css}>{content}</{'th' if head else 'td'}>\n")
            texts.append(inlines.text(pieces))
        return "".join(html), texts

    # Inside a block

    def pieces(self, node: SyntaxTreeNode) -> tuple[list[Piece], list[Mark]]:
        reader = inlines.Reader(self.problems, self.line(node))
        for inline in node.children:
            reader.read(inline.children)
        self.out.links += reader.links
        for mark in reader.marks:
            self.out.sources.setdefault(mark.number, mark.line)
        return reader.pieces, reader.marks

    def check_place(self, pieces: list[Piece], mark: Mark) -> None:
        text = inlines.raw(pieces)
        before = text[: mark.place].rstrip("”’\"')] ")
        if text[mark.place :].strip() and not before.endswith((".", "!", "?", "…", ":")):
            self.misplaced(mark)

    def misplaced(self, mark: Mark) -> None:
        self.problems.add(
            mark.line,
            f"the source mark [^{mark.number}] stands inside a sentence",
            "put it right after the full stop, or at the end of a table's cell",
        )
