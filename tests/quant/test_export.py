import re
from html.parser import HTMLParser

import pytest

from quant.models import State
from tests.quant.finished import finished

pytestmark = pytest.mark.django_db
ADDRESSES = ("href", "src", "action", "data-tokens", "srcset", "poster")


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def exported(client, **changes: object) -> str:
    answer = client.get(f"/lab/{finished(**changes).pk}/experiment.html")
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="experiment-\d+\.html"', answer["Content-Disposition"]
    )
    return answer.content.decode()


@pytest.mark.parametrize("embedder", [False, True])
def test_one_file_holds_it_all_and_asks_for_nothing(client, embedder: bool):
    page = exported(client, embedder=embedder)
    tags = Tags(page)
    assert not {"script", "link", "form", "img", "iframe", "a"} & set(tags.names)
    assert not [name for name, _ in tags.attributes if name in ADDRESSES or name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page
    assert "--paper" in page
    assert ".columns {" in page


def test_figures_plots_outputs_and_notes_are_in_it(client):
    page = exported(client, notes="Mine & yours")
    assert "<svg" in page
    assert "Q8_0: 175 MB, KL 0.0074" in page
    assert "Side by side" in page
    assert "Why is &lt;the&gt; sky blue?" in page
    assert '<span class="shade s1 first">Light</span>' in page
    assert "Mine &amp; yours" in page
    assert "keeps" in page  # the verdict


def test_what_is_not_finished_says_so(client):
    assert "not finished (stopped)" in exported(client, state=State.CANCELLED)
    assert "not finished" not in exported(client)


def test_the_page_offers_the_file(client):
    experiment = finished()
    page = client.get(f"/lab/{experiment.pk}/").content.decode()
    assert f'href="/lab/{experiment.pk}/experiment.html" download' in page
