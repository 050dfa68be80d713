"""A real site in a real browser.

    def test_something(site, page):
        page.goto(site.url + "/lessons/…/")

site      one web server for all browser tests (migrated, every lesson loaded, static files
          collected), with its data in a folder of its own: site.url, site.slugs,
          site.manage("command", …), site.run("python code run with Django set up").
          It has no engine, worker, Redis or models: start what a test needs on
          site.engine_port or site.redis_socket, with site.environment; site.link_models().
page      a page in a fresh browser. When the test ends, a console error or warning, an uncaught
          exception, a broken Content-Security-Policy or a request to another host fails it;
          page.expected.append("part of the message") first if one of them is meant.
new_page  the same with options of a Playwright context: new_page(color_scheme="dark",
          java_script_enabled=False, viewport={"width": 360, "height": 740}).
profile   profile(path) opens a browser that keeps its data in that folder, as a person's does;
          close() it and open it again for a restart.
no_violations(page)   axe finds nothing wrong with the page as it is now.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request
from playwright.sync_api import sync_playwright as start_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    data: Path
    port: int
    engine_port: int
    slugs: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def redis_socket(self) -> Path:
        return self.data / "redis.sock"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "OPENBOOK_DATA": str(self.data),
            "PORT": str(self.port),
            "ENGINE_PORT": str(self.engine_port),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "PYTHONPATH": str(ROOT / "site"),
        }

    def manage(self, *arguments: str) -> str:
        """Runs a management command on the site's data; its stdout."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def link_models(self) -> None:
        """Lets the site see this machine's models, and gives the passages their vectors."""
        if not (self.data / "models").exists():
            models = Path(os.environ.get("OPENBOOK_DATA") or ROOT / "var") / "models"
            (self.data / "models").symlink_to(models.resolve(), target_is_directory=True)
            self.manage("load_lessons")

    def run(self, code: str) -> str:
        """Runs Python on the site's data, Django set up; its stdout."""
        return self.manage("shell", "--no-imports", "-c", code)


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, "the web server stopped"
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), free_port(), free_port())
    site.manage("migrate", "-v0")
    site.manage("load_lessons")  # no models there yet: no vectors, and seconds instead of minutes
    site.manage("collectstatic", "--noinput", "-v0")
    listing = (
        "from lessons.models import Lesson; print(*Lesson.objects.values_list('slug', flat=True))"
    )
    site.slugs = site.run(listing).split()
    command = [sys.executable, "-m", "uvicorn", "config.asgi:application"]
    options = ["--host", "localhost", "--port", str(site.port), "--log-level", "warning"]
    log = (site.data / "web.log").open("wb")
    process = subprocess.Popen(
        command + options, cwd=ROOT, env=site.environment, stdout=log, stderr=log
    )
    try:
        wait_for(site.url, process)
        yield site
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with pytest.MonkeyPatch.context() as patch, start_playwright() as playwright:
        # Playwright's loop runs in this thread; Django would take every query for a mistake.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield playwright


def _chromium() -> str:
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        pytest.fail("No Chromium found. On Debian: apt-get install chromium", pytrace=False)
    return found


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=_chromium(), args=ARGS)
    yield browser
    browser.close()


class Watch:
    """Collects what a page should not do."""

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.expected = ["Service Worker registration blocked by Playwright"]
        self.seen: list[str] = []
        self.host = host
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"exception: {error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.seen.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self.host:
            self.seen.append(f"request to another host: {request.url}")

    def check(self) -> None:
        unexpected = [it for it in self.seen if not any(part in it for part in self.expected)]
        assert not unexpected, "\n".join(unexpected)


# Tests of reading offline ask for service workers; others see each request as the page makes it.
USUAL = {"locale": "en-GB", "service_workers": "block"}
NewPage = Callable[..., Page]


@pytest.fixture
def new_page(browser: Browser, site: Site) -> Iterator[NewPage]:
    watches = []
    with ExitStack() as stack:

        def open_page(**options: object) -> Page:
            context = browser.new_context(**(USUAL | options))  # type: ignore[arg-type]
            stack.callback(context.close)
            watches.append(Watch(context, urlsplit(site.url).netloc))
            page = context.new_page()
            page.expected = watches[-1].expected  # type: ignore[attr-defined]
            return page

        yield open_page
        for watch in watches:
            watch.check()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.fixture
def profile(playwright: Playwright, site: Site) -> Iterator[Callable[[Path], BrowserContext]]:
    watches = []
    with ExitStack() as stack:

        def open_profile(folder: Path) -> BrowserContext:
            context = playwright.chromium.launch_persistent_context(
                folder, executable_path=_chromium(), args=ARGS, locale="en-GB"
            )
            stack.callback(context.close)
            watches.append(Watch(context, urlsplit(site.url).netloc))
            return context

        yield open_profile
        for watch in watches:
            watch.check()


def no_violations(page: Page) -> None:
    """axe finds nothing on the page as it is now."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


READ_EVENTS = """() => new Promise((resolve, reject) => {
  const opening = indexedDB.open("openbook");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const db = opening.result;
    const all = db.transaction("events").objectStore("events").getAll();
    all.onsuccess = () => { db.close(); resolve(all.result); };
    all.onerror = () => reject(all.error);
  };
})"""


def events(page: Page, kind: str = "") -> list[dict]:
    """The events in this browser's store, of one type or all."""
    return [event for event in page.evaluate(READ_EVENTS) if not kind or event["type"] == kind]


def until(page: Page, expression: str, seconds: float = 5) -> None:
    """Waits until the expression is true (wait_for_function needs eval, which pages refuse)."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not true after {seconds} s: {expression}"
        page.wait_for_timeout(50)
