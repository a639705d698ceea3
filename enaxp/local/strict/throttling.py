"""Throttling: the token buckets by which EC2 refuses what is asked too often, where the owner of the server has switched them on.

The buckets are those of AWS's documentation (`enaxp/rates.py` has the figures): one for each region and API, full at first. Off by
default: tests that make many small labs in one cloud would wait for AWS's rate of launches and for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from enaxp.rates import Bucket, rate_of


class Throttling:
    """The buckets of one account."""

    def __init__(self) -> None:
        self.is_on = False
        self._buckets: dict[tuple[str, str, bool], Bucket] = {}

    def switch(self, *, on: bool) -> None:
        """On, all buckets are full."""
        self.is_on = on
        self._buckets.clear()

    def takes(self, region: str, action: str, given: Iterable[tuple[str, str]]) -> bool:
        """Whether a call may be made now: it then has its token."""
        if not self.is_on:
            return True
        members = [member for member, _ in given]
        of_everything = not any(member.startswith(("Filter.", "MaxResults")) or "Id." in member for member in members)
        rate, now = rate_of(action, of_everything=of_everything), time.monotonic()
        key = (region, action, of_everything)
        if key not in self._buckets:
            self._buckets[key] = Bucket(rate, now=now)
        return self._buckets[key].take(now)
