"""How an answer is written: OpenAI's objects, whole or in chunks."""

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from tutor.engine.job import End


def sse(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def usage_of(end: End) -> dict[str, Any]:
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "total_tokens": end.prompt_tokens + end.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": end.cached_tokens},
    }


class Form(ABC):
    """How one answer is written: the parts that chat and plain completion share."""

    object = prefix = ""

    def __init__(self, model: str) -> None:
        self.head = {
            "id": f"{self.prefix}-{uuid.uuid4().hex[:24]}",
            "created": int(time.time()),
            "model": model,
        }

    def opening(self) -> Sequence[dict[str, Any]]:
        return ()

    @abstractmethod
    def chunk(self, text: str | None, reason: str | None = None) -> dict[str, Any]: ...

    @abstractmethod
    def whole(self, text: str, reason: str, usage: dict[str, Any]) -> dict[str, Any]: ...


class ChatForm(Form):
    prefix = "chatcmpl"

    def opening(self) -> Sequence[dict[str, Any]]:
        return [self._chunk({"role": "assistant", "content": ""}, None)]

    def chunk(self, text: str | None, reason: str | None = None) -> dict[str, Any]:
        return self._chunk({} if text is None else {"content": text}, reason)

    def _chunk(self, delta: dict[str, str], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {**self.head, "object": "chat.completion.chunk", "choices": [choice]}

    def whole(self, text: str, reason: str, usage: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": usage}


class TextForm(Form):
    prefix = "cmpl"

    def chunk(self, text: str | None, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "text": text or "", "finish_reason": reason}
        return {**self.head, "object": "text_completion", "choices": [choice]}

    def whole(self, text: str, reason: str, usage: dict[str, Any]) -> dict[str, Any]:
        return {**self.chunk(text, reason), "usage": usage}
