"""Bench: one run from beginning to end — hosts connected, routes proven, trials carried out, the result worked out.

    Plan + hosts ─▶ manifest.json ─▶ Runner ─▶ trials.jsonl … ─▶ result.json

The manifest is written before the first trial and again at the end, so that a run that was cut short still says what it was.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from enaxp import __version__
from enaxp.bench.records import Connection as Addresses
from enaxp.bench.records import Manifest, RunFolder
from enaxp.bench.result import build_result
from enaxp.bench.runner import Pair, Probes, Runner, Watcher, prove_routes
from enaxp.bench.schedule import ARMS, Plan
from enaxp.errors import HostError
from enaxp.hosts.connection import Host, connect

# name → command; what a host is, as far as it bears on latency
_ENVIRONMENT: Mapping[str, str] = {
    "kernel": "uname -sr",
    "machine": "uname -m",
    "command_line": "cat /proc/cmdline",
    "cpus": "nproc",
    "cpu_model": "awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo",
    "clock_source": "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
    "load": "cat /proc/loadavg",
    "sockperf": "sockperf --version 2>&1 | tr -dc '[:print:]\\n' | grep -o '[0-9][0-9.]*[0-9]' | head -n 1",
    "rules": "ip rule",
    "routes": "ip route show table all",
    "links": "ip -o link",
    "busy_poll": "cat /proc/sys/net/core/busy_poll",
    "rmem_max": "cat /proc/sys/net/core/rmem_max",
    "tcp_limit_output_bytes": "cat /proc/sys/net/ipv4/tcp_limit_output_bytes",
}
_MARK = "--8<-- "


@contextmanager
def connected(hosts: Mapping[str, Host]) -> Iterator[Pair]:
    """One open connection to each host, closed at the end. Raises HostError when one cannot be had."""
    with ThreadPoolExecutor(2) as pool:
        server, client = pool.map(connect, (hosts["server"], hosts["client"]))
    try:
        yield Pair(server=server, client=client)
    finally:
        server.close()
        client.close()


def carry_out(
    plan: Plan,
    *,
    pair: Pair,
    folder: RunFolder,
    lab: str,
    target: str,
    isolation: str | None,
    argv: list[str],
    watch: Watcher,
) -> None:
    """Runs the plan into the folder. Raises BenchError when an arm has no way of its own, and what Runner.run raises."""
    probes = prove_routes(pair)
    before = environment(pair)
    manifest = Manifest(
        run_id=folder.run_id,
        lab=lab,
        target=target,  # type: ignore[arg-type]
        isolation=isolation,
        plan=plan,
        connections={
            arm: Addresses(source_ip=pair.client.host.ip_of(arm), destination_ip=pair.server.host.ip_of(arm))
            for arm in ARMS
        },
        argv=tuple(argv),
        versions=_versions(before),
        started_at=_now(),
        environment={"before": before, "interfaces": _interfaces(probes)},
    )
    folder.write_manifest(manifest)
    runner = Runner(pair, plan, folder, probes=probes, watch=watch)
    try:
        runner.run()
    finally:
        after = _quietly(runner.pair)
        folder.write_manifest(replace(manifest, ended_at=_now(), environment={**manifest.environment, "after": after}))


def result_of(folder: RunFolder) -> dict[str, Any]:
    """The result of what a run folder holds, worked out from its files alone."""
    return build_result(folder.read_manifest(), folder.records(), read_histogram=folder.read_histogram)


def environment(pair: Pair) -> dict[str, dict[str, str]]:
    """Per host: kernel, clock, routes and settings, as text. What a host does not tell is empty. Raises HostError."""
    script = "; ".join(f"echo '{_MARK}{name}'; {command} 2>/dev/null" for name, command in _ENVIRONMENT.items())
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda item: (item[0], item[1].run(script).stdout), pair.by_role().items())
        return {role: _read_environment(text) for role, text in texts}


def require_sockperf(before: Mapping[str, Mapping[str, str]]) -> None:
    """Raises HostError when a host has no sockperf."""
    for role, facts in before.items():
        if not facts.get("sockperf"):
            raise HostError(
                f"the {role} has no sockperf", todo="run `enaxp up` again: it waits for the hosts' software"
            )


def _read_environment(text: str) -> dict[str, str]:
    pieces = (piece.partition("\n") for piece in text.split(_MARK)[1:])
    return {name.strip(): content.strip() for name, _, content in pieces}


def _versions(before: Mapping[str, Mapping[str, str]]) -> dict[str, str | None]:
    require_sockperf(before)
    sockperf = {f"sockperf_{role}": facts.get("sockperf") or None for role, facts in before.items()}
    return {"enaxp": __version__, "python": platform.python_version(), **sockperf}


def _interfaces(probes: Probes) -> dict[str, Any]:
    return {
        role: {
            arm: {"interface": p.interface, "leaves_by": p.leaves_by, "driver": p.driver, "mtu": p.mtu}
            for arm, p in arms.items()
        }
        for role, arms in probes.items()
    }


def _quietly(pair: Pair) -> dict[str, dict[str, str]]:
    """The environment after the run, as far as the hosts still answer."""
    try:
        return environment(pair)
    except HostError:
        return {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
