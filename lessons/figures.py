"""Figures: SVG files that take their colours from the site's stylesheet.

What may stand in one is a short list, because it is placed into the page itself.
"""

import re
from html import escape
from xml.etree import ElementTree
from xml.parsers import expat

from lessons.problems import Problems

LARGEST = 100_000  # bytes
SMALLEST_TEXT = 15  # units of a drawing 640 wide: about 8 px on the narrowest phone
WIDTH = 640

_SVG = "http://www.w3.org/2000/svg}"
_LINE = "\0line"  # where the element starts; no attribute can be called so
_ELEMENTS = {
    *("svg", "title", "desc", "g", "path", "rect", "circle", "ellipse"),
    *("line", "polyline", "polygon", "text", "tspan"),
}
CLASSES = {
    *("fig-t", "fig-s", "fig-b", "fig-line", "fig-axis", "fig-a", "fig-a2", "fig-b1", "fig-b2"),
    *("fig-accent", "fig-warn", "fig-warn-line"),
}
_DRAWN = _ELEMENTS - {"svg", "title", "desc", "g", "tspan"}
_ATTRIBUTES = {
    *("viewBox", "role", "class", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry"),
    *("width", "height", "d", "points", "transform", "dx", "dy", "text-anchor", "font-size"),
    *("dominant-baseline", "stroke-dasharray", "stroke-width", "textLength"),
}
_GEOMETRY = re.compile(r"[\w\s.,+()%-]*")


def inline(svg: bytes, alt: str, problems: Problems) -> str:
    """The drawing as it goes into the page, named by alt; "" where a problem was added."""
    before = len(problems)
    root = _parsed(svg, problems)
    if root is None:
        return ""
    _check_root(root, problems)
    for node in root.iter() if _name(root) == "svg" else ():
        _check(node, problems)
    _check_colours(root, False, problems)
    return _html(root, alt) if len(problems) == before else ""


def _parsed(svg: bytes, problems: Problems) -> ElementTree.Element | None:
    if len(svg) > LARGEST:
        problems.add(1, f"the figure is larger than {LARGEST:,} bytes", "simplify the drawing")
        return None
    tree = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")

    def start(tag: str, attributes: dict[str, str]) -> None:
        tree.start(tag, {**attributes, _LINE: str(parser.CurrentLineNumber)})

    def doctype(*_: object) -> None:
        raise ValueError("a DOCTYPE")

    parser.StartElementHandler = start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(svg, True)
        return tree.close()
    except ValueError:
        problems.add(1, "the figure has a DOCTYPE", "remove it; start with <svg viewBox=…>")
    except expat.ExpatError as error:
        problems.add(
            error.lineno, f"the figure is not well-formed XML ({error})", "correct the markup"
        )
    return None


def _check_root(root: ElementTree.Element, problems: Problems) -> None:
    line = _line(root)
    if _name(root) != "svg":
        problems.add(line, "the file is not an SVG drawing", "start it with <svg viewBox=…>")
        return
    box = (root.get("viewBox") or "").split()
    height = box[3] if len(box) == 4 else ""
    if box[:3] != ["0", "0", str(WIDTH)] or not re.fullmatch(r"0*[1-9]\d*(\.\d+)?", height):
        problems.add(
            line,
            f'viewBox is "{root.get("viewBox", "")}"',
            f'make it "0 0 {WIDTH} HEIGHT", so that text has the same size in every figure',
        )
    if root.get("role") != "img":
        problems.add(line, "the svg element lacks role", 'write <svg … role="img">')
    titles = [node for node in root if _name(node) == "title" and (node.text or "").strip()]
    if not titles:
        problems.add(line, "the figure has no title", "add <title>what it shows</title>")


def _check(node: ElementTree.Element, problems: Problems) -> None:
    line, name = _line(node), _name(node)
    if name not in _ELEMENTS:
        problems.add(
            line,
            f"<{name}> is not allowed in a figure",
            f"use only {', '.join(sorted(_ELEMENTS))}",
        )
        return
    for attribute, value in node.attrib.items():
        if attribute == _LINE:
            continue
        if attribute not in _ATTRIBUTES:
            problems.add(
                line,
                f'attribute "{attribute.rpartition("}")[2]}" of <{name}> is not allowed',
                "give it a class (fig-…) and geometry only; colours come from the stylesheet",
            )
        elif attribute == "class":
            for wrong in sorted(set(value.split()) - CLASSES):
                problems.add(
                    line, f'class "{wrong}" is not known', f"use {', '.join(sorted(CLASSES))}"
                )
        elif not _GEOMETRY.fullmatch(value):
            problems.add(
                line, f'{attribute}="{value}" is not a plain value', "write numbers and words only"
            )
    if name in ("text", "tspan"):
        _check_text_size(node, problems)


def _check_colours(node: ElementTree.Element, coloured: bool, problems: Problems) -> None:
    """A shape without a class is black, and cannot be seen in the dark theme."""
    coloured = coloured or bool(node.get("class"))
    if not coloured and _name(node) in _DRAWN:
        problems.add(_line(node), f"<{_name(node)}> has no class", "give it one, such as fig-a")
    for child in node:
        _check_colours(child, coloured, problems)


def _check_text_size(node: ElementTree.Element, problems: Problems) -> None:
    size = node.get("font-size")
    if size is None and _name(node) == "tspan":
        return
    if size is None or not re.fullmatch(r"\d+(\.\d+)?", size) or float(size) < SMALLEST_TEXT:
        problems.add(
            _line(node),
            f"text in the figure has font-size {size or 'not set'}",
            f"make it {SMALLEST_TEXT} or more, or it cannot be read on a phone",
        )


def _html(node: ElementTree.Element, alt: str = "") -> str:
    name = _name(node)
    attributes = {key: value for key, value in node.attrib.items() if key != _LINE}
    if alt:
        attributes["aria-label"] = alt
    opening = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    inner = escape(node.text or "", quote=False) + "".join(
        _html(child) + escape(child.tail or "", quote=False) for child in node
    )
    return f"<{name}{opening}>{inner}</{name}>" if inner else f"<{name}{opening}/>"


def _name(node: ElementTree.Element) -> str:
    return node.tag.removeprefix(_SVG)


def _line(node: ElementTree.Element) -> int:
    return int(node.get(_LINE) or 1)
