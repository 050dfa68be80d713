import json
import os
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from quant import evals, experiment
from quant.experiment import Plan, PlanError, StepFailed
from quant.rows import percent_range, rows_of
from quant.search_report import SearchReport
from quant.verdict import verdict

LESSONS = "lessons"


class Command(BaseCommand):
    help = "Quantize a model, and measure and show what that does to it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="registry name or path of a GGUF file")
        parser.add_argument(
            "--types",
            default="Q8_0,Q4_K_M",
            help="llama.cpp's types and methods' names, say Q4_K_M,GPTQ-Q4_1,IMATRIX-Q4_1",
        )
        parser.add_argument("--prompts", metavar="FILE", help="one prompt on each line")
        parser.add_argument("--eval-text", metavar="FILE", help="default: the lessons' text")
        parser.add_argument(
            "--calibration-text", metavar="FILE", help="methods' sample text; default: one of ours"
        )
        parser.add_argument("--out", metavar="DIR", help="where files go; default: the model store")
        parser.add_argument(
            "--tasks",
            metavar="FILE",
            help='questions with answers, as JSON lines or a table; "lessons": their quizzes',
        )
        parser.add_argument(
            "--limit",
            type=float,
            default=0.9,
            help="good enough for the verdict: this share of the reference's next tokens",
        )
        parser.add_argument("--no-speed", action="store_true", help="time nothing")
        parser.add_argument("--n-ctx", type=int, default=512, help="tokens in a window")
        parser.add_argument("--windows", type=int, default=12, help="at most; 0: the whole text")
        parser.add_argument(
            "--n-predict", type=int, default=96, help="tokens in an answer, at most"
        )
        parser.add_argument("--threads", type=int, default=0, help="default: all processors")
        parser.add_argument("--pure", action="store_true", help="every matrix in the type named")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        with told_to_end():
            self.handle_until_told(options)

    def handle_until_told(self, options: dict[str, Any]) -> None:
        plan = None
        stopped = False
        try:
            plan = self.plan(options)
            if plan.warning:
                self.stderr.write(f"Note: {plan.warning}")
            results = self.run(plan, speed=not options["no_speed"])
        except (PlanError, StepFailed) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            stopped = True
            raise CommandError(
                "Stopped. Finished variants stay, and a method goes on at the next block."
            ) from None
        finally:
            if plan:
                experiment.clean_up(plan, keep_blocks=stopped)
        report = experiment.report(plan, results)
        rows, limit = rows_of(plan.types, results), options["limit"]
        if plan.embedder:
            report["verdict"] = SearchReport(rows, limit).verdict
        else:
            report["verdict"] = verdict(rows, plan.tasks, limit)
        text = json.dumps(report, ensure_ascii=False) if options["json"] else table(report)
        self.stdout.write(text)

    def plan(self, options: dict[str, Any]) -> Plan:
        return experiment.make_plan(
            options["source"],
            options["types"].split(","),
            prompts=lines_of(options["prompts"]) if options["prompts"] else None,
            tasks=tasks_of(options["tasks"]) if options["tasks"] else [],
            text_file=options["eval_text"],
            calibration=options["calibration_text"],
            out=options["out"],
            work=str(own_work_folder()),
            n_ctx=options["n_ctx"],
            windows=options["windows"],
            n_predict=options["n_predict"],
            n_threads=options["threads"] or len(os.sched_getaffinity(0)),
            pure=options["pure"],
        )

    def run(self, plan: Plan, *, speed: bool) -> dict[str, Any]:
        results: dict[str, Any] = {}
        todo = [s for s in experiment.steps(plan) if speed or not s.key.startswith("speed:")]
        for number, step in enumerate(todo, 1):
            bar = Bar(f"[{number}/{len(todo)}] {step.title}", step.unit)
            results[step.key] = experiment.run_step(plan, step, results, progress=bar.show)
            bar.end()
        return results


