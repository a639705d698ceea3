"""CPUs: the cores of a host that sockperf may use. Text of /proc and /sys in, plain data out.

cpus_command() ─▶ read_cpus() ─▶ HostCpus.free: near the NIC, and serving none of its interrupts
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from enaxp.hosts.interrupts import numbers_command
from enaxp.hosts.numbers import whole_number

MOST_CPUS = 8192  # of a Linux kernel; a list that goes beyond is none of cores


@dataclass(frozen=True, kw_only=True)
class HostCpus:
    """Cores by number. allowed: those on which programs may run. near: those of the NICs' NUMA node. serving: those that handle the NICs'
    interrupts. siblings: groups of hardware threads of one physical core.
    """

    allowed: tuple[int, ...]
    near: tuple[int, ...]
    serving: frozenset[int]
    can_pin: bool  # whether there is a program for it
    siblings: tuple[frozenset[int], ...] = ()

    @property
    def free(self) -> tuple[int, ...]:
        """The cores for sockperf, in order of preference. The first core of a host is left to other processes; hardware threads that
        share a physical core with it, with interrupts or with each other come last.
        """
        busy, alone, sharing = {0, *self.serving}, [], []
        for cpu in self.near:
            if cpu not in self.allowed or cpu == 0 or cpu in self.serving:
                continue
            if any(cpu in threads and threads & busy for threads in self.siblings):
                sharing.append(cpu)
            else:
                alone.append(cpu)
                busy.add(cpu)
        return (*alone, *sharing)


def cpus_command(interfaces: Iterable[str]) -> str:
    """A shell command that prints the cores of a host, for `read_cpus`. A virtual NIC has no NUMA node."""
    parts = [
        "command -v taskset > /dev/null && echo can_pin",
        "sort -u /sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list 2>/dev/null | sed 's/^/siblings /'",
        "sed -n 's/^Cpus_allowed_list:[[:space:]]*/allowed /p' /proc/self/status",
    ]
    for interface in interfaces:
        name = shlex.quote(interface)
        parts.append(f'echo "near $(cat /sys/class/net/{name}/device/local_cpulist 2>/dev/null)"')
        lists = (
            'cat "/proc/irq/$n/effective_affinity_list" 2>/dev/null || cat "/proc/irq/$n/smp_affinity_list" 2>/dev/null'
        )
        parts.append(f'for n in $({numbers_command(name)}); do echo "serving $({lists})"; done')
    return "; ".join([*parts, "true"])


def read_cpus(text: str) -> HostCpus:
    """The cores in the output of `cpus_command`."""
    told: dict[str, list[str]] = {"allowed": [], "near": [], "serving": [], "siblings": []}
    for what, numbers in re.findall(r"^(allowed|near|serving|siblings) ([\d,-]+)\s*$", text, re.MULTILINE):
        told[what].append(numbers)
    allowed = _numbers(",".join(told["allowed"]))
    return HostCpus(
        allowed=allowed,
        near=_numbers(",".join(told["near"])) or allowed,
        serving=frozenset(_numbers(",".join(told["serving"]))),
        can_pin="can_pin" in text.split(),
        siblings=tuple(frozenset(_numbers(threads)) for threads in told["siblings"]),
    )


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers in a list in the kernel's format: 0-3,8. What is no number of a core, or no range of them, is left out."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = whole_number(first), whole_number(last if dash else first)
        if low is not None and high is not None and high < MOST_CPUS:
            found.update(range(low, high + 1))
    return tuple(sorted(found))
