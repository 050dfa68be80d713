from quant.rows import Row
from quant.search_report import SearchReport


def report(ranks: list[int], limit: float = 0.9) -> SearchReport:
    def figures(kind: str, size: int, ranks: list[int]) -> dict:
        outputs = [
            {"prompt": f"q{n}", "text": f"passage {n}" if rank == 1 else "another", "rank": rank}
            | {"cosine": 0.5}
            for n, rank in enumerate(ranks)
        ]
        return {"type": kind, "bytes": size, "outputs": outputs, "passages": 40}

    reference = figures("F16", 100, [1] * len(ranks))
    return SearchReport(
        [Row(reference, reference), Row(figures("Q4_0", 30, ranks), reference)], limit
    )


def test_few_questions_cant_tell():
    said = report([1] * 20).verdict
    assert said.startswith(
        "Q4_0 finds the same passage first as F16 for 20 of 20 questions, at 30%"
    )
    assert "can’t be told from 20 questions" in said


def test_the_best_is_named_and_what_is_lost_below_it():
    def figures(kind: str, size: int, right: int) -> dict:
        outputs = [{"prompt": "q", "text": "p", "rank": 1, "cosine": 0.5}] * right
        outputs += [{"prompt": "q", "text": "p", "rank": 2, "cosine": 0.5}] * (40 - right)
        return {"type": kind, "bytes": size, "outputs": outputs, "passages": 40}

    reference = figures("F16", 100, 40)

    def said(*found: tuple[str, int, int]) -> str:
        rows = [Row(figures(*one), reference) for one in found]
        return SearchReport([Row(reference, reference), *rows], 0.9).verdict

    sure = said(("Q8_0", 60, 40), ("Q4_K_M", 45, 40), ("Q2_K", 42, 36))
    assert sure.startswith("Q4_K_M finds the same passage first as F16 for 40 of 40 questions")
    assert sure.endswith("surely within your limit of 90%. Q2_K, at 42%, falls to 36.")
    unsure = said(("Q8_0", 60, 37), ("Q2_K", 42, 34))
    assert unsure.startswith("Q8_0 finds the same passage first as F16 for 37 of 40")
    assert unsure.endswith("Q2_K, at 42%, falls to 34.")


def test_many_alike_are_within_the_limit_and_many_unlike_are_not():
    assert "surely within your limit of 90%" in report([1] * 100).verdict
    assert report([1, 7] * 50).verdict.startswith("None finds F16’s passage first 90% of the time")


def test_each_question_shows_what_differs():
    first, second = report([1, 3]).questions
    assert (first.differing, second.differing) == (0, 1)
    assert (second.first.text, second.others[0].text) == ("passage 1", "another")
    assert report([1, 3]).lines[1].mean_rank == 2


def test_before_the_first_result_there_is_nothing_to_say():
    reference = {"type": "F16"}
    empty = SearchReport([Row(reference, reference)], 0.9)
    assert (empty.verdict, empty.questions, empty.passages) == ("", [], None)
