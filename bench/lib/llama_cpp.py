"""llama.cpp's own programs, to measure against: on the PATH, or in the folder LLAMA_CPP_BIN."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

NICENESS = 10  # of our own child processes: beside other work both must be equally patient
# What llama-perplexity prints, by our names; a share is printed in percent.
PRINTED = {
    "perplexity": (r"Mean PPL\(Q\) *: +(\S+)", 1),
    "mean_kl": (r"Mean +KLD: +(\S+)", 1),
    "median_kl": (r"Median +KLD: +(\S+)", 1),
    "p99_kl": (r"99\.0% +KLD: +(\S+)", 1),
    "max_kl": (r"Maximum KLD: +(\S+)", 1),
    "same_top": (r"Same top p: +(\S+)", 0.01),
}


def find(*names: str) -> list[Path]:
    """Paths of the programs; where one is missing, says what to do and ends quietly."""
    folder = os.environ.get("LLAMA_CPP_BIN")
    found = [shutil.which(name, path=folder) for name in names]
    missing = [name for name, path in zip(names, found, strict=True) if not path]
    if missing:
        print(
            f"not measured: no {', '.join(missing)} {f'in {folder}' if folder else 'on the PATH'}"
        )
        print("Build llama.cpp's tools and name their folder in LLAMA_CPP_BIN.")
        sys.exit(0)
    return [Path(path) for path in found if path]


def run(program: Path, *arguments: object) -> tuple[float, str]:
    """(seconds, what it wrote)."""
    began = time.perf_counter()
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=lambda: os.nice(NICENESS),
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}")
    return seconds, done.stdout


def figures(printed: str) -> dict[str, float]:
    """What `llama-perplexity --kl-divergence` found."""
    result = {}
    for name, (pattern, unit) in PRINTED.items():
        found = re.search(pattern, printed)
        assert found, f"llama-perplexity no longer prints {name}:\n{printed[-2000:]}"
        result[name] = float(found[1].rstrip("%")) * unit
    return result
