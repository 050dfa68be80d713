"""Learners' devices played in Python: site/static/js/sync.js and progress-store.js, step for step,
over a network that loses, doubles, delays and reorders.

World plays any number of random steps and then asks whether everybody ended with the same, and
whether anything is missing. It is given `send(account, body) -> answer` and knows no server.
"""

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lessons import events
from lessons.events import Event

Send = Callable[[str, dict[str, Any]], dict[str, Any]]
BATCH = 40  # small, so that many pages and half-sent lists happen
LESSONS = ("alpha", "beta", "gamma")
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


Simultaneously = Callable[[list[Callable[[], None]]], None]


def one_after_another(work: list[Callable[[], None]]) -> None:
    for one in work:
        one()


def in_threads(work: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()


class Lost(Exception):
    """The device gets no answer; whether the server got the request it cannot know."""


class Network:
    def __init__(self, send: Send, rng: random.Random) -> None:
        self.send, self.rng = send, rng
        self.faulty = True
        self.delayed: list[tuple[str, dict[str, Any]]] = []

    def ask(self, account: str, body: dict[str, Any]) -> dict[str, Any]:
        fate = self.rng.random() if self.faulty else 1
        if fate < 0.1:
            raise Lost
        if fate < 0.2:
            self.delayed.append((account, body))
            raise Lost
        answer = self.send(account, body)
        if fate < 0.3:
            raise Lost
        if fate < 0.4:
            answer = self.send(account, body)
        return answer

    def deliver_late(self) -> None:
        """Requests that were given up long ago arrive, in any order."""
        self.rng.shuffle(self.delayed)
        for _ in range(self.rng.randint(0, len(self.delayed))):
            self.send(*self.delayed.pop())


@dataclass
class Kept:
    """What one browser keeps of one owner."""

    events: dict[str, Event] = field(default_factory=dict)
    pending: dict[str, None] = field(default_factory=dict)
    cursor: int = 0
    log: str | None = None

    def put(self, came: list[Event]) -> list[Event]:
        fresh = [event for event in came if event.id not in self.events]
        erasures = [event for event in self.events.values() if event.type == "progress.erased"]
        coming = [event for event in fresh if event.type == "progress.erased"]
        gone = events.reach(erasures + coming)
        for event in fresh:
            self.events[event.id] = events.erased(event) if events.is_erased(event, gone) else event
        if coming:
            for event in list(self.events.values()):
                if events.is_erased(event, gone):
                    self.events[event.id] = events.erased(event)
        return fresh

    def add(self, new: list[Event]) -> None:
        self.pending |= dict.fromkeys(event.id for event in self.put(new))


@dataclass
class Device:
    network: Network
    skew: timedelta
    id: str
    owner: str = ""
    online: bool = True
    kept: dict[str, Kept] = field(default_factory=dict)
    unread: list[tuple[str, int, list[str], dict[str, Any]]] = field(default_factory=list)

    def of(self, owner: str) -> Kept:
        return self.kept.setdefault(owner, Kept())

    @property
    def mine(self) -> Kept:
        return self.of(self.owner)

    def sync(self) -> None:
        while self.owner and self.online and self.exchange():
            pass

    def exchange(self) -> bool:
        mine, rng = self.mine, self.network.rng
        sent = list(mine.pending)[:BATCH]
        body = {
            "device": self.id,
            "account": self.owner,
            "log": mine.log,
            "cursor": mine.cursor,
            "events": [mine.events[one].as_json() for one in sent],
        }
        cursor = mine.cursor
        try:
            answer = self.network.ask(self.owner, body)
        except Lost:
            return False
        assert answer["rejected"] == []
        if self.network.faulty and rng.random() < 0.1:  # another tab reads it, later
            self.unread.append((self.owner, cursor, sent, answer))
            return False
        restored = mine.log not in (None, answer["log"]) or answer["cursor"] < cursor
        if restored:
            mine.pending = dict.fromkeys(mine.events)
            mine.cursor, mine.log = 0, answer["log"]
            answer = answer | {"cursor": 0}
        self.settle(self.owner, 0 if restored else cursor, sent, answer)
        return bool(restored or answer["more"] or mine.pending)

    def settle(self, owner: str, cursor: int, sent: list[str], answer: dict[str, Any]) -> None:
        mine = self.of(owner)
        mine.put([events.parse(one) for one in answer["events"]])
        if mine.log not in (None, answer["log"]):
            return
        mine.log = answer["log"]
        for one in sent:
            mine.pending.pop(one, None)
        if cursor <= mine.cursor:
            mine.cursor = max(mine.cursor, answer["cursor"])

    def read_late(self) -> None:
        self.network.rng.shuffle(self.unread)
        while self.unread:
            self.settle(*self.unread.pop())

    def sign_in(self, owner: str) -> None:
        self.owner = owner
        for other in [name for name in self.kept if name not in ("", owner)]:
            self.forget(other)
        self.sync()
        gone = events.reach(
            event for event in self.mine.events.values() if event.type == "progress.erased"
        )
        unowned = self.of("").events
        taken = [event for event in unowned.values() if not events.is_erased(event, gone)]
        self.mine.add(taken)
        for event in taken:
            del unowned[event.id]

    def forget(self, owner: str) -> None:
        kept = self.of(owner)
        left = {one: kept.events[one] for one in kept.pending}
        log = kept.log if left else None
        self.kept[owner] = Kept(left, dict.fromkeys(left), log=log)

    def sign_out(self) -> None:
        self.sync()
        self.forget(self.owner)
        self.owner = ""


class World:
    def __init__(
        self,
        send: Send,
        seed: int,
        accounts: tuple[str, ...] = ("ada", "bob"),
        simultaneously: Simultaneously = one_after_another,
    ) -> None:
        self.rng = random.Random(seed)
        self.simultaneously = simultaneously
        self.accounts = accounts
        self.network = Network(send, self.rng)
        self.now = START
        self.recorded: dict[str, Event] = {}
        self.devices = [
            Device(
                self.network,
                timedelta(minutes=self.rng.randint(-360, 360)),
                str(uuid.UUID(int=self.rng.getrandbits(128), version=4)),
            )
            for _ in range(3)
        ]

    def event(self, device: Device, kind: str, lesson: str, data: dict[str, Any]) -> Event:
        at = (self.now + device.skew).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        identity = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        raw = {"id": identity, "type": kind, "lesson": lesson, "at": at, "data": data}
        self.recorded[identity] = events.parse(raw)
        return self.recorded[identity]

    def record(self, device: Device) -> None:
        kind = self.rng.choice(
            ["lesson.opened", "lesson.completed", "quiz.scored", "quiz.scored", "lesson.reset"]
        )
        data: dict[str, Any] = {}
        if kind == "quiz.scored":
            data = {"score": self.rng.randint(0, 10), "of": 10, "answers": {"q": 1}}
        event = self.event(device, kind, self.rng.choice(LESSONS), data)
        device.mine.add([event])

    def erase(self, device: Device) -> None:
        lesson = self.rng.choice([*LESSONS, events.EVERYTHING])
        about = [
            event
            for event in device.mine.events.values()
            if lesson in (events.EVERYTHING, event.lesson)
        ]
        if device.owner:
            at = self.now + device.skew
            ahead = [event.id for event in about if event.instant > at][:400]
            data = {"also": ahead} if ahead else {}
            device.mine.add([self.event(device, "progress.erased", lesson, data)])
        else:
            for event in about:
                del device.mine.events[event.id], self.recorded[event.id]

    def together(self) -> None:
        """All devices have something to say at the same moment."""
        for device in self.devices:
            device.online = True
            for _ in range(self.rng.randint(0, 3)):
                self.record(device)
        self.simultaneously([device.sync for device in self.devices])

    def step(self) -> None:
        rng = self.rng
        device = rng.choice(self.devices)
        self.now += timedelta(seconds=rng.randint(1, 600))
        chance = rng.random()
        if chance < 0.60:
            self.record(device)
            device.sync()
        elif chance < 0.65:
            self.together()
        elif chance < 0.69:
            self.erase(device)
            device.sync()
        elif chance < 0.75:
            device.online = not device.online
            device.sync()
        elif chance < 0.80 and not device.owner:
            device.sign_in(rng.choice(self.accounts))
        elif chance < 0.83 and device.owner:
            device.sign_out()
        elif chance < 0.90:
            self.network.deliver_late()
        elif chance < 0.95:
            device.read_late()
        else:
            device.sync()

    def converge(self) -> dict[str, dict[str, Event]]:
        """Everything late arrives, then all devices visit every account; account → its events.

        All devices must hold the same events of it and compute the same state.
        """
        self.network.faulty = False
        while self.network.delayed:
            self.network.deliver_late()
        for device in self.devices:
            device.online = True
            device.read_late()
            if device.owner:
                device.sign_out()
        found = {}
        for account in self.accounts:
            for device in self.devices:
                device.sign_in(account)
                device.sync()
            for device in self.devices:
                device.sync()
            first, *others = [device.mine.events for device in self.devices]
            assert all(other == first for other in others)
            assert all(events.state(it.values()) == events.state(first.values()) for it in others)
            found[account] = dict(first)
            for device in self.devices:
                assert not device.mine.pending
                device.sign_out()
        return found

    def check(self) -> None:
        """Converged, nothing is missing, nothing was invented, and nothing is damaged."""
        found = self.converge()
        unowned = [one for device in self.devices for one in device.of("").events]
        everywhere = [one for kept in found.values() for one in kept] + unowned
        assert sorted(everywhere) == sorted(self.recorded)
        for account, kept in found.items():
            gone = events.reach(it for it in kept.values() if it.type == "progress.erased")
            for one, event in kept.items():
                original = self.recorded[one]
                erased = events.is_erased(original, gone)
                assert event == (events.erased(original) if erased else original)
            assert self.on_server(account) == {one: it.as_json() for one, it in kept.items()}

    def on_server(self, account: str) -> dict[str, dict[str, Any]]:
        """Its events as they are there, untouched by a device's own rules."""
        held: dict[str, dict[str, Any]] = {}
        answer: dict[str, Any] = {"cursor": 0, "more": True}
        while answer["more"]:
            body = {"device": str(uuid.uuid4()), "cursor": answer["cursor"], "events": []}
            answer = self.network.send(account, body)
            held |= {one["id"]: one for one in answer["events"]}
        return held
