"""The engine beside llama-server: learners who ask fresh questions about one lesson.

    LLAMA_SERVER=/path/to/llama-server .venv/bin/python bench/engine.py [--rounds 4]

Both serve the same file with as many threads and the same context, llama-server with
`-np 8 --kv-unified`; same prompts, greedy, every answer of the same length. They take turns and
change places every round, so that whatever else the machine does slows both. Only one works at a
time; the other's use of the processor meanwhile is printed, and should be next to none.

"Cold": no slot of llama-server has seen the lesson. Our engine then has its pin from disk as for
any lesson asked about before; what the very first learners of a lesson wait for is printed as well.
Without llama-server (LLAMA_SERVER, else the PATH) our own figures alone are printed.
"""

import argparse
import os
import shutil
from collections import defaultdict
from contextlib import ExitStack
from statistics import median

from lib.chat import ChatServer, Together, fresh, lesson, llama_server, ours, threads

TOKENS = 64
# what: ours over theirs must be
BARS = {
    "first token of eight, warm": ("at most", 0.8),
    "first token of eight, cold": ("at most", 0.15),
    "tokens/s of eight, warm": ("at least", 1.2),
    "one learner, seconds": ("at most", 1.05),
}
Figures = dict[str, list[float]]


def measure(server: ChatServer, mark: str, figures: Figures) -> None:
    """One server's turn. Every lesson and question is new to it."""

    def ask(text: str, learners: int, what: str) -> Together:
        found = server.ask(text, fresh(f"{mark}{what}", learners), TOKENS)
        assert all(answer.tokens == TOKENS for answer in found.answers)
        figures["prompt tokens"].append(found.answers[0].prompt_tokens)
        return found

    new, other = lesson(f"{mark}n"), lesson(f"{mark}o")
    found = ask(new, 8, "a")
    figures["first token of eight, lesson new"].append(found.first)
    figures["tokens/s of eight, lesson new"].append(found.rate)
    ask(other, 8, "b")  # the lesson at hand is another one now
    cold = ask(new, 8, "c").first if server.name == "ours" else found.first
    figures["first token of eight, cold"].append(cold)
    for turn in "de":
        found = ask(new, 8, turn)
        figures["first token of eight, warm"].append(found.first)
        figures["tokens/s of eight, warm"].append(found.rate)
    for turn in "fgh":
        one = ask(new, 1, turn).answers[0]
        figures["one learner, first token"].append(one.first)
        figures["one learner, seconds"].append(one.total)
    found = ask(new, 16, "i")
    figures["first token of sixteen"].append(found.first)
    figures["tokens/s of sixteen"].append(found.rate)


def report(results: dict[str, Figures]) -> bool:
    """Print medians side by side; whether every bar is met."""
    mine, theirs = results["ours"], results.get("llama-server")
    met = True
    print(f"{'median':34}" + "".join(f"{name:>14}" for name in results) + "  ours/theirs")
    for what in mine:
        values = [median(figures[what]) for figures in results.values()]
        line = f"{what:34}" + "".join(f"{value:14.3f}" for value in values)
        if theirs:
            ratio = values[0] / values[1]
            line += f"  {ratio:.3f}"
            if what in BARS:
                side, bar = BARS[what]
                met &= ratio <= bar if side == "at most" else ratio >= bar
                line += f" ({side} {bar})"
        print(line)
    return met


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    program = shutil.which(os.environ.get("LLAMA_SERVER") or "llama-server")
    results: dict[str, Figures] = {}
    idle: dict[str, float] = defaultdict(float)
    with ExitStack() as stack:
        servers = [stack.enter_context(ours())]
        if program:
            servers.append(stack.enter_context(llama_server(program)))
        else:
            print("No llama-server (LLAMA_SERVER, or on the PATH): nothing to compare with.")
        print(f"{TOKENS} tokens of answer each, {threads()} threads, {rounds} rounds")
        for server in servers:
            results[server.name] = defaultdict(list)
            measure(server, "warm-up ", defaultdict(list))
        for turn in range(rounds):
            for server in servers if turn % 2 else reversed(servers):
                others = {other: other.processor_seconds() for other in servers if other != server}
                measure(server, f"{turn} ", results[server.name])
                for other, before in others.items():
                    idle[other.name] += other.processor_seconds() - before
    met = report(results)
    for name, seconds in idle.items():
        print(f"{name} used the processor for {seconds:.2f} s while the other was at work")
    if not met:
        raise SystemExit("A bar is missed.")


if __name__ == "__main__":
    main()
