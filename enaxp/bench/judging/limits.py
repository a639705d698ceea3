"""Limits: bottlenecks of a trial other than the network. Pure.

    Usage before and after ─▶ host_usage() ─▶ HostUsage ─▶ the trial's record
    TrialRecord + Scenario ─▶ limits_of()  ─▶ receiver, cpu, allowance

If one of them was the bottleneck, it limited both arms alike: equal arms then say nothing about the network.

*receiver*: sockets and NICs of both hosts dropped more than 0.1 % of the messages. *allowance*: an `*_allowance_exceeded` counter
increased. *cpu*: a core was busy for at least 95 % of the trial. What counts as busy depends on the core:

- interrupts, hard and soft, count on every core: the receive path of the kernel runs there;
- programs count where sockperf does not busy-wait. A throughput sender without a rate, and a server, sleep while they have nothing to do;
a sender with a rate, a ping-pong and any polling process keep their core busy all the time. So of a throughput scenario without a rate
all of sockperf's cores count (any core, where it is not pinned), of one with a rate and of under-load those of the servers, where they
are pinned, and of a ping-pong none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from enaxp.bench.run_folder.records import CoreTime, HostUsage, Limit, TrialRecord
from enaxp.hosts.nic import moved
from enaxp.hosts.usage import TICKS_PER_S, CoreTicks, Usage
from enaxp.traffic import Scenario

LIMITS: tuple[Limit, ...] = ("receiver", "cpu", "allowance")
LIMIT_NAMES: Mapping[Limit, str] = {"receiver": "receiver", "cpu": "CPU", "allowance": "allowance"}
MOST_DROPPED = 0.001  # of the messages
BUSY = 0.95  # of a trial's time
LEAST_S, LEAST_SHARE = (
    0.1,
    0.1,
)  # a core that worked less, or less than this share of what the busiest did, is not recorded


def host_usage(before: Usage, after: Usage, *, device: Mapping[str, int] | None, interface: str) -> HostUsage:
    """The usage of a host between two moments. device: the increase of each counter of the trial's interface."""
    udp, device = moved(before.udp, after.udp), device or {}
    queue = _busiest_queue(device)
    return HostUsage(
        udp_in_errors=udp.get("InErrors"),
        udp_rcvbuf_errors=udp.get("RcvbufErrors"),
        rx_dropped=moved(before.dropped, after.dropped).get(interface),
        rx_overruns=device.get("rx_overruns"),
        cores=_that_worked(before.cores, after.cores),
        rx_queue=queue,
        rx_queue_cpus=None if queue is None else _served_by(after.irqs, interface, queue),
    )


def _that_worked(before: Mapping[int, CoreTicks], after: Mapping[int, CoreTicks]) -> dict[str, CoreTime]:
    """The busy time of each core, without cores that were almost idle: hosts have up to hundreds of them."""
    times = {str(number): _core_time(before[number], now) for number, now in after.items() if number in before}
    least = max(LEAST_S, LEAST_SHARE * max((time.total_s for time in times.values()), default=0.0))
    return {number: time for number, time in times.items() if time.total_s >= least}


def _core_time(before: CoreTicks, after: CoreTicks) -> CoreTime:
    return CoreTime(
        programs_s=max(0, after.programs - before.programs) / TICKS_PER_S,
        interrupts_s=max(0, after.interrupts - before.interrupts) / TICKS_PER_S,
    )


def _busiest_queue(device: Mapping[str, int]) -> int | None:
    """The receive queue with the most packets; None if none received any, or the driver does not report it."""
    received = {
        int(name[1]): by for key, by in device.items() if (name := re.fullmatch(r"queue_([0-9]{1,5})_rx_cnt", key))
    }
    return max(received, key=lambda queue: received[queue]) if any(received.values()) else None


def _served_by(irqs: Mapping[str, str], interface: str, queue: int) -> str | None:
    """The cores that serve the interrupt of a queue; the interrupt ens5-Tx-Rx-3 belongs to queue 3."""
    return next(
        (cpus for name, cpus in irqs.items() if name.startswith(interface) and name.endswith(f"-{queue}")), None
    )


def limits_of(record: TrialRecord, scenario: Scenario) -> tuple[Limit, ...]:
    """The bottlenecks of a trial, as far as its hosts reported usage."""
    usage = record.usage or {}
    found: Mapping[Limit, bool] = {
        "receiver": _is_dropped(record, scenario),
        "cpu": any(_is_busy(record, scenario, role, host) for role, host in usage.items()),
        "allowance": any(
            by and name.endswith("_exceeded") for of in (record.allowances or {}).values() for name, by in of.items()
        ),
    }
    return tuple(limit for limit in LIMITS if found[limit])


def _is_dropped(record: TrialRecord, scenario: Scenario) -> bool:
    dropped = sum(host.dropped for host in (record.usage or {}).values())
    messages = _messages(record, scenario)
    return bool(messages) and dropped > MOST_DROPPED * messages


def _messages(record: TrialRecord, scenario: Scenario) -> int:
    """The messages sent to the server; with background flows, the packets that the server's interface received."""
    sent = (record.sockperf.sent if record.sockperf else None) or 0
    if scenario.background is None or record.interfaces is None:
        return sent
    carried = record.interfaces.get("server", {}).get(record.arm)
    return max(sent, carried.rx_packets if carried else 0)


def _is_busy(record: TrialRecord, scenario: Scenario, role: str, host: HostUsage) -> bool:
    took = record.sockperf.total_runtime_s if record.sockperf else None
    if not took:
        return False
    working = _working(record, scenario, role, host)
    return any(
        time.interrupts_s + (time.programs_s if core in working else 0) >= BUSY * took
        for core, time in host.cores.items()
    )


def _working(record: TrialRecord, scenario: Scenario, role: str, host: HostUsage) -> frozenset[str]:
    """The cores on which the time of programs counts as busy."""
    own = None if record.cpus is None else frozenset(map(str, record.cpus.get(role, ())))
    if scenario.sleeps:
        return frozenset(host.cores) if own is None else own
    server_sleeps = role == "server" and not scenario.facts.waits_for_reply and scenario.busy_poll_us is None
    return own if own is not None and server_sleeps else frozenset()
