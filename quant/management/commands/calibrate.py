import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quant import calibration, gguf_file, registry, variants
from quant.child import ChildFailed
from quant.management.commands.quantize import Bar


class Command(BaseCommand):
    help = "Let a model read a sample text and keep what flows into each of its matrices."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="registry name or path of a GGUF file")
        parser.add_argument("--text", metavar="FILE", help="sample text; default: one of ours")
        parser.add_argument(
            "--imatrix", metavar="FILE", help="write an importance matrix for llama-quantize there"
        )
        parser.add_argument("--threads", type=int, default=0, help="default: all processors")

    def handle(self, *args: Any, **options: Any) -> None:
        text = Path(options["text"] or calibration.DEFAULT_TEXT).expanduser().resolve()
        try:
            source = registry.path_of(options["source"])
            gguf_file.check_source(source)
            bar = Bar("Reading the sample text", "windows")
            folder = variants.gather_inputs(
                source,
                text,
                n_threads=options["threads"] or len(os.sched_getaffinity(0)),
                progress=lambda done, total, detail: bar.show("", done, total, detail),
            )
            bar.end()
            self.stdout.write(str(folder))
            if options["imatrix"]:
                target = Path(options["imatrix"]).expanduser().resolve()
                calibration.write_imatrix(calibration.Calibration.open(folder), target)
                self.stdout.write(str(target))
        except (registry.StoreError, gguf_file.BadGguf, ChildFailed, OSError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run it again to go on.") from None
