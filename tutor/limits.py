"""How often somebody may ask: generous for a person, and for a class behind one address."""

import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass
class Bucket:
    left: float
    seen: float


class Limit:
    """`burst` questions at once, then one every 60 / `per_minute` seconds, for each key.

    Counts in this process: the site has one web process, and a restart may forgive.
    """

    KEYS = 10_000  # the longest unseen are forgotten

    def __init__(self, burst: int, per_minute: int) -> None:
        self.burst, self.rate = burst, per_minute / 60
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait(self, key: str, now: float | None = None) -> float:
        """Seconds until the next question is free; 0 takes one now."""
        now = time.monotonic() if now is None else now
        bucket = self._buckets.pop(key, None) or Bucket(self.burst, now)
        bucket.left = min(self.burst, bucket.left + (now - bucket.seen) * self.rate)
        bucket.seen = now
        self._buckets[key] = bucket
        if len(self._buckets) > self.KEYS:
            self._buckets.popitem(last=False)
        if bucket.left >= 1:
            bucket.left -= 1
            return 0.0
        return (1 - bucket.left) / self.rate


browsers = Limit(burst=12, per_minute=20)
addresses = Limit(burst=120, per_minute=240)


def wait(browser: str, address: str) -> float:
    """Seconds until this browser may ask. One that asks too fast uses up nothing of what others
    behind its address have."""
    return browsers.wait(browser) or addresses.wait(address)
