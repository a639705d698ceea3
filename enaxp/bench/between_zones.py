"""Traffic between zones: about how many GB a plan moves from one host to the other. Pure.

AWS bills traffic between two zones at both ends (`lab/cost.py` has the price). An upper estimate: a scenario without a rate of its own is
taken to fill what the hosts carry, and a ping-pong to be as quick as within one zone.
"""

from __future__ import annotations

from enaxp.bench.schedule import BenchPlan
from enaxp.traffic import ARMS, Scenario

HEADERS = 66  # bytes of Ethernet, IP and TCP beside each message; UDP has fewer
PING_PONGS = 20_000  # a second, at 25 µs one way


def gigabytes_of(plan: BenchPlan, *, link_gbps: float) -> float:
    """About how many GB (10⁹ bytes) all trials of a plan move, replies and bulk flows included, for one pair of hosts.

    link_gbps: what the slower host carries, in 10⁹ bit/s.
    """
    trials = len(ARMS) * plan.iterations * plan.repeats
    rates = (bytes_a_second(scenario, link_gbps=link_gbps) for scenario in plan.scenarios)
    return sum(rate * plan.duration_s * trials for rate in rates) / 1e9


def bytes_a_second(scenario: Scenario, *, link_gbps: float) -> float:
    """Of one scenario while it is measured, in both directions."""
    link = link_gbps * 1e9 / 8
    size = scenario.message_size + HEADERS
    bulk = (scenario.background.share or 1.0) * link if scenario.background else 0.0
    if scenario.mode == "ping-pong":
        return min(2 * link, 2 * PING_PONGS * size * scenario.flows) + bulk
    if not isinstance(scenario.rate, int):
        return link + bulk
    replies = 1 / scenario.reply_every if scenario.reply_every else 0.0
    return min(2 * link, scenario.rate * scenario.flows * size * (1 + replies)) + bulk
