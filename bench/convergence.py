"""Three devices, a bad network, ten thousand events: do all end with the same, and is any missing?

    .venv/bin/python bench/convergence.py [--events 10000] [--seed 1] [--database URL]

Offline spells, clocks up to six hours off, lost, doubled, delayed and reordered requests and
answers, sign-ins and sign-outs of two accounts, erasures, all devices syncing at once (threads),
over HTTP to a real server. tests/lessons/devices.py is what is played.
"""

import argparse
import os
import sys
import threading
import time
from typing import Any

import django
from lib.server import ROOT, server

sys.path[:0] = [str(ROOT), str(ROOT / "site")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from tests.lessons.devices import World, in_threads  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    with server("ada", "bob", database=asked.database) as web:
        requests = 0
        counting = threading.Lock()

        def send(account: str, body: dict[str, Any]) -> dict[str, Any]:
            nonlocal requests
            with counting:
                requests += 1
            return web.exchange(account, body)

        began = time.monotonic()
        world = World(send, asked.seed, simultaneously=in_threads)
        while len(world.recorded) < asked.events:
            world.step()
        world.check()
        print(
            f"{len(world.recorded)} events, 3 devices, 2 accounts, {requests} requests "
            f"in {time.monotonic() - began:.0f} s: all hold the same, none is missing"
        )


if __name__ == "__main__":
    main()
