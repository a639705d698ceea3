"""Permissions: which EC2 calls of a lab's life these credentials may make, asked with DryRun. Nothing is made.

    Picture ─▶ probes() ─▶ one call an action, all side by side ─▶ probe() ─▶ what each was answered

A call that makes something is asked as it will be made. What it names does not exist yet, mostly: then an id of nothing stands in,
and a refusal is no proof, because permissions may depend on the tags of what is named. IAM has no DryRun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, code_of, is_ambiguous, is_not_yet_visible, is_throttled, retry_while, text_of
from enaxp.errors import AwsError, EnaxpError, LabError
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import Resource
from enaxp.lab.policy import ENDING

PATIENCE_S = 30.0
WORKERS = 12
NOTHING = "0" * 17
PLACEHOLDERS = {
    "vpc": f"vpc-{NOTHING}",
    "subnet": f"subnet-{NOTHING}",
    "igw": f"igw-{NOTHING}",
    "route-table": f"rtb-{NOTHING}",
    "security-group": f"sg-{NOTHING}",
    "eni": f"eni-{NOTHING}",
    "eip": f"eipalloc-{NOTHING}",
    "association": f"rtbassoc-{NOTHING}",
    "address-association": f"eipassoc-{NOTHING}",
}
_RULE = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}]
_SRD = {"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}}
# Calls on resources that are there: IAM action → client method and parameters, the ids by kind as {kind}.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "ec2:AttachInternetGateway": ("attach_internet_gateway", {"InternetGatewayId": "{igw}", "VpcId": "{vpc}"}),
    "ec2:DetachInternetGateway": ("detach_internet_gateway", {"InternetGatewayId": "{igw}", "VpcId": "{vpc}"}),
    "ec2:CreateRoute": (
        "create_route",
        {"RouteTableId": "{route-table}", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "{igw}"},
    ),
    "ec2:ReplaceRoute": (
        "replace_route",
        {"RouteTableId": "{route-table}", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "{igw}"},
    ),
    "ec2:AssociateRouteTable": ("associate_route_table", {"RouteTableId": "{route-table}", "SubnetId": "{subnet}"}),
    "ec2:DisassociateRouteTable": ("disassociate_route_table", {"AssociationId": "{association}"}),
    "ec2:AuthorizeSecurityGroupIngress": (
        "authorize_security_group_ingress",
        {"GroupId": "{security-group}", "IpPermissions": _RULE},
    ),
    "ec2:AuthorizeSecurityGroupEgress": (
        "authorize_security_group_egress",
        {"GroupId": "{security-group}", "IpPermissions": _RULE},
    ),
    "ec2:RevokeSecurityGroupIngress": (
        "revoke_security_group_ingress",
        {"GroupId": "{security-group}", "IpPermissions": _RULE},
    ),
    "ec2:ModifyNetworkInterfaceAttribute": (
        "modify_network_interface_attribute",
        {"NetworkInterfaceId": "{eni}", "EnaSrdSpecification": _SRD},
    ),
    "ec2:AssociateAddress": ("associate_address", {"AllocationId": "{eip}", "NetworkInterfaceId": "{eni}"}),
    "ec2:DisassociateAddress": ("disassociate_address", {"AssociationId": "{address-association}"}),
}
MAKING: dict[str, str] = {
    "vpc": "ec2:CreateVpc",
    "subnet": "ec2:CreateSubnet",
    "igw": "ec2:CreateInternetGateway",
    "route-table": "ec2:CreateRouteTable",
    "security-group": "ec2:CreateSecurityGroup",
    "placement-group": "ec2:CreatePlacementGroup",
    "key-pair": "ec2:ImportKeyPair",
    "eni": "ec2:CreateNetworkInterface",
    "eip": "ec2:AllocateAddress",
    "instance": "ec2:RunInstances",
}
# Has no DryRun; goes with the calls that make resources; is allowed for what carries enaxp's tags, so that an id of nothing tells nothing.
NOT_ASKED = {"ec2:ModifyVpcAttribute", "ec2:CreateTags", *ENDING}

Permission = Literal["allowed", "denied", "perhaps denied", "refused", "unknown"]


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """One call to ask about. certain: it names nothing that does not exist, so that a denial is one. passes: whether a refusal is one
    that the call itself waits for: what it names was made moments ago, or is about to come free."""

    action: str
    call: Callable[[Aws], object]
    certain: bool
    passes: Callable[[Exception], bool] = is_not_yet_visible


@dataclass(frozen=True, kw_only=True)
class DryRunAnswer:
    """refused: AWS would not take the call for another reason than permission, which `said` tells."""

    action: str
    verdict: Permission
    said: str = ""


def probes(snapshot: Snapshot) -> list[DryRun]:
    """A probe for each EC2 action that changes something and that the kinds of the snapshot's own resources declare."""
    asked = [_of_call(action) for action in sorted(_actions(snapshot)) if action in CALLS]
    creating = {step.kind: step.key for step in reversed(snapshot.plan.with_action("create", "replace"))}
    making = [_of_create(snapshot, resource) for resource in snapshot.resources if resource.key in creating.values()]
    return [*(probe for probe in making if probe is not None), *asked]


