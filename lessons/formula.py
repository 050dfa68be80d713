"""LaTeX to MathML, on the server."""

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert

_NAMESPACE = ' xmlns="http://www.w3.org/1998/Math/MathML"'
_COMPOUND = re.compile(r"[^\w.]")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class FormulaError(ValueError):
    """The formula cannot be shown; says why."""


def mathml(latex: str, *, display: bool = False) -> str:
    """`<math>…</math>` without styles or scripts. Raises FormulaError."""
    if _NOT_XML.search(latex):
        raise FormulaError("the formula holds a control character: type it again")
    bare = re.sub(r"\\\\.", "", latex)
    if bare.count("{") != bare.count("}"):
        raise FormulaError("the formula is not valid LaTeX (a brace is not closed)")
    try:
        html = convert(latex, display="block" if display else "inline")
    except Exception as error:
        detail = str(error) or type(error).__name__
        raise FormulaError(f"the formula is not valid LaTeX ({detail})") from error
    if unknown := re.search(r"\\[A-Za-z]+", html):
        raise FormulaError(f"the formula uses {unknown.group()}, which is not known here")
    if " style=" in html or "<script" in html:
        raise FormulaError("the formula sets a style of its own")
    return html.replace(_NAMESPACE, "")


def spoken(html: str) -> tuple[str, str]:
    """The formula with its raised, lowered and stacked parts also in words, and its plain text.

    Text taken from the page flattens 2ⁿ to "2n". So the signs that position alone expresses
    (^ _ / √) are added in elements that the stylesheet hides (class "say").

        >>> spoken("<math><msup><mn>2</mn><mi>n</mi></msup></math>")[1]
        '2^n'
    """
    root = ElementTree.fromstring(html)
    if root.find(".//mtable") is not None:
        raise FormulaError("a matrix does not fit into a line of text")
    for node in list(root.iter()):
        _say(node)
    return ElementTree.tostring(root, encoding="unicode"), "".join(root.itertext())


def _say(node: ElementTree.Element) -> None:
    signs = {
        "msup": ("", "^"),
        "mover": ("", "^"),
        "msub": ("", "_"),
        "munder": ("", "_"),
        "msubsup": ("", "_", "^"),
        "munderover": ("", "_", "^"),
        "mfrac": ("", "/"),
    }.get(node.tag)
    if signs:
        for place, (sign, child) in enumerate(zip(signs, list(node), strict=False)):
            node[place] = _row(sign, child)
    elif node.tag == "msqrt":
        node.insert(0, _hidden("√("))
        node.append(_hidden(")"))


def _row(sign: str, child: ElementTree.Element) -> ElementTree.Element:
    row = ElementTree.Element("mrow")
    compound = bool(_COMPOUND.search("".join(child.itertext())))
    opening = sign + ("(" if compound else "")
    row.extend([_hidden(opening)] if opening else [])
    row.append(child)
    row.extend([_hidden(")")] if compound else [])
    return row


def _hidden(text: str) -> ElementTree.Element:
    element = ElementTree.Element("mo", {"class": "say"})
    element.text = text
    return element
