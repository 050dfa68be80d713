"""manage.py preview: an open page follows the files of a lesson that no catalogue names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ROOT, Watch, free_port, no_violations, wait_for
from tests.lessons import content


@pytest.fixture
def draft(tmp_path) -> Path:
    return content.write_lesson(tmp_path, "_my-draft", title="My draft")


@pytest.fixture
def preview(site, draft):
    """The address of a running preview; .stop() ends it, .said() is what the terminal shows."""
    port, log = free_port(), draft.parent / "terminal.log"
    command = [sys.executable, "manage.py", "preview", str(draft), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=site.environment, stdout=out, stderr=out)
    address = f"http://localhost:{port}/preview/"
    try:
        wait_for(address, process)
        yield address, log, process
    finally:
        process.terminate()
        process.wait(10)


def save(draft: Path, name: str, old: str, new: str) -> None:
    path = draft / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_open_page_shows_each_saved_file_and_what_is_wrong_in_it(draft, preview, browser, site):
    address, log, process = preview
    context = browser.new_context(service_workers="block")
    watch = Watch(context, address.split("/")[2])
    page = context.new_page()
    page.goto(address)
    line = page.get_by_role("status").first
    expect(page.get_by_role("heading", level=1)).to_have_text("My draft")
    expect(line).to_contain_text("Nothing is wrong")
    no_violations(page)

    save(draft, "lesson.md", "is short.", "is long now.")
    expect(page.locator("#p-1")).to_have_text("The _my-draft lesson is long now.")
    save(draft, "quiz.yaml", "Question 1?", "Why is it so?")
    expect(page.locator("#quiz h4").first).to_contain_text("Why is it so?")

    save(draft, "lesson.md", "long now", "<b>long</b> now")
    expect(line).to_contain_text("1 mistake")
    mistake = page.get_by_role("region", name="To mend").get_by_role("listitem")
    expect(mistake).to_contain_text("lesson.md:13 raw HTML: <b>; write it in Markdown")
    no_violations(page)
    expect(page.locator("#p-2")).to_have_text("It names 4 bits.")  # the rest is shown all the same

    save(draft, "lesson.md", "<b>long</b>", "right")
    expect(line).to_contain_text("Nothing is wrong")
    expect(page.get_by_role("region", name="To mend")).to_have_count(0)
    for _ in range(100):  # the terminal looks at the files on its own
        if re.search(r"1 mistake\n.* no mistakes\n$", log.read_text()):
            break
        page.wait_for_timeout(100)
    said = log.read_text()
    assert said.rstrip().endswith("no mistakes")
    assert "lesson.md:13: raw HTML: <b>" in said
    assert "Warning" not in said

    watch.expected += ["Failed to load resource"]
    process.terminate()
    process.wait(10)
    expect(line).to_contain_text("The preview has stopped")
    context.close()
    watch.check()


def test_the_page_stays_where_it_was_read(draft, preview, browser):
    address, _, _ = preview
    page = browser.new_page(viewport={"width": 360, "height": 500})
    page.goto(address)
    page.evaluate("scrollTo({ top: 900, behavior: 'instant' })")
    save(draft, "quiz.yaml", "Question 1?", "Why?")
    expect(page.locator("#quiz h4").first).to_contain_text("Why?")
    assert page.evaluate("scrollY") == 900
    page.close()
