"""State Manager: the status of the software on each host, and waiting until all of it is installed.

    Snapshot ─▶ results() ─▶ {role: {piece: SoftwareResult}}
             └▶ wait_for_software(): asks until each is Success, or one has failed

The status of an association as a whole is not used: it is Success even without any host. What counts is the status on each host for the
wanted version of the association.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of, in_batches, is_gone, refused
from enaxp.errors import HostError
from enaxp.hosts.connection import login
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import Instance
from enaxp.lab.lifecycle import Snapshot, require_running
from enaxp.lab.model import Found
from enaxp.lab.software import NAMES, TIMEOUT_S, log_path
from enaxp.lab.spec import layer_of

WORKERS = 16
VALUES_OF_A_FILTER = 50  # (100 are documented)
REGISTER_S = 600.0  # a host registers with Systems Manager within minutes, or never
RESTART_AGENT_S = 180.0
LOOK_S = 5.0  # between two looks whether a host that is waited for still runs
IN_PLACE = "Success"
NOT_REGISTERED = "not registered"
NOT_ASSOCIATED = "not associated"
FAILED = frozenset({"Failed", "TimedOut", "Cancelled", "Skipped"})
_ASKING = "asking State Manager about the software of the hosts"


@dataclass(frozen=True, kw_only=True)
class SoftwareResult:
    """The outcome of the latest run of a piece of software on a host.

    status: as State Manager reports it; Pending until the wanted version has run. NOT_REGISTERED (Systems Manager does not know the host)
    and NOT_ASSOCIATED (the piece has no association) are enaxp's own.
    """

    status: str
    detail: str = ""
    at: str = ""  # tells one run from the next


SoftwareResults = Mapping[str, Mapping[str, SoftwareResult]]  # role → piece → SoftwareResult
LogOf = Callable[[str, str], str]  # role, piece → the end of its log


def results(snapshot: Snapshot, aws: Aws) -> SoftwareResults:
    """The result of each piece on each host. (An association's overview cannot be used: it counts terminated hosts.) Raises AwsError."""
    return _asked(_hosts(snapshot), _associations(snapshot, aws), aws)


def wait_for_software(
    snapshot: Snapshot,
    aws: Aws,
    *,
    changed: Collection[str],
    log_of: LogOf,
    restart_agent: Callable[[str], None],
    say: Callable[[str], None],
) -> SoftwareResults:
    """Waits until all results are Success and returns them. A piece that had failed before is run once more.

    changed: keys of the resources just created or changed. restart_agent: restarts the Systems Manager agent on the host of a role; an
    agent that started before its permissions were effective would wait up to 26 minutes before its next attempt. Raises HostError, naming
    host and piece with the end of its log, when a piece fails or takes too long; and when a host was stopped or terminated meanwhile.
    """
    hosts, associations = _hosts(snapshot), _associations(snapshot, aws)
    now = _asked(hosts, associations, aws)
    before = {
        (role, piece): result
        for (role, piece), result in _each(now)
        if result.status in FAILED and associations[piece].key not in changed
    }
    if before:
        ids = sorted({associations[piece].id for _, piece in before})
        with _refusals("having State Manager try again what has failed"):
            aws.ssm.start_associations_once(AssociationIds=ids)
    began, told, restarted = time.monotonic(), dict[tuple[str, str], str](), set[str]()
    looked = began
    while True:
        open_ones = {at: result for at, result in _each(now) if result.status != IN_PLACE}
        if not open_ones:
            return now
        for (role, piece), result in open_ones.items():
            if result.status in FAILED and before.get((role, piece)) != result:
                raise _failed(role, piece, result, log_of)
            if told.get((role, piece)) != result.status and result.status == "InProgress":
                say(f"  {role}: State Manager puts {piece} in place")
            told[role, piece] = result.status
        waited = time.monotonic() - began
        silent = {role for (role, _), result in open_ones.items() if result.status == NOT_REGISTERED}
        for role in sorted(silent - restarted) if waited >= RESTART_AGENT_S else ():
            say(f"  {role}: not registered with Systems Manager for {waited:.0f} s: its agent is started again")
            restart_agent(role)
            restarted.add(role)
        _check_time(open_ones, waited)
        time.sleep(aws.poll_s)
        if time.monotonic() - looked >= LOOK_S:
            looked = time.monotonic()
            _require_running(snapshot, aws, sorted({role for role, _ in open_ones}))
        associations = _complete(associations, aws)
        now = _asked(hosts, associations, aws)


def _require_running(snapshot: Snapshot, aws: Aws, roles: Sequence[str]) -> None:
    """Raises HostError when the instance of one of these roles is no longer running."""
    with _refusals(_ASKING):
        for role in roles:
            require_running(aws, snapshot, role)


def log_command(piece: str) -> str:
    """A shell command that prints the end of the log of this piece's latest run."""
    return f'tail -n 20 "${{ENAXP_ROOT:-}}{log_path(piece)}" 2>/dev/null; true'


def _hosts(snapshot: Snapshot) -> dict[str, str]:
    """Instance ids by place: `server`, or in a fleet `main-1/server`."""
    found = snapshot.survey.found
    wanted = [resource.key for resource in snapshot.resources if resource.kind == Instance.name]
    hosts = [key for key in wanted if key in found and layer_of(key) == "compute"]
    return {key.partition("/")[2]: found[key].id for key in hosts}


def _associations(snapshot: Snapshot, aws: Aws) -> dict[str, Found]:
    """The existing associations, by piece."""
    found = snapshot.survey.found
    there = {name: found[f"ssm-association/{name}"] for name in NAMES if f"ssm-association/{name}" in found}
    return _complete(there, aws)


def _complete(associations: Mapping[str, Found], aws: Aws) -> dict[str, Found]:
    """The associations, where those of which only the id is known have been read. One that AWS does not show yet stays as it is."""
    look = KINDS["ssm-association"].look
    with _refusals(_ASKING), ThreadPoolExecutor(len(NAMES)) as pool:
        complete = pool.map(lambda one: one if one.facts else look(aws, one.id) or one, associations.values())
        return dict(zip(associations, complete, strict=True))


@contextlib.contextmanager
def _refusals(where: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise refused(where, error) from error


def _asked(hosts: Mapping[str, str], associations: Mapping[str, Found], aws: Aws) -> SoftwareResults:
    """The result of each piece on each host, pieces in order of installation. The hosts are queried in parallel."""
    with _refusals(_ASKING), ThreadPoolExecutor(min(len(hosts) + 1, WORKERS)) as pool:
        asked = pool.submit(_registered, aws, list(hosts.values()))
        told = list(pool.map(lambda instance: _told(aws, instance), hosts.values()))
        registered = asked.result()
    return {
        role: {piece: _result(associations.get(piece), by_id if id in registered else None) for piece in NAMES}
        for (role, id), by_id in zip(hosts.items(), told, strict=True)
    }


def _registered(aws: Aws, instance_ids: Sequence[str]) -> set[str]:
    """The instances among these that have registered with Systems Manager."""
    if not instance_ids:
        return set()
    found = set()
    for some in in_batches(instance_ids, VALUES_OF_A_FILTER):
        pages = aws.ssm.get_paginator("describe_instance_information").paginate(
            Filters=[{"Key": "InstanceIds", "Values": some}]
        )
        found |= {info["InstanceId"] for page in pages for info in page["InstanceInformationList"]}
    return found


def _told(aws: Aws, instance_id: str) -> dict[str, Any]:
    """The latest run of each association on this host, by association id; empty if the host has not registered."""
    try:
        pages = aws.ssm.get_paginator("describe_instance_associations_status").paginate(InstanceId=instance_id)
        return {info["AssociationId"]: info for page in pages for info in page["InstanceAssociationStatusInfos"]}
    except ClientError as error:
        if code_of(error) == "InvalidInstanceId" or is_gone(error):
            return {}
        raise


def _result(association: Found | None, told: Mapping[str, Any] | None) -> SoftwareResult:
    """The result of one piece on one host, from State Manager's answer."""
    if told is None:
        return SoftwareResult(status=NOT_REGISTERED)
    if association is None or not association.facts:
        return SoftwareResult(status=NOT_ASSOCIATED)
    info = told.get(association.id)
    if info is None or info.get("AssociationVersion") != association.facts["version"]:
        return SoftwareResult(status="Pending")
    status = str(info.get("DetailedStatus") or info.get("Status") or "Pending")
    detail = "" if status == IN_PLACE else str(info.get("ExecutionSummary") or "").strip()
    return SoftwareResult(status=status, detail=detail, at=str(info.get("ExecutionDate", "")))


def _each(results: SoftwareResults) -> Iterator[tuple[tuple[str, str], SoftwareResult]]:
    for role, by_piece in results.items():
        for piece, result in by_piece.items():
            yield (role, piece), result


def _failed(role: str, piece: str, result: SoftwareResult, log_of: LogOf) -> HostError:
    return HostError(
        f"State Manager could not put {piece} in place on the {role} ({result.status})",
        said=log_of(role, piece).strip() or result.detail,
        todo=f"all of it is in {log_path(piece)} there (`{login(role)}`); `enaxp up` tries once more",
    )


def _check_time(open_ones: Mapping[tuple[str, str], SoftwareResult], waited: float) -> None:
    """Raises HostError when a piece takes too long."""
    for (role, piece), result in open_ones.items():
        if result.status == NOT_REGISTERED and waited >= REGISTER_S:
            raise HostError(
                f"the {role} has not registered with Systems Manager for {waited:.0f} s",
                said="State Manager keeps software only on hosts that have",
                todo="its instance profile needs AmazonSSMManagedInstanceCore, its image the SSM agent, its network access to port 443",
            )
        if result.status == NOT_ASSOCIATED and waited >= REGISTER_S:
            raise HostError(
                f"State Manager has had nothing to do with {piece} for {waited:.0f} s",
                said=f"there is no association that puts it on the {role}",
                todo="run `enaxp up` again: it makes what is missing",
            )
        if waited >= REGISTER_S + len(NAMES) * TIMEOUT_S:
            raise HostError(
                f"waited {waited:.0f} s for State Manager to put {piece} in place on the {role}",
                said=f"it is {result.status}",
                todo=f"look at {log_path(piece)} there (`{login(role)}`), then run `enaxp up` again",
            )
