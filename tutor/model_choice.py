"""Which chat model the tutor uses: TUTOR_MODEL, or a file chosen on its page in the lab.

The choice lies in the data folder, so that it outlives the engine, which reads it when it starts
and writes it once a model is loaded.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from lessons.classes import is_teacher
from quant.registry import StoreError, path_of

SECONDS = 300.0  # a large model takes its time to load
HERE = {"localhost", "127.0.0.1", "[::1]"}


class CannotSwitch(Exception):
    """The tutor's model stays what it was; the message says why."""


@dataclass(frozen=True)
class Choice:
    """model: a path; trouble: why the usual model is used all the same."""

    model: str
    trouble: str = ""


def _file() -> Path:
    return Path(settings.DATA_DIR) / "tutor_model.json"


def read() -> Choice | None:
    try:
        return Choice(**json.loads(_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(choice: Choice | None) -> None:
    """None: the usual model."""
    if choice is None:
        _file().unlink(missing_ok=True)
        return
    part = _file().with_suffix(".part")
    part.write_text(json.dumps(asdict(choice)), encoding="utf-8")
    part.replace(_file())


@dataclass(frozen=True)
class Offer:
    """What a model file's page says about the tutor (a provider for quant, by settings)."""

    file: str
    is_used: bool
    is_usual: bool
    usual: str
    trouble: str
    template: str = "tutor/parts/model_choice.html"


def offer(path: Path, user: AbstractBaseUser | AnonymousUser) -> Offer | None:
    """None where the tutor can't use the file, or this user may not choose."""
    if settings.TUTOR_URL or not may_choose(user) or not _inside(path):
        return None
    usual: Path | None = None
    with suppress(StoreError):
        usual = path_of(settings.TUTOR_MODEL)
    chosen = read()
    works = chosen is not None and not chosen.trouble and Path(chosen.model).is_file()
    used = Path(chosen.model) if chosen and works else usual
    trouble = chosen.trouble if chosen else ""
    if chosen and not Path(chosen.model).is_file():
        trouble = f"{Path(chosen.model).name} is gone"
    return Offer(
        os.path.relpath(path.resolve(), settings.DATA_DIR),
        is_used=bool(used and used.resolve() == path.resolve()),
        is_usual=bool(usual and usual.resolve() == path.resolve()),
        usual=usual.name if usual else settings.TUTOR_MODEL,
        trouble=trouble,
    )


def files() -> set[Path]:
    """The model files that the tutor needs: the chosen one and the usual one."""
    found = set()
    with suppress(StoreError):
        found.add(path_of(settings.TUTOR_MODEL))
    if chosen := read():
        found.add(Path(chosen.model))
    return found


def may_choose(user: AbstractBaseUser | AnonymousUser) -> bool:
    """On this machine alone anybody; where a class comes in, its teachers."""
    return set(settings.ALLOWED_HOSTS) <= HERE or is_teacher(user)


def _inside(path: Path) -> bool:
    return any(
        path.resolve().is_relative_to(Path(folder).resolve())
        for folder in (settings.DATA_DIR, settings.MODELS_DIR)
    )


def use(file: str) -> str:
    """Let the engine load a file of the data folder ("": the usual model); returns its name.

    Raises CannotSwitch.
    """
    path: Path | None = None
    if file:
        path = (Path(settings.DATA_DIR) / file).resolve()
        if not _inside(path) or path.suffix != ".gguf" or not path.is_file():
            raise CannotSwitch(f"there is no model file {Path(file).name}")
    try:
        response = httpx.post(
            f"{settings.ENGINE_URL}/model",
            json={"model": str(path) if path else None},
            timeout=httpx.Timeout(SECONDS, connect=2),
        )
        answer = response.json()
    except (httpx.HTTPError, ValueError):
        raise CannotSwitch("the engine does not answer; try again in a moment") from None
    if response.status_code != 200:
        raise CannotSwitch(answer["error"]["message"])
    return str(answer["model"])
