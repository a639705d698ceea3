"""Lab: statuses, plans, findings and what happens to a lab, as text for a person at a terminal. Pure; the console prints it.

Status ─▶ status_text ;  Plan ─▶ plan_text ;  HostFinding, … ─▶ findings_text ;  Report ─▶ preflight_text
ListedLab, … ─▶ labs_text ;  LabEvent ─▶ event_line ;  Removal ─▶ removal_text
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from enaxp.lab.model import as_text
from enaxp.text import cell, columns, duration

if TYPE_CHECKING:
    from enaxp.hosts.doctor import HostFinding
    from enaxp.lab.checks.findings import Report
    from enaxp.lab.events import LabEvent
    from enaxp.lab.labs import ListedLab
    from enaxp.lab.lifecycle import Removal
    from enaxp.lab.plan import Action, Plan, Step
    from enaxp.lab.status import (
        DriftStatus,
        HostStatus,
        InterfaceStatus,
        MonitoringStatus,
        ResourceStatus,
        SoftwareStatus,
        SshAddress,
        Status,
    )

_SIGNS: Mapping[Action, str] = {"keep": " ", "adopt": ">", "create": "+", "settle": "~", "replace": "±", "delete": "-"}
_BEGIN: Mapping[Action, str] = {
    "create": "creating",
    "adopt": "adopting",
    "settle": "settling",
    "replace": "replacing",
    "delete": "deleting",
}
_END: Mapping[Action, str] = {
    "create": "created",
    "adopt": "adopted",
    "settle": "settled",
    "replace": "replaced",
    "delete": "deleted",
}


def status_text(status: Status, *, proxy_command: str | None = None) -> str:
    """The lab: where it is, what it costs, its resources, its hosts, and ENA Express as read back.

    proxy_command: what leads to the hosts, whose addresses say nothing to this computer's own ssh then.
    """
    if status.lab_id is None:
        return f"there is no lab {status.lab} (target {status.target}, region {status.region})"
    resources = columns(("resource", "id", "state", "settings"), map(_resource_row, status.resources))
    parts = [*_about(status), "", resources, ""]
    hosts = status.every_host()
    if hosts:
        header = ("host", "ssh", "ENA", "ENA Express", "software")
        parts.append(columns(header, (_host_row(place, host) for place, host in hosts.items())))
        parts += [f"SSH to them goes through hosts.proxy_command: {proxy_command}"] if proxy_command else []
    if status.monitoring:
        parts.append(_monitoring(status.monitoring, status.urls))
    return "\n".join(parts)


def plan_text(plan: Plan) -> str:
    """The planned changes with their reasons, as a table."""
    return "\n".join([*_step_lines(plan.steps), _counts(plan)])


def folded_plan_text(plan: Plan) -> str:
    """As `plan_text`; the pairs of a variant that have the same before them are one line for each kind of resource, with how many."""
    groups: dict[tuple[str, ...], list[Step]] = {}
    for step in plan.steps:
        groups.setdefault(_alike(step), []).append(step)
    if all(len(steps) == 1 for steps in groups.values()):
        return plan_text(plan)
    shown = [_folded(key, steps) for (key, *_), steps in groups.items()]
    return "\n".join([*_step_lines(shown), f"{_counts(plan)} (--unfold shows each)"])


def _alike(step: Step) -> tuple[str, ...]:
    """What steps of pairs of one variant may have in common: key without the pair's number, action, reason. Of no pair: what is its own."""
    from enaxp.lab.fleet import pair_in

    if (pair := pair_in(step.key)) is None:
        return step.key, step.action, step.reason, step.id or ""
    return step.key.replace(f"/{pair.name}", f"/{pair.variant}-*", 1), step.action, step.reason


def _folded(key: str, steps: Sequence[Step]) -> Step:
    """One step in place of these, which are alike; of a single one itself."""
    from enaxp.lab.fleet import pair_in

    if len(steps) == 1:
        return steps[0]
    names = [pair.name for step in steps if (pair := pair_in(step.key))]
    reason = f"{steps[0].reason} ({len(names)} pairs: {names[0]} to {names[-1]})"
    return replace(steps[0], key=key, reason=reason, changes=())


def _step_lines(steps: Sequence[Step]) -> Iterator[str]:
    width = max((len(step.key) for step in steps), default=0)
    for step in steps:
        yield f"{_SIGNS[step.action]} {step.action:<8} {step.key:<{width}}  {step.reason}"
        if step.action != "keep":
            yield from (f"      {difference}" for difference in step.changes)


def _counts(plan: Plan) -> str:
    """`12 to create, 3 to keep`."""
    counts = Counter(step.action for step in plan.steps)
    return ", ".join(f"{count} to {action}" for action, count in counts.items()) or "nothing to do"


def findings_text(findings: Sequence[HostFinding]) -> str:
    """The doctor's findings: the present value, the wanted one, and how to correct it."""
    header = ("host", "check", "level", "outcome", "is", "should be", "mend it with")
    rows = [
        (f.host, f.check, f.level, f.outcome, f.have, f.want, f.fix if f.outcome == "bad" else "") for f in findings
    ]
    counts = Counter(finding.outcome for finding in findings)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("ok", "bad", "unknown"))
    return f"{columns(header, rows)}\n\n{told}"


