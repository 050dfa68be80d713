"""What `make` does before anything else can run: with the system's Python, standard library only.

    bootstrap.py run    .venv with the pinned requirements, database, models, lessons, static files
    bootstrap.py dev    .venv with what tests and checks need too
    bootstrap.py test   all of it, and a browser

Each part is skipped when it is already done. The full output of pip goes to .venv/setup.log.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "setup.log"
ROOM = {"packages": 2_000_000_000, "models": 1_000_000_000}  # bytes, with what is temporary
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def say(line):
    print(line, flush=True)


def stop(line):
    raise SystemExit(f"\n{line}")


def need_room(folder, what):
    free = shutil.disk_usage(folder).free
    if free < ROOM[what]:
        stop(
            f"Not enough disk for {what}: {ROOM[what] / 1e9:.0f} GB needed, {free / 1e9:.1f} GB "
            f"free at {folder}. Free some space and run this again; nothing is lost."
        )


def need_tools():
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        stop(
            "No C++ compiler found; llama.cpp is built for this machine and needs one.\n"
            "On Debian or Ubuntu: sudo apt-get install build-essential cmake"
        )


def need_data_folder():
    folder = Path(os.environ.get("OPENBOOK_DATA") or ROOT / "var")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        stop(f"Can't write to {folder} ({error.strerror}). Set OPENBOOK_DATA to another folder.")
    return folder


def run_with_progress(command, doing):
    """Run to the end, output to the log, one line every half minute. True when it succeeded."""
    started = told = time.monotonic()
    with LOG.open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=build_environment())
        try:
            while child.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - told >= 30:
                    told = time.monotonic()
                    say(f"  {doing}: {int(told - started)} s so far")
        except KeyboardInterrupt:
            child.terminate()
            child.wait()
            stop("Stopped. Run the same command again to go on.")
    return child.returncode == 0


def build_environment():
    """For building llama.cpp: without AMX, whose tile set-up gcc 12 miscompiles into a crash."""
    try:
        has_amx = "amx_int8" in Path("/proc/cpuinfo").read_text()
    except OSError:
        has_amx = False
    if not has_amx:
        return None
    given = os.environ.get("CMAKE_ARGS", "")
    if "CMAKE_CXX_FLAGS" in given:
        return None
    without = "-DCMAKE_C_FLAGS=-mno-amx-int8 -DCMAKE_CXX_FLAGS=-mno-amx-int8"
    return {**os.environ, "CMAKE_ARGS": f"{given} {without}".strip()}


def why_pip_failed():
    text = LOG.read_text(errors="replace")[-20_000:]
    if "No space left" in text:
        return "The disk is full. Free some space and run this again."
    signs = (
        "NewConnectionError",
        "Failed to establish",
        "name resolution",
        "Connection refused",
        "ReadTimeoutError",
        "ConnectTimeoutError",
        "Network is unreachable",
    )
    if any(sign in text for sign in signs):
        return (
            "The Python package index can't be reached. Check the network (or pip's proxy "
            "settings) and run this again; what was downloaded is kept."
        )
    last = [line for line in text.splitlines() if line.strip().startswith("error")][-1:]
    return f"pip failed: {''.join(last) or 'see the log'}\nThe whole output is in {LOG}"


def installed_llama():
    text = (ROOT / "requirements.txt").read_text()
    wanted = re.findall(r"^llama-cpp-python==([\w.]+)", text, re.MULTILINE)[0]
    return any(VENV.glob(f"lib/python3*/site-packages/llama_cpp_python-{wanted}.dist-info"))


def make_venv():
    if not PYTHON.exists():
        say("Making .venv")
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True
        )
        if made.returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            stop(
                "python3 can't make a virtual environment.\n"
                "On Debian or Ubuntu: sudo apt-get install python3-venv"
            )


def install(name):
    """The pinned packages of one requirements file, unless they are there already."""
    files = [ROOT / "requirements.txt", ROOT / name]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = VENV / f"{name}.installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    need_room(ROOT, "packages")
    if installed_llama():
        say(f"Installing the packages of {name}")
    else:
        need_tools()
        say("Installing Python packages")
        say("Building llama.cpp for this machine, about 3 minutes, only this once")
    LOG.write_bytes(b"")
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "-r", name]
    if not run_with_progress(command, "installing"):
        stop(why_pip_failed())
    beside = stamp.with_suffix(".new")
    beside.write_text(digest)
    beside.replace(stamp)


def install_browser():
    if any(shutil.which(name) for name in CHROMIUM):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        stop(
            "The browser tests need Chromium, and only root can install it.\n"
            "On Debian: sudo apt-get install chromium, then make test again."
        )
    say("Installing Chromium for the browser tests")
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "chromium"]):
        if not run_with_progress(command, "installing Chromium"):
            stop(f"{' '.join(command)} failed; its output is in {LOG}")


def prepare(folder):
    if not (folder / "models").is_dir():
        need_room(folder, "models")
    done = subprocess.run([str(PYTHON), "manage.py", "prepare"], cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.returncode)


def main(what):
    if sys.version_info < (3, 11):  # noqa: UP036  older ones run this file too, to say so
        stop(
            "Python 3.11 or later is needed; this is "
            f"{'.'.join(map(str, sys.version_info[:3]))}. PYTHON=python3.12 make run names another."
        )
    folder = need_data_folder()
    make_venv()
    install("requirements.txt")
    if what in ("dev", "test"):
        install("requirements-dev.txt")
    if what in ("run", "test"):
        prepare(folder)
    if what == "test":
        install_browser()


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "run")
    except KeyboardInterrupt:
        stop("Stopped. Run the same command again to go on.")
