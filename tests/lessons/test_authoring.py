"""What an author does: start a lesson, watch it, take a quiz in and out, read the guide."""

import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from lessons import catalogue, folder, generated, gift, guide, loader, qti, start
from lessons.management.commands import load_lessons
from lessons.models import Lesson, Passage
from lessons.problems import Problems
from lessons.quizfile import ParsedChoice, ParsedQuestion
from tests.lessons import content
from tests.lessons.pages import Page

QTI = "{http://www.imsglobal.org/xsd/imsqtiasi_v3p0}"


def run(name: str, *args: object, **options: object) -> str:
    out = io.StringIO()
    call_command(name, *map(str, args), stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("title", ["Plain", 'With: "quotes" # and more', "no", "- 2", "日本"])
def test_a_new_lesson_is_valid_at_once(tmp_path, title):
    run("new_lesson", "first", title=title, directory=tmp_path)
    run("new_lesson", "second", title="Another", directory=tmp_path)
    assert loader.check(tmp_path) == 2
    text = (tmp_path / "catalogue.yaml").read_text()
    assert text.endswith("lessons:\n      - first\n      - second\n")


def test_the_catalogue_keeps_its_comments_and_other_tracks(tmp_path):
    (tmp_path / "catalogue.yaml").write_text(
        "# ours\ntracks:\n- name: A\n  slug: a\n  lessons: # none yet\n"
        "  - one # the first\n- name: B\n  slug: b\n  lessons: []\n"
    )
    start.new_lesson(tmp_path, "two", "Two", track="b")
    start.new_lesson(tmp_path, "three", "Three", track="a")
    assert (tmp_path / "catalogue.yaml").read_text() == (
        "# ours\ntracks:\n- name: A\n  slug: a\n  lessons: # none yet\n"
        "  - one # the first\n  - three\n- name: B\n  slug: b\n  lessons:\n      - two\n"
    )


@pytest.mark.parametrize(
    ("slug", "track", "says"),
    [
        ("Bad Slug", "", "cannot be an address"),
        ("good--bad", "", "cannot be an address"),
        ("one", "", "has a lesson one already"),
        ("two", "nowhere", "no track “nowhere”: use creators"),
    ],
)
def test_a_lesson_that_cannot_start_says_why(tmp_path, slug, track, says):
    content.write(tmp_path, "one")
    before = (tmp_path / "catalogue.yaml").read_text()
    with pytest.raises(CommandError, match=says):
        run("new_lesson", slug, title="T", track=track, directory=tmp_path)
    assert (tmp_path / "catalogue.yaml").read_text() == before


@pytest.mark.django_db
def test_watching_loads_each_saved_file_and_survives_mistakes(tmp_path, monkeypatch, capsys):
    directory = content.write(tmp_path, "one")
    saves = iter(["is long.", "is <b>long</b>.", "is right."])
    seen = []

    def save(seconds: float) -> None:
        seen.append(Lesson.objects.get().text.split("\n")[2])
        text = next(saves, None)
        if text is None:
            raise KeyboardInterrupt
        content.write_lesson(directory, "one", lesson=content.LESSON.replace("is short.", text))

    monkeypatch.setattr(load_lessons.time, "sleep", save)
    monkeypatch.setattr("lessons.embeddings.embed_missing", lambda progress: 0)
    call_command("load_lessons", str(directory), watch=True)
    assert [line.split(" It ")[0] for line in seen] == [
        "The one lesson is short.",
        "The one lesson is long.",
        "The one lesson is long.",
        "The one lesson is right.",
    ]
    assert "lesson.md:13: raw HTML: <b>" in capsys.readouterr().err


def test_a_quiz_goes_out_as_gift_and_comes_back_the_same(tmp_path):
    content.write(tmp_path, "one")
    odd = "Half = {a} ~ 50% #1: \\n C:\\x"
    quiz = tmp_path / "creators" / "one" / "quiz.yaml"
    quiz.write_text(content.QUIZ.replace("Choice a", f"'{odd}'", 1))
    out = tmp_path / "one.gift"
    run("quiz_export", "one", directory=tmp_path, out=out)
    with pytest.raises(CommandError, match="add --replace"):
        run("quiz_import", "one", out, directory=tmp_path)
    said = run("quiz_import", "one", out, directory=tmp_path, replace=True)
    assert "10 questions" in said
    assert "Before the lesson can be loaded" not in said
    run("quiz_export", "one", directory=tmp_path, out=tmp_path / "again.gift")
    assert (tmp_path / "again.gift").read_text() == out.read_text()
    problems = Problems()
    lesson = folder.read(catalogue.entry_of(tmp_path, "one"), problems)
    assert lesson.questions[0].choices[0].text == odd
    assert not problems


PIECE = st.one_of(
    st.text(alphabet="ab Z9~=#{}:\\%[]/$<>&;-.“é中😀\ue041\n", min_size=1, max_size=30),
    st.sampled_from(["[html]", "[plain]", "%50%", "<b>x</b>", "&amp;", "\\n", "####", "//", "->"]),
)
TEXT = st.lists(PIECE, min_size=1, max_size=3).map("".join).filter(str.strip)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=4, max_size=4), TEXT, TEXT, st.integers(0, 3))
def test_any_text_survives_gift(choices, ask, passage, right):
    def plain(text):
        return " ".join(text.split())

    question = ParsedQuestion(
        "a-key",
        plain(ask),
        tuple(
            ParsedChoice(plain(text), place == right, plain(because))
            for place, (text, because) in enumerate(choices)
        ),
        plain(passage),
        "",
    )
    problems = Problems()
    assert gift.parse(gift.dump([question], "T"), problems) == [question]
    assert not problems