class Bar:
    """A step's progress on stderr: a line that is rewritten on a terminal, else start and end."""

    def __init__(self, title: str, unit: str) -> None:
        self.title, self.unit, self.live = title, unit, sys.stderr.isatty()
        self.write("" if self.live else "\n")

    def show(self, key: str, done: int, total: int, detail: str) -> None:
        if self.live and total:
            filled = "#" * (20 * done // total)
            self.write(f" [{filled:<20}] {done}/{total} {self.unit} {detail[:40]}")

    def end(self) -> None:
        if self.live:
            self.write(" done\n")

    def write(self, text: str) -> None:
        start = "\r\033[K" if self.live else ""
        sys.stderr.write(f"{start}{self.title}{text}")
        sys.stderr.flush()


@contextmanager
def told_to_end() -> Iterator[None]:
    """SIGTERM and a closed terminal stop as Ctrl-C does: what is half done is removed."""

    def stop(*_: Any) -> NoReturn:
        for told in signals:  # a second one must not cut the cleaning up short
            signal.signal(told, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = (signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(told, stop) for told in signals]
    try:
        yield
    finally:
        for told, handler in zip(signals, before, strict=True):
            signal.signal(told, handler)


def own_work_folder() -> Path:
    """A folder for this process; those of processes that are gone are removed."""
    root = Path(settings.DATA_DIR) / "work"
    for folder in root.glob("command-*"):
        if not Path(f"/proc/{folder.name.removeprefix('command-')}").exists():
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
    return root / f"command-{os.getpid()}"


def lines_of(file: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"the prompts: {error}") from error
    if not any(line.strip() for line in lines):
        raise PlanError(f"{file} holds no prompt: write one on each line")
    return lines


def tasks_of(file: str) -> list[evals.Task]:
    if file == LESSONS:
        tasks = import_string(settings.QUANT_TASK_PROVIDER)()
        if not tasks:
            raise PlanError("no quizzes are loaded yet: run manage.py load_lessons")
        return list(tasks)
    try:
        return evals.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, evals.TaskError) as error:
        raise PlanError(f"the tasks in {file}: {error}") from error


COLUMNS = {
    "type": "{type}",
    "MB": "{megabytes:.0f}",
    "bits": "{bits_per_weight:.2f}",
    "perplexity": "{perplexity:.3f}",
    "mean KL": "{mean_kl:.4f}",
    "same top": "{same_top:.1%}",
    "prompt t/s": "{prompt_tokens_per_second:.0f}",
    "answer t/s": "{generation_tokens_per_second:.1f}",
    "memory MB": "{memory_megabytes:.0f}",
}
EMBEDDER_COLUMNS = {
    "type": "{type}",
    "MB": "{megabytes:.1f}",
    "bits": "{bits_per_weight:.2f}",
    "mean cosine": "{mean_cosine:.5f}",
    "least": "{min_cosine:.5f}",
    "same first": "{same_first:.0%}",
    "t/s": "{prompt_tokens_per_second:.0f}",
}


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    made = report["eval"]
    columns = EMBEDDER_COLUMNS if "passages" in made else COLUMNS
    if report["variants"][0].get("prompt_tokens_per_second") is None:
        untimed = ("t/s", "memory MB")
        columns = {name: cell for name, cell in columns.items() if not name.endswith(untimed)}
    if "tasks" in report["variants"][0]:
        columns = columns | {"tasks": "{tasks[right]}/{tasks[of]}", "95%": "{interval}"}
    rows = [list(columns)]
    for v in report["variants"]:
        shown = {**v, "megabytes": v["bytes"] / 1e6}
        shown["memory_megabytes"] = (v.get("memory_bytes") or 0) / 1e6
        if "tasks" in v:
            shown["interval"] = percent_range(v["tasks"]["interval"])
        rows.append([cell.format(**shown) for cell in columns.values()])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    size = (
        f"{made['passages']} passages"
        if "passages" in made
        else f"{made['windows']} windows of {made['n_ctx']} tokens"
    )
    lines += ["", f"Measured on {size}: {made['text']}"]
    if report.get("verdict"):
        lines.append(report["verdict"])
    for v in report["variants"]:
        types = ", ".join(f"{count} {kind}" for kind, count in v["tensors"].items())
        lines += ["", f"{v['type']}: {v['file']}", f"  tensors: {types}"]
        for output in v["outputs"]:
            lines.append(f"  > {output['prompt']}{difference(output)}")
            lines.append(f"    {' '.join(output['text'].split())}")
    return "\n".join(lines)


def difference(output: dict[str, Any]) -> str:
    if output.get("rank", 1) > 1:
        return f"  (the reference's first passage is number {output['rank']} here)"
    if output["first_difference"] is not None:
        return f"  (differs from token {output['first_difference'] + 1} on)"
    return ""