def preflight_text(report: Report) -> str:
    """The result of each check of the account, with what to do about it."""
    return columns(
        ("check", "", "finding", "what to do"), [(f.check, f.level, f.text, f.todo) for f in report.findings]
    )


def labs_text(labs: Sequence[ListedLab]) -> str:
    """Which labs stand, in the order given."""
    if not labs:
        return "no lab stands here"
    return columns(
        ("lab", "region", "age", "ends", "resources", "instances", "USD/h", "lab-id", "owner"), map(_lab_row, labs)
    )


def event_line(event: LabEvent, *, at_s: float) -> str:
    """One line for an event of a resource, `at_s` seconds after the command began."""
    at, step = f"{at_s:6.1f} s", event.step
    if event.what == "begin":
        return f"{at}  {_BEGIN[step.action]:<10} {step.key}"
    if event.what == "note":
        return f"{at}  {'…':<10} {step.key}: {event.text}"
    changes = f"  ({'; '.join(map(str, step.changes))})" if step.action == "settle" and step.changes else ""
    return f"{at}  {_END[step.action]:<10} {step.key}  {event.text}{changes}"


def removal_text(removal: Removal, *, lab: str) -> str:
    """How much a `down` removed; what it has left, why, and what to do about that."""
    proof = f"; a listing by tag shows no resource of lab {lab} any more" if removal.lab_is_gone else ""
    lines = [f"{len(removal.removed)} resources removed{proof}"]
    lines += [f"left over: {leftover}" for leftover in removal.leftovers]
    lines += [
        f"  next: {todo}" for todo in dict.fromkeys(leftover.todo for leftover in removal.leftovers if leftover.todo)
    ]
    return "\n".join(lines)


def cost_text(usd_per_hour: float, *, ends: datetime, now: datetime, source: str) -> str:
    """The cost of a lab in USD per hour and until its expiry. source: where the prices are from."""
    hours = max(0.0, (ends - now).total_seconds() / 3600)
    return (
        f"cost: about {usd_per_hour:.2f} USD an hour, {usd_per_hour * hours:.2f} USD until it ends at "
        f"{as_text(ends)} ({source}; traffic not counted)"
    )


def _about(status: Status) -> Iterator[str]:
    place = status.availability_zone or status.region
    yield f"lab {status.lab} ({status.lab_id})"
    yield f"target {status.target}, account {status.account}, {place}; expires {_moment(status.expires_at)}"
    if status.usd_per_hour is not None:
        so_far = "" if status.usd_so_far is None else f", {status.usd_so_far:.2f} USD so far"
        yield f"costs about {status.usd_per_hour:.2f} USD an hour{so_far}"
    if status.endpoint_url:
        yield f"AWS endpoint {status.endpoint_url}; hosts as {status.isolation}: local, not ENA"


def _resource_row(resource: ResourceStatus) -> tuple[object, ...]:
    settings = "; ".join(map(_drift, resource.drift)) or "as wanted"
    state = resource.state if resource.owned else f"{resource.state}, given"
    return resource.key, resource.id, state, settings if resource.state == "present" else ""


def _drift(drift: DriftStatus) -> str:
    return f"{drift.field}: {cell(drift.have)}, wanted {cell(drift.want)}"


def _host_row(place: str, host: HostStatus) -> tuple[object, ...]:
    return (
        f"{place} ({host.name})",
        _ssh(host.ssh),
        _interface(host.ena),
        _interface(host.ena_express),
        _software(host.software),
    )


def _interface(interface: InterfaceStatus | None) -> str:
    if interface is None:
        return "-"
    return f"{interface.ip}, SRD {cell(interface.srd)}, UDP {cell(interface.srd_udp)}"


def _software(results: Mapping[str, SoftwareStatus]) -> str:
    """The software that State Manager has not installed, with its status; `in place` if there is none, `-` if nothing is known."""
    from enaxp.lab.state_manager import IN_PLACE

    missing = [f"{piece} {result.status}" for piece, result in results.items() if result.status != IN_PLACE]
    return "; ".join(missing) or ("in place" if results else "-")


def _monitoring(host: MonitoringStatus, urls: Mapping[str, str]) -> str:
    shown = ", ".join(f"{name} {url}" for name, url in urls.items())
    return f"\nmonitoring at {_ssh(host.ssh)}; while `enaxp monitor` runs: {shown}"


def _ssh(ssh: SshAddress) -> str:
    return f"{ssh.user}@{ssh.host}:{ssh.port}"


def _lab_row(lab: ListedLab) -> tuple[object, ...]:
    return (
        lab.lab,
        lab.region,
        None if lab.age_s is None else duration(lab.age_s),
        f"{_moment(lab.expires_at)}{' (over)' if lab.expired else ''}",
        lab.resources,
        lab.instances,
        lab.usd_per_hour,
        lab.lab_id,
        lab.owner,
    )


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else as_text(moment)
