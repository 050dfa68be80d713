"""A learner's browsers in a network that loses, doubles, holds back and reorders what they sync."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Error, Page, Route, expect

from tests.browser.accounts import sign_in, stored
from tests.browser.conftest import Site

IMPORT = """async () => {
  const script = await fetch(document.querySelector("script[src*='/account.']").src);
  const [, path] = (await script.text()).match(/["'][^"']*?(progress\\.[^"'/]*)["']/);
  globalThis.progress = await import(`/static/js/${path}`);
}"""
KINDS = ["lesson.completed", "quiz.scored", "quiz.scored", "review.answered", "lesson.reset"]
Event = dict[str, Any]


class Network:
    """What becomes of each request to /progress/sync is drawn when it is made."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.faulty, self.may_hold = True, True
        self.held: list[Route] = []
        self.late: list[Callable[[], object]] = []
        self.fates: dict[str, int] = {}

    def fate(self) -> str:
        fates = ["through"] * 4 + ["dropped", "unanswered", "twice", "late"]
        fates += ["held"] * 2 if self.may_hold else []
        fate = self.rng.choice(fates) if self.faulty else "through"
        self.fates[fate] = self.fates.get(fate, 0) + 1
        return fate

    def handle(self, browser: "Browser", route: Route) -> None:
        fate = "dropped" if browser.offline else self.fate()
        if fate == "held":
            self.held.append(route)
            return
        with suppress(Error):  # the page is gone, and nobody waits for it
            self.answer(fate, browser, route)

    def answer(self, fate: str, browser: "Browser", route: Route) -> None:
        if fate == "through":
            route.continue_()
            return
        if fate == "unanswered":
            route.fetch()
        elif fate == "late":
            request = route.request
            headers, body = request.all_headers(), request.post_data
            send = browser.context.request.post
            self.late.append(lambda: send(request.url, headers=headers, data=body))
        if fate == "twice":
            route.fetch()
            route.fulfill(response=route.fetch())
        else:
            route.abort()

    def release(self) -> None:
        """What was held back or given up arrives, in any order."""
        held, self.held = self.held, []
        late, self.late = self.late, []
        self.rng.shuffle(held)
        self.rng.shuffle(late)
        for arrive in late:
            arrive()
        for route in held:
            with suppress(Error):  # its page has gone on meanwhile
                route.continue_()


@dataclass
class Browser:
    """One profile with several tabs, at times offline, at times signed out."""

    site: Site
    tabs: list[Page]
    network: Network
    name: str
    rng: random.Random
    offline: bool = False
    signed_in: bool = True
    seen: dict[str, Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.context.route("**/progress/sync", lambda route: self.network.handle(self, route))

    @property
    def context(self) -> BrowserContext:
        return self.tabs[0].context

    def look(self) -> list[Event]:
        """What is stored; what was never seen before is remembered as it is."""
        found = stored(self.tabs[0])
        for event in found:
            self.seen.setdefault(event["id"], event)
        return found

    def open(self, tab: Page, path: str) -> None:
        if not self.offline:
            tab.goto(self.site.url + path)
            tab.evaluate(IMPORT)

    def read(self) -> None:
        self.open(self.rng.choice(self.tabs), f"/lessons/{self.rng.choice(self.site.slugs[:4])}/")

    def finish(self) -> None:
        tab = self.rng.choice(self.tabs)
        button = tab.get_by_role("button", name="Mark as finished")
        if button.count():
            button.click()

    def record(self, tab: Page, wait: bool = True) -> None:
        """As the quiz and the review do."""
        kind = self.rng.choice(KINDS)
        data: dict[str, Any] = {}
        if kind == "quiz.scored":
            data = {"score": self.rng.randint(0, 10), "of": 10, "answers": {"q": 1}}
        elif kind == "review.answered":
            data = {"question": "q", "choice": self.rng.randint(1, 4)}
        call = "([kind, slug, data]) => progress.record(kind, slug, data)"
        slug = self.rng.choice(self.site.slugs[:4])
        tab.evaluate(call if wait else f"(it) => {{ ({call})(it) }}", [kind, slug, data])

    def all_tabs_at_once(self) -> None:
        for tab in self.tabs:
            self.record(tab, wait=False)

    def erase(self) -> None:
        if self.signed_in:
            lesson = self.rng.choice([*self.site.slugs[:4], "*"])
            self.look()
            tab = self.rng.choice(self.tabs)
            # What a tab left over from before does signed out, nobody else has.
            if tab.evaluate("document.documentElement.dataset.owner"):
                tab.evaluate("(lesson) => progress.erase(lesson)", lesson)

    def turn_connection(self) -> None:
        self.offline = not self.offline
        self.context.set_offline(self.offline)

    def try_again(self) -> None:
        for tab in self.tabs:
            tab.evaluate("dispatchEvent(new Event('online'))")

    def sign_out(self) -> None:
        if self.offline or not self.signed_in:
            return
        tab = self.tabs[0]
        self.network.may_hold = False
        self.network.release()
        tab.goto(self.site.url + "/accounts/logout/")
        tab.get_by_role("button", name="Sign out").click()
        keep = tab.get_by_role("button", name="Keep them here and sign out")
        out = tab.locator("[data-account]", has_text="Sign in")
        expect(keep.or_(out)).to_be_visible(timeout=30_000)
        if keep.is_visible():
            keep.click()
        expect(out).to_be_visible()
        self.network.may_hold = True
        self.signed_in = False
        self.open(tab, f"/lessons/{self.site.slugs[0]}/")

    def sign_in(self) -> None:
        if self.offline or self.signed_in:
            return
        sign_in(self.site, self.tabs[0], self.name)
        self.signed_in = True
        self.open(self.tabs[0], f"/lessons/{self.site.slugs[1]}/")

    def step(self) -> None:
        rng = self.rng
        acts: list[tuple[Callable[[], object], int]] = [
            (lambda: self.record(rng.choice(self.tabs)), 8),
            (self.read, 4),
            (self.finish, 3),
            (self.all_tabs_at_once, 3),
            (self.try_again, 4),
            (self.network.release, 4),
            (self.turn_connection, 3),
            (self.sign_out, 2),
            (self.sign_in, 3),
            (self.erase, 1),
        ]
        act = rng.choices([it for it, _ in acts], [weight for _, weight in acts])[0]
        act()
        self.look()

    def come_home(self) -> None:
        """Online and signed in, every tab with a fresh page."""
        if self.offline:
            self.turn_connection()
        self.sign_in()
        for _ in range(2):  # the first offers what was done signed out, the second adds it
            for tab in self.tabs:
                self.open(tab, "/progress/")
                expect(tab.locator("[data-sync=synced]")).to_have_text("Synced", timeout=30_000)


def wait_for(page: Page, left: Callable[[], list[Event]], seconds: float = 30) -> None:
    """Waits until nothing is left."""
    end = time.monotonic() + seconds
    while some := left():
        assert time.monotonic() < end, f"{len(some)} left: {some[:3]}"
        page.wait_for_timeout(50)
