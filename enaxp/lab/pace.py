"""Pace: the least time that a plan takes under EC2's API rate limits. Pure.

Plan × resources ─▶ calls_of() ─▶ how often each API is called ─▶ rates.least_seconds()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind
from enaxp.lab.model import Resource
from enaxp.lab.plan import Plan
from enaxp.rates import least_seconds, rate_of


def calls_of(plan: Plan, resources: Iterable[Resource]) -> Counter[str]:
    """The number of calls of each EC2 API that the plan takes, without reads."""
    making = {step.key for step in plan.with_action("create", "replace")}
    calls: Counter[str] = Counter()
    for resource in resources:
        kind = KINDS[resource.kind]
        if resource.key in making and isinstance(kind, Ec2Kind):
            calls.update(kind.calls_to_make(resource))
    return calls


def least_time_text(plan: Plan, resources: Iterable[Resource]) -> str:
    """The least time that the plan takes and the API that limits it, in words; empty if rate limits do not matter."""
    calls = calls_of(plan, resources)
    seconds, action = least_seconds(calls)
    if seconds <= 0:
        return ""
    rate = rate_of(action)
    return (
        f"at least {seconds:.0f} s at AWS's rates: {calls[action]} calls of {action}, {rate.burst} at once and then "
        f"{rate.per_s:g} a second"
    )
