"""Space: the disk space that a bench needs, estimated before it begins. Pure.

    BenchPlan ─▶ needed() ─▶ Space ; what is free (None: unknown) ─▶ lacking() ─▶ what is too little, in words

The number of messages of a ping-pong is not known in advance: a faster network than any between two instances is assumed, so the estimate
is rather too high.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from enaxp.bench.planning.schedule import BenchPlan, schedule
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
    """Bytes that a bench needs: at any one time on the client's disk, and in total on the disk of the results."""

    client: float
    results: float


def needed(plan: BenchPlan, *, keep_log: bool) -> Space:
    """The disk space that the whole plan needs; keep_log: including the gzipped full log of every trial."""
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
    """The largest number of messages that a trial logs. One-way (throughput) messages are not logged."""
    if scenario.is_rate:
        return 0
    fastest = PING_PONG_A_SECOND if scenario.facts.waits_for_reply else MOST_A_SECOND
    return (scenario.rate if isinstance(scenario.rate, int) else fastest) * duration_s * scenario.flows


def lacking(space: Space, *, free: Mapping[Disk, int | None]) -> Iterator[str]:
    """The disks with too little free space, one clause each. A disk whose free space is unknown is not listed."""
    where = {"client": "on the client's disk, for sockperf's log of a trial", "results": "for the run folder"}
    needs: Mapping[Disk, float] = {"client": space.client, "results": space.results}
    for disk, need in needs.items():
        there = free.get(disk)
        if there is not None and there < need:
            yield f"{need / MB:,.0f} MB are needed {where[disk]}, {there / MB:,.0f} MB are free"
