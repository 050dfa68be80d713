"""A mistake in every place that can hold one: each gets one clear error, and nothing changes."""

import re

import pytest

from lessons import loader
from lessons.models import Lesson
from lessons.problems import LessonErrors
from tests.lessons import content

pytestmark = pytest.mark.usefixtures("either_database")

FIGURE = (
    '<svg viewBox="0 0 640 99" role="img">\n<title>Bars</title>\n'
    '<rect class="fig-a" x="0" y="0" width="9" height="9"/>\n'
    '<text class="fig-t" x="0" y="20" font-size="20">A</text>\n</svg>\n'
)
CHOICE_A = "    - text: Choice a\n      because: Reason a.\n"
ITEM = "- Save memory with fewer bits.\n"
PICTURE = ITEM + "\n![Bars](bars.svg)\n"
P = "It names 4 bits.[^1]"

# file, what stands there (once, the first time), what stands there instead, line, what is said
MISTAKES = [
    ("lesson.md", "title: ", "titel: ", 2, 'an unknown field "titel"; write title'),
    ("lesson.md", "title: T", "# T", 3, "front matter: title is missing; add title: …"),
    ("lesson.md", "title: T", "colour: red\ntitle: T", 2, 'has an unknown field "colour"'),
    ("lesson.md", "title: T", 'title: "T', 8, "not valid YAML"),
    ("lesson.md", "title: T", "title: a: b", 2, "not valid YAML (mapping values"),
    ("lesson.md", "---\ntitle", "title", 1, "there is no front matter"),
    ("lesson.md", "summary: ", "topic: A\nsummary: ", 5, '"topic" stands here twice'),
    ("lesson.md", "minutes: 1", "minutes: some", 5, 'minutes "some" is not a whole number'),
    ("lesson.md", "minutes: 1", "minutes: 9", 5, "minutes is 9, but the text takes about 1"),
    ("lesson.md", "related: []", "related: yes", 6, "related is not a list"),
    ("lesson.md", "related: []", "related: [nobody]", 6, '"nobody" is not in the catalogue'),
    ("lesson.md", "## The premise\n", "", 10, 'the section "The premise" is missing'),
    ("lesson.md", ITEM, ITEM + "\n## The premise\n\nAgain.\n", 19, "stands here twice"),
    ("lesson.md", "It names", "It <b>names</b>", 13, "raw HTML: <b>"),
    ("lesson.md", "It names 4 bits.", "It names $\\frac{1$ bits.", 13, "not valid LaTeX"),
    ("lesson.md", "## The premise", "# The premise", 11, "is a heading of level 1"),
    ("lesson.md", "bits.[^1]", "bits.[^1] So.[^2]", 13, "[^2] names a source that is not there"),
    ("lesson.md", "bits.[^1]", "bits.", 8, "source 1 is never used (“A report, 2026”)"),
    ("lesson.md", "4 bits.[^1]", "4[^1] bits.", 13, "stands inside a sentence"),
    ("lesson.md", "It names", "[It](/lessons/nobody/) names", 13, "leads to no lesson"),
    ("lesson.md", "It names", "[It](#nowhere) names", 13, "leads to no heading of it; use one of"),
    ("lesson.md", "It names", "[It](/nowhere/) names", 13, "leads to no page of this site"),
    (
        "lesson.md",
        "It names",
        "[It](/lab/?source=nobody) names",
        13,
        "chooses no model of the registry",
    ),
    ("lesson.md", "It names", "[It](/lab/?types=Q8_0,Q4_K_L) names", 13, "no type: Q4_K_L; use Q8"),
    ("lesson.md", "It names", "[It](/lab/?type=Q8_0) names", 13, "chooses by type, which is no"),
    ("lesson.md", "It names", "[It](/lab/layer/?method=ROUND) names", 13, "in method"),
    ("lesson.md", "It names", "[It](/lab/layer/?bits=1) names", 13, "in bits"),
    ("lesson.md", "It names", "[It](/planner/?model=nobody) names", 13, "chooses what there isn't"),
    ("lesson.md", "It names", "[It](/planner/?quant=Q9) names", 13, "chooses what there isn't"),
    ("lesson.md", "It names", "[It](/planner/?contxt=8192) names", 13, "chooses by contxt"),
    ("lesson.md", "It names", "[It](nowhere.html) names", 13, "leads nowhere"),
    ("lesson.md", "It names", "[It](//lab/lab/) names", 13, "leads nowhere"),
    ("lesson.md", "It names", "[It](//[/lab/) names", 13, "leads nowhere"),
    ("lesson.md", "It names", "[It](javascript:a) names", 13, "a link is not understood"),
    ("lesson.md", ITEM, ITEM + "\n![Bars](lost.svg)\n", 19, "the figure lost.svg is missing"),
    ("lesson.md", ITEM, ITEM + "\n![](bars.svg)\n", 19, "the image bars.svg has no alt text"),
    ("lesson.md", ITEM, ITEM + "\n![Photo](a.png)\n", 19, '"a.png" cannot be a figure'),
    ("lesson.md", "The premise\n", "The premise\n\x07", 12, "a control character (U+0007)"),
    ("lesson.md", ITEM, ITEM + "\n> [!SHOUT]\n> Text.\n", 19, "[!SHOUT] is not a callout"),
    ("lesson.md", '- "A report, 2026"', "- [a]", 8, "sources: an entry is not text"),
    ("lesson.md", P, P + "\n\n| a | b |\n| - | - |\n| 1 | 2 | 3 |", 17, "the row has 1 more than"),
    ("lesson.md", P, P + "\n\n| a | b |\n| 1 | 2 |", 15, "a table is not understood"),
    ("lesson.md", P, P + "\n\n##Two", 15, "a heading has no space after its #"),
    ("lesson.md", P, P + "\n\n### ", 15, "a heading is empty"),
    ("lesson.md", P, P + "\n\n> [! NOTE]\n> Text.", 15, "a box is not understood"),
    ("lesson.md", P, P + "\n\n```\ncode", 15, "``` is not closed"),
    ("lesson.md", P, P + "\n\nOne.\n$$a = b", 16, "a $$ has no other"),
    ("lesson.md", P, P + "\n\nSee [](/lab/).", 15, "a link has no text"),
    ("lesson.md", ITEM, ITEM[2:], 15, 'the section "What AI does well here" has no list'),
    ("lesson.md", "1. Ask", "- Ask", 23, 'the section "Practice this safely" has no numbered'),
    ("lesson.md", ITEM, PICTURE.replace("bars", "Bars"), 19, '"Bars.svg" cannot be a figure'),
    ("bars.svg", 'class="fig-a" ', "", 3, "<rect> has no class"),
    ("bars.svg", "640 99", "640 0", 1, 'viewBox is "0 0 640 0"'),
    ("bars.svg", "<rect", '<image href="a.png"/><rect', 3, "<image> is not allowed"),
    ("bars.svg", FIGURE, "<html><p/></html>", 1, "the file is not an SVG drawing"),
    ("quiz.yaml", "Question 1?", "Question 2?", 14, "asks the same as the one on line 1"),
    ("quiz.yaml", "passage: Save memory with fewer bits.", "passage: e", 13, "passage is only “e”"),
    ("bars.svg", "<rect", '<rect fill="red"', 3, 'attribute "fill" of <rect> is not allowed'),
    ("bars.svg", "<rect", '<rect onclick="a()"', 3, 'attribute "onclick" of <rect> is not'),
    ("bars.svg", "<text", "<script>a()</script><text", 4, "<script> is not allowed in a figure"),
    ("bars.svg", "<svg", "<!DOCTYPE svg><svg", 1, "the figure has a DOCTYPE"),
    ("bars.svg", "</svg>", "", 6, "the figure is not well-formed XML"),
    ("bars.svg", "fig-a", "red", 3, 'class "red" is not known'),
    ("bars.svg", "640 99", "320 99", 1, 'viewBox is "0 0 320 99"'),
    ("bars.svg", "<title>Bars</title>", "", 1, "the figure has no title"),
    ("bars.svg", 'font-size="20"', 'font-size="9"', 4, "text in the figure has font-size 9"),
    ("bars.svg", ' role="img"', "", 1, "the svg element lacks role"),
    ("quiz.yaml", "- id: q1\n", "- id: [\n", 3, "not valid YAML"),
    ("quiz.yaml", "- id: q2\n", "- id: q1\n", 14, 'the id "q1" is taken by the question on line 1'),
    ("quiz.yaml", "- id: q1\n", "- id: Q 1\n", 1, 'id "Q 1" is not a short name'),
    ("quiz.yaml", content.question(10), "", 105, "the quiz has 9 questions; write exactly 10"),
    ("quiz.yaml", CHOICE_A, "", 3, 'question "q1": choices are 3; write exactly 4'),
    ("quiz.yaml", "      correct: true\n", "", 3, 'question "q1": choices name no right one'),
    ("quiz.yaml", CHOICE_A, CHOICE_A + "      correct: true\n", 3, "choices name 2 right ones"),
    ("quiz.yaml", "correct: true", "correct: maybe", 7, 'correct is "maybe"; write true, or'),
    ("quiz.yaml", "      because: Reason a.\n", "", 4, "because is missing; add because: …"),
    ("quiz.yaml", "Choice a", "Choice c", 3, "choices say the same twice"),
    (
        "quiz.yaml",
        "  passage: Save",
        "  passage: Spend",
        13,
        "perhaps “Save memory with fewer bits.”",
    ),
    ("quiz.yaml", "  ask: Question 1?\n", "", 1, 'question "q1": ask is missing'),
    ("quiz.yaml", "  ask: Q", "  hint: a\n  ask: Q", 2, 'has an unknown field "hint"'),
    ("notes.txt", "", "text", 1, "does not belong to a lesson; keep lesson.md, quiz.yaml and"),
    ("spare.svg", "", FIGURE, 1, "no figure of the lesson uses it; use it or remove it"),
]


