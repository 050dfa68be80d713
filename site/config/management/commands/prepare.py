from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor


class Command(BaseCommand):
    help = "Bring database, models, lessons and static files up to date; does only what is missing."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        except OperationalError as error:
            raise CommandError(
                f"The database can't be opened: {error}\nCheck DATABASE_URL (README, "
                '"Configuration"); without it Openbook keeps a SQLite file of its own.'
            ) from error
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("Preparing the database")
            call_command("migrate", verbosity=0, interactive=False)
        call_command("fetch_models")
        call_command("load_lessons")
        call_command("collectstatic", verbosity=0, interactive=False)
