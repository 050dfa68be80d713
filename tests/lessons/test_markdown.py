import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lessons.markdown import render
from lessons.problems import Problems
from tests.lessons.pages import Page


def rendered(source: str, **options):
    problems = Problems("lesson.md")
    out = render(source, problems, **options)
    assert not problems, problems
    return out


def mistakes(source: str) -> list[str]:
    problems = Problems("lesson.md")
    render(source, problems)
    return [str(problem) for problem in problems]


def texts(source: str) -> list[str]:
    return [passage.text for passage in rendered(source).passages]


def assert_passages_are_on_the_page(out) -> None:
    page = Page(out.html)
    assert len(page.ids) == len(set(page.ids))
    assert [p.anchor for p in out.passages] == [f"p-{n + 1}" for n in range(len(out.passages))]
    for passage in out.passages:
        assert page.text[passage.anchor] == passage.text


def test_each_sentence_of_a_paragraph_is_a_passage():
    out = rendered("## The premise\n\nOne is *here*. Two,\nover `a. B` lines.\n")
    assert [(p.anchor, p.section, p.kind, p.text) for p in out.passages] == [
        ("p-1", "The premise", "sentence", "One is here."),
        ("p-2", "The premise", "sentence", "Two, over a. B lines."),
    ]
    assert '<span id="p-1" class="p">One is <em>here</em>.</span>' in out.html
    assert_passages_are_on_the_page(out)


def test_a_sentence_may_end_inside_bold_or_a_link():
    out = rendered("A **bold one. And [its link. It](https://a.example/?b=1&c) ends** here.")
    assert [p.text for p in out.passages] == ["A bold one.", "And its link.", "It ends here."]
    assert '<strong>And <a href="https://a.example/?b=1&amp;c">its link.</a></strong>' in out.html
    assert_passages_are_on_the_page(out)


def test_the_first_sentence_of_an_item_hangs_on_its_heading_or_lead():
    out = rendered(
        "## What AI cannot do\n\n- Promise zero loss. Rounding loses some.\n\n"
        "## More\n\nIt has parts:\n\n1. One\n2. Two\n   - Inner\n"
    )
    assert [(p.kind, p.text, p.context) for p in out.passages] == [
        ("item", "Promise zero loss.", "What AI cannot do"),
        ("sentence", "Rounding loses some.", ""),
        ("sentence", "It has parts:", ""),
        ("item", "One", "It has parts:"),
        ("item", "Two", "It has parts:"),
        ("item", "Inner", "Two"),
    ]
    assert_passages_are_on_the_page(out)


def test_polarity_stays_with_passages_below_a_smaller_heading():
    out = rendered("## What AI cannot do\n\n### In maths\n\n- Prove it.\n\n## Else\n\n### In\n\nA.")
    assert [(p.section, p.context) for p in out.passages] == [
        ("What AI cannot do", "What AI cannot do"),
        ("In", ""),
    ]


def test_a_source_mark_stands_outside_its_sentence():
    out = rendered("It is 4.9 GB.[^1][^12] llama.cpp says **so.[^2]**")
    assert [p.text for p in out.passages] == ["It is 4.9 GB.", "llama.cpp says so."]
    assert '</span><sup class="src"><a href="#source-1" aria-label="Source 1">1</a></sup>' in (
        out.html
    )
    assert out.sources == {1: 1, 12: 1, 2: 1}
    assert_passages_are_on_the_page(out)


def test_a_source_mark_inside_a_sentence_is_a_mistake():
    assert mistakes("Fine.\n\nIt is[^1] wrong.") == [
        "lesson.md:3: the source mark [^1] stands inside a sentence; "
        "put it right after the full stop, or at the end of a table's cell"
    ]


def test_a_row_of_a_table_is_quoted_as_shown_and_explained_by_its_headers():
    out = rendered(
        "## Sizes\n\n| Type | Size |\n| --- | ---: |\n| Q4_K_M | 4.9 GB[^1] |\n| **Q8_0** | 8.5 |\n"
    )
    first, second = out.passages
    assert (first.kind, first.text) == ("row", "Q4_K_M 4.9 GB")
    assert first.context == "Type: Q4_K_M; Size: 4.9 GB"
    assert second.text == "Q8_0 8.5"
    assert '<th scope="col" class="right">Size</th>' in out.html
    assert '<th scope="row"><strong>Q8_0</strong></th>' in out.html
    assert 'role="region" aria-label="Table 1: Sizes" tabindex="0"' in out.html
    assert "style=" not in out.html
    assert_passages_are_on_the_page(out)


def test_a_formula_in_a_sentence_reads_the_same_as_text():
    out = rendered(r"It has $2^n$ values, so $\frac{a+1}{b}$ and $\sqrt{x_i}$ cost \$5.")
    assert out.passages[0].text == "It has 2^n values, so (a+1)/b and √(x_i) cost $5."
    assert "<msup>" in out.html
    assert "<mfrac>" in out.html
    assert_passages_are_on_the_page(out)


def test_a_displayed_formula_is_no_passage():
    out = rendered("Thus:\n\n$$\\frac{1}{n}$$\n\nEnd.")
    assert [p.text for p in out.passages] == ["Thus:", "End."]
    assert '<math display="block">' in out.html