def spoil(directory, slug, mistake) -> None:
    name, old, new, _, _ = mistake
    lesson = content.LESSON.replace(ITEM, PICTURE) if name == "bars.svg" else content.LESSON
    folder = content.write_lesson(directory, slug, lesson=lesson)
    if "bars.svg" in (name, *re.findall(r"bars\.svg", new.lower())):
        (folder / "bars.svg").write_text(FIGURE)
    path = folder / name
    text = path.read_text() if path.exists() else ""
    assert old in text
    path.write_text(text.replace(old.replace("title: T", f"title: {slug[0].upper()}"), new, 1))


def problems(directory) -> list[str]:
    with pytest.raises(LessonErrors) as caught:
        loader.load(directory)
    return [str(problem).replace(f"{directory}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m[0]}-{m[4][:40]}")
def test_each_mistake_gets_one_error_with_file_line_and_cure(tmp_path, mistake):
    name, _, _, line, says = mistake
    directory = content.write(tmp_path, "tone")
    spoil(directory, "tone", mistake)
    found = problems(directory)
    assert len(found) == 1, found
    assert found[0].startswith(f"creators/tone/{name}:{line}: ")
    assert says in found[0]
    assert re.search(r": [^;]+; .", found[0])


def test_all_mistakes_of_a_folder_are_said_at_once_and_nothing_changes(tmp_path):
    directory = content.write(tmp_path, "good")
    loader.load(directory)
    before = list(Lesson.objects.values())
    slugs = [f"t{number}" for number in range(len(MISTAKES))]
    for slug, mistake in zip(slugs, MISTAKES, strict=True):
        spoil(directory, slug, mistake)
    content.write_lesson(directory, "good", lesson=content.LESSON.replace("short", "long"))
    content.write_catalogue(directory, "good", *slugs, "nobody")
    (directory / "creators" / "stranger").mkdir()
    found = problems(directory)
    assert len(found) == len(MISTAKES) + 2
    for slug, (name, _, _, line, says) in zip(slugs, MISTAKES, strict=True):
        (mine,) = [error for error in found if error.startswith(f"creators/{slug}/")]
        assert mine.startswith(f"creators/{slug}/{name}:{line}: ")
        assert says in mine
    assert list(Lesson.objects.values()) == before


CATALOGUE = [
    ("- tone", "- tone\n      - tone", 6, 'the lesson "tone" stands here twice (also on line 5)'),
    ("- tone", "- tone\n      - Bad_Slug", 6, '"Bad_Slug" cannot be the address of a lesson'),
    ("- tone", "- tone\n      - nobody", 6, 'names "nobody", but there is no folder'),
    ("- tone", "- ../tone", 5, '"../tone" cannot be the address of a lesson'),
    ("    slug: creators\n", "    slug: creators\n    colour: red\n", 4, "unknown field"),
    ("- name: Creators", "- name: [", 4, "not valid YAML"),
    ("tracks:", "tracks: [", 2, "not valid YAML"),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), CATALOGUE)