MOODLE = """\
// question: 12  name: Tomb
$CATEGORY: top/Default for History

::Tomb::[html]<p>Who\\'s buried in <em>Grant\\'s</em> tomb?</p>{
	~%-50%Grant#Not he.
	=%100%<p>no one &amp; nothing</p>#Right\\: it is a mausoleum.
	~Jefferson
	~Lincoln
}

The capital of France is {~Rome =Paris ~Bonn ~Bern} and always was.
"""


def test_questions_of_other_systems_are_read():
    problems = Problems()
    first, second = gift.parse(MOODLE, problems)
    assert not problems
    assert first.key == "tomb"
    assert first.ask == "Who's buried in Grant's tomb?"
    assert [(c.text, c.correct, c.because) for c in first.choices[:2]] == [
        ("Grant", False, "Not he."),
        ("no one & nothing", True, "Right: it is a mausoleum."),
    ]
    assert second.ask == "The capital of France is _____ and always was."
    assert [c.text for c in second.choices if c.correct] == ["Paris"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_mark_line_ends_and_comments_are_no_part_of_a_question(tmp_path, end):
    content.write(tmp_path, "one")
    lines = ["\ufeff// first", "$CATEGORY: top", "", "Q {", "=a", "// aside", "~b // kept", "}"]
    file = tmp_path / "q.gift"
    file.write_bytes(end.join([*lines, "", "// last", "Odd {", "// aside", "T}", ""]).encode())
    with pytest.raises(CommandError, match=re.escape("q.gift:11: “Odd” is a true/false")):
        run("quiz_import", "one", file, directory=tmp_path, replace=True)
    (read,) = gift.parse("\n".join(lines[1:]), Problems())
    assert read.ask == "Q"
    assert [choice.text for choice in read.choices] == ["a", "b // kept"]


def test_escapes_stand_for_themselves_and_other_backslashes_stay():
    text = r"a \~ \= \# \{ \} \: \\ \中 \x and 1 < 2 {=C\:\\x#1 \< 2 ~<p>if a < b</p>}"
    (read,) = gift.parse(text, Problems())
    assert read.ask == r"a ~ = # { } : \ \中 \x and 1 < 2"
    assert [choice.text for choice in read.choices] == [r"C:\x", "if a < b"]


@given(st.text(alphabet="a ~=#{}:\\%[]<>/-\r\n1.T", max_size=60))
def test_any_file_gives_questions_or_a_problem(text):
    problems = Problems()
    assert gift.parse(text, problems) or problems


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Sky is blue. {T}", "a true/false question"),
        ("Two plus two? {#4:0}", "a numerical question"),
        ("Two? {=two =2}", "a short-answer question"),
        ("Match. {=a -> b =c -> d}", "a matching question"),
        ("Write. {}", "an essay question"),
        ("Both? {~%50%a ~%50%b ~c}", "a question with answers that are partly right"),
        ("None? {~a ~b}", "a question with 0 right answers"),
        ("Two? {=a =b ~c}", "a question with 2 right answers"),
        ("Odd weight? {~%1.2.3%a ~b}", "a question with 0 right answers"),
        ("Lower case? {true}", "a question without = or ~ before its answers"),
        ("{=a ~b}", "a question has answers and no text"),
        ("Gap? {=a ~}", "“Gap?” has an empty answer"),
        ("Open? {=a ~b", "a { is not closed"),
        ("Closed? =a ~b}", "a } closes no {"),
        ("Around? }=a ~b{", "a } comes before its {"),
        ("One? {=a ~b}\nTwo? {=c ~d}", "2 pairs of { and } stand in one question"),
        ("Only a text.", "a question has no { answers }"),
        ("", "there is no question in the file"),
    ],
)
def test_questions_that_cannot_be_taken_over_are_named_with_their_line(tmp_path, text, says):
    content.write(tmp_path, "one")
    file = tmp_path / "q.gift"
    file.write_text(f"// a comment\n\n{text}\n")
    quiz = (tmp_path / "creators" / "one" / "quiz.yaml").read_text()
    with pytest.raises(CommandError, match=re.escape(says)) as caught:
        run("quiz_import", "one", file, directory=tmp_path, replace=True)
    assert re.search(r"q\.gift:[13]: ", str(caught.value))
    assert (tmp_path / "creators" / "one" / "quiz.yaml").read_text() == quiz


