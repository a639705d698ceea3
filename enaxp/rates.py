"""Rates: EC2's API rate limits, and a limiter that keeps calls within them. Pure except for `Limiter.wait`, whose clock can be injected.

    action ─▶ rate_of() ─▶ Bucket (of each API) ─▶ Limiter.wait(): sleeps until the call may be made
    calls of a plan ─▶ least_seconds(): how long they take at least, from full buckets

AWS keeps a bucket of tokens for each account, region and API; a call takes one, and they come back at a steady rate. A call without a
token is refused (RequestLimitExceeded). Source: "Request throttling for the Amazon EC2 API", its default limits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A rate limit. burst: tokens in a full bucket. per_s: tokens added per second."""

    burst: int
    per_s: float


LAUNCHING = Rate(burst=5, per_s=2.0)
MUTATING = Rate(burst=50, per_s=5.0)
QUICK = Rate(burst=100, per_s=5.0)
TAGGING = Rate(burst=100, per_s=10.0)
READING = Rate(burst=100, per_s=20.0)
READING_ALL = Rate(burst=50, per_s=10.0)  # without a filter and without pages
_OWN: Mapping[str, Rate] = {
    "RunInstances": LAUNCHING,
    "StartInstances": LAUNCHING,
    "CreateNetworkInterface": QUICK,
    "DeleteNetworkInterface": QUICK,
    "ModifyNetworkInterfaceAttribute": QUICK,
    "TerminateInstances": QUICK,
    "CreateTags": TAGGING,
}
UNFILTERED = frozenset(
    {
        "DescribeInstances",
        "DescribeInstanceStatus",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeVolumes",
    }
)


def rate_of(action: str, *, of_everything: bool = False) -> Rate:
    """The rate of an EC2 API. of_everything: a describe without filter, ids and pages."""
    if action.startswith(("Describe", "Get")):
        return READING_ALL if of_everything and action in UNFILTERED else READING
    return _OWN.get(action, MUTATING)


class Bucket:
    """The token bucket of one API. Times are seconds of a monotonic clock."""

    def __init__(self, rate: Rate, *, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Takes a token if there is one; whether it did."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def reserve(self, now: float) -> float:
        """Reserves a token, possibly a future one; returns in how many seconds it is available. The next caller waits longer."""
        self._refill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate.per_s)

    def empty(self, now: float) -> None:
        """Empties the bucket after AWS has throttled a call: other programs use the same account."""
        self._refill(now)
        self._tokens = min(self._tokens, 0.0)

    def _refill(self, now: float) -> None:
        self._tokens = min(float(self._rate.burst), self._tokens + max(0.0, now - self._at) * self._rate.per_s)
        self._at = max(self._at, now)


class Limiter:
    """Keeps the calls of one account and region within the rate limits. Thread-safe."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}

    def wait(self, action: str) -> None:
        """Returns when a call of this API may be made."""
        with self._lock:
            pause_s = self._bucket(action).reserve(self._clock())
        if pause_s > 0:
            self._sleep(pause_s)

    def refused(self, action: str) -> None:
        """Records that AWS has throttled a call of this API."""
        with self._lock:
            self._bucket(action).empty(self._clock())

    def _bucket(self, action: str) -> Bucket:
        if action not in self._buckets:
            self._buckets[action] = Bucket(rate_of(action), now=self._clock())
        return self._buckets[action]


def least_seconds(calls: Mapping[str, int]) -> tuple[float, str]:
    """The least time in seconds for this many calls of each API, from full buckets, and the API that takes longest."""
    each = {action: max(0, count - rate_of(action).burst) / rate_of(action).per_s for action, count in calls.items()}
    slowest = max(each, key=lambda action: each[action], default="")
    return (each[slowest], slowest) if slowest else (0.0, "")
