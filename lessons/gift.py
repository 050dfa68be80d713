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
_HIDE = 0xE000  # an escaped letter waits in the private use area while the rest is taken apart


def dump(questions: Sequence[ParsedQuestion], title: str) -> str:
    blocks = [f"// The quiz of “{title}”. {len(questions)} questions, one right answer each."]
    for question in questions:
        lines = [f"::{_escape(question.key)}::[plain]{_escape(question.ask)} {{"]
        lines += [
            f"\t{'=' if c.correct else '~'}{_escape(c.text)}#{_escape(c.because)}"
            for c in question.choices
        ]
        lines += [f"\t####{_escape(question.passage)}", "}"]
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
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip() and not line.lstrip().startswith(("//", "$CATEGORY:")):
            lines.append(line)
        elif not line.strip() and lines:
            blocks.append((number - len(lines), "\n".join(lines)))
            lines = []
    return blocks


def _question(block: str, line: int, number: int, problems: Problems) -> ParsedQuestion | None:
    hidden = re.sub(r"\\(.)", lambda m: " " if m[1] == "n" else chr(_HIDE + ord(m[1])), block)
    found = re.fullmatch(r"(?:\s*::(.*?)::)?(.*?)\{(.*)\}(.*)", hidden, re.DOTALL)
    if not found:
        problems.add(line, "a question has no { answers }", "write them, or remove the text")
        return None
    title, ask, rest = (_shown(found[group] or "") for group in (1, 2, 4))
    raw = found[3]
    if rest:
        ask = f"{ask} _____ {rest}"  # GIFT's "missing word"
    general = raw.partition("####")[2]
    choices = [_choice(sign, answer) for sign, answer in _ANSWER.findall(raw.split("####")[0])]
    kind = _unsupported(raw.strip(), choices)
    if kind:
        problems.add(
            line,
            f"“{ask[:40]}” is {kind}",
            "only multiple choice with one right answer can be taken over",
        )
        return None
    key = slugify(title or ask)[:60].strip("-") or f"question-{number}"
    return ParsedQuestion(key, ask, tuple(choices), _shown(general), "")


def _choice(sign: str, answer: str) -> ParsedChoice:
    text, _, because = answer.partition("#")
    weight = re.match(r"\s*%(-?[\d.]+)%", text)
    correct = sign == "=" or bool(weight and float(weight[1]) == 100)
    return ParsedChoice(_shown(text[weight.end() :] if weight else text), correct, _shown(because))


def _unsupported(answers: str, choices: list[ParsedChoice]) -> str:
    """What kind of question it is, where it is not multiple choice with one right answer."""
    if re.match(r"(T|F|TRUE|FALSE)\b", answers):
        return "a true/false question"
    if answers.startswith("#"):
        return "a numerical question"
    if not choices:
        return "an essay question"
    if "->" in answers and "~" not in answers:
        return "a matching question"
    if "~" not in answers:
        return "a short-answer question"
    right = sum(choice.correct for choice in choices)
    return "" if right == 1 else f"a question with {right} right answers"


def _shown(text: str) -> str:
    """Plain text out of a part: its format mark, tags and escapes taken away."""
    form = _FORMAT.match(text)
    if form:
        text = text[form.end() :]
    text = "".join(chr(ord(c) - _HIDE) if _HIDE <= ord(c) < _HIDE + 256 else c for c in text)
    if (form and form[1] == "html") or re.search(r"</\w+>|<br */?>", text):
        text = unescape(re.sub(r"<[^>]*>", " ", text))
    return " ".join(text.split())


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
