"""Permissions: which EC2 calls of a lab's life cycle these credentials may make, tested with DryRun. Nothing is created.

    Snapshot ─▶ probes() ─▶ one call per action, in parallel ─▶ probe() ─▶ AWS's answer to each

A create call is tested with the parameters that it will have. Most resources that it refers to do not exist yet: a placeholder id is used
then, and a denial proves nothing, because permissions may depend on the tags of the resources named. IAM has no DryRun. Deletes are not
tested: a policy allows them by enaxp's tags, so the answer for a placeholder id says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of, is_not_yet_visible, is_passing, retry_while, text_of
from enaxp.errors import AwsError, EnaxpError, LabError
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind, SettingCall, no_id
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import Resource, kind_of

PATIENCE_S = 30.0
WORKERS = 12

Permission = Literal["allowed", "denied", "perhaps denied", "refused", "unknown"]


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """One call to test with DryRun.

    certain: it names no placeholder, so a denial is reliable. left_out: the resource types that the real call names and this one omits:
    AWS then evaluates the permission on another resource of that type, such as the default subnet. passes: whether an error is temporary
    and the real call would wait for it, because a resource was created moments ago or is about to become free.
    """

    action: str
    call: Callable[[Aws], object]
    certain: bool
    left_out: frozenset[str] = frozenset()
    passes: Callable[[Exception], bool] = is_not_yet_visible


@dataclass(frozen=True, kw_only=True)
class DryRunAnswer:
    """refused: AWS rejected the call for a reason other than permission, given in `said`."""

    action: str
    verdict: Permission
    said: str = ""


def probes(snapshot: Snapshot) -> list[DryRun]:
    """The probes: one for each EC2 create call of the plan, then one for each call that may change a setting of the lab's resources."""
    creating = {step.kind: step.key for step in reversed(snapshot.plan.with_action("create", "replace"))}
    making = [_of_create(snapshot, resource) for resource in snapshot.resources if resource.key in creating.values()]
    owned = [resource for resource in snapshot.resources if resource.owned]
    kinds = {name: KINDS[name] for name in sorted({resource.kind for resource in owned})}
    calls = {
        call.action: call
        for name, kind in kinds.items()
        if isinstance(kind, Ec2Kind)
        for call in kind.settings_for([resource for resource in owned if resource.kind == name])
    }
    asked = [probe_of(calls[action]) for action in sorted(calls)]
    return [probe for probe in (*making, *asked) if probe is not None]


def probe_of(call: SettingCall) -> DryRun | None:
    """The probe for a call that changes a setting; None if the API has no DryRun."""
    sample = call.sample
    if sample is None:
        return None
    method = xform_name(call.action.partition(":")[2])
    return DryRun(action=call.action, call=lambda aws: getattr(aws.ec2, method)(**sample, DryRun=True), certain=False)


def probe(aws: Aws, probes: Iterable[DryRun]) -> list[DryRunAnswer]:
    """AWS's answer to each probe. Raises LabError when an endpoint ignores DryRun and carried the call out."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda one: _ask(aws, one), probes))


def _of_create(snapshot: Snapshot, resource: Resource) -> DryRun | None:
    """The probe for the resource's create request; None if its kind is not created by EC2."""
    kind = KINDS[resource.kind]
    if not isinstance(kind, Ec2Kind):
        return None
    known = snapshot.survey.ids()
    ids = _Ids(known)
    request: Any = kind.request(resource, snapshot.lab, ids)
    certain, left_out = not ids.stood_in, frozenset[str]()
    if not certain and (without_them := kind.dry_run(request, known)) is not None:
        request, certain = without_them.request, True
        left_out = frozenset() if without_them.is_complete else _OF_INTERFACES
    return DryRun(
        action=kind.creates,
        call=lambda aws: kind.create(aws, {**request, "DryRun": True}, f"enaxp-dry-run-{resource.kind}"),
        certain=certain,
        left_out=left_out,
        passes=lambda error: kind.awaits(error) is not None,
    )


class _Ids(dict[str, str]):
    """Ids by key, with a placeholder for each resource that does not exist yet; it remembers which."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__(known)
        self.stood_in: list[str] = []

    def __missing__(self, key: str) -> str:
        self.stood_in.append(key)
        return KINDS[kind_of(key)].placeholder


def _ask(aws: Aws, probe: DryRun) -> DryRunAnswer:
    try:
        done = retry_while(
            lambda: probe.call(aws),
            when=lambda error: PATIENCE_S if code_of(error) and is_passing(error) else 0.0,
            aws=aws,
            where=f"asking about {probe.action}",
        )
    except AwsError as error:
        return DryRunAnswer(action=probe.action, verdict="unknown", said=error.said)
    except (ClientError, BotoCoreError) as error:
        return DryRunAnswer(action=probe.action, verdict=_verdict(error, probe), said=text_of(error))
    except EnaxpError as error:  # `remove` and the like took it for their own
        return DryRunAnswer(action=probe.action, verdict="unknown", said=str(error))
    raise LabError(
        f"{probe.action} was carried out although it was asked with DryRun: the endpoint does not know DryRun",
        said=str(done)[:200],
        todo="`enaxp down` removes it; use another endpoint",
    )


def _verdict(error: Exception, probe: DryRun) -> Permission:
    code = code_of(error)
    if code == "DryRunOperation":
        return "allowed"
    if code in {"UnauthorizedOperation", "AccessDenied"}:
        return _of_denial(text_of(error), probe)
    return "refused" if probe.certain and code not in _NO_DEFAULT and not probe.passes(error) else "unknown"


def _of_denial(said: str, probe: DryRun) -> Permission:
    """The finding on a denied call. If the call named placeholders the denial is inconclusive: the policy may depend on the tags of the
    real resources."""
    if probe.certain and not probe.left_out:
        return "denied"
    named = _DENIED_ON.search(said)
    if named is None:
        return "perhaps denied"
    stands_in = named["type"] in {None, *probe.left_out} or named["id"].endswith(_NOTHING)
    return "unknown" if stands_in else "denied"


# What a denial was about, as AWS words it: arn:aws:ec2:us-east-1:123456789012:subnet/subnet-0123, or *.
_DENIED_ON = re.compile(r"on resource: (?:\*|arn:[^:\s]*:ec2:[^:\s]*:[^:\s]*:(?P<type>[a-z-]+)/(?P<id>\S+))")
_NOTHING = no_id("")
_OF_INTERFACES = frozenset({"network-interface", "subnet", "security-group", "vpc"})
# A launch without interfaces needs a default VPC, which not every account has.
_NO_DEFAULT = {"VPCIdNotSpecified", "MissingInput", "InvalidSubnetID.NotFound", "InvalidInput"}
