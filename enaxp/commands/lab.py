"""Lab commands: what `enaxp up`, `enaxp down` and `enaxp doctor --preflight` do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from enaxp.aws import in_parallel
from enaxp.commands.monitoring import configure_monitoring, require_room_for_monitoring
from enaxp.commands.status import look_at, status_in
from enaxp.errors import LabError
from enaxp.lab.cost import usd_per_hour, usd_so_far
from enaxp.lab.lifecycle import Snapshot, down, up
from enaxp.lab.model import LAYERS, Layer, as_text
from enaxp.lab.state import BENCH_LOCK
from enaxp.session import Session

if TYPE_CHECKING:
    from enaxp.lab.checks.findings import Report
    from enaxp.lab.cost import Prices

ROLE_KEYS = ("instance/server", "instance/client")


def bring_up(
    session: Session, *, layers: Sequence[Layer], assume_yes: bool, wait: bool, rollback: bool = False
) -> dict[str, Any]:
    """Builds what is missing and gives back the status; with `rollback` takes back what it made when that fails.

    Raises LabError when somebody says no.
    """
    say = session.console.say
    if "monitoring" in layers:
        require_room_for_monitoring(session)
    with session.file.lock("up"):
        snapshot = look_at(session, layers)
        changed = tuple(step.key for step in snapshot.plan.changing)
        for note in snapshot.notes:
            say(note)
        if snapshot.plan.changing:
            _, prices = in_parallel(lambda: _check_beforehand(session, snapshot), session.prices)
            say_what_it_costs(session, snapshot, prices)
            if session.target.name == "aws" and not assume_yes:
                session.console.plan(snapshot.plan)
                if not session.console.ask(f"Build this in account {snapshot.state.account}, {snapshot.state.region}?"):
                    raise LabError("nothing was changed", todo="answer y, or give --yes")
            snapshot = _build(session, snapshot, layers, roll_back=rollback)
        else:
            up(snapshot, config=session.config, aws=session.aws, file=session.file, watch=session.console.lab_event)
            say("everything is as wanted: nothing to change")
    if not wait:
        return status_in(session, snapshot, software={})
    return _wait_for_hosts(session, snapshot, layers, changed=changed)


def _wait_for_hosts(
    session: Session, snapshot: Snapshot, layers: Sequence[Layer], *, changed: Sequence[str]
) -> dict[str, Any]:
    """Until the hosts of these layers have all that they need; gives back the status then. Raises HostError."""
    from enaxp.lab.boot import log_of, wait_until_ready
    from enaxp.lab.state_manager import wait_for_software

    say = session.console.say
    status = status_in(session, snapshot, software={})
    hosts = session.hosts(status) if "compute" in layers else {}
    watcher = session.monitoring_host(status) if "monitoring" in layers else None
    if not hosts and watcher is None:
        return status
    say("waiting for the hosts: SSH, then their first boot, then State Manager's word that the software is in place")
    wait_until_ready([*hosts.values(), *([watcher] if watcher else [])], say=say)
    if watcher:
        configure_monitoring(session, watcher)
    software = None
    if hosts:
        software = wait_for_software(
            snapshot, session.aws, changed=changed, log_of=lambda role, piece: log_of(hosts[role], piece), say=say
        )
    return status_in(session, snapshot, software=software)


def _build(session: Session, snapshot: Snapshot, layers: Sequence[Layer], *, roll_back: bool) -> Snapshot:
    """Carries the snapshot out, where there is room; gives back the lab as it is then."""
    from enaxp.errors import EnaxpError
    from enaxp.lab.zones import rollback, up_in_some_zone

    aws, file, watch, say = session.aws, session.file, session.console.lab_event, session.console.say
    try:
        return up_in_some_zone(
            snapshot,
            look_again=lambda: look_at(session, layers),
            config=session.config,
            aws=aws,
            file=file,
            watch=watch,
            note=say,
        )
    except EnaxpError:
        if roll_back:
            say("this failed: taking back what it made")
            rollback(snapshot, aws=aws, file=file, watch=watch)
        raise


def preflight(session: Session) -> Report:
    """What `up` would check before it makes anything, all of it, whether or not something is to be made."""
    from enaxp.lab.checks.preflight import preflight_report
    from enaxp.lab.lifecycle import BUILT_LAYERS

    return preflight_report(look_at(session, BUILT_LAYERS), config=session.config, aws=session.aws)


def take_down(session: Session, *, layers: Sequence[Layer], assume_yes: bool, force: bool) -> dict[str, Any]:
    """Removes the layers (none named: all of the lab) and gives back what was removed and what is left."""
    if session.file.is_locked(name=BENCH_LOCK) and not force:
        raise LabError(
            f"a bench of lab {session.config.lab} is running", todo="wait for it, stop it with Ctrl-C, or give --force"
        )
    if session.target.name == "aws" and not assume_yes:
        what = " and ".join(layers) or "everything"
        if not session.console.ask(f"Remove {what} of lab {session.config.lab} in {session.config.aws.region}?"):
            raise LabError("nothing was changed", todo="answer y, or give --yes")
    return remove_layers(session, layers=layers)


def remove_layers(session: Session, *, layers: Sequence[Layer]) -> dict[str, Any]:
    """As `take_down`, without asking."""
    say = session.console.say
    with session.file.lock("down"):
        removal = down(
            session.config,
            aws=session.aws,
            file=session.file,
            target=session.target,
            layers=tuple(layers) or LAYERS,
            watch=session.console.lab_event,
            note=say,
        )
    for found in removal.leftovers:
        say(f"left over: {found.key} {found.id}")
    if removal.lab_is_gone:
        say(
            f"{len(removal.removed)} resources removed; a listing by tag shows nothing of lab {session.config.lab} any more"
        )
    else:
        say(f"{len(removal.removed)} resources removed")
    instance_type = next((str(found.facts["type"]) for found in removal.removed if found.key in ROLE_KEYS), None)
    prices = session.prices(instance_type) if removal.removed else None
    cost = usd_so_far(prices, removal.removed, now=datetime.now(UTC))
    if cost is not None:
        say(f"what was removed has cost about {cost:.2f} USD in all")
    return {
        "removed": [{"key": found.key, "kind": found.kind, "id": found.id} for found in removal.removed],
        "leftovers": [{"key": found.key, "kind": found.kind, "id": found.id} for found in removal.leftovers],
    }


def _check_beforehand(session: Session, snapshot: Snapshot) -> None:
    """What speaks against building this, before anything of it is made. Raises LabError with all of it at once."""
    from enaxp.lab.checks.preflight import preflight_report

    if not snapshot.plan.with_action("create"):
        return
    report = preflight_report(snapshot, config=session.config, aws=session.aws)
    for finding in report.of("warning"):
        session.console.say(f"warning: {finding.check}: {finding.text}")
    report.require()


def say_what_it_costs(session: Session, snapshot: Snapshot, prices: Prices | None) -> None:
    """What everything that is wanted costs an hour, and until its time is over, before any of it is made."""
    if session.target.name != "aws":
        return
    say = session.console.say
    hourly = usd_per_hour(prices, (resource.key for resource in snapshot.resources if resource.owned))
    if prices is None or hourly is None:
        say(f"what {session.config.hosts.instance_type} costs in {session.config.aws.region} is not known here")
        return
    hours = max(0.0, (snapshot.state.expires_at - datetime.now(UTC)).total_seconds() / 3600)
    say(
        f"cost: about {hourly:.2f} USD an hour, {hourly * hours:.2f} USD until it ends at "
        f"{as_text(snapshot.state.expires_at)} ({prices.source}; traffic not counted)"
    )
