"""A request's sampling fields, checked."""

from typing import Any

from tutor.engine.job import Sampling

DEFAULT_TOKENS = 256


class BadRequest(ValueError):
    """The message says which field is wrong, and what it may be."""


# field: (lowest, highest, where it is absent). Defaults are OpenAI's, llama-server's for the rest.
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "temperature": (0, 2, 1.0),
    "top_p": (0, 1, 1.0),
    "min_p": (0, 1, 0.0),
    "repeat_penalty": (0.1, 2, 1.0),
    "frequency_penalty": (-2, 2, 0.0),
    "presence_penalty": (-2, 2, 0.0),
}


def sampling(body: dict[str, Any]) -> Sampling:
    numbers = {name: _number(body, name, *limits) for name, limits in _NUMBERS.items()}
    seed = body.get("seed")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise BadRequest("'seed' must be a whole number")
    return Sampling(
        **numbers,
        top_k=int(_number(body, "top_k", 0, 1_000_000, 0)),
        seed=seed,
        ignore_eos=body.get("ignore_eos") is True,
    )


def max_tokens(body: dict[str, Any], room: int) -> int:
    """Tokens of answer; where the request names none, a modest number that fits."""
    name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    if body.get(name) is None:
        return max(1, min(DEFAULT_TOKENS, room))
    return int(_number(body, name, 1, 1_000_000, DEFAULT_TOKENS))


def stop_words(body: dict[str, Any]) -> list[str]:
    stop = body.get("stop") or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or not all(isinstance(s, str) and s for s in stop):
        raise BadRequest("'stop' must be a text or a list of texts")
    if len(stop) > 16:
        raise BadRequest("'stop' may have 16 texts at most")
    return stop


def _number(body: dict[str, Any], name: str, low: float, high: float, absent: float) -> float:
    value = body.get(name)
    if value is None:
        return absent
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadRequest(f"'{name}' must be a number from {low:g} to {high:g}")
    return float(value)
