"""A model file that somebody hands in: kept beside the store, checked, then listed.

    part = new_part(); ...write into part...; path = keep(Path(part.name), "My model.gguf")

Only a file that llama.cpp loads, with no weight that is not a number, gets a name in the store.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from quant import child, gguf_file, registry

PREFIX = ".upload-"
LONGEST_NAME = 120  # characters
YOUNG = 60.0  # seconds in which an upload may not have locked its file yet
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class UploadError(ValueError):
    """The file is not taken; the message says why, and what to do."""

    status = 400


class TooLarge(UploadError):
    status = 413


class NameTaken(UploadError):
    status = 409


class NoRoom(UploadError):
    status = 507


def clean_name(given: str) -> str:
    """A safe file name in the store: clean_name("../My model.gguf") is "My-model.gguf"."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", given))[-1]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip(".-")
    stem, suffix = os.path.splitext(name)
    if suffix.lower() != ".gguf" or not stem.strip(".-"):
        raise UploadError("Choose a GGUF file: its name ends in .gguf.")
    return stem[:LONGEST_NAME].rstrip(".-") + ".gguf"


def check_size(size: int) -> None:
    """Raise TooLarge or NoRoom for what can't be taken, before any of it is."""
    if size > settings.UPLOAD_LIMIT:
        raise TooLarge(
            f"This file is {_gigabytes(size)}; at most {_gigabytes(settings.UPLOAD_LIMIT)} are "
            "taken (OPENBOOK_UPLOAD_LIMIT). Copy it into the folder of models instead."
        )
    folder = registry.models_dir()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if 2 * size > free:  # the request as it comes in, and the file taken out of it
        raise NoRoom(
            f"No room: an upload of {_gigabytes(size)} needs twice that for a moment, and "
            f"{_gigabytes(free)} are free."
        )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def no_room() -> NoRoom:
    return NoRoom("No room: the disk is full. Nothing was kept of the upload.")


def new_part() -> IO[bytes]:
    """An empty file in the store's folder that closing removes, and that nobody lists."""
    folder = registry.models_dir()
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    part: Any = tempfile.NamedTemporaryFile(  # noqa: SIM115
        prefix=PREFIX,
        suffix=".part",
        dir=folder,
        buffering=0,  # on a full disk closing would fail to write what is left
    )
    fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return part


def _sweep(folder: Path) -> None:
    """Remove what uploads left whose process was killed: their locks are gone."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError), path.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < YOUNG:
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def keep(part: Path, given_name: str) -> Path:
    """Check a whole file and give it its name in the store. Raises UploadError."""
    name = clean_name(given_name)
    target = registry.models_dir() / name
    if target in [entry.target for entry in registry.entries().values()]:
        raise NameTaken(
            f"{name} is the name of a model that Openbook fetches itself. Rename yours and try "
            "again."
        )
    if target.exists():
        raise _taken(name)
    check(part, name)
    part.chmod(0o644)  # temporary files are their owner's alone
    try:
        os.link(part, target)  # fails, and replaces nothing, where somebody was first
    except FileExistsError:
        raise _taken(name) from None
    return target


def _taken(name: str) -> NameTaken:
    return NameTaken(f"There is a file {name} in the store already. Rename yours and try again.")


def check(path: Path, name: str) -> None:
    """Raise UploadError if it is no model that can be used."""
    try:
        gguf_file.check_source(path)  # first: its reasons are clearer
        child.run("quant.source_check:load", {"path": str(path)})
    except (gguf_file.BadGguf, child.ChildFailed) as error:
        reason = str(error).removeprefix(f"{path.name}: ").replace(path.name, name)
        raise UploadError(f"{name} can’t be used: {reason}") from error
