"""Whatever the network does and in whatever order, every device ends with the same, and nothing
is lost. bench/convergence.py plays ten thousand events over HTTP.
"""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth import get_user_model

from lessons import sync
from lessons.models import ProgressEvent, ProgressLog
from tests.lessons.devices import World

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def send(either_database, monkeypatch):
    monkeypatch.setattr(sync, "MAX_EVENTS", 50)  # so that answers come in pages
    users = get_user_model().objects
    people = {name: users.create_user(name, password="x") for name in ("ada", "bob")}

    def to_server(account, body):
        request = sync.parse_request(json.dumps(body).encode())
        return json.loads(json.dumps(sync.sync(people[account], request).as_json()))

    return to_server


@pytest.mark.parametrize("seed", range(4))
def test_devices_and_server_end_with_the_same_events_and_none_is_missing(send, seed):
    world = World(send, seed)
    for _ in range(250):
        world.step()
    world.check()


@pytest.mark.parametrize("seed", range(4))
def test_a_server_restored_from_an_old_backup_gets_back_what_the_devices_hold(send, seed):
    world = World(send, seed, accounts=("ada",))
    for device in world.devices:
        device.sign_in("ada")
    for _ in range(40):
        world.record(world.devices[0])
        world.devices[0].sync()
    log = ProgressLog.objects.get(owner__username="ada")
    head = log.head
    for _ in range(120):
        device = world.rng.choice(world.devices)
        world.record(device)
        device.sync()
    log.refresh_from_db()
    assert log.head > head
    ProgressEvent.objects.filter(log=log, number__gt=head).delete()
    log.head, log.restored = head, uuid.uuid4()
    log.save()
    for device in world.devices * 6:
        device.sync()
        device.read_late()
    world.network.faulty = False
    for device in world.devices * 2:
        device.sync()
    assert {str(it) for it in ProgressEvent.objects.values_list("event_id", flat=True)} == set(
        world.recorded
    )
    world.check()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_devices_that_sync_at_the_same_moment_over_http(database, request):
    url = ""
    if database == "postgres":
        server = request.getfixturevalue("postgres_url")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE convergence")
        url = server.removesuffix("postgres") + "convergence"
    command = [sys.executable, "bench/convergence.py", "--events", "250", "--database", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "all hold the same, none is missing" in done.stdout, done.stderr
