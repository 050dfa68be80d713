import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quant import child
from quant.child import Cancelled, ChildFailed

ROOT = Path(__file__).resolve().parents[2]


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie has), within ten seconds."""
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_result_and_progress_come_back_and_chatter_does_not():
    seen = []
    result = child.run(
        "tests.quant.jobs:describe", {"value": "ä\n"}, progress=lambda *state: seen.append(state)
    )
    assert result["value"] == "ä\n"
    assert seen == [(1, 2, "half")]


def test_a_hundred_thousand_characters_get_through():
    text = "ü\n" * 100_000
    assert child.run("tests.quant.jobs:describe", {"value": text})["value"] == text


def test_the_child_is_nice_in_our_session_and_in_a_group_of_its_own():
    result = child.run("tests.quant.jobs:describe", {"value": 1})
    assert result["niceness"] >= child.NICENESS
    assert result["session"] == os.getsid(0)
    assert result["group"] == result["pid"]


def test_what_it_refuses_and_what_kills_it_are_told():
    with pytest.raises(ChildFailed, match=r"^line 17 holds no prompt$"):
        child.run("tests.quant.jobs:refuse", {})
    with pytest.raises(ChildFailed, match=r"SIGABRT: file.c:12: GGML_ASSERT\(x > 0\) failed$"):
        child.run("tests.quant.jobs:assert_false", {})
    with pytest.raises(ChildFailed, match="AttributeError"):
        child.run("tests.quant.jobs:nothing", {})


def test_a_child_killed_from_outside_says_that_memory_ran_out():
    def kill(done: int, total: int, pid: str) -> None:
        os.kill(int(pid), signal.SIGKILL)

    with pytest.raises(ChildFailed, match="ran out of memory"):
        child.run("tests.quant.jobs:hang", {}, progress=kill)


def test_cancelling_ends_it():
    pids: list[int] = []
    with pytest.raises(Cancelled):
        child.run(
            "tests.quant.jobs:hang",
            {},
            progress=lambda done, total, pid: pids.append(int(pid)),
            cancelled=lambda: bool(pids),
        )
    assert gone(pids[0])


def test_an_error_in_the_callback_ends_it_too():
    pids: list[int] = []

    def fail(done: int, total: int, pid: str) -> None:
        pids.append(int(pid))
        raise KeyError

    with pytest.raises(KeyError):
        child.run("tests.quant.jobs:hang", {}, progress=fail)
    assert gone(pids[0])


def test_it_does_not_outlive_a_killed_parent():
    code = (
        "from quant import child\n"
        "child.run('tests.quant.jobs:hang', {}, progress=lambda d, t, pid: print(pid, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    assert gone(pid)
