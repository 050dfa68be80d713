import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.ask import answers
from quant.evals import TaskError, as_text, chance, is_right, parse


def silent(*state) -> None:
    pass


def test_a_pasted_table_and_json_lines_are_read_alike():
    text = 'How long?\t35 minutes | 35 min\n\n{"prompt": "2 + 2?", "expected": 4}\nCapital?;Paris'
    assert parse(text) == [
        {"id": "1", "question": "How long?", "expected": ["35 minutes", "35 min"]},
        {"id": "3", "question": "2 + 2?", "expected": ["4"]},
        {"id": "4", "question": "Capital?", "expected": ["Paris"]},
    ]


def test_a_choice_keeps_its_options():
    line = '{"id": "quiz/one", "question": "Which?", "options": ["a", "b"], "correct": 1}'
    assert parse(line) == [
        {"id": "quiz/one", "question": "Which?", "options": ["a", "b"], "correct": 1}
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no answer here", "a question, a tab"),
        ("question\t!!!", "no letter or digit"),
        ('{"question": "Which?"', "not JSON"),
        ('{"expected": "x"}', '"question" is missing'),
        ('{"question": "Which?"}', 'neither "options" nor "expected"'),
        ('{"question": "Which?", "options": ["a"], "correct": 0}', "2 to 10"),
        ('{"question": "Which?", "options": ["a", 1], "correct": 0}', "no text"),
        ('{"question": "Which?", "options": ["a", "b"], "correct": 2}', "0 to 1"),
    ],
)
def test_a_mistake_in_line_17_names_line_17(line: str, message: str):
    with pytest.raises(TaskError, match=r"^Line 17: ") as error:
        parse("question\tanswer\n" * 16 + line + "\nquestion\tanswer")
    assert message in str(error.value)


def test_nothing_and_too_much_are_refused():
    with pytest.raises(TaskError, match="no task"):
        parse("\n \n")
    with pytest.raises(TaskError, match="More than 1000"):
        parse("question\tanswer\n" * 1001)


@given(st.lists(st.tuples(st.text(), st.text())))
def test_what_was_read_is_written_so_that_it_reads_the_same(pairs: list[tuple[str, str]]):
    lines = [json.dumps({"question": ask, "expected": [answer]}) for ask, answer in pairs]
    try:
        tasks = parse("\n".join(lines))
    except TaskError:
        return
    again = parse(as_text(tasks))
    assert [task["question"].strip() for task in again] == [
        task["question"].strip() for task in tasks
    ]
    assert [is_right(task["expected"][0], task["expected"]) for task in again] == [True] * len(
        tasks
    )


@given(st.text())
def test_whatever_is_pasted_gives_tasks_or_a_line_with_a_mistake(text: str):
    try:
        tasks = parse(text)
    except TaskError:
        return
    assert all(task["question"].strip() for task in tasks)


def test_an_answer_is_right_if_it_says_the_expected_words():
    assert is_right("It takes 35 Minutes.", ["half an hour", "35 minutes"])
    assert is_right("Paris!", ["paris"])
    assert not is_right("135 minutes", ["35 minutes"])
    assert not is_right("", ["x"])


def test_chance_is_what_guessing_gives():
    choice = {"options": ["a", "b", "c", "d"]}
    assert chance([choice, choice]) == 0.25
    assert chance([choice, {"expected": ["x"]}]) == 0.125


def test_a_model_chooses_the_option_it_finds_likeliest(real):
    tasks = parse(
        '{"question": "Which animal says meow?", "options": ["A cat.", "A spoon."], "correct": 0}\n'
        '{"question": "Which animal says meow?", "options": ["Seven.", "A cat."], "correct": 0}\n'
        "Which animal says meow?\tcat\n"
        "How many days are in a week?\tseven | 7"
    )
    model = str(real("smollm2-135m-instruct-Q4_1.gguf"))
    found = answers(model, tasks, 1, silent)["tasks"]
    assert [task["right"] for task in found] == [True, False, True, True]
    assert [task["given"] for task in found[:2]] == ["A cat.", "A cat."]


def test_options_together_score_as_each_alone(tiny):
    """One batch for all options must not let them see each other."""
    question, options = "What?", ["abc", "b", "cabcab"]

    def chosen(these: list[str]) -> str:
        task = {"id": "1", "question": question, "options": these, "correct": 0}
        return answers(str(tiny), [task], 1, silent)["tasks"][0]["given"]

    best = chosen(options)
    assert chosen(options[::-1]) == best
    for other in options:
        assert chosen([other, best]) == best


def test_a_task_longer_than_the_context_is_named(tiny):
    task = {"id": "9", "question": "x" * 300, "expected": ["y"]}
    with pytest.raises(TaskError, match="Task 9"):
        answers(str(tiny), [task], 1, silent)
