"""Traffic between zones: an estimate of how many GB a plan sends between its two hosts. Pure.

AWS bills traffic between two zones at both ends (`lab/cost.py` has the price). It is an upper estimate: a scenario without a rate is
assumed to fill the hosts' bandwidth, and a ping-pong to be as fast as within one zone.
"""

from __future__ import annotations

from enaxp.bench.planning.schedule import BenchPlan
from enaxp.traffic import ARMS, Scenario

HEADERS = 66  # bytes of Ethernet, IP and TCP headers per message; UDP has fewer
PING_PONGS = 20_000  # a second, at 25 µs one way


def gigabytes_of(plan: BenchPlan, *, link_gbps: float) -> float:
    """Estimated traffic of all trials of a plan in GB (10⁹ bytes), for one pair of hosts, with replies and bulk flows.

    link_gbps: the bandwidth of the slower host, in 10⁹ bit/s.
    """
    trials = len(ARMS) * plan.iterations * plan.repeats
    rates = (bytes_a_second(scenario, link_gbps=link_gbps) for scenario in plan.scenarios)
    return sum(rate * plan.duration_s * trials for rate in rates) / 1e9


def bytes_a_second(scenario: Scenario, *, link_gbps: float) -> float:
    """Bytes per second that one scenario sends while it is measured, both directions together."""
    link = link_gbps * 1e9 / 8
    size = scenario.message_size + HEADERS
    bulk = (scenario.background.share or 1.0) * link if scenario.background else 0.0
    if scenario.facts.waits_for_reply:
        return min(2 * link, 2 * PING_PONGS * size * scenario.flows) + bulk
    if not isinstance(scenario.rate, int):
        return link + bulk
    replies = 1 / scenario.reply_every if scenario.reply_every else 0.0
    return min(2 * link, scenario.rate * scenario.flows * size * (1 + replies)) + bulk
