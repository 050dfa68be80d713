"""Reads HTML as a browser does: what an element's textContent is, and whether tags match."""

from html.parser import HTMLParser

VOID = {"br", "hr"}


class Page(HTMLParser):
    """text: id → textContent with white space collapsed. Raises on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.collected: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self.seen = ""
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"
        self.text = {name: " ".join("".join(t).split()) for name, t in self.collected.items()}

    def handle_starttag(self, tag, attrs):
        name = dict(attrs).get("id", "")
        if name:
            self.ids.append(name)
            self.collected[name] = []
        if tag not in VOID:
            self.open.append((tag, name))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        opened, _ = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data):
        self.seen += data
        for _, name in self.open:
            if name:
                self.collected[name].append(data)
