import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quant.planner import here, report
from quant.planner.data import data
from quant.planner.plan import BEST, PlanError, make_plan
from quant.planner.tensors import UnknownModel


class Command(BaseCommand):
    help = "What fits, how fast, what it costs: plan for a model before downloading it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "model",
            nargs="?",
            metavar="MODEL",
            help=f"a name (--list), a GGUF file, or five numbers with commas: {here.FIVE}",
        )
        parser.add_argument("--list", action="store_true", help="the models and machines known")
        parser.add_argument("--quant", default=BEST, help="say Q4_K_M; default: best that fits")
        parser.add_argument("--context", type=whole, default=8192, help="tokens for each user")
        parser.add_argument("--users", type=whole, default=1, help="at once")
        parser.add_argument("--kv-type", default="F16", help="of the KV cache: F16, Q8_0 or Q4_0")
        parser.add_argument("--machine", help="a name (--list); default: this machine")
        parser.add_argument("--memory", type=number, metavar="GB", help="of another machine")
        parser.add_argument("--bandwidth", type=number, metavar="GB/S", help="of its memory")
        parser.add_argument("--electricity", type=number, metavar="PRICE", help="of a kWh")
        parser.add_argument("--watts", type=number, help="that the machine draws under load")
        parser.add_argument("--rent", type=number, metavar="PRICE", help="of an hour")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self.stdout.write(listing())
            return
        if not options["model"]:
            raise CommandError("name a model; --list shows those that are known")
        try:
            plan = make_plan(
                here.find_model(options["model"]),
                machine_of(options),
                quant=options["quant"],
                context=options["context"],
                users=options["users"],
                cache_type=options["kv_type"].upper(),
                electricity=options["electricity"],
                watts=options["watts"],
                rent=options["rent"],
            )
        except (PlanError, UnknownModel) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(plan), ensure_ascii=False))
        else:
            self.stdout.write(report.as_text(plan))


def machine_of(options: dict[str, Any]) -> here.Machine:
    memory, bandwidth = options["memory"], options["bandwidth"]
    if memory is None and bandwidth is None:
        name = options["machine"] or here.THIS
        return here.this_machine(quick=True) if name == here.THIS else here.find_machine(name)
    if options["machine"]:
        raise PlanError("give either --machine or --memory and --bandwidth")
    if memory is None:
        raise PlanError("--bandwidth goes with --memory: give the memory in GB too")
    return here.own_machine(memory, bandwidth or 0)


def whole(text: str) -> int:
    try:
        return int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None


def listing() -> str:
    known = data()
    lines = ["Models:", *(f"  {model.name:24}{model.title}" for model in known.models.values())]
    lines += ["Machines:", f"  {here.THIS:24}this machine, as manage.py measure_machine found it"]
    lines += [f"  {machine.name:24}{machine.title}" for machine in known.machines.values()]
    return "\n".join(lines)
