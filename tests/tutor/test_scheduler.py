import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quant.llama import Batch, Model
from tests.tutor.conftest import MakeScheduler
from tutor.engine.job import End, Event, Failure, Job, Sampling, Token
from tutor.engine.scheduler import Full, Scheduler, TooLong, Turn

LESSON = tuple(range(10, 60))


class Learner:
    """A job and what its learner was sent."""

    def __init__(
        self,
        rest: Sequence[int],
        prefix: Sequence[int] = LESSON,
        *,
        n: int = 8,
        user: str = "",
        stop: Sequence[str] = (),
    ) -> None:
        self.events: list[Event] = []
        sampling = Sampling(ignore_eos=True)
        self.job = Job(tuple(prefix), tuple(rest), sampling, n, stop, self.events.append, user=user)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Token))

    @property
    def tokens(self) -> int:
        return sum(isinstance(event, Token) for event in self.events)

    @property
    def end(self) -> End | None:
        return next((event for event in self.events if isinstance(event, End)), None)


def run(scheduler: Scheduler, *learners: Learner, steps: int = 200) -> None:
    for learner in learners:
        scheduler.submit(learner.job)
    for _ in range(steps):
        scheduler.step()
        if all(learner.end for learner in learners):
            return
    raise AssertionError("not done")


def test_together_gives_the_same_text_as_one_by_one(make_scheduler: MakeScheduler) -> None:
    questions = [[100 + i, 101, 102 + i] for i in range(4)]
    alone = []
    for question in questions:
        learner = Learner(question)
        run(make_scheduler(), learner)
        alone.append(learner.text)
    together = [Learner(question) for question in questions]
    run(make_scheduler(), *together)
    assert [learner.text for learner in together] == alone
    assert len(set(alone)) > 1  # else the comparison shows nothing


def test_a_lesson_is_decoded_once_and_changes_no_answer(make_scheduler: MakeScheduler) -> None:
    scheduler = make_scheduler()
    first, second, whole = Learner([99, 98]), Learner([99, 98]), Learner([*LESSON, 99, 98], ())
    run(scheduler, first)
    run(scheduler, second)
    run(scheduler, whole)
    assert first.end
    assert second.end
    assert whole.end
    assert (first.end.cached_tokens, second.end.cached_tokens) == (0, len(LESSON))
    assert first.text == second.text == whole.text
    assert first.end.prompt_tokens == len(LESSON) + 2


def test_every_token_is_one_event_and_the_limit_is_kept(make_scheduler: MakeScheduler) -> None:
    learner = Learner([77], n=5)
    run(make_scheduler(), learner)
    assert learner.tokens == 5
    assert learner.end == End("length", len(LESSON) + 1, 0, 5)


def test_leaving_frees_everything_within_one_step(make_scheduler: MakeScheduler) -> None:
    scheduler = make_scheduler()
    leaving, staying = Learner([80], n=50), Learner([81], n=50)
    for learner in (leaving, staying):
        scheduler.submit(learner.job)
    for _ in range(4):
        scheduler.step()
    before = leaving.tokens
    assert before
    scheduler.cancel(leaving.job)
    scheduler.step()
    assert scheduler.running == [staying.job]
    assert scheduler.load["cells"] == len(LESSON) + staying.job.cells
    assert leaving.tokens == before
    assert leaving.end
    assert leaving.end.reason == "cancelled"


def test_leaving_while_the_lesson_is_read_lets_the_next_learner_in(
    make_scheduler: MakeScheduler,
) -> None:
    scheduler = make_scheduler()
    leaving = Learner([80], prefix=[*range(10, 200)])  # more than one step's worth
    scheduler.submit(leaving.job)
    scheduler.step()
    scheduler.cancel(leaving.job)
    next_one = Learner([80], prefix=[*range(10, 200)])
    run(scheduler, next_one)
    alone = Learner([80], prefix=[*range(10, 200)])
    run(make_scheduler(), alone)
    assert next_one.text == alone.text


def test_more_learners_than_places_wait_and_are_served(make_scheduler: MakeScheduler) -> None:
    learners = [Learner([90 + i], n=4) for i in range(9)]
    run(make_scheduler(n_parallel=2), *learners)
    assert all(learner.end and learner.end.completion_tokens == 4 for learner in learners)


