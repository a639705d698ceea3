"""CPUs: which of a host's cores are free for sockperf. Text of /proc and /sys in, plain data out.

cpus_command() ─▶ read_cpus() ─▶ HostCpus.free: near the NIC, and serving none of its interrupts
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from enaxp.hosts.interrupts import numbers_command


@dataclass(frozen=True, kw_only=True)
class HostCpus:
    """Cores by number. allowed: on which programs may run; near: of the NICs' NUMA node; serving: to which their interrupts go; siblings:
    those that are threads of one physical core.
    """

    allowed: tuple[int, ...]
    near: tuple[int, ...]
    serving: frozenset[int]
    can_pin: bool  # whether there is a program for it
    siblings: tuple[frozenset[int], ...] = ()

    @property
    def free(self) -> tuple[int, ...]:
        """Those for sockperf, in order. The first core of a host is left to what else goes on there; threads that would share a
        physical core with it, with interrupts or with one another come last.
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
    """Tells the cores of a host, for `read_cpus`. A NIC that is no device of a bus (a virtual one) has no NUMA node."""
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
    """What `cpus_command` printed."""
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
    """The numbers of a list as the kernel writes it: 0-3,8."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))
