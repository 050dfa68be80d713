from hypothesis import given
from hypothesis import strategies as st

from lessons.figures import inline
from lessons.problems import Problems
from tests.lessons.pages import Page

DRAWING = (
    '<?xml version="1.0"?>\n<!-- drawn by hand -->\n'
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 99" role="img">\n'
    "<title>Bars &amp; lines</title>\n"
    '<g transform="translate(1,2)"><rect class="fig-a" x="0" y="0" width="9" height="9"/></g>\n'
    '<text class="fig-t" x="0" y="20" font-size="20">a &lt; b</text>\n</svg>\n'
)


def test_a_drawing_goes_into_the_page_named_by_its_alternative_text():
    problems = Problems()
    html = inline(DRAWING.encode(), 'Two "bars" & a line', problems)
    assert not problems
    assert html.startswith('<svg viewBox="0 0 640 99" role="img" aria-label="Two &quot;bars&quot;')
    assert "<title>Bars &amp; lines</title>" in html
    assert 'font-size="20">a &lt; b</text>' in html
    assert "xmlns" not in html
    assert "drawn by hand" not in html


@given(st.text(max_size=40), st.sampled_from(["class", "onload", "href", "style", "x", "id"]))
def test_whatever_an_attribute_holds_the_page_stays_well_formed(value, name):
    from xml.sax.saxutils import quoteattr

    problems = Problems()
    drawing = DRAWING.replace("<rect", f"<rect {name}={quoteattr(value)}")
    html = inline(drawing.encode("utf-8", "ignore"), "Bars", problems)
    assert problems or Page(html)
    if html:
        assert name not in ("onload", "href", "style", "id")
