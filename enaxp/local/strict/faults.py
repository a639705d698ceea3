"""Failures on demand: which call fails, how, and whether it was performed all the same.

`before` leaves everything as it was. `after` is a lost answer: the call was performed, and its caller is told that it failed; only
that proves that a program finds again what it has made. `later` is for RunInstances: it is performed and says so, but the instances
end before they run, with the fault's code as their StateReason.
"""

from __future__ import annotations

import fnmatch
import random
import threading
from collections.abc import Iterable
from typing import Literal

import msgspec

Phase = Literal["before", "after", "later"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """action: a pattern such as `Create*`. nth: the call of that pattern that fails (1 is the first), or None: each with `probability`.

    botocore repeats a call only when status is 500 or more, or the code is one of throttling.
    """

    action: str
    phase: Phase = "before"
    status: int = 503
    code: str = "RequestLimitExceeded"
    message: str = "Request limit exceeded."
    nth: int | None = None
    probability: float = 0.0


class FaultsOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan as another process sends it."""

    seed: int = 0
    faults: tuple[Fault, ...] = ()


class FaultPlan:
    """The faults of one server, decided by a seeded generator."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._faults = tuple(faults)
        self._random = random.Random(seed)
        self._seen = [0] * len(self._faults)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, order: FaultsOrder) -> FaultPlan:
        """The plan that another process has sent."""
        return cls(order.faults, seed=order.seed)

    def strike(self, action: str) -> Fault | None:
        """The fault that this call meets, if any. Every fault whose pattern fits counts the call."""
        struck: Fault | None = None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if not fnmatch.fnmatchcase(action, fault.action):
                    continue
                self._seen[index] += 1
                by_chance = fault.nth is None and self._random.random() < fault.probability
                if struck is None and (by_chance or self._seen[index] == fault.nth):
                    struck = fault
        return struck
