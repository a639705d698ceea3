"""Capture: asks both hosts for the facts that affect latency.

Pair, Probes ─▶ a script for each host ─▶ its output ─▶ {role: {fact: text}} ─▶ environment.py compares them
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from enaxp.bench.measuring.pair import Pair, Probes
from enaxp.bench.run_folder.records import Environment, Facts
from enaxp.hosts.interrupts import numbers_command
from enaxp.hosts.sockperf import VERSION_COMMAND

_OF_THE_HOST: Mapping[str, str] = {
    "kernel": "uname -srv",
    "machine": "uname -m",
    "command_line": "cat /proc/cmdline",
    "cpus": "nproc",
    "cpu_model": "awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo",
    "smt": "cat /sys/devices/system/cpu/smt/control",
    "numa_nodes": "cat /sys/devices/system/node/online",
    "governor": "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "idle_states": "cd /sys/devices/system/cpu/cpu0/cpuidle && grep -H . state*/name state*/disable",
    "mitigations": "cd /sys/devices/system/cpu/vulnerabilities && grep -H . *",
    "clock_source": "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
    "time_sync": "systemctl is-active chronyd chrony systemd-timesyncd | tr '\\n' ' '",
    "irqbalance": "systemctl is-active irqbalance",
    "sockperf": VERSION_COMMAND,
    "sockperf_sha256": 'sha256sum "$(command -v sockperf)" | cut -d" " -f1',
    "settings": "cd /proc/sys/net && grep -H . core/busy_poll core/busy_read core/[rw]mem_default core/[rw]mem_max "
    "core/default_qdisc ipv4/tcp_[rw]mem ipv4/tcp_limit_output_bytes ipv4/tcp_autocorking ipv4/tcp_congestion_control",
    "driver_settings": "grep -H . /sys/module/ena/parameters/*",
    "rules": "ip rule",
    "routes": "ip -4 route show table all",
    "load": "cat /proc/loadavg",
    "cpu_times": "grep '^cpu ' /proc/stat",
}
_DEVICE = '"$dev"'  # the interface's name
_OF_AN_INTERFACE: Mapping[str, str] = {
    "link": 'ip -o link show dev "$dev"',
    "driver": 'ethtool -i "$dev"',
    "offloads": 'ethtool -k "$dev"',
    "numa_node": 'cat /sys/class/net/"$dev"/device/numa_node',
    "polling": 'cd /sys/class/net/"$dev" && grep -H . gro_flush_timeout napi_defer_hard_irqs threaded',
    "moderation": 'ethtool -c "$dev"',
    "rings": 'ethtool -g "$dev"',
    "channels": 'ethtool -l "$dev"',
    "spread": 'ethtool -x "$dev"',
    "qdisc": 'tc qdisc show dev "$dev"',
    "byte_queue_limits": 'cd /sys/class/net/"$dev"/queues && grep -H . tx-*/byte_queue_limits/limit_min',
    "irqs": f'for n in $({numbers_command(_DEVICE)}); do echo "$n $(cat /proc/irq/$n/smp_affinity_list)"; done',
    "counters": 'ethtool -S "$dev"',
}
_MARK = "--8<-- "


def capture(pair: Pair, probes: Probes) -> Environment:
    """The facts of both hosts now, read in parallel. Raises HostError."""
    scripts = {role: _script(probes, role) for role in pair.by_role()}
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda item: (item[0], item[1].run(scripts[item[0]])), pair.by_role().items())
        return {role: _read(answer.stdout) for role, answer in answers}


def _script(probes: Probes, role: str) -> str:
    """A shell script that prints each fact of a host after a marker line.

    Each command runs in a subshell: one that fails does not stop the others.
    """
    commands = dict(_OF_THE_HOST)
    for arm, probe in probes[role].items():
        if probe.interface:
            name = shlex.quote(probe.interface)
            commands |= {f"{arm}.{fact}": f"dev={name}; {command}" for fact, command in _OF_AN_INTERFACE.items()}
    return "; ".join(f"echo '{_MARK}{name}'; ( {command} ) 2>/dev/null" for name, command in commands.items())


def _read(text: str) -> Facts:
    pieces = (piece.partition("\n") for piece in text.split(_MARK)[1:])
    return {name.strip(): content.strip() for name, _, content in pieces}