def test_who_asks_much_does_not_hold_up_who_asks_once(make_scheduler: MakeScheduler) -> None:
    # With two places, the second user's only question may wait for one of the first's at most.
    scheduler = make_scheduler(n_parallel=2)
    many = [Learner([90 + i], n=6, user="a") for i in range(5)]
    once = Learner([70], n=6, user="b")
    for learner in (*many, once):
        scheduler.submit(learner.job)
    while not once.end:
        scheduler.step()
    assert sum(learner.end is not None for learner in many) <= 2


def test_a_full_line_and_a_request_too_long_are_refused(make_scheduler: MakeScheduler) -> None:
    scheduler = make_scheduler(n_waiting=1)
    scheduler.submit(Learner([1]).job)
    with pytest.raises(Full, match="try again"):
        scheduler.submit(Learner([1]).job)
    with pytest.raises(TooLong, match="256"):
        scheduler.submit(Learner([1], n=300).job)


def test_one_user_cannot_fill_the_line(make_scheduler: MakeScheduler) -> None:
    scheduler = make_scheduler(n_waiting=8)
    for _ in range(2):
        scheduler.submit(Learner([1], user="a").job)
    with pytest.raises(Full, match="yours"):
        scheduler.submit(Learner([1], user="a").job)
    scheduler.submit(Learner([1], user="b").job)


def test_two_take_turns() -> None:
    turn, order = Turn(), []
    first_in, go = threading.Event(), threading.Event()

    def work(name: str) -> None:
        for _ in range(3):
            with turn:
                order.append(name)
                first_in.set()
                go.wait(10)

    one = threading.Thread(target=work, args=("a",))
    one.start()
    assert first_in.wait(10)
    other = threading.Thread(target=work, args=("b",))
    other.start()
    while not turn._door.locked():  # until the other waits
        pass
    go.set()
    one.join(10)
    other.join(10)
    assert order[:2] == ["a", "b"], "who waited came next"


