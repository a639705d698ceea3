"""Permissions: which EC2 calls of a lab's life these credentials may make, asked with DryRun. Nothing is made.

    Snapshot ─▶ probes() ─▶ one call an action, all side by side ─▶ probe() ─▶ what each was answered

A call that creates something is asked as it will be made. What it names does not exist yet, mostly: then an id of nothing stands in,
and a refusal is no proof, because permissions may depend on the tags of what is named. IAM has no DryRun. Deletes are not asked
about: they are allowed for what carries enaxp's tags, so that an id of nothing tells nothing.
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
    """One call to ask about.

    certain: it names nothing that does not exist, so that a denial is one.  left_out: the types of what the call will name and this
    question does not: AWS judges it on something else of that type then, such as the default subnet.
    passes: whether a refusal is one that the call itself waits for, because what it names was made moments ago or is about to come free.
    """

    action: str
    call: Callable[[Aws], object]
    certain: bool
    left_out: frozenset[str] = frozenset()
    passes: Callable[[Exception], bool] = is_not_yet_visible


@dataclass(frozen=True, kw_only=True)
class DryRunAnswer:
    """refused: AWS would not take the call for another reason than permission, which `said` tells."""

    action: str
    verdict: Permission
    said: str = ""


def probes(snapshot: Snapshot) -> list[DryRun]:
    """A probe for each EC2 create that the plan will make, then one for each call that may change a setting of the lab's resources."""
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
    """A probe for a call that changes a setting; None where the API has no DryRun."""
    sample = call.sample
    if sample is None:
        return None
    method = xform_name(call.action.partition(":")[2])
    return DryRun(action=call.action, call=lambda aws: getattr(aws.ec2, method)(**sample, DryRun=True), certain=False)


def probe(aws: Aws, probes: Iterable[DryRun]) -> list[DryRunAnswer]:
    """What AWS answers to each. Raises LabError when an endpoint does not know DryRun and did what was only asked."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda one: _ask(aws, one), probes))


def _of_create(snapshot: Snapshot, resource: Resource) -> DryRun | None:
    """The resource's own request; None for what EC2 does not make."""
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
    """Ids by key; what is not there yet is stood in for, and remembered."""

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
    """A policy may hold the call to the tags of what it names: nothing follows from a denial on what only stands in for that."""
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
