"""Bench: one run from beginning to end — connect to the hosts, check the routes, carry out the trials, compute the result.

    Plan + hosts ─▶ manifest.json ─▶ Runner ─▶ trials.jsonl … ─▶ result.json
                    └── read again by a run that is resumed ──┘

The manifest is written before the first trial and again at the end, so that a run that was cut short still says what it was.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from enaxp import __version__
from enaxp.bench.judging.evaluation import result_from
from enaxp.bench.judging.result import Result
from enaxp.bench.measuring.capture import capture
from enaxp.bench.measuring.load import measured_baseline, with_bulk_rates
from enaxp.bench.measuring.pair import Pair, Probes, connected, prove_routes
from enaxp.bench.measuring.runner import Progress, Runner, RunOptions
from enaxp.bench.planning.pinning import NONE, NOT_PINNED, choose
from enaxp.bench.planning.schedule import BenchPlan, schedule
from enaxp.bench.run_folder.environment import differences, fingerprint, without_this_computer
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.bench.run_folder.records import ArmAddresses as Addresses
from enaxp.bench.run_folder.records import Environment, InterfaceFacts, Manifest, RunEnvironment, RunFolder, TargetName
from enaxp.errors import BenchError, HostError, Interrupted
from enaxp.hosts.cpus import cpus_command, read_cpus
from enaxp.hosts.nic import InterfaceProbe
from enaxp.traffic import ARMS, TOGGLED_HOME, Arm

__all__ = ["RunSetup", "carry_out", "connected", "go_on", "require_sockperf", "result_of"]


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """What a run is to measure, where, and how it was requested: the part of the manifest that is known before the first trial.

    place, host_gbps, forced, untuned, emulated, given, pair_name, variant: as in the Manifest.
    """

    plan: BenchPlan
    lab: str
    target: TargetName
    isolation: str | None
    argv: tuple[str, ...]
    place: Mapping[str, str | None]
    host_gbps: float | None
    forced: tuple[str, ...] = ()
    untuned: tuple[str, ...] = ()
    emulated: str | None = None
    given: tuple[str, ...] | None = None
    pair_name: str | None = None
    variant: str | None = None


def carry_out(setup: RunSetup, *, pair: Pair, folder: RunFolder, options: RunOptions) -> None:
    """Runs the plan into the folder.

    Raises BenchError when an arm does not leave a host by its own interface, and whatever Runner.run raises.
    """
    probes = prove_routes(pair)
    setup = replace(setup, plan=_with_bulk_rates(setup, pair=pair, probes=probes))
    manifest = _pinned(_manifest(setup, pair=pair, folder=folder, probes=probes), pair, probes, options)
    folder.write_manifest(manifest)
    _run(manifest, pair=pair, folder=folder, probes=probes, options=options)


def _with_bulk_rates(setup: RunSetup, *, pair: Pair, probes: Probes) -> BenchPlan:
    """The plan with a send rate for each bulk flow, derived from the hosts' baseline bandwidth as AWS states it, else as measured. Raises
    BenchError."""
    known = setup.host_gbps
    baseline = measured_baseline(pair, setup.plan, probes) if known is None else lambda background: known
    return with_bulk_rates(setup.plan, baseline)


def _manifest(setup: RunSetup, *, pair: Pair, folder: RunFolder, probes: Probes) -> Manifest:
    """The manifest of a run that begins now, with the environment of both hosts before it. Raises HostError."""
    before = _kept(capture(pair, probes), target=setup.target)
    return Manifest(
        run_id=folder.run_id,
        lab=setup.lab,
        target=setup.target,
        isolation=setup.isolation,
        plan=setup.plan,
        connections=_connections(setup.plan, pair),
        argv=setup.argv,
        place=setup.place,
        host_gbps=setup.host_gbps,
        forced=setup.forced,
        untuned=setup.untuned,
        emulated=setup.emulated,
        given=setup.given,
        pair_name=setup.pair_name,
        variant=setup.variant,
        versions=_versions(before),
        started_at=_now(),
        environment=RunEnvironment(
            before=before, interfaces=_interfaces(setup.plan, probes), hashes={"before": fingerprint(before)}
        ),
    )


def _connections(plan: BenchPlan, pair: Pair) -> dict[Arm, Addresses]:
    """The client and server address of each arm's traffic: its own interface's; the same for both arms where SRD is toggled."""
    return {
        arm: Addresses(source_ip=pair.client.host.ip_of(home), destination_ip=pair.server.host.ip_of(home))
        for arm, home in _homes(plan).items()
    }


def _homes(plan: BenchPlan) -> dict[Arm, Arm]:
    return {arm: TOGGLED_HOME if plan.is_toggled else arm for arm in ARMS}


def _pinned(manifest: Manifest, pair: Pair, probes: Probes, options: RunOptions) -> Manifest:
    """The manifest with the cores that sockperf is pinned to. Where it cannot be pinned, prints why, and the plan has no cores. Raises
    HostError."""
    if manifest.plan.cpus == NONE:
        return manifest
    hosts = {
        role: read_cpus(connection.check(cpus_command(p.interface for p in probes[role].values() if p.interface)))
        for role, connection in pair.by_role().items()
    }
    pinning, note = choose(manifest.plan, hosts, on_one_computer=manifest.target == "local")
    if note:
        options.watch(Progress(done=0, total=len(schedule(manifest.plan)), seconds_left=0.0, note=note))
    plan = replace(manifest.plan, cpus=NONE) if pinning == NOT_PINNED else manifest.plan
    return replace(manifest, plan=plan, pinning=pinning)


def go_on(folder: RunFolder, *, pair: Pair, options: RunOptions) -> None:
    """Resumes a run: carries out the trials that its own plan still lacks.

    Raises BenchError when the hosts are not the ones on which the run began.
    """
    manifest = folder.read_manifest()
    probes = prove_routes(pair)
    if manifest.connections != _connections(manifest.plan, pair):
        raise BenchError(f"run {folder.run_id} was measured between other addresses", todo="begin a new run")
    versions = _versions(capture(pair, probes))
    for name, version in versions.items():
        if name.startswith("sockperf") and version != manifest.versions.get(name):
            raise BenchError(
                f"run {folder.run_id} was begun with {name} {manifest.versions.get(name)}, now it is {version}",
                todo="begin a new run: figures of two versions must not be mixed",
            )
    manifest = replace(manifest, resumed_at=(*manifest.resumed_at, _now()), stopped=False)
    folder.write_manifest(manifest)
    _run(manifest, pair=pair, folder=folder, probes=probes, options=options)


def _run(manifest: Manifest, *, pair: Pair, folder: RunFolder, probes: Probes, options: RunOptions) -> None:
    """Carries out the trials that are not on disk yet, and records in the manifest how the run ended."""
    plan = manifest.plan
    if plan.until_pct is not None:
        until = plan.until_pct
        options = replace(options, is_narrow=lambda: result_of(folder).is_narrow(to_pct=until))
    try:
        Runner(pair, plan, folder, probes=probes, options=options, pinning=manifest.pinning).run()
    except BaseException as error:
        manifest = replace(manifest, stopped=isinstance(error, Interrupted | KeyboardInterrupt))
        _end_manifest(folder, manifest, pair, probes, quietly=True)
        raise
    _end_manifest(folder, manifest, pair, probes, quietly=False)


def _end_manifest(folder: RunFolder, manifest: Manifest, pair: Pair, probes: Probes, *, quietly: bool) -> None:
    """Writes the manifest of a run that has ended. With `until_pct` the plan's iterations become the number that was carried out.

    `quietly`: another error is already being raised, so a full disk must not replace it.
    """
    after = _kept(_capture_if_reachable(pair, probes), target=manifest.target)
    plan = manifest.plan
    if plan.until_pct is not None and not quietly:
        plan = replace(plan, iterations=folder.iterations_begun() or plan.iterations)
    environment = replace(
        manifest.environment,
        after=after,
        hashes={**manifest.environment.hashes, "after": fingerprint(after)},
        differences=differences(manifest.environment.before, after),
    )
    try:
        folder.write_manifest(replace(manifest, plan=plan, ended_at=_now(), environment=environment))
    except OSError:
        if not quietly:
            raise


def result_of(folder: RunFolder) -> Result:
    """The result of a run, computed from the files in its folder alone."""
    manifest = folder.read_manifest()
    return result_from(manifest, evidence_of(folder, manifest.plan))


def require_sockperf(before: Mapping[str, Mapping[str, str]]) -> None:
    """Raises HostError when a host has no sockperf, or when the hosts have different versions of it."""
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


def _versions(before: Mapping[str, Mapping[str, str]]) -> dict[str, str | None]:
    require_sockperf(before)
    sockperf = {f"sockperf_{role}": facts.get("sockperf") or None for role, facts in before.items()}
    return {"enaxp": __version__, "python": platform.python_version(), **sockperf}


def _interfaces(plan: BenchPlan, probes: Probes) -> dict[str, dict[Arm, InterfaceFacts]]:
    """The interface that carries each arm on each host when the run begins."""
    return {
        role: {arm: _facts_of(of_host[home]) for arm, home in _homes(plan).items()} for role, of_host in probes.items()
    }


def _facts_of(probe: InterfaceProbe) -> InterfaceFacts:
    return InterfaceFacts(interface=probe.interface, leaves_by=probe.leaves_by, driver=probe.driver, mtu=probe.mtu)


def _capture_if_reachable(pair: Pair, probes: Probes) -> Environment:
    """Both hosts' environment now; empty when they no longer answer."""
    try:
        return capture(pair, probes)
    except HostError:
        return {}


def _kept(environment: Environment, *, target: TargetName) -> Environment:
    """The part of the hosts' environment that a run stores. On the local target the host is the user's own computer, and reports are
    shared: so what identifies that computer is left out."""
    return without_this_computer(environment) if target == "local" else environment


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