def test_a_step_that_fails_ends_its_requests_and_no_others(
    make_scheduler: MakeScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = make_scheduler()
    failing = Learner([1], n=5)
    ended = threading.Event()
    failing.job.emit = lambda event: (failing.events.append(event), ended.set())
    decode = scheduler.context.decode

    def fail_once(batch: Batch) -> None:
        monkeypatch.setattr(scheduler.context, "decode", decode)
        raise IndexError("whatever")

    monkeypatch.setattr(scheduler.context, "decode", fail_once)
    scheduler.start()
    scheduler.submit(failing.job)
    assert ended.wait(10)
    assert failing.events == [Failure("whatever")]
    next_one = Learner([1], n=2)
    scheduler.submit(next_one.job)
    scheduler.stop()
    assert next_one.end
    assert next_one.end.completion_tokens == 2


requests = st.lists(
    st.tuples(
        st.integers(0, 3),  # which lesson
        st.integers(1, 40),  # tokens of question
        st.integers(1, 40),  # tokens of answer
        st.booleans(),  # leaves early
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wanted=requests)
def test_cells_never_run_out(make_scheduler: MakeScheduler, wanted: list[tuple]) -> None:
    scheduler = make_scheduler()
    learners = []
    for lesson, question, answer, leaves in wanted:
        learner = Learner([5] * question, prefix=[*range(lesson, lesson + 60)], n=answer)
        scheduler.submit(learner.job)
        learners.append(learner)
        scheduler.step()  # raises ContextFull if the count was wrong
        assert scheduler.load["cells"] <= 256
        if leaves:
            scheduler.cancel(learner.job)
    for _ in range(900):
        scheduler.step()
    assert all(learner.end for learner in learners)
    assert not scheduler.running
    scheduler.context.close()


def test_lessons_come_back_from_disk(make_scheduler: MakeScheduler, tmp_path: Path) -> None:
    first, again = make_scheduler(tmp_path), Learner([88])
    run(first, again)
    assert len(list(tmp_path.glob("*.pin"))) == 1
    later = Learner([88])
    run(make_scheduler(tmp_path), later)
    assert later.end
    assert later.end.cached_tokens == len(LESSON)
    assert later.text == again.text


def test_a_lesson_safe_on_disk_leaves_the_context_when_others_work(
    make_scheduler: MakeScheduler, tmp_path: Path
) -> None:
    scheduler = make_scheduler(tmp_path)
    run(scheduler, Learner([88]))
    assert LESSON in scheduler.shelf.pins, "alone it slows nobody down, and may be asked about next"
    other = Learner([88], prefix=[*range(20, 80)])
    scheduler.submit(other.job)
    scheduler.step()
    assert list(scheduler.shelf.pins) == [other.job.prefix]
    back = Learner([88])
    run(scheduler, back)
    assert back.end
    assert back.end.cached_tokens == len(LESSON)


def test_a_lesson_is_saved_before_it_leaves_the_context(
    make_scheduler: MakeScheduler, tmp_path: Path
) -> None:
    scheduler = make_scheduler(tmp_path)
    done, reading = Learner([88], n=1), Learner([88] * 100, prefix=[*range(20, 80)])
    scheduler.submit(done.job)
    scheduler.submit(reading.job)
    while not done.end:
        scheduler.step()
    assert not list(tmp_path.glob("*.pin")), "a prompt that is read goes first"
    scheduler.step()
    assert list(scheduler.shelf.pins) == [reading.job.prefix]
    again = Learner([88], n=1)
    run(make_scheduler(tmp_path), again)
    assert again.end
    assert again.end.cached_tokens == len(LESSON)
    assert again.text == done.text


def test_a_lesson_whose_file_is_gone_stays_in_the_context(
    make_scheduler: MakeScheduler, tmp_path: Path
) -> None:
    scheduler = make_scheduler(tmp_path)
    run(scheduler, Learner([88]))
    (kept,) = tmp_path.glob("*.pin")
    kept.unlink()
    scheduler.submit(Learner([88], prefix=[*range(20, 80)]).job)
    scheduler.step()
    assert LESSON in scheduler.shelf.pins


@pytest.mark.parametrize("folder", ["none", "of no use"])
def test_without_files_one_unused_lesson_stays(
    make_scheduler: MakeScheduler, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").touch()
    scheduler = make_scheduler(tmp_path / "file" / "pins" if folder == "of no use" else None)
    scheduler.shelf._free = [*range(4, 6)]
    lessons = [tuple(range(start, start + 30)) for start in (10, 20, 30)]
    for lesson in lessons:
        run(scheduler, Learner([88], prefix=lesson, n=2))
    assert list(scheduler.shelf.pins) == lessons[1:]


def test_closed_it_takes_nothing_more_and_finishes_what_it_has(
    make_scheduler: MakeScheduler,
) -> None:
    scheduler = make_scheduler()
    running, waiting = Learner([1]), Learner([2])
    scheduler.submit(running.job)
    scheduler.step()
    scheduler.submit(waiting.job)
    scheduler.close()
    with pytest.raises(Full, match="restart"):
        scheduler.submit(Learner([3]).job)
    assert scheduler.is_busy
    while scheduler.is_busy:
        scheduler.step()
    assert {learner.tokens for learner in (running, waiting)} == {8}


def test_a_damaged_file_is_thrown_away(make_scheduler: MakeScheduler, tmp_path: Path) -> None:
    first = Learner([88])
    run(make_scheduler(tmp_path), first)
    (kept,) = tmp_path.glob("*.pin")
    kept.write_bytes(kept.read_bytes()[:100])
    later = Learner([88])
    run(make_scheduler(tmp_path), later)
    assert later.end
    assert later.end.cached_tokens == 0
    assert later.text == first.text


@pytest.mark.parametrize("stop", ["bc", "abc", "d"])
def test_a_stop_word_ends_the_text_before_it(tiny: Model, stop: str) -> None:
    events: list[Event] = []
    job = Job((), (1,), Sampling(), 9, [stop], events.append)
    said = None
    for piece in (b"x", b"a", b"b", b"c", b"d", b"e"):
        if said := job.take(piece):
            break
    job.end(said or "length")
    text = "".join(event.text for event in events if isinstance(event, Token))
    assert text == "xabcde"[: "xabcde".index(stop)]


def test_a_character_in_two_tokens_arrives_whole() -> None:
    events: list[Event] = []
    job = Job((), (1,), Sampling(), 9, [], events.append)
    for piece in ("né".encode()[:2], "né".encode()[2:]):
        job.take(piece)
    assert [event.text for event in events if isinstance(event, Token)] == ["n", "é"]