def test_mistakes_of_the_catalogue(tmp_path, old, new, line, says):
    directory = content.write(tmp_path, "tone")
    path = directory / "catalogue.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    found = problems(directory)
    assert any(e.startswith(f"catalogue.yaml:{line}: ") and says in e for e in found), found


def test_a_folder_that_the_catalogue_does_not_name(tmp_path):
    directory = content.write(tmp_path, "tone")
    content.write_lesson(directory, "other")
    assert "is not in the catalogue; add other" in problems(directory)[0]


@pytest.mark.parametrize("name", [".git/objects", "_old/draft", "creators/_draft"])
def test_hidden_folders_and_drafts_are_left_alone(tmp_path, name):
    directory = content.write(tmp_path, "tone")
    (directory / name).mkdir(parents=True)
    (directory / "creators" / "tone" / ".lesson.md.swp").write_text("an editor's")
    assert loader.check(directory) == 1


def test_a_file_that_is_not_utf8_names_its_line(tmp_path):
    directory = content.write(tmp_path, "tone")
    path = directory / "creators" / "tone" / "quiz.yaml"
    path.write_bytes(path.read_bytes().replace(b"Choice c", b"Choice \xff"))
    assert problems(directory) == [
        "creators/tone/quiz.yaml:9: the file is not UTF-8; save it with the encoding UTF-8"
    ]


@pytest.mark.parametrize("name", ["lesson.md", "quiz.yaml", "catalogue.yaml"])
def test_a_missing_file_is_named(tmp_path, name):
    directory = content.write(tmp_path, "tone")
    next(directory.rglob(name)).unlink()
    assert f"{name}:1: the file is missing" in "\n".join(problems(directory))


def test_a_missing_folder_is_named(tmp_path):
    assert "there is no such folder" in problems(tmp_path / "nowhere")[0]


def test_two_lessons_of_one_title(tmp_path):
    directory = content.write(tmp_path, "one", "two")
    content.write_lesson(directory, "two", title="One")
    (found,) = problems(directory)
    assert found.startswith("creators/two/lesson.md:2: the title is that of")


def test_sections_in_the_wrong_order(tmp_path):
    directory = content.write(tmp_path, "tone")
    swapped = content.LESSON.replace("What AI does well here", "X").replace(
        "What AI cannot do", "What AI does well here"
    )
    content.write_lesson(directory, "tone", lesson=swapped.replace("## X", "## What AI cannot do"))
    (found,) = problems(directory)
    assert 'the section "What AI cannot do" is in the wrong place; the order is' in found
