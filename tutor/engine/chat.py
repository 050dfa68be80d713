"""A conversation as the model's tokens, by the chat template that its file carries.

The messages' own text is never read as markup: the template is filled with placeholders, and what
stands between them is tokenized as markup, the texts as plain text.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from quant.llama import Model

# For models whose file has no template.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHARACTERS_PER_TOKEN = 16  # more in a row would be nothing but spaces
_PLACEHOLDER = re.compile("\ue000(\\d+)\ue001")


class ChatError(ValueError):
    """The conversation can't be put into the model's form; the message says why."""


@dataclass(frozen=True)
class Prompt:
    """Tokens: `prefix` up to the end of the system message (shared, pinned), then `rest`."""

    prefix: tuple[int, ...]
    rest: tuple[int, ...]


def _raise(message: str) -> None:
    raise TemplateError(message)


class Template:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.source = model.chat_template or CHATML
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._template = environment.from_string(self.source)

    def prompt(self, messages: list[dict[str, str]]) -> Prompt:
        """The tokens of `messages` ({"role", "content"}) and of the answer's beginning."""
        check_length(self.model, sum(len(message["content"]) for message in messages))
        has_system = messages[0]["role"] == "system"
        try:
            parts = self._render(messages)
        except TemplateError:
            if not has_system or len(messages) < 2:
                raise
            parts = self._render(messages, merge_system=True)  # a template without that role
        # The markup after the system message belongs to every learner's question too.
        shared = 3 if has_system else 0
        tokens = [self._tokens(part, i) for i, part in enumerate(parts)]
        prefix = [token for part in tokens[:shared] for token in part]
        rest = [token for part in tokens[shared:] for token in part]
        if self.model.adds_bos and [*prefix, *rest][:1] != [self.model.bos]:
            (prefix if prefix else rest).insert(0, self.model.bos)
        return Prompt(tuple(prefix), tuple(rest))

    def _render(self, messages: list[dict[str, str]], merge_system: bool = False) -> list[str]:
        """The filled template, cut at the texts: markup, text, markup, text, ..., markup."""
        marked = [{**message, "content": f"\ue000{i}\ue001"} for i, message in enumerate(messages)]
        if merge_system:
            system, first = marked[0]["content"], marked[1]["content"]
            marked = [{**marked[1], "content": f"{system}\n\n{first}"}, *marked[2:]]
        special = {
            name: self.model.piece(token, special=True).decode() if token >= 0 else ""
            for name, token in (("bos_token", self.model.bos), ("eos_token", self.model.eos))
        }
        variables: dict[str, Any] = {"messages": marked, "add_generation_prompt": True, **special}
        try:
            parts = _PLACEHOLDER.split(self._template.render(variables))
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise TemplateError(f"this model's template fails: {error}") from error
        seen = [int(number) for number in parts[1::2]]
        if seen != list(range(len(messages))):
            raise TemplateError("this model's template leaves out or repeats a message")
        parts[1::2] = [messages[number]["content"] for number in seen]
        return parts

    def _tokens(self, part: str, index: int) -> list[int]:
        is_markup = index % 2 == 0
        return self.model.tokenize(part, parse_special=is_markup) if part else []


def check_length(model: Model, characters: int) -> None:
    """Refuse at once what can't be few enough tokens: splitting it would take long."""
    if characters > CHARACTERS_PER_TOKEN * model.n_ctx_train:
        raise ChatError(f"{characters} characters are more than this model can read")


def checked(messages: object) -> list[dict[str, str]]:
    """Messages of a request as {"role", "content"}; ChatError says what is wrong with them."""
    if not isinstance(messages, list) or not messages:
        raise ChatError("'messages' must be a list with at least one message")
    return [_checked(message, i) for i, message in enumerate(messages)]


def _checked(message: object, index: int) -> dict[str, str]:
    if not isinstance(message, dict):
        raise ChatError(f"messages[{index}] must be an object")
    role, content = message.get("role"), message.get("content")
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant"):
        raise ChatError(f"messages[{index}].role must be system, user or assistant")
    if role == "system" and index:
        raise ChatError("only the first message may be the system's")
    if isinstance(content, list):  # OpenAI's form with parts
        if not all(isinstance(p, dict) and p.get("type") == "text" for p in content):
            raise ChatError(f"messages[{index}].content: only text is understood here")
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise ChatError(f"messages[{index}].content must be text")
    # The placeholders' own characters (private use, so no text needs them) must not come in.
    return {"role": role, "content": content.translate({0xE000: None, 0xE001: None})}
