from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from lessons import classes


class Command(BaseCommand):
    help = "Let the account NAME make classes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        try:
            classes.make_teacher(User.objects.get(username=name))
        except User.DoesNotExist as error:
            raise CommandError(
                f"There is no account called {name}. Sign up on the site first, or make one with "
                "'manage.py createsuperuser'."
            ) from error
        self.stdout.write(f"{name} may now make classes.")
