"""Usage: dropped packets, busy time of cores, and interrupt affinity of the NIC of a host. Text of /proc in, plain data out.

usage_command() ─▶ read_usage() ─▶ Usage at one moment; counters count from the host's start
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from enaxp.hosts.interrupts import names_command
from enaxp.hosts.numbers import DIGITS, whole_number

TICKS_PER_S = 100  # of /proc/stat, on every kernel that enaxp meets (USER_HZ)
_USER, _NICE, _SYSTEM, _IRQ, _SOFTIRQ = (
    0,
    1,
    2,
    5,
    6,
)  # places in a core's line of /proc/stat; idle, iowait and steal are no work


@dataclass(frozen=True, kw_only=True)
class CoreTicks:
    """Busy time of a core in 1/100 s: in programs (with the kernel on their behalf), and in interrupts (hard and soft)."""

    programs: int
    interrupts: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """The usage counters of a host at one moment. udp: by the kernel's names. cores: by number. irqs: the cores that handle each
    interrupt, by its name. dropped: by interface, packets dropped because the NIC's ring or the kernel's queue was full.
    """

    udp: Mapping[str, int]
    cores: Mapping[int, CoreTicks]
    irqs: Mapping[str, str]
    dropped: Mapping[str, int]


def usage_command(interfaces: Iterable[str]) -> str:
    """A shell command that prints, for `read_usage`, the usage of a host and the interrupts of these interfaces."""
    parts = ["awk '/^Udp:/ || /^cpu[0-9]/' /proc/net/snmp /proc/stat 2>/dev/null"]
    for interface in interfaces:
        # Of the driver for ENA it holds what found no room in the ring, about a second late; few versions tell by ethtool.
        dropped = f'read -r drops < "/sys/class/net/"{shlex.quote(interface)}/statistics/rx_dropped'
        parts.append(f'{{ {dropped} && echo dropped {shlex.quote(interface)} "$drops"; }} 2>/dev/null')
        read = 'read -r at < "/proc/irq/$n/effective_affinity_list" && echo "irq $name $at"'
        parts.append(f"{names_command(shlex.quote(interface))} | while read -r n name; do {read}; done 2>/dev/null")
    return "; ".join(parts)


def read_usage(text: str) -> Usage | None:
    """The usage in the output of `usage_command`; None if it is missing."""
    cores: dict[int, CoreTicks] = {}
    for number, rest in re.findall(rf"^cpu([0-9]{{1,5}})((?: {DIGITS})+)$", text, re.MULTILINE):
        ticks = [int(word) for word in rest.split()]
        if len(ticks) > _SOFTIRQ:
            cores[int(number)] = CoreTicks(
                programs=ticks[_USER] + ticks[_NICE] + ticks[_SYSTEM], interrupts=ticks[_IRQ] + ticks[_SOFTIRQ]
            )
    if not cores:
        return None
    lines = [line.split() for line in re.findall(r"^Udp: (.*)$", text, re.MULTILINE)]
    names, values = lines if len(lines) == 2 else ([], [])
    return Usage(
        udp={
            name: count
            for name, value in zip(names, values, strict=False)
            if (count := whole_number(value)) is not None
        },
        cores=cores,
        dropped={name: int(count) for name, count in re.findall(rf"^dropped (\S+) ({DIGITS})$", text, re.MULTILINE)},
        irqs=dict(re.findall(r"^irq (\S+) ([\d,-]+)$", text, re.MULTILINE)),
    )
