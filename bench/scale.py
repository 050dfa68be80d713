"""How the site's speed grows with the catalogue: median times with 1,596 lessons against 8.

Each catalogue is made up (manage.py fill_catalogue) in a database of its own and served by a
process of its own; the two take turns, so that whatever else the machine does slows both.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIZES = (8, 1596)
PAGES = {
    "home": "/",
    "lesson": "/lessons/generated-0004/",
    "search": "/search/?q=model+memory",
    "search, misspelt": "/search/?q=memroy",
}
ROUNDS, REQUESTS = 8, 10
LIMIT = 1.2


def serve() -> None:
    """Answers each line on stdin with the seconds that every page took, REQUESTS times."""
    sys.path[:0] = [str(ROOT / "site"), str(ROOT)]
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from django.test import Client

    client = Client(headers={"host": "localhost"})
    for _ in sys.stdin:
        print(json.dumps({name: _times(client, path) for name, path in PAGES.items()}), flush=True)


def _times(client: Any, path: str) -> list[float]:
    times = []
    for _ in range(REQUESTS):
        start = time.perf_counter()
        answer = client.get(path)
        times.append(time.perf_counter() - start)
        assert answer.status_code == 200, (path, answer.status_code)
    return times


def _manage(data: Path, *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=_environment(data), check=True, stdout=sys.stderr)


def _environment(data: Path) -> dict[str, str]:
    return {**os.environ, "OPENBOOK_DATA": str(data), "DATABASE_URL": ""}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="openbook-scale-") as name:
        servers = []
        for size in SIZES:
            data = Path(name) / str(size)
            _manage(data, "migrate", "--verbosity=0")
            _manage(data, "collectstatic", "--noinput", "--verbosity=0")
            start = time.perf_counter()
            _manage(data, "fill_catalogue", str(size))
            print(
                f"loading {size} lessons, without embeddings: {time.perf_counter() - start:.0f} s"
            )
            servers.append(
                subprocess.Popen(
                    [sys.executable, __file__, "serve"],
                    cwd=ROOT,
                    env=_environment(data),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        try:
            report(servers)
        finally:
            for server in servers:
                server.terminate()
                server.wait()


def report(servers: list["subprocess.Popen[str]"]) -> None:
    times: list[dict[str, list[float]]] = [{page: [] for page in PAGES} for _ in servers]
    for turn in range(ROUNDS + 1):
        for server, mine in zip(servers, times, strict=True):
            assert server.stdin
            assert server.stdout
            server.stdin.write("go\n")
            server.stdin.flush()
            measured = json.loads(server.stdout.readline())
            for page, seconds in measured.items():
                mine[page] += seconds if turn else []  # the first turn warms up
    few, many = times
    print(f"{'page':22} {SIZES[0]:>8} {SIZES[1]:>8}  ratio (at most {LIMIT})")
    for page in PAGES:
        small, large = median(few[page]), median(many[page])
        print(f"{page:22} {small * 1000:6.1f}ms {large * 1000:6.1f}ms  {large / small:.2f}")


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