def probe(aws: Aws, probes: Iterable[DryRun]) -> list[DryRunAnswer]:
    """What AWS answers to each. Raises LabError when an endpoint does not know DryRun and did what was only asked."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda one: _ask(aws, one), probes))


def _actions(snapshot: Snapshot) -> set[str]:
    return {action for resource in snapshot.resources if resource.owned for action in KINDS[resource.kind].actions}


def _of_call(action: str) -> DryRun:
    method, parameters = CALLS[action]
    filled = {name: _filled(value) for name, value in parameters.items()}
    return DryRun(action=action, call=lambda aws: getattr(aws.ec2, method)(**filled, DryRun=True), certain=False)


def _filled(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(one) for one in value]
    return value.format_map(PLACEHOLDERS) if isinstance(value, str) else value


def _of_create(snapshot: Snapshot, resource: Resource) -> DryRun | None:
    """The resource's own request; None for what EC2 does not make."""
    kind = KINDS[resource.kind]
    if not isinstance(kind, Ec2Kind):
        return None
    ids = _Ids(snapshot.survey.ids())
    request = {**kind.request(resource, snapshot.lab, ids), "DryRun": True}
    if resource.kind == "instance" and ids.stood_in:
        # What is named must exist for AWS to look any further: a launch without it is asked about.
        for member in ("NetworkInterfaces", "KeyName", "IamInstanceProfile"):
            request.pop(member)
        request["Placement"] = {"AvailabilityZone": resource.want["zone"]}
        ids.stood_in.clear()
    return DryRun(
        action=MAKING[resource.kind],
        call=lambda aws: kind.create(aws, request, f"enaxp-dry-run-{resource.kind}"),
        certain=not ids.stood_in,
        passes=kind.may_repeat,
    )


class _Ids(dict[str, str]):
    """Ids by key; what is not there yet is stood in for, and remembered."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__(known)
        self.stood_in: list[str] = []

    def __missing__(self, key: str) -> str:
        self.stood_in.append(key)
        return PLACEHOLDERS.get(key.partition("/")[0], "enaxp-nothing")


def _ask(aws: Aws, probe: DryRun) -> DryRunAnswer:
    try:
        done = retry_while(
            lambda: probe.call(aws),
            when=lambda error: is_throttled(error) or (bool(code_of(error)) and is_ambiguous(error)),
            aws=aws,
            where=f"asking about {probe.action}",
            timeout_s=PATIENCE_S,
        )
    except AwsError as error:
        return DryRunAnswer(action=probe.action, verdict="unknown", said=error.said)
    except (ClientError, BotoCoreError) as error:
        return DryRunAnswer(action=probe.action, verdict=_verdict(error, probe), said=text_of(error))
    except EnaxpError as error:  # `remove` and the like took it for their own
        return DryRunAnswer(action=probe.action, verdict="unknown", said=str(error))
    raise LabError(
        f"{probe.action} was asked with DryRun, and done: the endpoint does not know DryRun",
        said=str(done)[:200],
        todo="`enaxp down` removes it; use another endpoint",
    )


def _verdict(error: Exception, probe: DryRun) -> Permission:
    code = code_of(error)
    if code == "DryRunOperation":
        return "allowed"
    if code in {"UnauthorizedOperation", "AccessDenied"}:
        return "denied" if probe.certain else "perhaps denied"
    return "refused" if probe.certain and code not in _NO_DEFAULT and not probe.passes(error) else "unknown"


# A launch without interfaces needs a default VPC, which not every account has.
_NO_DEFAULT = {"VPCIdNotSpecified", "MissingInput", "InvalidSubnetID.NotFound", "InvalidInput"}
