"""Lab commands: the implementation of `enaxp up`, `enaxp down` and `enaxp doctor --preflight`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from enaxp.aws import in_parallel
from enaxp.commands.monitoring import configure_monitoring, require_room_for_monitoring
from enaxp.commands.status import look_at, status_in
from enaxp.errors import EnaxpError, LabError, UsageError
from enaxp.lab.cost import USD_A_GB_BETWEEN_ZONES, usd_per_hour, usd_so_far
from enaxp.lab.fleet import pair_in
from enaxp.lab.lifecycle import (
    BUILT_LAYERS,
    Removal,
    Snapshot,
    down,
    refuse_another_port,
    refuse_while_measured,
    require_own_lab,
    require_running,
    types_wanted,
    up,
    zones_wanted,
)
from enaxp.lab.model import LAYERS, Layer
from enaxp.lab.ownership import is_being_measured
from enaxp.lab.pace import least_time_text
from enaxp.lab.resolved import is_bare_metal
from enaxp.lab.spec import layer_of
from enaxp.lab.state import BENCH_LOCK
from enaxp.lab.status import HostStatus, MonitoringStatus, Status
from enaxp.session import Session
from enaxp.terminal.lab import cost_text, folded_plan_text, removal_text

if TYPE_CHECKING:
    from enaxp.hosts.connection import Host
    from enaxp.lab.checks.findings import Report
    from enaxp.lab.cost import Prices
    from enaxp.lab.state_manager import SoftwareResults

CONSOLE_S = 180.0  # for a new host's console to show its keys: it takes about a minute
LOCAL_CONSOLE_S = 10.0
WORKERS = 16  # hosts that are asked side by side


@dataclass(frozen=True, kw_only=True)
class BuiltLab:
    """A lab after an `up`, before waiting for its hosts. changed: keys of created or changed resources."""

    snapshot: Snapshot
    layers: tuple[Layer, ...]
    changed: tuple[str, ...]


def bring_up(
    session: Session,
    *,
    layers: Sequence[Layer],
    assume_yes: bool,
    may_replace: bool = False,
    rollback: bool = False,
    max_usd_per_hour: float | None = None,
    skip_preflight: bool = False,
    partial: bool = False,
) -> BuiltLab:
    """Builds what is missing of these layers. `rollback`: removes what was created if that fails. `skip_preflight`: without the checks in
    advance. `partial`: leaves out pairs of a fleet for which AWS has no capacity.

    Raises LabError when the user declines, the lab has another owner, or hosts with a running bench would be changed; UsageError when the
    lab would cost more than `max_usd_per_hour`.
    """
    say, layers = session.console.say, tuple(layers)
    if "monitoring" in layers:
        require_room_for_monitoring(session)
    with session.file.lock("up"):
        snapshot = look_at(session, layers)
        require_own_lab(session.lab_context, snapshot.state, snapshot.survey)
        refuse_another_port(snapshot, port=session.config.hosts.ssh_port)
        refuse_while_measured(session.lab_context, snapshot)
        if not may_replace:
            _refuse_fewer_pairs(snapshot)
        changed = tuple(step.key for step in snapshot.plan.changing)
        for note in snapshot.notes:
            say(note)
        if changed:
            check = (lambda: None) if skip_preflight else (lambda: _check_beforehand(session, snapshot))
            _, prices = in_parallel(check, lambda: session.prices(types_wanted(snapshot)))
            say_what_it_costs(session, snapshot, prices)
            if max_usd_per_hour is not None:
                _require_no_more_than(max_usd_per_hour, session, snapshot, prices)
            if not may_replace:
                _confirm_replacement(session, snapshot)
            if not assume_yes:
                _confirm_plan(session, snapshot)
            with _rolled_back(session, snapshot) if rollback else contextlib.nullcontext():
                snapshot = _build(session, snapshot, layers, partial=partial)
        else:
            up(session.lab_context, snapshot, watch=session.console.lab_event)
            say("everything is as wanted: nothing to change")
    return BuiltLab(snapshot=snapshot, layers=layers, changed=changed)


def wait_for_hosts(session: Session, built: BuiltLab) -> Status:
    """Waits until the hosts of the layers are ready; returns the status then. Raises HostError."""
    from enaxp.lab.boot import METAL_SSH_S, SSH_S, wait_until_ready

    say, snapshot = session.console.say, built.snapshot
    status = status_in(session, snapshot, software={})
    _verify_hosts(session, status)
    hosts = session.all_hosts(status) if "compute" in built.layers else {}
    watcher = session.monitoring_host(status) if "monitoring" in built.layers else None
    if not hosts and watcher is None:
        return status
    whose = "State Manager's report that the software is installed" if session.config.hosts.ssm else "their software"
    say(f"waiting for the hosts: SSH, then their first boot, then {whose}")
    types = set(types_wanted(snapshot).values())
    wait_until_ready(
        [*hosts.values(), *([watcher] if watcher else [])],
        say=say,
        check=lambda host: require_running(session.aws, snapshot, host.role),
        longest_s=lambda: METAL_SSH_S if any(is_bare_metal(session.aws, one) for one in types) else SSH_S,
    )
    if watcher:
        configure_monitoring(session, watcher)
    return status_in(session, snapshot, software=_software(session, built, hosts) if hosts else None)


def _software(session: Session, built: BuiltLab, hosts: Mapping[str, Host]) -> SoftwareResults:
    """Waits until the software is installed, by State Manager or by enaxp over SSH; returns the results. Raises HostError."""
    from enaxp.lab.boot import log_of, restart_agent
    from enaxp.lab.software_by_ssh import put_in_place
    from enaxp.lab.state_manager import wait_for_software

    say = session.console.say
    if session.config.hosts.ssm:
        return wait_for_software(
            built.snapshot,
            session.aws,
            changed=built.changed,
            log_of=lambda role, piece: log_of(hosts[role], piece),
            restart_agent=lambda role: restart_agent(hosts[role]),
            say=say,
        )
    if session.target.isolation == "processes":
        say("hosts that are plain processes have this machine's software: nothing is put in place")
        return {}
    return put_in_place(hosts, say=say)


def _verify_hosts(session: Session, status: Status) -> None:
    """Verifies the SSH key of each new host against its console output, in parallel, before anything is sent to it."""
    hosts: list[tuple[str, HostStatus | MonitoringStatus]] = list(status.every_host().items())
    if status.monitoring:
        hosts.append(("monitoring", status.monitoring))
    fresh = [(role, host) for role, host in hosts if not session.file.known_hosts(host.instance_id).exists()]
    patience_s = CONSOLE_S if session.target.name == "aws" else LOCAL_CONSOLE_S
    if fresh:
        with ThreadPoolExecutor(min(len(fresh), WORKERS)) as pool:
            verified = pool.map(lambda item: session.verify_host(*item, patience_s=patience_s), fresh)
            if all(verified):
                session.console.say("  the hosts' keys match those that AWS reports")


def preflight(session: Session) -> Report:
    """Runs every check that `up` makes in advance, whether or not there is anything to create."""
    from enaxp.lab.checks.preflight import preflight_report

    return preflight_report(look_at(session, BUILT_LAYERS), config=session.config, aws=session.aws)


def require_no_bench(session: Session) -> None:
    """Raises LabError while a bench of the lab runs on this computer."""
    if session.file.is_locked(name=BENCH_LOCK):
        raise is_being_measured(lab=session.config.lab, until=None)


def confirm(session: Session, question: str) -> None:
    """Asks for confirmation on AWS. Raises LabError when the user declines."""
    if session.target.name == "aws" and not session.console.ask(question):
        raise LabError("nothing was changed", todo="answer y, or give --yes")


def confirm_removal(session: Session, layers: Sequence[Layer], *, with_foreign: bool) -> None:
    """Asks whether to remove the layers (none named: the whole lab). Raises LabError when the user declines."""
    what = " and ".join(layers) or "everything"
    besides = ", and the endpoints and security groups that others have in its own VPC" if with_foreign else ""
    confirm(session, f"Remove {what} of lab {session.config.lab} in {session.config.aws.region}{besides}?")


def remove_layers(session: Session, *, layers: Sequence[Layer], with_foreign: bool = False) -> Removal:
    """Removes the layers (none named: the whole lab), and prints what was removed, what is left and why, and what the lab has cost."""
    with session.file.lock("down"):
        removal = down(
            session.lab_context,
            layers=tuple(layers) or LAYERS,
            watch=session.console.lab_event,
            note=session.console.say,
            with_foreign=with_foreign,
        )
    session.console.say(removal_text(removal, lab=session.config.lab))
    hosts = [found for found in removal.removed if found.kind == "instance" and layer_of(found.key) == "compute"]
    types = {found.key: str(found.facts["type"]) for found in hosts if "type" in found.facts}
    prices = session.prices(types) if removal.removed else None
    cost = usd_so_far(prices, removal.removed, now=datetime.now(UTC))
    if cost is not None:
        session.console.say(f"what was removed has cost about {cost:.2f} USD in all")
    return removal


def say_what_it_costs(session: Session, snapshot: Snapshot, prices: Prices | None) -> None:
    """Prints what the wanted resources cost per hour and until the lab expires, before any of them is created."""
    if session.target.name != "aws":
        return
    hourly = _usd_per_hour_wanted(snapshot, prices)
    if prices is None or hourly is None:
        session.console.say(f"{_costs_of(session, snapshot)} is not known here")
        return
    ends, now = snapshot.state.expires_at, datetime.now(UTC)
    pace = least_time_text(snapshot.plan, snapshot.resources)
    if pace:
        session.console.say(pace)
    zones = zones_wanted(snapshot)
    if len(zones) > 1:
        session.console.say(f"traffic between {' and '.join(zones)} is billed: {USD_A_GB_BETWEEN_ZONES} USD a GB")
    session.console.say(cost_text(hourly, ends=ends, now=now, source=prices.source))


def _costs_of(session: Session, snapshot: Snapshot) -> str:
    types = " or ".join(dict.fromkeys(types_wanted(snapshot).values()))
    return f"what {types} costs in {session.config.aws.region}"


def _usd_per_hour_wanted(snapshot: Snapshot, prices: Prices | None) -> float | None:
    """The cost of the wanted resources in USD per hour; None if a price is unknown."""
    return usd_per_hour(prices, (resource.key for resource in snapshot.resources if resource.owned))


def _require_no_more_than(limit: float, session: Session, snapshot: Snapshot, prices: Prices | None) -> None:
    """Raises UsageError when the lab, with existing resources of other layers, would cost more than this per hour. The local target costs
    nothing.
    """
    if session.target.name != "aws":
        return
    wanted = {resource.key for resource in snapshot.resources if resource.owned}
    hourly = usd_per_hour(prices, wanted | {found.key for found in snapshot.survey.all() if found.key})
    if hourly is None:
        raise UsageError(
            f"{_costs_of(session, snapshot)} is not known: the lab cannot be held to {limit:g} USD an hour",
            todo="leave --max-usd-per-hour out, allow pricing:GetProducts, or choose another hosts.instance_type",
        )
    if hourly > limit:
        raise UsageError(
            f"the lab would cost about {hourly:.2f} USD an hour, more than the {limit:g} that are allowed: nothing was made",
            todo="choose a smaller hosts.instance_type, or a higher --max-usd-per-hour",
        )


def _confirm_plan(session: Session, snapshot: Snapshot) -> None:
    """Shows the plan and, on AWS, asks for confirmation. Raises LabError when the user declines."""
    if session.target.name == "aws":
        session.console.result(folded_plan_text(snapshot.plan))
        confirm(session, f"Build this in account {snapshot.state.account}, {snapshot.state.region}?")


def _confirm_replacement(session: Session, snapshot: Snapshot) -> None:
    """Asks whether running hosts may be replaced, which loses their data. Raises LabError without confirmation."""
    there = snapshot.survey.found
    steps = [step for step in snapshot.plan.with_action("replace") if step.kind == "instance"]
    running = [
        f"{step.key} {there[step.key].id} ({step.reason})"
        for step in steps
        if step.key in there and there[step.key].facts.get("state") in ("pending", "running")
    ]
    if not running:
        return
    if not session.console.ask_for_yes(f"Replace {', '.join(running)}? They run, and what is on them is lost."):
        raise LabError(
            f"{', '.join(running)} would be replaced, and runs",
            said="nothing was changed",
            todo="give --replace to confirm",
        )


def _refuse_fewer_pairs(snapshot: Snapshot) -> None:
    """Raises UsageError when hosts of a fleet would be removed because fewer pairs are requested, without `--replace`."""
    names = sorted(
        {pair.name for key in snapshot.plan.surplus if (pair := pair_in(key)) and key.startswith("instance/")}
    )
    if names:
        raise UsageError(
            f"{len(names)} {'pair' if len(names) == 1 else 'pairs'} of hosts would be removed: {', '.join(names)}",
            said="fewer pairs are asked for than the lab has; nothing was changed",
            todo="give --replace to confirm, or leave out --pairs and `fleet` to keep them",
        )


def _build(session: Session, snapshot: Snapshot, layers: Sequence[Layer], *, partial: bool) -> Snapshot:
    """Carries out the snapshot's plan in a zone with capacity; returns the new snapshot."""
    from enaxp.lab.zones import up_in_some_zone

    console = session.console
    return up_in_some_zone(
        session.lab_context, snapshot, layers=layers, watch=console.lab_event, note=console.say, partial=partial
    )


@contextlib.contextmanager
def _rolled_back(session: Session, before: Snapshot) -> Iterator[None]:
    """A context: if its body fails, the resources created in it are removed again."""
    from enaxp.lab.zones import rollback

    try:
        yield
    except EnaxpError:
        session.console.say("this failed: taking back what it made")
        try:
            rollback(session.lab_context, before, watch=session.console.lab_event)
        except EnaxpError as error:
            session.console.say(f"not all of it could be taken back: {error}")
        raise


def _check_beforehand(session: Session, snapshot: Snapshot) -> None:
    """Runs the preflight checks. Raises LabError that lists all failures."""
    from enaxp.lab.checks.preflight import preflight_report

    if not snapshot.plan.with_action("create"):
        return
    report = preflight_report(snapshot, config=session.config, aws=session.aws)
    for finding in report.of("warning"):
        session.console.say(f"warning: {finding.check}: {finding.text}")
    report.require()
