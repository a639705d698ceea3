"""Policy: the least that enaxp must be allowed to do in an account, as an IAM policy. Pure: from the kinds' own declarations.

    Config ─▶ spec (which kinds, which names) ─▶ actions of each kind ─▶ statements

Reads are allowed everywhere; what makes resources, in the lab's region; what ends resources, only where they carry enaxp's tags, so that
these credentials cannot remove anything else; roles and profiles, by the lab's own name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from enaxp.config import Config
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import TAG_LAB, Resource, unique_name
from enaxp.lab.resolved import AMI_PARAMETER, partition_of
from enaxp.lab.spec import SSM_POLICY, Resolved, wanted

# What is called besides what the kinds declare, and by which part.
READS = (
    "sts:GetCallerIdentity",  # every command: whose account is this
    "ec2:DescribeTags",  # finding a lab without its state file, `ls`
    "ec2:DescribeRegions",  # `--all-regions`
    "ec2:DescribeInstanceTypes",  # resolved and preflight
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeImages",
    "servicequotas:GetServiceQuota",
    "servicequotas:GetAWSDefaultServiceQuota",
    "pricing:GetProducts",  # cost
    "ecr:GetAuthorizationToken",  # `monitor push-image`
)
# EC2 actions on one resource that can be held to its tags.
ENDING = (
    "ec2:DeleteVpc",
    "ec2:DeleteSubnet",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeletePlacementGroup",
    "ec2:DeleteKeyPair",
    "ec2:DeleteNetworkInterface",
    "ec2:ReleaseAddress",
    "ec2:TerminateInstances",
)
MAKING = ("ec2:Create", "ec2:Allocate", "ec2:Import", "ec2:Run")
# What docker asks of ECR for `monitor push-image`.
PUSHING = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
)
PASS_ROLE = "iam:PassRole"


def policy_of(config: Config) -> dict[str, Any]:
    """The policy document for a lab of this config, from the first `up` to the last `down`."""
    resources = _resources(config)
    actions = {action for resource in resources if resource.owned for action in KINDS[resource.kind].actions}
    reads = set(READS) | {a for resource in resources for a in KINDS[resource.kind].actions if _is_read(a)}
    ec2 = {action for action in actions if action.startswith("ec2:")} - reads - {"ec2:CreateTags"}
    iam = {action for action in actions if action.startswith("iam:")} - reads - {PASS_ROLE}
    ssm = {action for action in actions if action.startswith("ssm:")} - reads
    partition, account = partition_of(config.aws.region), config.aws.account or "*"
    roles, profiles = (_named(resources, kind, f"arn:{partition}:iam::{account}:{kind}") for kind in _OWN)
    statements = [
        _statement("Look", reads, ["*"]),
        _statement("ReadTheImage", {"ssm:GetParameter"}, [_parameter(config, partition)]),
        _statement("MakeAndSettle", ec2 - set(ENDING), ["*"], _in_region(config)),
        _statement(
            "EndWhatIsTagged", ec2 & set(ENDING), ["*"], _in_region(config), {"Null": {_tag("Resource"): "false"}}
        ),
        _statement("TagWhatIsMade", {"ec2:CreateTags"}, ["*"], {"StringEquals": {"ec2:CreateAction": _creates(ec2)}}),
        _statement("TagWhatIsTagged", {"ec2:CreateTags"}, ["*"], {"Null": {_tag("Resource"): "false"}}),
    ]
    name = unique_name(config.lab, config.aws.region)
    statements += _software(ssm, config, partition=partition, account=account, name=name)
    ecr = {action for action in actions if action.startswith("ecr:")} - reads
    registry = f"arn:{partition}:ecr:{config.aws.region}:{account}:repository"
    if repositories := _named(resources, "ecr-repository", registry):
        statements.append(_statement("OwnRepository", ecr | set(PUSHING), repositories))
    if iam:
        statements.append(_statement("OwnRole", iam - _ATTACHING, [*roles, *profiles]))
        only_this = {"ArnEquals": {"iam:PolicyARN": f"arn:{partition}:iam::aws:policy/{SSM_POLICY}"}}
        statements.append(_statement("OwnRolePolicies", iam & _ATTACHING, roles, only_this))
    passed = roles if iam else [f"arn:{partition}:iam::{account}:role/*"]
    to_hosts = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    statements.append(_statement("GiveHostsTheRole", {PASS_ROLE}, passed, to_hosts))
    return {"Version": "2012-10-17", "Statement": statements}


def _software(ssm: set[str], config: Config, *, partition: str, account: str, name: str) -> Iterable[dict[str, Any]]:
    """Documents of the lab's name, and who runs them. Associations are known by ids alone: they are removed if they carry the tags."""
    service = f"arn:{partition}:ssm:{config.aws.region}:{account}"
    documents, associations = f"{service}:document/{name}-*", f"{service}:association/*"
    instances = f"arn:{partition}:ec2:{config.aws.region}:{account}:instance/*"
    tagging, ending = {"ssm:AddTagsToResource"}, {"ssm:DeleteAssociation"}
    making = {"ssm:CreateAssociation", "ssm:UpdateAssociation", "ssm:StartAssociationsOnce"}
    tagged = {"Null": {_tag("Resource"): "false"}}
    yield _statement("OwnDocuments", ssm - tagging - ending - making, [documents])
    yield _statement("OwnAssociations", making, [associations, documents, instances])
    yield _statement("TagSoftware", tagging, [associations, documents])
    yield _statement("EndOwnAssociations", ending, [associations, documents, instances], tagged)


def _named(resources: Iterable[Resource], kind: str, prefix: str) -> list[str]:
    """The ARNs of what the lab makes of a kind that AWS knows by name."""
    return [f"{prefix}/{resource.name}" for resource in resources if resource.kind == kind and resource.owned]


def allows(policy: dict[str, Any], action: str) -> bool:
    """Whether a statement of the policy names the action (conditions and resources not looked at)."""
    return any(action in statement["Action"] for statement in policy["Statement"])


_OWN = ("role", "instance-profile")
_ATTACHING = {"iam:AttachRolePolicy", "iam:DetachRolePolicy"}


def _resources(config: Config) -> tuple[Resource, ...]:
    nothing = Resolved(ami="", availability_zone="", ssh_cidr="")
    return wanted(config, nothing, public_key="", partition="aws", expires_at=datetime.now(UTC))


def _is_read(action: str) -> bool:
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


def _creates(ec2: Iterable[str]) -> list[str]:
    """The calls that carry tags themselves."""
    untagged = {"ec2:CreateRoute"}
    return sorted(a.partition(":")[2] for a in ec2 if a.startswith(MAKING) and a not in untagged)


def _parameter(config: Config, partition: str) -> str:
    """The SSM parameter that holds the image's id; AWS's own ones belong to no account."""
    asked, region = config.hosts.ami, config.aws.region
    if asked.startswith("/") and not asked.startswith("/aws/"):
        return f"arn:{partition}:ssm:{region}:{config.aws.account or '*'}:parameter{asked}"
    name = asked if asked.startswith("/") else AMI_PARAMETER.format(architecture="*")
    return f"arn:{partition}:ssm:{region}::parameter{name}"


def _in_region(config: Config) -> dict[str, Any]:
    return {"StringEquals": {"aws:RequestedRegion": config.aws.region}}


def _tag(of: str) -> str:
    return f"aws:{of}Tag/{TAG_LAB}"


def _statement(sid: str, actions: Iterable[str], resources: list[str], *conditions: dict[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": resources}
    if conditions:
        statement["Condition"] = {operator: keys for condition in conditions for operator, keys in condition.items()}
    return statement
