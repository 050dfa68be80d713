from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from quant import registry


class Command(BaseCommand):
    help = "Bring the models that are missing, check them, and build what is built here."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="all, if none is named")

    def handle(self, *args: Any, names: list[str], **options: Any) -> None:
        try:
            for entry in registry.wanted(names):
                brought = registry.fetch(entry, self.say)
                state = "ready" if brought else "already there"
                self.say(f"{entry.name}: {state} ({entry.target})")
        except registry.StoreError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. Run it again to go on; nothing half done is kept."
            ) from None

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
