import os
import socket

import pytest

from config import processes


def test_a_busy_port_is_one_line_that_says_how_to_choose_another():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(processes.CannotStart, match=f"PORT={port + 10} make run"):
            processes.check_port("127.0.0.1", port, "PORT")


def test_a_free_port_is_fine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    processes.check_port("localhost", port, "PORT")


def test_an_unknown_host_is_explained():
    with pytest.raises(processes.CannotStart, match=r"0\.0\.0\.0"):
        processes.check_port("no-such-host.invalid", 8000, "PORT")


def test_two_with_the_same_data_are_refused(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    with (
        processes.only_one(),
        pytest.raises(processes.CannotStart, match="already runs"),
        processes.only_one(),
    ):
        pass


def test_our_own_redis_starts_only_without_redis_url(monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    mine = processes.environment()
    assert mine["OPENBOOK_OWN_REDIS"] == "true"
    assert os.access(mine["OPENBOOK_REDIS_SERVER"], os.X_OK)
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379/0")
    assert processes.environment()["OPENBOOK_OWN_REDIS"] == "false"
