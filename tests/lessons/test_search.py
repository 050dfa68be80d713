import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lessons import loader, search_index, words
from lessons.models import SearchVariant, SearchWord
from lessons.search import PAGE, search
from lessons.templatetags.lessons import marked
from tests.lessons import content

pytestmark = pytest.mark.usefixtures("either_database")

LESSONS = {
    "weights": ("What a weight is", "A weight is a number. Quantization rounds each weight."),
    "cache": ("The KV cache", "The KV cache of llama.cpp grows. Its colour is no matter."),
    "types": ("Types of quants", "Q4_K_M stores 4.89 bits. A 4-bit file reads Löwe’s notes."),
}


@pytest.fixture
def lessons(tmp_path):
    for slug, (title, text) in LESSONS.items():
        lesson = content.LESSON.replace("The {slug} lesson is short.", text)
        content.write_lesson(tmp_path, slug, title=title, lesson=lesson)
    content.write_catalogue(tmp_path, *LESSONS)
    loader.load(tmp_path, embed=False)
    return tmp_path


def found(query: str) -> list[str]:
    return [hit.lesson.slug for hit in search(query).hits]


def shown(pieces) -> str:
    return "".join(f"[{text}]" if hit else text for text, hit in pieces)


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("kv cache", ["cache"]),
        ("KV-cache!", ["cache"]),
        ("weights", ["weights"]),
        ("quantised", ["weights"]),
        ("color", ["cache"]),
        ("q4km", ["types"]),
        ("Q4 K M", ["types"]),
        ("q4_k_m", ["types"]),
        ("lowe", ["types"]),
        ("llama cpp", ["cache"]),
        ("4.89", ["types"]),
        ("quantiza", ["weights"]),
        ("the number of a weight", ["weights"]),
        ("notes grow", ["cache", "types"]),
    ],
)
def test_words_find_their_lessons(lessons, query, slugs):
    assert sorted(found(query)) == slugs


@pytest.mark.parametrize(
    ("query", "corrected"),
    [
        ("quantisation", None),
        ("qwantization", "quantization"),
        ("qwantisation", "quantization"),
        ("quantizaton", "quantization"),
        ("qauntization", "quantization"),
        ("quantizzation", "quantization"),
        ("cahce", "cache"),
        ("wieght", "weight"),
    ],
)
def test_small_spelling_mistakes_are_forgiven_and_said(lessons, query, corrected):
    results = search(query)
    assert results.hits
    assert results.corrections == ([(query, corrected)] if corrected else [])


@pytest.mark.parametrize("query", ["Q9", "q5km", "xyzzyx", "9.89", "bat"])
def test_what_is_no_misspelling_is_not_corrected(lessons, query):
    results = search(query)
    assert results.corrections == []
    assert results.unknown == [query]
    assert results.hits == []


def test_the_title_counts_more_than_the_text(lessons):
    assert found("quants")[0] == "types"
    assert found("bits")[0] in LESSONS


def test_a_title_or_summary_with_one_of_the_words_comes_before_many_mentions(tmp_path):
    slugs = [f"l{number}" for number in range(PAGE + 3)]
    content.write(tmp_path, *slugs)
    often = content.LESSON.replace("The {slug} lesson is short.", "Zebra notes. " * 40)
    once = content.LESSON.replace("The {slug} lesson is short.", "A zebra. Its notes.").replace(
        "About {slug}", "About one zebra"
    )
    for slug in slugs:
        content.write_lesson(tmp_path, slug, title=f"Not {slug}", lesson=often)
    for slug in slugs[-2:]:
        content.write_lesson(tmp_path, slug, title=f"Stripes {slug}", lesson=once)
    loader.load(tmp_path, embed=False)
    pages = [[hit.lesson.slug for hit in search("zebra notes", page).hits] for page in (1, 2)]
    assert pages[0][:2] == slugs[-2:]
    assert sorted(pages[0] + pages[1]) == sorted(slugs)


def test_snippets_show_the_words_and_lead_to_their_passage(lessons):
    (hit,) = search("rounding weights").hits
    assert shown(hit.title) == "What a [weight] is"
    first = hit.snippets[0]
    assert (first.anchor, first.section) == ("p-1", "The premise")
    assert [shown(snippet.text) for snippet in hit.snippets] == [
        "A [weight] is a number.",
        "Quantization [rounds] each [weight].",
    ]


def test_if_no_lesson_has_all_words_those_with_some_are_shown(lessons):
    results = search("weight cache")
    assert results.partly
    assert {hit.lesson.slug for hit in results.hits} == {"weights", "cache"}


def test_a_word_that_no_lesson_has_is_named_and_left_out(lessons):
    results = search("cache xyzzyx")
    assert results.unknown == ["xyzzyx"]
    assert [hit.lesson.slug for hit in results.hits] == ["cache"]


