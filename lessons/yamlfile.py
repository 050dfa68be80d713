"""YAML in which every value knows its line, and text stays as it was written.

YAML would turn `text: no` into False and `text: 6.10` into 6.1. Here every scalar is text, and
whoever reads a field says what it should be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import yaml

from lessons.problems import Problems

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Text(str):
    """A scalar; empty also for `null` and `~`."""

    line: int


class Items(list[Any]):
    line: int


class Fields(dict[str, Any]):
    line: int
    lines: dict[str, int]

    def line_of(self, name: str) -> int:
        return self.lines.get(name, self.line)


def read(text: str, problems: Problems, *, first_line: int = 1) -> Fields | Items | Text | None:
    """The value in text, or None where it is empty or not YAML (a problem is added then)."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        problems.add(*_mistake(error, first_line))
        return None
    return None if node is None else _Builder(problems, first_line).value(node)


def _mistake(error: yaml.YAMLError, first_line: int) -> tuple[int, str, str]:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "it cannot be read"
    cure = "close every quote and bracket here or above; put text with : or # between quotes"
    return first_line + (mark.line if mark else 0), f"not valid YAML ({what})", cure


class _Builder:
    def __init__(self, problems: Problems, first_line: int) -> None:
        self.problems = problems
        self.first_line = first_line
        self.made: dict[int, Any] = {}

    def value(self, node: yaml.Node) -> Any:
        line = self.first_line + node.start_mark.line
        if id(node) in self.made:  # an alias: one object, however often it is named
            return self.made[id(node)]
        if isinstance(node, yaml.ScalarNode):
            empty = node.style is None and node.value in ("", "~", "null")
            text = self.made[id(node)] = Text("" if empty else node.value.strip())
            text.line = line
            return text
        if isinstance(node, yaml.SequenceNode):
            items = self.made[id(node)] = Items()
            items.line = line
            items.extend(self.value(child) for child in node.value)
            return items
        assert isinstance(node, yaml.MappingNode)
        fields = self.made[id(node)] = Fields()
        fields.line, fields.lines = line, {}
        for key, child in node.value:
            self.add(fields, key, child)
        return fields

    def add(self, fields: Fields, key: yaml.Node, child: yaml.Node) -> None:
        line = self.first_line + key.start_mark.line
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        if name in fields:
            self.problems.add(line, f'"{name}" stands here twice', "keep one of them")
        fields.lines[name] = line
        fields[name] = self.value(child)


class Form:
    """Reads the named fields of a mapping; what is missing, unknown or odd becomes a problem."""

    def __init__(self, value: Any, problems: Problems, what: str) -> None:
        self.problems = problems
        self.what = what
        self.fields = value if isinstance(value, Fields) else Fields()
        self.line = getattr(value, "line", 1)
        if not isinstance(value, Fields):
            self.fields.line, self.fields.lines = self.line, {}
            problems.add(self.line, f"{what} is not a list of fields", "write name: value lines")
        self.usable = isinstance(value, Fields)
        self.misspelt: set[str] = set()  # fields that are there under a wrong name

    def only(self, names: Iterable[str]) -> Form:
        known = tuple(names)
        absent = [name for name in known if name not in self.fields]
        for name in self.fields:
            if name not in known:
                meant = get_close_matches(name, absent, n=1, cutoff=0.7)
                self.misspelt.update(meant)
                self.problems.add(
                    self.fields.line_of(name),
                    f'{self.what} has an unknown field "{name}"',
                    f"write {meant[0]}" if meant else f"use {', '.join(known)}",
                )
        return self

    def text(self, name: str, *, longest: int = 2000, needed: bool = True) -> str:
        value = self.fields.get(name)
        if isinstance(value, Text) and value:
            collapsed = " ".join(value.split())
            if len(collapsed) > longest:
                self.wrong(name, f"is longer than {longest} letters", "shorten it")
            return collapsed
        if isinstance(value, (Fields, Items)):
            self.wrong(name, "is not text", "put the text between double quotes")
        elif needed:
            self.missing(name, f"add {name}: …")
        return ""

    def name(self, name: str, *, longest: int = 200) -> str:
        """A slug: small letters, digits and hyphens."""
        value = self.text(name, longest=longest)
        if value and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
            self.wrong(name, f'"{value}" is not a short name', "use a-z, 0-9 and hyphens")
            return ""
        return value

    def number(self, name: str, smallest: int, largest: int) -> int:
        value = self.text(name)
        if value and (not value.isdecimal() or not smallest <= int(value) <= largest):
            self.wrong(name, f'"{value}" is not a whole number', f"use {smallest} to {largest}")
            return 0
        return int(value or 0)

    def truth(self, name: str) -> bool:
        value = self.text(name, needed=False)
        if value not in ("", "true", "false"):
            self.wrong(name, f'is "{value}"', "write true, or leave the field out")
        return value == "true"

    def items(self, name: str, *, needed: bool = True) -> Items:
        value = self.fields.get(name)
        if isinstance(value, Items):
            return value
        if value or isinstance(value, Fields):
            self.wrong(name, "is not a list", "write each entry on a line of its own: - …")
        elif needed:
            self.missing(name, f"add {name}: and its entries, each as - …")
        empty = Items()
        empty.line = self.line
        return empty

    def texts(self, name: str) -> list[Text]:
        found = []
        for value in self.items(name, needed=False):
            if isinstance(value, Text) and value:
                found.append(value)
            else:
                self.problems.add(
                    value.line, f"{name}: an entry is not text", "put it between double quotes"
                )
        return found

    def missing(self, name: str, cure: str) -> None:
        if self.usable and name not in self.misspelt:
            self.wrong(name, "is missing", cure)

    def wrong(self, name: str, what: str, cure: str) -> None:
        self.problems.add(self.fields.line_of(name), f"{self.what}: {name} {what}", cure)
