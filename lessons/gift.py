"""Quizzes in GIFT, the text format that Moodle and others read and write.

::what-shrinks::[plain]What has changed in the new file? {
    ~It has fewer weights.#Quantization deletes none.
    =Each weight takes fewer bits.#The list keeps its length.
    ####words of the lesson that hold the answer
}
"""

import re
from collections.abc import Sequence
from html import unescape

from django.utils.text import slugify

from lessons.problems import Problems
from lessons.quizfile import ParsedChoice, ParsedQuestion

_SPECIAL = re.compile(r"([\\~=#{}:])")
_ANSWER = re.compile(r"([=~])([^=~]*)")
_FORMAT = re.compile(r"\s*\[(html|moodle|plain|markdown)\]")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~n])")  # another backslash is one
_WEIGHT = re.compile(r"\s*%(-?\d+(?:\.\d*)?)%")
_HIDE = 0x10FF00  # an escaped letter waits at the end of Unicode while the rest is taken apart


def dump(questions: Sequence[ParsedQuestion], title: str) -> str:
    blocks = [f"// The quiz of “{title}”. {len(questions)} questions, one right answer each."]
    for question in questions:
        lines = [f"::{_escape(question.key)}::[plain]{_escape(question.ask)} {{"]
        lines += [
            f"\t{'=' if c.correct else '~'}{_part(c.text)}#{_part(c.because)}"
            for c in question.choices
        ]
        lines += [f"\t####{_part(question.passage)}", "}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def parse(text: str, problems: Problems) -> list[ParsedQuestion]:
    """The multiple-choice questions of a GIFT file; others, and what is odd, become problems."""
    found: list[ParsedQuestion] = []
    for line, block in _blocks(text):
        question = _question(block, line, len(found) + 1, problems)
        if question:
            found.append(question)
    if not found and not problems:
        problems.add(1, "there is no question in the file", "save it as GIFT")
    return found


def _blocks(text: str) -> list[tuple[int, str]]:
    """(line, text) of what stands between empty lines, without comments and categories."""
    blocks: list[tuple[int, str]] = []
    lines: list[str] = []
    start = 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip() and not line.lstrip().startswith(("//", "$CATEGORY:")):
            start = start if lines else number
            lines.append(line)
        elif not line.strip() and lines:
            blocks.append((start, "\n".join(lines)))
            lines = []
    return blocks


def _question(block: str, line: int, number: int, problems: Problems) -> ParsedQuestion | None:
    hidden = _ESCAPED.sub(lambda m: " " if m[1] == "n" else chr(_HIDE + ord(m[1])), block)
    found = re.fullmatch(r"(?:\s*::(.*?)::)?([^{}]*)\{([^{}]*)\}([^{}]*)", hidden, re.DOTALL)
    if not found:
        problems.add(line, *_torn(hidden))
        return None
    title, ask, rest = (_shown(found[group] or "") for group in (1, 2, 4))
    raw = found[3]
    if rest:
        ask = f"{ask} _____ {rest}"  # GIFT's "missing word"
    general = raw.partition("####")[2]
    answers = _ANSWER.findall(raw.split("####")[0])
    choices = [_choice(sign, answer) for sign, answer in answers]
    kind = _unsupported(raw.strip(), [answer for _, answer in answers], choices)
    if kind:
        problems.add(
            line,
            f"“{ask[:40]}” is {kind}",
            "remove it from the file: only multiple choice with one right answer can be taken over",
        )
    elif not ask:
        problems.add(line, "a question has answers and no text", "write it before the {")
    elif not all(choice.text for choice in choices):
        problems.add(line, f"“{ask[:40]}” has an empty answer", "write it after its = or ~")
    else:
        key = slugify(title)[:100].strip("-") or slugify(ask)[:60].strip("-")
        key = key or f"question-{number}"
        return ParsedQuestion(key, ask, tuple(choices), _shown(general), "")
    return None


def _torn(block: str) -> tuple[str, str]:
    """What is wrong, and what to do, where a block is not one text with one { answers }."""
    opened, closed = block.count("{"), block.count("}")
    if not opened and not closed:
        return "a question has no { answers }", "write them, or remove the text"
    if opened == closed == 1:
        return "a } comes before its {", "write the answers between { and }"
    if opened > closed:
        return "a { is not closed", "add its }; no empty line may stand between the two"
    if closed > opened:
        return "a } closes no {", "remove it, or write \\}; no empty line may stand between the two"
    return (
        f"{opened} pairs of {{ and }} stand in one question",
        "put an empty line between questions, and write \\{ and \\} for braces in a text",
    )


def _choice(sign: str, answer: str) -> ParsedChoice:
    text, _, because = answer.partition("#")
    weight = _WEIGHT.match(text)
    correct = sign == "=" or bool(weight and float(weight[1]) == 100)
    return ParsedChoice(_shown(text[weight.end() :] if weight else text), correct, _shown(because))


def _unsupported(answers: str, parts: list[str], choices: list[ParsedChoice]) -> str:
    """What kind of question it is, where it is not multiple choice with one right answer."""
    if re.match(r"(T|F|TRUE|FALSE)\b", answers):
        return "a true/false question"
    if answers.startswith("#"):
        return "a numerical question"
    if not answers:
        return "an essay question"
    if not choices:
        return "a question without = or ~ before its answers"
    if "->" in answers and "~" not in answers:
        return "a matching question"
    if "~" not in answers:
        return "a short-answer question"
    weights = [float(weight[1]) for weight in map(_WEIGHT.match, parts) if weight]
    if any(0 < weight < 100 for weight in weights):
        return "a question with answers that are partly right"
    right = sum(choice.correct for choice in choices)
    return "" if right == 1 else f"a question with {right} right answers"


def _shown(text: str) -> str:
    """Plain text out of a part: its format mark, tags and escapes taken away."""
    form = _FORMAT.match(text)
    if form:
        text = text[form.end() :]
    text = "".join(chr(ord(c) - _HIDE) if _HIDE <= ord(c) < _HIDE + 128 else c for c in text)
    marked = form[1] != "plain" if form else re.search(r"</\w+>|<br */?>", text)
    if (form and form[1] == "html") or (marked and _TAG.search(text)):
        text = unescape(_TAG.sub(" ", text))
    return " ".join(text.split())


def _part(text: str) -> str:
    """An answer or a remark; said to be plain where it could be read as more than that."""
    plain = "[plain]" if _FORMAT.match(text) or text.lstrip().startswith("%") or "<" in text else ""
    return plain + _escape(text)


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
