"""Bench: one run from beginning to end — hosts connected, routes proven, trials carried out, the result worked out.

    Plan + hosts ─▶ manifest.json ─▶ Runner ─▶ trials.jsonl … ─▶ result.json
                    └── read again by a run that is resumed ──┘

The manifest is written before the first trial and again at the end, so that a run that was cut short still says what it was.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from enaxp import __version__
from enaxp.bench.pair import Pair, Probes, connected, prove_routes
from enaxp.bench.records import Connection as Addresses
from enaxp.bench.records import Manifest, RunFolder
from enaxp.bench.result import build_result, is_narrow
from enaxp.bench.runner import Runner, Ways
from enaxp.bench.schedule import ARMS, Plan
from enaxp.errors import BenchError, HostError

__all__ = ["carry_out", "connected", "environment", "go_on", "require_sockperf", "result_of"]

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


def carry_out(
    plan: Plan,
    *,
    pair: Pair,
    folder: RunFolder,
    lab: str,
    target: str,
    isolation: str | None,
    argv: list[str],
    ways: Ways,
    forced: tuple[str, ...] = (),
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
        forced=forced,
        versions=_versions(before),
        started_at=_now(),
        environment={"before": before, "interfaces": _interfaces(probes), "hashes": {"before": _hash(before)}},
    )
    folder.write_manifest(manifest)
    _run(manifest, pair=pair, folder=folder, probes=probes, ways=ways)


def go_on(folder: RunFolder, *, pair: Pair, ways: Ways) -> None:
    """Carries out what is left of a run, by its own plan. Raises BenchError when the hosts are not those it was begun on."""
    manifest = folder.read_manifest()
    probes = prove_routes(pair)
    for arm, addresses in manifest.connections.items():
        if addresses.source_ip != pair.client.host.ip_of(arm) or addresses.destination_ip != pair.server.host.ip_of(
            arm
        ):
            raise BenchError(f"run {folder.run_id} was measured between other addresses", todo="begin a new run")
    versions = _versions(environment(pair))
    for name, version in versions.items():
        if name.startswith("sockperf") and version != manifest.versions.get(name):
            raise BenchError(
                f"run {folder.run_id} was begun with {name} {manifest.versions.get(name)}, now it is {version}",
                todo="begin a new run: figures of two versions do not mix",
            )
    manifest = replace(manifest, resumed_at=(*manifest.resumed_at, _now()))
    folder.write_manifest(manifest)
    _run(manifest, pair=pair, folder=folder, probes=probes, ways=ways)


def _run(manifest: Manifest, *, pair: Pair, folder: RunFolder, probes: Probes, ways: Ways) -> None:
    """Carries out what is not on disk yet, and says in the manifest how it ended."""
    plan = manifest.plan
    if plan.until_pct is not None:
        until = plan.until_pct
        ways = replace(ways, is_narrow=lambda: is_narrow(result_of(folder), to_pct=until))
    try:
        Runner(pair, plan, folder, probes=probes, ways=ways).run()
    except BaseException:
        _end_manifest(folder, manifest, pair, quietly=True)
        raise
    _end_manifest(folder, manifest, pair, quietly=False)


def _end_manifest(folder: RunFolder, manifest: Manifest, pair: Pair, *, quietly: bool) -> None:
    """The manifest of a run that has ended. Of one that goes on until it is narrow, the plan now says what it came to."""
    after = _quietly(pair)
    plan = manifest.plan
    if plan.until_pct is not None and not quietly:
        plan = replace(plan, iterations=max((record.iteration for record in folder.records()), default=plan.iterations))
    environment = {**manifest.environment, "after": after}
    environment["hashes"] = {**environment.get("hashes", {}), "after": _hash(after)}
    try:
        folder.write_manifest(replace(manifest, plan=plan, ended_at=_now(), environment=environment))
    except OSError:
        if not quietly:
            raise


def result_of(folder: RunFolder) -> dict[str, Any]:
    """The result of what a run folder holds, worked out from its files alone."""
    return build_result(
        folder.read_manifest(),
        folder.records(),
        read_histogram=folder.read_histogram,
        read_planned=folder.read_planned_histogram,
    )


def environment(pair: Pair) -> dict[str, dict[str, str]]:
    """Per host: kernel, clock, routes and settings, as text. What a host does not tell is empty. Raises HostError."""
    script = "; ".join(f"echo '{_MARK}{name}'; {command} 2>/dev/null" for name, command in _ENVIRONMENT.items())
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda item: (item[0], item[1].run(script).stdout), pair.by_role().items())
        return {role: _read_environment(text) for role, text in texts}


def require_sockperf(before: Mapping[str, Mapping[str, str]]) -> None:
    """Raises HostError when a host has no sockperf, or both have not the same."""
    versions = {role: facts.get("sockperf", "") for role, facts in before.items()}
    for role, version in versions.items():
        if not version:
            raise HostError(
                f"the {role} has no sockperf", todo="run `enaxp up` again: it waits for the hosts' software"
            )
    if len(set(versions.values())) > 1:
        said = ", ".join(f"{version} on the {role}" for role, version in versions.items())
        raise HostError(
            "the hosts have different versions of sockperf",
            said=said,
            todo="install the same on both (`enaxp ssh`), or build the hosts anew: `enaxp down compute`, `enaxp up`",
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


# What differs between two moments of the same host, and is no setting.
_PASSING = {"load"}


def _hash(environment: Mapping[str, Mapping[str, str]]) -> str | None:
    """Of what the hosts are, to be compared with that of another moment or run; None when they did not answer."""
    if not environment:
        return None
    lasting = {
        role: {name: text for name, text in facts.items() if name not in _PASSING}
        for role, facts in environment.items()
    }
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
