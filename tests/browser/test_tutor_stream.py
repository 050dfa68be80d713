"""Answers that take long: stopped, broken off, their server killed.

The chat server is a stand-in that writes for as long as it is read: no model here is slow on
purpose. Everything between it and the learner is real.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Site, free_port, wait_for

SLUG = "ai-model-quantization-4-bit-8-bit-fp16-tradeoffs"
QUESTION = "What is quantization?"
ENDLESS = """
import http.server, json, os, sys, time

class Chat(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": "endless"}]}')

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        chunk = json.dumps({"choices": [{"delta": {"content": "a"}}]})
        os.write(1, b"asked\\n")
        try:
            while True:
                self.wfile.write(f"data: {chunk}\\n\\n".encode())
                time.sleep(0.1)
        except OSError:
            os.write(1, b"closed\\n")

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("localhost", int(sys.argv[1])), Chat).serve_forever()
"""


class Servers:
    """A web server on the site's data and the chat server that it asks."""

    def __init__(self, site: Site) -> None:
        self.site, self.port, self.chat_port = site, free_port(), free_port()
        self.chat = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(self.chat_port)], stdout=subprocess.PIPE
        )
        assert self.chat.stdout
        self.said_by = self.chat.stdout
        wait_for(f"http://localhost:{self.chat_port}/", self.chat)
        self.start_web()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start_web(self) -> None:
        environment = self.site.environment | {
            "PORT": str(self.port),
            "TUTOR_URL": f"http://localhost:{self.chat_port}",
        }
        command = [sys.executable, "-m", "uvicorn", "config.asgi:application"]
        options = ["--host", "localhost", "--port", str(self.port), "--log-level", "critical"]
        self.web = subprocess.Popen(command + options, cwd=ROOT, env=environment)
        wait_for(self.url, self.web)

    def said(self) -> str:
        return self.said_by.readline().decode().strip()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def servers(site: Site) -> Iterator[Servers]:
    servers = Servers(site)
    try:
        yield servers
    finally:
        servers.kill(servers.web)
        servers.kill(servers.chat)
        servers.said_by.close()


def ask(servers: Servers, page: Page) -> None:
    page.expected.append("to another host")  # type: ignore[attr-defined]
    page.goto(f"{servers.url}/lessons/{SLUG}/")
    page.get_by_label("Ask about this lesson").fill(QUESTION)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".exchange q.quote").first).to_be_visible()
    assert servers.said() == "asked"


def test_stop_and_escape_end_the_work_at_the_model(servers: Servers, page: Page) -> None:
    ask(servers, page)
    page.get_by_role("button", name="Stop").click()
    assert servers.said() == "closed"
    expect(page.locator(".exchange .again")).to_contain_text("Stopped.")
    expect(page.locator(".exchange q.quote").first).to_be_visible()
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert servers.said() == "asked"
    page.keyboard.press("Escape")
    assert servers.said() == "closed"
    expect(page.locator(".exchange .again")).to_have_count(1)


def test_a_web_server_restarted_within_an_answer_leaves_the_question_to_ask_again(
    servers: Servers, page: Page
) -> None:
    page.expected.append("ERR_")  # type: ignore[attr-defined]
    ask(servers, page)
    servers.kill(servers.web)
    expect(page.locator(".exchange .again")).to_contain_text("Your question is kept")
    servers.start_web()
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator(".exchange q.quote").first).to_be_visible()
    expect(page.locator(".exchange .you")).to_have_text(QUESTION)


def test_a_model_server_killed_within_eight_answers_leaves_each_its_quotes(
    servers: Servers,
) -> None:
    address = f"{servers.url}/lessons/{SLUG}/tutor/stream"

    def learner(_: int) -> str:
        return httpx.get(address, params={"q": QUESTION}, timeout=30).text

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(learner, n) for n in range(8)]
        for _ in range(8):
            assert servers.said() == "asked"
        servers.kill(servers.chat)
        for answer in answers:
            said = answer.result(timeout=20)
            assert 'class="quote"' in said
            assert said.rstrip().endswith("data:")
            assert "event: done" in said
    assert httpx.get(servers.url).status_code == 200