def test_the_index_follows_the_lessons(lessons):
    assert SearchVariant.objects.filter(word="llama").exists()
    content.write_lesson(
        lessons, "cache", title="Another", lesson=content.LESSON.replace("short", "zebralike")
    )
    loader.load(lessons, embed=False)
    assert found("llama") == []
    assert found("zebralike") == ["cache"]
    assert not SearchWord.objects.filter(word="llama").exists()
    assert not SearchVariant.objects.filter(word="llama").exists()
    content.write_catalogue(lessons, "weights", "types")
    (lessons / "creators" / "cache").rename(lessons / "creators" / "_cache")
    loader.load(lessons, embed=False)
    assert found("zebralike") == []


def test_lessons_that_were_loaded_before_there_was_an_index_are_found(lessons, either_database):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM lessons_search")
    SearchWord.objects.all().delete()
    assert found("cache") == []
    loader.load(lessons, embed=False)
    assert found("cache") == ["cache"]


def test_results_come_in_pages(tmp_path):
    slugs = [f"l{number}" for number in range(PAGE + 3)]
    loader.load(content.write(tmp_path, *slugs), embed=False)
    first, second = search("memory"), search("memory", 2)
    assert (first.total, first.pages, len(first.hits), len(second.hits)) == (PAGE + 3, 2, PAGE, 3)
    assert not {h.lesson.slug for h in first.hits} & {h.lesson.slug for h in second.hits}
    assert search("memory", 99).page == 2
    assert second.first == PAGE + 1


def test_the_number_of_queries_does_not_grow(tmp_path, django_assert_max_num_queries):
    for count in (1, PAGE + 3):
        slugs = [f"l{number}" for number in range(count)]
        loader.load(content.write(tmp_path, *slugs), embed=False)
        with django_assert_max_num_queries(6):
            search("memory bits")
        with django_assert_max_num_queries(10):
            search("memoory bitz xyzzyx mem")


STRANGE = ["", " ", "\0", "'", '"', "* OR", "NEAR(a b)", "a:b", "{title}: x", "-", "(", ")", "\\"]
STRANGE += ["'; DROP TABLE lessons_search; --", "😀", "a & b | !c", "<script>", "日本語", "É" * 50]
STRANGE += ["x" * 10_000, "😀" * 10_000, "word " * 2_000, "%", "_", "a'b", "٣", "\ud7ff", "ﬁle"]


@pytest.mark.parametrize("query", STRANGE, ids=lambda query: ascii(query[:20]))
def test_any_string_is_answered(lessons, client, query):
    answer = client.get(reverse("search"), {"q": query})
    assert answer.status_code == 200
    assert b"<script>;" not in answer.content


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=60))
def test_any_string_at_all_is_answered(lessons, query):
    search(query)


def test_a_page_number_that_is_none_is_the_first(lessons, client):
    for page in ("0", "-1", "x", "99999999999999999999", "²"):
        assert client.get(reverse("search"), {"q": "weight", "page": page}).status_code == 200


def test_the_page_marks_words_links_passages_and_escapes_the_query(lessons, client):
    html = client.get(reverse("search"), {"q": '"><b>weight'}).content.decode()
    assert "<mark>weight</mark>" in html
    assert 'href="/lessons/weights/#p-1"' in html
    assert "&quot;&gt;&lt;b&gt;weight" in html
    assert "<b>weight" not in html


def test_htmx_gets_only_the_results(lessons, client):
    part = client.get(reverse("search"), {"q": "weight"}, headers={"HX-Request": "true"})
    assert part.content.decode().lstrip().startswith('<div id="results"')
    assert "HX-Request" in part.headers["Vary"]


@given(st.text(alphabet="abcdé", max_size=6), st.text(alphabet="abcdé", max_size=6))
def test_words_one_letter_apart_share_a_deletion(first, second):
    near = words.distance(first, second) == 1
    if near:
        assert words.deletions(first) & words.deletions(second)
    assert words.distance(first, second) == words.distance(second, first)


def test_words_by_their_beginning_come_from_an_index(either_database):
    if search_index.is_sqlite():
        plan = SearchWord.objects.filter(search_index.begins("memr")).explain()
        assert "SEARCH" in plan, plan
    for word in ("memo", "memory", "memórias", "men", "mem\U0010fffe"):
        SearchWord.objects.create(word=word, token=word)
    found = SearchWord.objects.filter(search_index.begins("mem")).values_list("word", flat=True)
    assert set(found) == {"memo", "memory", "memórias", "mem\U0010fffe"}


def test_marks_keep_a_number_and_its_word_on_one_line_and_escape_the_rest():
    html = marked([("<b> ", False), ("4-bit", True), (" and 8-bit", False)])
    nb = '<span class="nb">{}</span>'.format
    assert html == f"&lt;b&gt; <mark>{nb('4-bit')}</mark> and {nb('8-bit')}"
