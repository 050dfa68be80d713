import pytest

from quant.compare import comparison
from quant.models import State
from tests.quant.finished import finished

pytestmark = pytest.mark.django_db
APART = "can’t be compared directly"


def compared(client, a, b) -> str:
    answer = client.get(f"/lab/compare/?a={a.pk}&b={b.pk}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_variants_of_both_stand_in_one_table(client):
    a, b = finished(), finished()
    page = compared(client, a, b)
    assert page.count("<table") == 1
    assert page.count('<th scope="row">Q4_K_M') == 2
    assert page.count("0.112") == 2
    assert page.count("18 of 20") == 2
    assert "No setting:" in page
    assert APART not in page


def test_settings_that_differ_are_named(client):
    a = finished()
    types = ["F16", "Q8_0", "Q4_K_M"]
    changes = {"types": types, "windows": 3, "n_ctx": 256, "pure": True, "prompts": ["Why?"]}
    b = finished(**changes, tasks=[])
    names = [(one.name, one.a, one.b) for one in comparison(str(a.pk), str(b.pk)).differences]
    assert names == [
        ("Window, n_ctx", "512", "256"),
        ("Windows", "12", "3"),
        ("Pure types", "no", "yes"),
        ("Prompts", "1, 1 of them only here", "1, 1 of them only here"),
        ("Questions with answers", "20, 20 of them only here", "none"),
    ]
    page = compared(client, a, b)
    assert "different stretches" in page
    assert "different questions" in page
    assert "<td>–</td>" in page


def test_inputs_of_an_importance_matrix_are_a_setting():
    a, b = finished(), finished()
    b.plan["types"] = ["F16", "IMATRIX-Q4_1"]
    b.save()
    found = comparison(str(a.pk), str(b.pk)).differences
    assert ("not used", "from our sample text") in [(one.a, one.b) for one in found]


def test_another_text_is_warned_of(client):
    page = compared(client, finished(), finished(text="Other. " * 99))
    assert APART in page
    assert "different texts" in page
    assert "Text to measure with" in page


def test_a_text_cut_for_fewer_windows_is_the_same_text():
    long = "Some words. " * 4000
    a = finished(text=long)
    b = finished(windows=1, text=long[: 512 * 16])
    found = comparison(str(a.pk), str(b.pk))
    assert [warning for warning in found.warnings if "different texts" in warning] == []
    assert any("stretches" in warning for warning in found.warnings)


def test_a_text_that_only_begins_the_same_is_another():
    a, b = finished(), finished(text="Some words. " * 90)
    assert any("different texts" in one for one in comparison(str(a.pk), str(b.pk)).warnings)


def test_another_source_is_warned_of_and_a_copy_is_not(client):
    a, copy = finished(), finished(source="/models/copy-F32.gguf")
    assert APART not in compared(client, a, copy)
    page = compared(client, a, finished(name="other-F32.gguf", sha256="cd" * 32))
    assert APART in page
    assert "different models" in page
    assert "<td>other-F32.gguf</td>" in page


def test_a_source_whose_hash_was_not_kept_is_not_called_the_same(client):
    a, b = finished(), finished(sha256="")
    page = compared(client, a, b)
    assert APART in page
    assert f"can’t be told: experiment {b.pk}" in page


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("a={done}&b=99999", "There is no experiment 99999"),
        ("a={done}&b=x<b>", "There is no experiment x&lt;b&gt;"),
        ("a={done}&b=99999999999999999999999", "There is no experiment 9999"),
        ("a={done}&b=" + "9" * 5000, "There is no experiment 9999"),
        ("a={done}&b=²", "There is no experiment ²"),
        ("a={done}", "Choose two finished experiments"),
        ("a={done}&b={done}", "two different experiments"),
        ("a={done}&b={stopped}", "Experiment {stopped} is not finished (stopped)"),
        ("a={done}&b={embedder}", "no figures in common"),
    ],
)
def test_what_can_not_be_compared_says_why(client, query: str, message: str):
    made = {
        "done": finished().pk,
        "stopped": finished(state=State.CANCELLED).pk,
        "embedder": finished(embedder=True).pk,
    }
    query, message = query.format(**made), message.format(**made)
    answer = client.get(f"/lab/compare/?{query}")
    assert answer.status_code == 400
    assert message in answer.content.decode()


def test_two_embedders_are_compared_by_what_they_find(client):
    page = compared(client, *(finished(embedder=True) for _ in range(2)))
    assert page.count("1 of 1") == 6
    assert "mean cosine" in page


def test_the_lab_offers_two_finished_experiments(client):
    a = finished()
    assert "Compare two" not in client.get("/lab/").content.decode()
    b, stopped = finished(), finished(state=State.CANCELLED)
    page = client.get("/lab/").content.decode()
    assert '<label for="pair-a">' in page
    assert f'<option value="{a.pk}" selected>' in page
    assert f'<option value="{b.pk}" selected>' in page
    assert f'<option value="{stopped.pk}"' not in page
    assert client.get("/lab/compare/").status_code == 200
