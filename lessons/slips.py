"""Markdown that is valid and says something else than its author meant."""

import re
from collections.abc import Sequence

from markdown_it.tree import SyntaxTreeNode

from lessons.problems import Problems

_LINES = (
    (
        re.compile(r"#{2,6}[^#\s]"),
        "a heading has no space after its #",
        "write ## and a space before the title",
    ),
    (
        re.compile(r"\|.*\|"),
        "a table is not understood",
        "put a line | --- | --- | with as many cells below its first line, and empty lines around",
    ),
    (
        re.compile(r"\[!(?!\w+\])"),
        "a box is not understood",
        "write > [!NOTE] on a line of its own",
    ),
)


def in_paragraph(inline: SyntaxTreeNode, line: int, problems: Problems) -> None:
    """inline: a paragraph's content, whose first line is `line`."""
    for number, text in enumerate(inline.content.splitlines(), line):
        for meant, said, cure in _LINES:
            if meant.match(text):
                problems.add(number, said, cure)
                return
    for node in inline.children:
        if node.type == "softbreak":
            line += 1
        elif node.type == "text" and "$$" in node.content:
            problems.add(line, "a $$ has no other", "write $$ before and after the formula")
            return


def unclosed_fence(fence: SyntaxTreeNode, lines: Sequence[str]) -> bool:
    """lines: those of the whole text."""
    return bool(fence.map and not lines[fence.map[1] - 1].strip().startswith(fence.markup))


def dropped_cells(row: SyntaxTreeNode, lines: Sequence[str]) -> int:
    """How many cells the row has beyond the table's columns; Markdown leaves them out."""
    if not row.map:
        return 0
    written = re.sub(r"\\.", "", lines[row.map[0]].strip()).removeprefix("|").removesuffix("|")
    return max(0, written.count("|") + 1 - len(row.children))
