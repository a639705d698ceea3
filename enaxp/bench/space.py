"""Space: what a bench takes of the disks, told before it begins. Pure.

    BenchPlan ─▶ needed() ─▶ Space ; what is free (None: unknown) ─▶ lacking() ─▶ what is too little, in words

How many messages a ping-pong sends is not known beforehand: it is taken for quicker than any network between two instances is, so what
is estimated is rather too much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from enaxp.bench.schedule import BenchPlan, schedule
from enaxp.traffic import Scenario

Disk = Literal["client", "results"]
LOG_LINE_BYTES = 48  # of sockperf's full log, a line for each message
PACKED_LINE_BYTES = 14
PING_PONG_A_SECOND = 50_000  # at half a round trip of 10 µs
MOST_A_SECOND = 1_000_000  # of one sender under load
TRIAL_BYTES = 100_000  # of a trial in the run folder: its line, text and histograms
RUN_BYTES = 4_000_000  # of a run folder: the page, the picture, what the hosts are
MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Space:
    """Bytes that a bench takes: of the client's disk at once, and of the disk of the results."""

    client: float
    results: float


def needed(plan: BenchPlan, *, keep_log: bool) -> Space:
    """What the whole plan takes; keep_log: with every single observation, packed."""
    trials = [trial.scenario for trial in schedule(plan)]
    at_once = 2 if plan.order == "parallel" else 1
    return Space(
        client=max(LOG_LINE_BYTES * at_once * messages(scenario, plan.duration_s) for scenario in plan.scenarios),
        results=RUN_BYTES
        + sum(
            TRIAL_BYTES + (PACKED_LINE_BYTES * messages(scenario, plan.duration_s) if keep_log else 0)
            for scenario in trials
        ),
    )


def messages(scenario: Scenario, duration_s: float) -> float:
    """How many messages of a trial are logged, at the most. What is sent one way is not."""
    if scenario.is_rate:
        return 0
    fastest = PING_PONG_A_SECOND if scenario.mode == "ping-pong" else MOST_A_SECOND
    return (scenario.rate if isinstance(scenario.rate, int) else fastest) * duration_s * scenario.flows


def lacking(space: Space, *, free: Mapping[Disk, int | None]) -> Iterator[str]:
    """What is too little, a clause for each disk. What is unknown is not too little."""
    where = {"client": "on the client's disk, for sockperf's log of a trial", "results": "for the run folder"}
    needs: Mapping[Disk, float] = {"client": space.client, "results": space.results}
    for disk, need in needs.items():
        there = free.get(disk)
        if there is not None and there < need:
            yield f"{need / MB:,.0f} MB are needed {where[disk]}, {there / MB:,.0f} MB are free"
