"""Policy: the least that enaxp must be allowed to do in an account, as an IAM policy. Pure: from the kinds' own declarations.

    Config ─▶ spec (which kinds, which names) ─▶ grants of each kind ─▶ statements

Reads are allowed everywhere. What creates resources is allowed in the lab's region; what deletes EC2 resources, only where they carry
enaxp's tags, so that these credentials cannot remove anything else; roles and profiles, by the lab's own name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from enaxp.aws import partition_of
from enaxp.config import Config
from enaxp.lab.grants import Grant, PolicyDocument, Scope, merged
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import Resource, unique_name
from enaxp.lab.resolved import AMI_PARAMETER
from enaxp.lab.spec import Resolved, wanted

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


def policy_of(config: Config) -> PolicyDocument:
    """The policy document for a lab of this config, from the first `up` to the last `down`."""
    region = config.aws.region
    scope = Scope(
        partition=partition_of(region),
        region=region,
        account=config.aws.account or "*",
        name=unique_name(config.lab, region),
    )
    nothing = Resolved(ami="", availability_zone="", ssh_cidr="")
    resources = wanted(config, nothing, public_key="", partition=scope.partition, expires_at=datetime.now(UTC))
    image = Grant(sid="ReadTheImage", actions=("ssm:GetParameter",), resources=(_image_parameter(config, scope),))
    look, *rest = grants_for(resources, scope)
    return {"Version": "2012-10-17", "Statement": [grant.as_statement() for grant in (look, image, *rest)]}


def grants_for(resources: Iterable[Resource], scope: Scope) -> list[Grant]:
    """What these resources need, given ones included: first what is read, then what each kind may write, and on what."""
    of_kind: dict[str, list[Resource]] = {name: [] for name in KINDS}
    for resource in resources:
        of_kind[resource.kind].append(resource)
    used = [(KINDS[name], those) for name, those in of_kind.items() if those]
    reads = (*READS, *(action for kind, _ in used for action in kind.reads))
    writes = merged(grant for kind, those in used for grant in kind.grants(those, scope))
    return [Grant(sid="Look", actions=tuple(dict.fromkeys(reads))), *writes]


def allows(policy: PolicyDocument, action: str) -> bool:
    """Whether a statement of the policy names the action (conditions and resources not looked at)."""
    return any(action in statement["Action"] for statement in policy["Statement"])


def _image_parameter(config: Config, scope: Scope) -> str:
    """The SSM parameter that holds the image's id; AWS's own ones belong to no account."""
    asked = config.hosts.ami
    if asked.startswith("/") and not asked.startswith("/aws/"):
        return scope.arn("ssm", f"parameter{asked}")
    name = asked if asked.startswith("/") else AMI_PARAMETER.format(architecture="*")
    return f"arn:{scope.partition}:ssm:{scope.region}::parameter{name}"
