"""Outputs side by side: one column for each variant, its tokens marked where it leaves F16."""

import re
from dataclasses import dataclass
from typing import Any

from quant.rows import Row

FURTHEST = 5
SHADES = (0.1, 0.5, 1.5)  # nats of KL divergence at one token; darker above each


@dataclass(frozen=True)
class Piece:
    """One token as it is shown: white space before it is never marked."""

    space: str
    text: str
    classes: str


@dataclass(frozen=True)
class Column:
    """One variant's answer to one prompt; no pieces until there is one."""

    row: Row
    pieces: list[Piece]
    is_same: bool
    is_cut: bool  # it had more to say
    furthest: list[dict[str, Any]]  # the tokens where it is least like the reference


@dataclass(frozen=True)
class Side:
    prompt: str
    columns: list[Column]

    @property
    def is_shaded(self) -> bool:
        return any("shade" in piece.classes for one in self.columns for piece in one.pieces)


def side(prompt: str, index: int, rows: list[Row]) -> Side:
    return Side(prompt, [_column(row, index) for row in rows])


def _column(row: Row, index: int) -> Column:
    if "outputs" not in row.figures:
        return Column(row, [], False, False, [])
    output = row.figures["outputs"][index]
    first, tokens = output["first_difference"], output["tokens"]
    unlike = [token for token in tokens if token["kl"] > SHADES[0] and "reference" in token]
    return Column(
        row,
        pieces=[_piece(token, at == first) for at, token in enumerate(tokens)],
        is_same=first is None and not row.is_reference,
        is_cut=not is_special(tokens[-1]["text"]),
        furthest=sorted(unlike, key=lambda token: -token["kl"])[:FURTHEST],
    )


def _piece(token: dict[str, Any], is_first: bool) -> Piece:
    text, classes = token["text"], _classes(token, is_first)
    if is_special(text):
        return Piece("", "end", f"{classes} end".strip())
    word = text.lstrip()
    return Piece(text[: len(text) - len(word)], word, classes) if word else Piece("", text, classes)


def is_special(text: str) -> bool:
    """Whether the token is no text but a sign of the format, such as <|im_end|> or </s>."""
    return bool(re.fullmatch(r"<\|.*\|>|</?\w+>", text))


def _classes(token: dict[str, Any], is_first: bool) -> str:
    shade = sum(token["kl"] > limit for limit in SHADES)
    names = [f"shade s{shade}"] if shade else []
    return " ".join([*names, "first"] if is_first else names)
