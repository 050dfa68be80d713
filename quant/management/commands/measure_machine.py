import json
import os
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quant import benchmark, machine
from quant.llama import LlamaError
from quant.machine import Measured
from quant.registry import StoreError


class Command(BaseCommand):
    help = "Measure this machine's memory and the embedded model on it, for the planner."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        load = os.getloadavg()[0]
        if load > machine.processors() / 2:
            self.stderr.write(
                f"Other programs keep this machine busy (load {load:.1f} on "
                f"{machine.processors()} processors): the figures will be too low. "
                "Stop them and run this again."
            )
        try:
            found = benchmark.measure_machine(self.stderr.write)
        except (StoreError, LlamaError, OSError) as error:
            raise CommandError(str(error)) from error
        machine.save(found)
        self.stdout.write(
            json.dumps(asdict(found), ensure_ascii=False) if options["json"] else table(found)
        )


def table(found: Measured) -> str:
    lines = [
        f"{found.processor}, {found.threads} threads, {found.memory_bytes / 2**30:.1f} GiB",
        f"Memory is read at {found.bandwidth:.1f} GB/s; a layer costs {found.layer_ms:.3f} ms",
        "Weights are read and multiplied at (GB/s): "
        + ", ".join(f"{name} {rate:.1f}" for name, rate in found.rates.items()),
        f"Prompts: {found.operations:,.0f} billion operations a second",
        "",
        f"  {'':6}{'predicted':>12}{'measured':>12}   tokens/s, embedded model",
    ]
    lines += [
        f"  {c.quant:6}{c.predicted:>12.1f}{c.measured:>12.1f}   {c.error:+.0%}"
        for c in found.checks
    ]
    if not found.steady:
        lines += ["", "The machine was busy meanwhile: measure again when it is quiet."]
    return "\n".join(lines)
