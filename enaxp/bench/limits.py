"""Limits: what a trial ran into besides the network. Pure.

    Usage before and after ─▶ host_usage() ─▶ HostUsage ─▶ the trial's record
    TrialRecord + Scenario ─▶ limits_of()  ─▶ receiver, cpu, allowance

Where one of them was the limit, both arms met it alike: that they are equal then says nothing of the network.

*receiver*: sockets and NICs of both hosts dropped more than 0.1 % of the messages. *allowance*: a counter of the instance moved.
*cpu*: a core worked for 95 % of the trial or more. What counts as work depends on the core:

- interrupts, hard and soft, count on every core: the receive path of the kernel runs there;
- programs count where sockperf works and does not wait actively. A throughput sender without a rate, and a server, sleep as long as
  they can do nothing; a sender with a rate, a ping-pong and whatever polls keep their core busy by themselves. So of a throughput
  scenario without a rate all of sockperf's cores count (any core, where it is not pinned), of one with a rate and of under-load those
  of the servers, where they are pinned, and of a ping-pong none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from enaxp.bench.records import CoreTime, HostUsage, Limit, TrialRecord
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
    """What a host did between two moments. device: how far each counter of the trial's interface moved."""
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
    """What each core did; without those that did next to nothing, since hosts have hundreds of them."""
    times = {str(number): _core_time(before[number], now) for number, now in after.items() if number in before}
    least = max(LEAST_S, LEAST_SHARE * max((time.total_s for time in times.values()), default=0.0))
    return {number: time for number, time in times.items() if time.total_s >= least}


def _core_time(before: CoreTicks, after: CoreTicks) -> CoreTime:
    return CoreTime(
        programs_s=max(0, after.programs - before.programs) / TICKS_PER_S,
        interrupts_s=max(0, after.interrupts - before.interrupts) / TICKS_PER_S,
    )


def _busiest_queue(device: Mapping[str, int]) -> int | None:
    """The queue that received most; None where none received anything, or the driver does not tell."""
    received = {int(name[1]): by for key, by in device.items() if (name := re.fullmatch(r"queue_(\d+)_rx_cnt", key))}
    return max(received, key=lambda queue: received[queue]) if any(received.values()) else None


def _served_by(irqs: Mapping[str, str], interface: str, queue: int) -> str | None:
    """The cores to which the interrupt of a queue goes: ens5-Tx-Rx-3 is that of queue 3."""
    return next(
        (cpus for name, cpus in irqs.items() if name.startswith(interface) and name.endswith(f"-{queue}")), None
    )


def limits_of(record: TrialRecord, scenario: Scenario) -> tuple[Limit, ...]:
    """What a trial ran into, as far as its hosts told."""
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
    """What was sent to the server; with bulk flows beside a probe, the packets that its interface received."""
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
    """The cores on which the programs' time is work."""
    own = None if record.cpus is None else frozenset(map(str, record.cpus.get(role, ())))
    if scenario.sleeps:
        return frozenset(host.cores) if own is None else own
    server_sleeps = role == "server" and scenario.mode != "ping-pong" and scenario.busy_poll_us is None
    return own if own is not None and server_sleeps else frozenset()
