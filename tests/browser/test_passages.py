"""What the tutor may quote is letter for letter what the browser shows."""

import json

READ = """() => Object.fromEntries([...document.querySelectorAll(".p[id^=p-]")].map(
  (it) => [it.id, it.textContent.trim().replace(/\\s+/g, " ")]))"""
STORED = """
import json
from lessons.models import Passage
rows = Passage.objects.values_list("lesson__slug", "anchor", "text")
print(json.dumps(list(rows)))
"""


def test_every_passage_is_its_elements_text(site, page):
    stored: dict[str, dict[str, str]] = {}
    for slug, anchor, text in json.loads(site.run(STORED)):
        stored.setdefault(slug, {})[anchor] = text
    assert set(stored) == set(site.slugs)
    for slug, passages in stored.items():
        page.goto(f"{site.url}/lessons/{slug}/")
        assert page.evaluate(READ) == passages
