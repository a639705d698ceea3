"""Policy: the least-privilege IAM policies for enaxp. Pure: derived from the kinds' own declarations.

    Config ─▶ spec (which kinds, which names) ─▶ grants of each kind ─▶ statements ─▶ one document, or several where AWS takes no more

Reads of all kinds are allowed on all resources: a survey lists every kind, whatever the config contains. Created resources must get the
lab's tag; resources that are used, changed or deleted must have it, or be given in the config; roles, profiles, documents and
repositories are identified by the lab's names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from enaxp.aws import partition_of
from enaxp.config import Config, FleetConfig
from enaxp.lab.fleet import PinnedFleet, PinnedVariant, pin_fleet
from enaxp.lab.grants import Grant, PolicyDocument, Scope, Statement, merged
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.software import SSM_KINDS
from enaxp.lab.model import Resource, unique_name
from enaxp.lab.resolved import AMI_PARAMETER
from enaxp.lab.spec import Resolved, wanted

# Read actions that no kind declares, and the part of enaxp that uses them.
READS = {
    "sts:GetCallerIdentity": "every command: whose account this is",
    "ec2:DescribeTags": "a lab without its state file, `ls`",
    "ec2:DescribeRegions": "`--all-regions`",
    "ec2:DescribeInstanceTypes": "what a type can do",
    "ec2:DescribeInstanceTypeOfferings": "the zone",
    "ec2:DescribeAvailabilityZones": "the zone",
    "ec2:DescribeImages": "preflight, and where the image has its root disk",
    "ec2:DescribeVpcBlockPublicAccessOptions": "preflight",
    "servicequotas:GetServiceQuota": "preflight",
    "servicequotas:GetAWSDefaultServiceQuota": "preflight",
    "pricing:GetProducts": "cost",
    "ecr:GetAuthorizationToken": "`monitor push-image`",
}
MANAGED_CHARACTERS = 6144  # of a managed policy; AWS does not count whitespace
VERSION = "2012-10-17"


def policies_of(config: Config, *, given_role: str = "", fleet: PinnedFleet | None = None) -> list[PolicyDocument]:
    """The policies for the whole life of a lab with this config: one, or several if one would exceed AWS's size limit.

    fleet: the lab's pinned fleet, used if the config has none. given_role: the role in the given instance profile, as a name or an ARN;
    required if the config gives a profile, otherwise ValueError is raised.
    """
    scope = _scope(config, given_role)
    ami = config.hosts.ami if config.hosts.ami.startswith("ami-") else "*"
    pinned = pin_fleet(config, fleet)
    unknown = Resolved(
        ami=ami,
        availability_zone="",
        ssh_cidr="",
        fleet=pinned and {name: _with_image(one, config.fleet, name) for name, one in pinned.items()},
    )
    resources = wanted(config, unknown, public_key="", partition=scope.partition, expires_at=datetime.now(UTC))
    kinds = [kind for kind in KINDS if config.hosts.ssm or kind not in SSM_KINDS]
    look, *rest = grants_for(resources, scope, read=kinds)
    images = merged(_image_parameter(scope, asked) for asked in _image_parameters(config))
    return split([grant.as_statement() for grant in (look, *images, *rest)])


def _with_image(variant: PinnedVariant, asked: FleetConfig | None, name: str) -> PinnedVariant:
    """The variant with the image that its policy allows: any image if neither the config nor the state names one."""
    own = asked.variants[name].ami if asked and name in asked.variants else "auto"
    return replace(variant, ami=own if own.startswith("ami-") else variant.ami or "*")


def grants_for(resources: Iterable[Resource], scope: Scope, *, read: Iterable[str] | None = None) -> list[Grant]:
    """The grants for these resources, given ones included: first the reads, then the writes of each kind.

    read: the kinds that a survey lists, whether or not there are resources of them; all by default.
    """
    of_kind: dict[str, list[Resource]] = {name: [] for name in KINDS}
    for resource in resources:
        of_kind[resource.kind].append(resource)
    reads = (*READS, *(action for kind in (KINDS if read is None else read) for action in KINDS[kind].reads))
    writes = merged(grant for name, those in of_kind.items() if those for grant in KINDS[name].grants(those, scope))
    return [Grant(sid="Look", actions=tuple(dict.fromkeys(reads))), *writes]


def document_of_grants(*grants: Grant) -> PolicyDocument:
    """The grants as one policy document."""
    return _document([grant.as_statement() for grant in grants])


def split(statements: Sequence[Statement], *, characters: int = MANAGED_CHARACTERS) -> list[PolicyDocument]:
    """The statements, in order, in as few policies as possible of at most this many characters each."""
    documents = [_document([])]
    for statement in statements:
        longer = _document([*documents[-1]["Statement"], statement])
        if size_of(longer) <= characters or not documents[-1]["Statement"]:
            documents[-1] = longer
        else:
            documents.append(_document([statement]))
    return documents


def size_of(document: PolicyDocument) -> int:
    """The size of a policy in characters, as AWS counts them."""
    return sum(not sign.isspace() for sign in json.dumps(document))


def allows(policies: Iterable[PolicyDocument], action: str) -> bool:
    """Whether a statement of the policies allows the action, ignoring conditions and resources."""
    return any(action in statement["Action"] for policy in policies for statement in policy["Statement"])


def _scope(config: Config, given_role: str) -> Scope:
    region = config.aws.region
    scope = Scope(
        partition=partition_of(region),
        region=region,
        account=config.aws.account or "*",
        lab=config.lab,
        name=unique_name(config.lab, region),
    )
    if not config.hosts.instance_profile:
        return scope
    if not given_role:
        raise ValueError(f"which role is in the instance profile {config.hosts.instance_profile}?")
    return replace(
        scope, given_role=given_role if given_role.startswith("arn:") else scope.iam_arn(f"role/{given_role}")
    )


def _document(statements: list[Statement]) -> PolicyDocument:
    return {"Version": VERSION, "Statement": statements}


def _image_parameters(config: Config) -> list[str]:
    """The values of `ami` in the config that are not image ids: `auto`, or parameter names."""
    asked = [variant.ami for variant in config.fleet.variants.values()] if config.fleet else [config.hosts.ami]
    return [one for one in dict.fromkeys([config.hosts.ami, *asked]) if not one.startswith("ami-")]


def _image_parameter(scope: Scope, asked: str) -> Grant:
    """The ARN of the SSM parameter that holds an image's id; AWS's public parameters belong to no account."""
    name = asked if asked.startswith("/") else AMI_PARAMETER.format(architecture="*")
    own = scope.arn if not name.startswith("/aws/") else scope.public_arn
    return Grant(sid="ReadTheImage", actions=("ssm:GetParameter",), resources=(own("ssm", f"parameter{name}"),))