def test_import_says_what_is_missing_and_suggests_a_passage(tmp_path):
    content.write(tmp_path, "one")
    file = tmp_path / "q.gift"
    file.write_text("What saves memory? {=fewer bits#So. ~more bits ~a bit ~no bits}\n")
    said = run("quiz_import", "one", file, directory=tmp_path, replace=True)
    assert "passage is missing; copy words from the sentence that holds the answer; " in said
    assert "perhaps “Save memory with fewer bits.”" in said
    assert "because is missing" in said
    assert "the quiz has 1 question; write exactly 10" in said


def test_a_quiz_goes_out_as_a_qti_3_package(tmp_path):
    content.write_lesson(tmp_path, "one", title='"A < B & C"')
    content.write_catalogue(tmp_path, "one")
    out = tmp_path / "one.zip"
    run("quiz_export", "one", directory=tmp_path, format="qti3", out=out)
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        parts = {name: ElementTree.fromstring(archive.read(name)) for name in names}
    manifest = parts["imsmanifest.xml"]
    listed = {node.get("href") for node in manifest.iter() if node.tag.endswith("}resource")}
    assert listed == set(names) - {"imsmanifest.xml"}
    test = parts["test.xml"]
    assert test.get("title") == "A < B & C"
    refs = [node.get("href") for node in test.iter(f"{QTI}qti-assessment-item-ref")]
    assert len(refs) == 10
    item = parts[refs[0]]
    assert item.find(f".//{QTI}qti-correct-response/{QTI}qti-value").text == "B"
    choices = {c.get("identifier"): c.text for c in item.iter(f"{QTI}qti-simple-choice")}
    assert choices["B"] == "Choice b"
    feedback = {
        node.get("identifier"): "".join(node.itertext()).strip()
        for node in item.iter(f"{QTI}qti-modal-feedback")
    }
    assert feedback == {letter: f"Reason {letter.lower()}." for letter in "ABCD"}


