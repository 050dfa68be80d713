from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import processes


class Command(BaseCommand):
    help = "Start redis, engine, worker and web, restart what dies, stop all on Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        def say(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()

        try:
            processes.run(say)
        except processes.CannotStart as error:
            raise CommandError(str(error)) from error