@pytest.mark.parametrize(
    "latex", [r"\frac{", r"\nosuchsign", r"\begin{matrix}1&2\end{matrix}", "\x1b"]
)
def test_a_wrong_formula_is_a_mistake(latex):
    assert len(mistakes(f"See ${latex}$.")) == 1


def test_callouts_and_depth_that_may_be_skipped():
    out = rendered("> [!NOTE]\n> One. Two.\n\n> [!DEEPER] Why *so*\n>\n> Three.\n\n> Quoted.\n")
    assert [p.text for p in out.passages] == ["One.", "Two.", "Three.", "Quoted."]
    assert '<div class="callout note" role="note" aria-label="Note">' in out.html
    assert '<details class="deeper">\n<summary>Why *so*</summary>' in out.html
    assert "<blockquote>" in out.html
    assert_passages_are_on_the_page(out)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("> [!HINT]\n> Text.", "[!HINT] is not a callout"),
        ("> [!DEEPER]\n> Text.", "[!DEEPER] has no title"),
        ("> [!TIP]", "[!TIP] is empty"),
        ("a <b>c</b>", "raw HTML: <b>"),
        ("<div>\nx\n</div>", "raw HTML: <div>"),
        ("# Title", "is a heading of level 1"),
        ("#### Small", "is a heading of level 4"),
        ("## A [link](/lab/)", "a heading holds a link"),
        ("Text ![alt](a.svg) text", "an image stands in the text"),
        ("![](a.svg)", "the image a.svg has no alt text"),
        ("So.[^x]", "[^x] is not the number of a source"),
    ],
)
def test_what_the_dialect_does_not_have_is_named_with_its_line(source, says):
    found = mistakes(f"Fine.\n\n{source}")
    assert found
    assert found[0].startswith("lesson.md:3: ")
    assert says in found[0]


def test_headings_get_anchors_of_their_own():
    out = rendered("## The quiz\n\n## Quiz\n\n### P-1\n\n## Quiz\n\n## 它\n")
    assert [(h["anchor"], h["level"]) for h in out.headings] == [
        ("the-quiz", 2),
        ("quiz-2", 2),
        ("section-p-1", 3),
        ("quiz-3", 2),
        ("section", 2),
    ]


def test_a_figure_stands_in_the_page_with_caption_and_source():
    out = rendered(
        '![Two bars](bars.svg "Less is better.[^1]")',
        figure=lambda name, alt, line: f"<svg>{name} {alt}</svg>",
    )
    assert "<figure>\n<svg>bars.svg Two bars</svg>\n<figcaption>Less is better.<sup" in out.html
    assert out.sources == {1: 1}
    assert out.figures == 1


def test_quotation_marks_stay_as_written():
    assert texts("\"It's\" -- 'so'... and c") == ["\"It's\" -- 'so'... and c"]


def test_the_plain_text_holds_everything_that_is_said():
    out = rendered("## A\n\nOne. *Two*.\n\n- b\n- c\n\n| x | y |\n|---|---|\n| 1 | 2 |\n")
    assert out.text == "A\n\nOne. Two.\n- b\n- c\nx | y\n1 | 2\n"
    assert (out.words, out.rows) == (5, 2)


WORDS = st.sampled_from(
    [
        "Bits.",
        "Fewer",
        "bits",
        "e.g.",
        "v0.3",
        "(see. Below)",
        "“Yes. No.”",
        "**bold",
        "bold**",
        "*em.",
        "it*",
        "`co. De`",
        "[link. To](/lab/)",
        "$2^n$",
        "&amp;",
        "<",
        "a\\*b",
        "\\$5",
        "  ",
        "\n",
        "Done.[^1]",
        "why?",
        "…",
        "\\\n",
        "__x. Y__",
        "![",
        "]",
        "![NOTE]",
        "é",
        "😀",
    ]
)
PARAGRAPH = st.lists(WORDS, min_size=1, max_size=14).map(" ".join)
BLOCK = st.one_of(
    PARAGRAPH,
    PARAGRAPH.map(lambda text: f"## {text}".replace("\n", " ")),
    st.lists(PARAGRAPH, min_size=1, max_size=3).map(
        lambda items: "\n".join(f"- {item}".replace("\n", "\n  ") for item in items)
    ),
    PARAGRAPH.map(lambda text: f"> [!TIP]\n> {text}".replace("\n", "\n> ")),
    st.lists(PARAGRAPH, min_size=2, max_size=2).map(
        lambda cells: "| a | b |\n|---|---|\n| " + " | ".join(cells).replace("\n", " ") + " |"
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(BLOCK, min_size=1, max_size=6).map("\n\n".join))
def test_any_lesson_becomes_matching_tags_with_passages_as_shown(source):
    out = render(source, Problems())
    assert_passages_are_on_the_page(out)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_at_all_is_rendered_or_refused(source):
    assert_passages_are_on_the_page(render(source, Problems()))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Aa", "b.", "**x**", "*y*", "`z`", "(c)", "1", "“q.”", "e.g."]),
        max_size=30,
    )
)
def test_all_letters_of_a_paragraph_reach_the_page(words):
    source = "x " + " ".join(words)
    letters = re.sub(r"[*`\s]", "", source)
    out = rendered(source)
    assert "".join(Page(out.html).seen.split()) == letters
    assert "".join("".join(p.text.split()) for p in out.passages) == letters