def test_each_part_of_the_package_has_what_qti_3_asks_for():
    choices = tuple(ParsedChoice(f"<{n}> & co", n == 2, f"Since {n} < 5.") for n in range(4))
    questions = [
        ParsedQuestion(key, "A & \x07B?", choices, "Words.", "") for key in ("9-lives", "b")
    ]
    with zipfile.ZipFile(io.BytesIO(qti.package(questions, 'A "title" <b>'))) as archive:
        names = archive.namelist()
        parts = {name: ElementTree.fromstring(archive.read(name)) for name in names}
    manifest = parts.pop("imsmanifest.xml")
    cp = "{http://www.imsglobal.org/xsd/qti/qtiv3p0/imscp_v1p1}"
    assert [node.tag for node in manifest] == [
        f"{cp}{name}" for name in ("metadata", "organizations", "resources")
    ]
    resources = {node.get("identifier"): node for node in manifest.iter(f"{cp}resource")}
    assert all(node.find(f"{cp}file").get("href") in parts for node in resources.values())
    needed = {node.get("identifierref") for node in manifest.iter(f"{cp}dependency")}
    assert needed == set(resources) - {"test"}
    test = parts.pop("test.xml")
    refs = {ref.get("identifier"): ref for ref in test.iter(f"{QTI}qti-assessment-item-ref")}
    assert set(refs) == needed
    for name, ref in refs.items():
        item = parts[ref.get("href")]
        assert item.tag == f"{QTI}qti-assessment-item"
        assert item.get("identifier") == name
        assert item.get("title")
        assert (item.get("adaptive"), item.get("time-dependent")) == ("false", "false")
        order = [node.tag.removeprefix(f"{QTI}qti-") for node in item]
        assert order == [
            "response-declaration",
            *["outcome-declaration"] * 2,
            "item-body",
            "response-processing",
            *["modal-feedback"] * 4,
        ]
        interaction = item.find(f"{QTI}qti-item-body/{QTI}qti-choice-interaction")
        declared = item.find(f"{QTI}qti-response-declaration")
        assert interaction.get("response-identifier") == declared.get("identifier")
        offered = [node.get("identifier") for node in interaction.iter(f"{QTI}qti-simple-choice")]
        assert len(set(offered)) == 4
        assert [value.text for value in declared.iter(f"{QTI}qti-value")] == [offered[2]]
        for identifier in (name, *offered):
            assert re.fullmatch(r"[A-Za-z_][\w.-]*", identifier), "not an NCName"


def test_a_lesson_that_is_not_there_is_named(tmp_path):
    content.write(tmp_path, "one")
    with pytest.raises(CommandError, match=r"no lesson onne in .*; did you mean one\?"):
        run("quiz_export", "onne", directory=tmp_path)


@pytest.mark.django_db
def test_a_made_up_catalogue_loads_like_any_other(tmp_path):
    assert "12 made-up lessons" in run("fill_catalogue", 12)
    assert Lesson.objects.count() == 12
    assert Passage.objects.filter(lesson__position=12).count() > 80
    assert Lesson.objects.get(position=1).keep_going.count() == 3
    assert "0 of them new" in run("fill_catalogue", 12)


@pytest.mark.django_db
def test_real_lessons_are_not_replaced_by_made_up_ones_unasked(tmp_path):
    loader.load(content.write(tmp_path, "one"), embed=False)
    with pytest.raises(CommandError, match="holds 1 real lessons"):
        run("fill_catalogue", 3)
    assert Lesson.objects.get().slug == "one"
    run("fill_catalogue", 3, replace=True)
    assert Lesson.objects.filter(slug__startswith=generated.PREFIX).count() == 3
    assert Lesson.objects.count() == 3


@pytest.mark.django_db
def test_the_authors_page_shows_the_guide(client):
    answer = client.get(reverse("authors"))
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "manage.py new_lesson" in html
    Page(guide.authors_guide().html)
    for heading in guide.authors_guide().headings:
        assert f'id="{heading["anchor"]}"' in html


def test_the_guide_names_every_field_class_and_callout():
    from lessons.figures import CLASSES
    from lessons.folder import FIELDS
    from lessons.markdown import CALLOUTS, SECTIONS

    text = Path(guide.FILE).read_text()
    for name in (*FIELDS, *CLASSES, *CALLOUTS, "DEEPER", *SECTIONS):
        assert name in text, name
