"""Does a page of sync take longer, the more came before it?

    .venv/bin/python bench/sync_pages.py [--events 100000] [--database URL]

One learner sends 100,000 events in pages of 1,000, over HTTP. Then, in turns (so that whatever else
this machine does falls on both alike), a first page is sent by a learner who has none and one more
by the learner who has them all; and the first and the last page are read by another device.
Printed: median times and their ratio, which may be at most 1.3.
"""

import argparse
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

from lib.server import Server, server

PAGE = 1000
ROUNDS = 15
MOST = 1.3


def page(start: int) -> list[dict[str, Any]]:
    return [event(number) for number in range(start, start + PAGE)]


def event(number: int) -> dict[str, Any]:
    answers = {f"question-{place}": number % 4 + 1 for place in range(10)}
    return {
        "id": str(uuid.UUID(int=(0x018F << 112) + (7 << 76) + (2 << 62) + number)),
        "type": "quiz.scored",
        "lesson": f"lesson-{number % 50}",
        "at": f"2026-{number // 31_000 % 12 + 1:02}-{number // 1000 % 28 + 1:02}"
        f"T{number // 60 % 24:02}:{number % 60:02}:00.000Z",
        "data": {"score": number % 11, "of": 10, "answers": answers},
    }


def timed(web: Server, account: str, cursor: int, events: list[dict[str, Any]]) -> float:
    """Seconds that one page takes, there and back."""
    body = {"device": str(uuid.uuid4()), "cursor": cursor, "events": events}
    began = time.perf_counter()
    answer = web.exchange(account, body)
    took = time.perf_counter() - began
    assert len(answer["events"]) == (0 if events else PAGE)
    return took


def sending(web: Server, events: int) -> Iterator[tuple[float, float]]:
    for start in range(0, events, PAGE):
        timed(web, "ada", start, page(start))
    for turn in range(ROUNDS):
        last = events + turn * PAGE
        yield timed(web, f"new{turn}", 0, page(0)), timed(web, "ada", last, page(last))


def reading(web: Server, events: int) -> Iterator[tuple[float, float]]:
    last = events + (ROUNDS - 1) * PAGE
    for _ in range(ROUNDS):
        yield timed(web, "ada", 0, []), timed(web, "ada", last, [])


def report(what: str, pairs: Iterator[tuple[float, float]]) -> float:
    first, last = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"{what}: first page {first * 1000:.0f} ms, last {last * 1000:.0f} ms: {last / first:.2f}"
    )
    return last / first


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    accounts = ["ada", *(f"new{turn}" for turn in range(ROUNDS))]
    with server(*accounts, database=asked.database) as web:
        print(f"Pages of {PAGE} events, before and after {asked.events}")
        worst = max(
            report("sent", sending(web, asked.events)), report("read", reading(web, asked.events))
        )
    if worst > MOST:
        sys.exit(f"A last page takes {worst:.2f} times as long as a first (at most {MOST}).")


if __name__ == "__main__":
    main()
