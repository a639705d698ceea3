"""Doctor: the implementation of `enaxp doctor`, and the checks of the hosts before a bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from enaxp.bench.measuring.pair import Pair, connected
from enaxp.commands.status import current_status
from enaxp.errors import BenchError
from enaxp.hosts.connection import Connection, as_root
from enaxp.hosts.doctor import (
    Facts,
    HostFinding,
    SrdSetting,
    compare,
    examine,
    examine_lab,
    fixes,
    lasting,
    probe_command,
    read_facts,
    required_and_bad,
    untold_treatment,
    untuned,
    where_srd_is,
)
from enaxp.hosts.network import settle
from enaxp.lab.resolved import sustained_gbps
from enaxp.session import Session
from enaxp.traffic import ARMS

if TYPE_CHECKING:
    from enaxp.lab.status import Status


def examine_hosts(session: Session, *, fix: bool) -> list[HostFinding]:
    """The doctor's findings, pair by pair. With `fix` it first corrects what can be corrected safely, on both hosts of a pair alike and
    persistently across reboots.

    Raises HostError when the network does not recover afterwards.
    """
    found: list[HostFinding] = []
    for name, status in current_status(session).each_pair().items():
        of_pair = _examined(session, status, fix=fix)
        found += [replace(one, host=f"{name}/{one.host}") for one in of_pair] if name else of_pair
    return found


def _examined(session: Session, status: Status, *, fix: bool) -> list[HostFinding]:
    """The findings on the hosts of this status, which has one pair."""
    with connected(session.hosts(status)) as pair:
        findings = _findings(session, pair, status)
        commands = fixes(findings) if fix else []
        if not commands:
            return findings
        for connection in pair.by_role().values():
            _mend(session, connection, commands)
        for role, connection in pair.by_role().items():
            settle(connection, pair.peer_of(role).host)
        return _findings(session, pair, status)


def _mend(session: Session, connection: Connection, commands: Sequence[str]) -> None:
    """Runs the commands as root on a host, and installs them to run at each boot. Prints which of them failed."""
    role = connection.host.role
    for command in commands:
        session.console.say(f"  {role}: {command}")
        answer = connection.run(as_root(command), timeout_s=90)
        if not answer.ok:
            session.console.say(f"  {role}: that failed: {answer.stderr.strip()[-200:]}")
    answer = connection.run(as_root(lasting(commands)))
    if not answer.ok:
        session.console.say(f"  {role}: it will not last: {answer.stderr.strip()[-200:]}")


@dataclass(frozen=True, kw_only=True)
class Health:
    """The faults of the hosts, in words. forced: failed requirements that the user overrode; untuned: recommendations that are not met."""

    forced: tuple[str, ...]
    untuned: tuple[str, ...]


def require_health(session: Session, pair: Pair, status: Status, *, force: bool, srd_is_moved: bool) -> Health:
    """The faults of the hosts. Raises BenchError for a failed requirement, unless `force` overrides it.

    srd_is_moved: ENA Express may temporarily be on other interfaces or on none; that is not a fault then.
    """
    findings = _findings(session, pair, status)
    bad = [finding for finding in required_and_bad(findings) if not (srd_is_moved and where_srd_is(finding))]
    wrong = [f"{finding.host}: {finding}" for finding in bad]
    if session.target.name == "aws":
        wrong += [
            f"{finding.host}: its driver has no ena_srd counters, so nothing would prove that SRD carried the packets "
            "(version 2.8 of the driver has them, and Amazon Linux 2023 that)"
            for finding in untold_treatment(findings)
        ]
    if wrong and not force:
        raise BenchError(
            "ENA Express is not as it should be on these hosts",
            said="; ".join(wrong),
            todo="run `enaxp up` for what AWS sets, `enaxp doctor --fix` for the hosts' own settings, or give --force",
        )
    for line in wrong:
        session.console.say(f"going on in spite of this: {line}")
    return Health(forced=tuple(wrong), untuned=tuple(untuned(findings)))


def place_of(session: Session, status: Status) -> dict[str, str | None]:
    """The hosts' location and type according to AWS, for the run's manifest. Empty on the local target."""
    if session.target.name != "aws":
        return {}
    instances = _instances(session, status).values()
    fleet = session.file.state.pinned.fleet
    return {
        "region": status.region,
        "availability_zone": " and ".join(sorted({one["Placement"]["AvailabilityZone"] for one in instances})),
        "instance_type": " and ".join(sorted({instance["InstanceType"] for instance in instances})),
        "image": " and ".join(sorted({instance["ImageId"] for instance in instances})),
        "placement": fleet[status.pairs[0].variant].placement if status.pairs and fleet else session.config.placement,
    }


def host_gbps(session: Session, status: Status) -> float | None:
    """The baseline bandwidth of the slower host in 10⁹ bit/s; None on the local target, and if AWS does not publish it."""
    if session.target.name != "aws":
        return None
    types = {instance["InstanceType"] for instance in _instances(session, status).values()}
    return sustained_gbps(session.aws.ec2.describe_instance_types(InstanceTypes=sorted(types))["InstanceTypes"])


def _findings(session: Session, pair: Pair, status: Status) -> list[HostFinding]:
    """The findings of all checks: on AWS's data, on each host's own facts, and on what must be the same on both."""
    instances = _instances(session, status)
    types = {role: instance["InstanceType"] for role, instance in instances.items()}
    zones = {role: instance["Placement"]["AvailabilityZone"] for role, instance in instances.items()}
    known = session.aws.ec2.describe_instance_types(InstanceTypes=sorted(set(types.values())))["InstanceTypes"]
    supporting = [kind["InstanceType"] for kind in known if kind["NetworkInfo"].get("EnaSrdSupported")]
    found, facts = examine_lab(types, zones, supporting=supporting), dict[str, Facts]()
    for role, host in status.hosts.items():
        connection, peer = pair.by_role()[role], pair.peer_of(role)
        own = {arm: connection.host.ip_of(arm) for arm in ARMS}
        text = connection.check(probe_command(own, {arm: peer.host.ip_of(arm) for arm in ARMS}))
        facts[role] = read_facts(text)
        attachments = {arm: SrdSetting(srd=one.srd, srd_udp=one.srd_udp) for arm, one in host.interfaces().items()}
        found += examine(role, facts[role], attachments=attachments)
    return [*found, *compare(facts)]


def _instances(session: Session, status: Status) -> dict[str, Any]:
    """The description of each host's instance by AWS, by role."""
    ids = {host.instance_id: role for role, host in status.hosts.items()}
    described = session.aws.ec2.describe_instances(InstanceIds=list(ids))["Reservations"]
    return {ids[i["InstanceId"]]: i for reservation in described for i in reservation["Instances"]}
