import os
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from quant.registry import StoreError, path_of
from tutor.engine import loading
from tutor.engine.draining import DrainingServer
from tutor.engine.server import application


class Command(BaseCommand):
    help = "Serve the tutor's models: /v1/chat/completions, /v1/embeddings, ..., /health."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.ENGINE_PORT)
        parser.add_argument("--host", default="127.0.0.1", help="reachable from here only")

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # a debugger would delay the restart
        setup = loading.setup()
        try:
            for name in (setup.chat, loading.NAME):
                path_of(name)
        except StoreError as error:
            raise CommandError(str(error)) from None
        loader = loading.Loader(setup)
        app = application(loader.start, loader)
        app.state.failed = self._give_up
        config = uvicorn.Config(
            app,
            host=options["host"],
            port=options["port"],
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,  # for the last bytes: answers have ended by then
        )
        server = DrainingServer(config)
        server.run()
        if not server.started:
            raise CommandError(f"The engine can't listen on port {options['port']}.")

    def _give_up(self, error: BaseException) -> None:
        """A half-loaded engine is of no use: end, so that the supervisor starts another."""
        self.stderr.write(f"The engine can't start: {error}")
        self.stderr.flush()
        os._exit(1)
