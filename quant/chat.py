"""A conversation as the tokens a model was trained on: its own template, safely filled in.

A template is a Jinja program that came with a file from anywhere: it runs sandboxed. What people
write is data: it is tokenized apart from the template, so "<|im_end|>" in it stays eight characters
and can't end the turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn, TypedDict

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from quant.llama import Model


class Message(TypedDict):
    role: str
    content: str


class ChatError(ValueError):
    """The template does not take these messages."""


# Private-use characters: a template passes them on, and no text has them.
_OPEN, _CLOSE = "\uf8f0", "\uf8f1"
_MARK = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


def tokenize(model: Model, messages: Sequence[Message], *, answer: bool = True) -> list[int]:
    """The conversation's tokens, up to where the assistant's answer begins if `answer`.

    A model without a template gets the contents alone, a paragraph each.
    """
    if model.chat_template is None:
        text = "\n\n".join(message["content"] for message in messages)
        return model.tokenize(text, add_special=True)
    marked = [
        Message(role=message["role"], content=f"{_OPEN}{index}{_CLOSE}")
        for index, message in enumerate(messages)
    ]
    rendered = _render(model, marked, answer)
    tokens: list[int] = []
    for index, part in enumerate(_MARK.split(rendered)):
        if index % 2:
            tokens += model.tokenize(messages[int(part)]["content"])
        else:
            tokens += model.tokenize(part, parse_special=True)
    if model.adds_bos and tokens[:1] != [model.bos]:
        tokens.insert(0, model.bos)
    return tokens


def _render(model: Model, messages: Sequence[Message], answer: bool) -> str:
    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda layout: datetime.now().strftime(layout)
    try:
        return environment.from_string(model.chat_template or "").render(
            messages=messages,
            add_generation_prompt=answer,
            bos_token=_special(model, model.bos),
            eos_token=_special(model, model.eos),
        )
    except (TemplateError, TypeError, ValueError, OverflowError) as error:
        raise ChatError(f"the model's chat template refuses: {error}") from error


def _special(model: Model, token: int) -> str:
    return model.piece(token, special=True).decode() if token >= 0 else ""
