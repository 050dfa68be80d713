"""Seconds that each method takes for one block of the lab's model, gathered inputs at hand.

Best of three. The first run gathers the inputs (a minute or more), which is timed as well.
"""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE, BLOCK, RUNS = "smollm2-135m-instruct-f16", "blk.10", 3


def main() -> None:
    sys.path[:0] = [str(ROOT / "site"), str(ROOT)]
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in the lab's processes
    import django

    django.setup()
    from quant import calibration, gguf_file, registry, variants
    from quant.methods.model import Rounding

    path = registry.path_of(SOURCE)
    began = time.perf_counter()
    threads = len(os.sched_getaffinity(0))
    folder = variants.gather_inputs(path, calibration.DEFAULT_TEXT, n_threads=threads)
    print(f"inputs of all blocks  {time.perf_counter() - began:8.2f} s (0: they were there)")
    file, inputs = gguf_file.read(path), calibration.Calibration.open(folder)
    blocks = file.get("{arch}.block_count")
    for method in variants.METHODS:
        if method == variants.IMATRIX:  # llama.cpp's own work
            continue
        rounding = Rounding(file, variants.Recipe(method, "Q4_1"), inputs)
        times = []
        for _ in range(RUNS):
            began = time.perf_counter()
            rounding.block(BLOCK)
            times.append(time.perf_counter() - began)
        best = min(times)
        print(f"{method:10} a block    {best:8.2f} s, all {blocks}: about {blocks * best:.0f} s")


if __name__ == "__main__":
    main()
