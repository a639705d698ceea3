"""The hosts' identity: the role (whose name is the claim on the lab) and the instance profile that carries it.

IAM is global, eventually consistent, and has no filter by tag: these kinds are found by name, and belong to the lab only if their tags
say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from enaxp.aws import Aws, Blocked, ec2_principals, in_parallel, is_gone
from enaxp.lab.grants import Condition, Grant, Scope
from enaxp.lab.kinds.base import BaseKind, named, ours, remove, want_of
from enaxp.lab.model import Change, Facts, Found, Ids, Lab, Resource, Tag, Want, as_tag_list, change

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import CreateInstanceProfileRequestTypeDef, CreateRoleRequestTypeDef

_ATTACHING = "iam:AttachRolePolicy"
_PASSING = "iam:PassRole"  # of whoever launches an instance with the role


@dataclass(frozen=True, kw_only=True)
class RoleWant(Want):
    """The desired role. trusted: the services that may assume it; EC2 under each of its names in the partition."""

    policy_arns: tuple[str, ...]
    trusted: tuple[str, ...]


class Role(BaseKind):
    """An IAM role. Settings: the attached managed policies, and who may assume it. Policies that somebody added are reported and kept,
    because the automation that adds them would do so again.
    """

    name = "role"
    layer = "compute"
    unique_by_name = True
    taken = ("EntityAlreadyExists",)
    patience_s = 120.0
    hidden = ("trusted",)
    reads = (
        "iam:GetRole",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:ListInstanceProfilesForRole",
    )
    writes = (
        "iam:CreateRole",
        "iam:TagRole",
        _ATTACHING,
        "iam:DetachRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "iam:DeleteRole",
        _PASSING,
    )

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Grants on the lab's own roles only, passed to EC2 only. Only the wanted policies may be attached; any policy may be detached,
        because automation may have added it."""
        owned = [resource for resource in resources if resource.owned]
        if not owned:
            return
        roles = tuple(scope.iam_arn(f"role/{resource.name}") for resource in owned)
        rest = tuple(action for action in self.writes if action not in (_ATTACHING, _PASSING))
        policies = tuple(dict.fromkeys(arn for resource in owned for arn in want_of(resource, RoleWant).policy_arns))
        yield Grant(sid="OwnRole", actions=rest, resources=roles)
        if policies:
            only_these: Condition = {"ArnEquals": {"iam:PolicyARN": policies if len(policies) > 1 else policies[0]}}
            yield Grant(sid="OwnRolePolicies", actions=(_ATTACHING,), resources=roles, conditions=only_these)
        yield Grant(sid="GiveHostsTheRole", actions=(_PASSING,), resources=roles, conditions=_to_hosts(scope))

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        return _by_names(self, aws, lab)

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            answer, (pages, inline) = in_parallel(
                lambda: aws.iam.get_role(RoleName=id),
                lambda: in_parallel(
                    lambda: list(aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=id)),
                    lambda: list(aws.iam.get_paginator("list_role_policies").paginate(RoleName=id)),
                ),
            )
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        role = answer["Role"]
        policies = sorted(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])
        return named(
            self.name,
            role["RoleName"],
            role.get("Tags"),
            policies=policies,
            inline=sorted(name for page in inline for name in page["PolicyNames"]),
            trusts=_trusted_by(role.get("AssumeRolePolicyDocument")),
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateRoleRequestTypeDef:
        return {
            "RoleName": resource.name,
            "AssumeRolePolicyDocument": _trust(want_of(resource, RoleWant).trusted),
            "Description": f"Hosts of the enaxp lab {lab.name}",
            "Tags": as_tag_list(lab.tags_for(resource)),
        }

    def create(self, aws: Aws, request: CreateRoleRequestTypeDef, token: str) -> str:
        return aws.once("iam").create_role(**request)["Role"]["RoleName"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"policies": [], "inline": [], "trusts": list(want_of(resource, RoleWant).trusted)}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        trusted = want_of(resource, RoleWant).trusted
        if found.facts["trusts"] != list(trusted):
            act = partial(_put_trust, role=found.id, trusted=trusted)
            yield change("trust", have=", ".join(found.facts["trusts"]), want=", ".join(trusted), act=act)
        for arn in want_of(resource, RoleWant).policy_arns:
            if arn not in found.facts["policies"]:
                yield change("policy", have=None, want=arn, act=partial(_attach_policy, role=found.id, arn=arn))

    def warnings(self, resource: Resource, found: Found) -> list[str]:
        added = {*found.facts["policies"], *found.facts["inline"]} - set(want_of(resource, RoleWant).policy_arns)
        return (
            [f"the role {found.id} of the hosts has more policies than they need: {', '.join(sorted(added))}"]
            if added
            else []
        )

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        for found in resources:
            aws.iam.tag_role(RoleName=found.id, Tags=tags)

    def delete(self, aws: Aws, found: Found) -> None:
        where = f"deleting {found.key} {found.id}"
        for arn in found.facts["policies"]:
            remove(partial(aws.iam.detach_role_policy, RoleName=found.id, PolicyArn=arn), where=where)
        try:
            remove(lambda: aws.iam.delete_role(RoleName=found.id), where=where)
        except Blocked:
            _take_off_what_was_added(aws, found.id, where=where)
            remove(lambda: aws.iam.delete_role(RoleName=found.id), where=where)


@dataclass(frozen=True, kw_only=True)
class InstanceProfileWant(Want):
    """The desired instance profile. role: the key of the role in it."""

    role: str = "role"


class InstanceProfile(BaseKind):
    """An instance profile. Setting: the one role in it. A new profile becomes visible to EC2 some seconds later than to IAM."""

    name = "instance-profile"
    layer = "compute"
    needs = ("role",)
    patience_s = 120.0
    unique_by_name = True
    taken = ("EntityAlreadyExists",)
    hidden = ("role",)
    reads = ("iam:GetInstanceProfile",)
    writes = (
        "iam:CreateInstanceProfile",
        "iam:TagInstanceProfile",
        "iam:AddRoleToInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:DeleteInstanceProfile",
    )

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Grants on the lab's own profiles. A launch with a given profile also needs PassRole on the role in it."""
        if owned := [resource for resource in resources if resource.owned]:
            profiles = tuple(scope.iam_arn(f"instance-profile/{resource.name}") for resource in owned)
            yield Grant(sid="OwnRole", actions=self.writes, resources=profiles)
        else:
            yield Grant(
                sid="GiveHostsTheRole", actions=(_PASSING,), resources=(scope.given_role,), conditions=_to_hosts(scope)
            )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        return _by_names(self, aws, lab)

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            profile = aws.iam.get_instance_profile(InstanceProfileName=id)["InstanceProfile"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        role = next((role["RoleName"] for role in profile["Roles"]), None)
        return named(self.name, profile["InstanceProfileName"], profile.get("Tags"), role=role)

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateInstanceProfileRequestTypeDef:
        return {"InstanceProfileName": resource.name, "Tags": as_tag_list(lab.tags_for(resource))}

    def create(self, aws: Aws, request: CreateInstanceProfileRequestTypeDef, token: str) -> str:
        return aws.once("iam").create_instance_profile(**request)["InstanceProfile"]["InstanceProfileName"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"role": None}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        role = ids.get(want_of(resource, InstanceProfileWant).role)
        if found.facts["role"] != role:
            yield change("role", have=found.facts["role"], want=role, act=lambda aws: _put_role(aws, found, str(role)))

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        for found in resources:
            aws.iam.tag_instance_profile(InstanceProfileName=found.id, Tags=tags)

    def delete(self, aws: Aws, found: Found) -> None:
        _remove_role(aws, found)
        remove(
            lambda: aws.iam.delete_instance_profile(InstanceProfileName=found.id),
            where=f"deleting {found.key} {found.id}",
        )


def _take_off_what_was_added(aws: Aws, role: str, *, where: str) -> None:
    """Removes policies that automation has added to the role, inline ones too. Raises Blocked if another instance profile contains the
    role."""
    attached = aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    for arn in [policy["PolicyArn"] for page in attached for policy in page["AttachedPolicies"]]:
        remove(partial(aws.iam.detach_role_policy, RoleName=role, PolicyArn=arn), where=where)
    inline = aws.iam.get_paginator("list_role_policies").paginate(RoleName=role)
    for name in [name for page in inline for name in page["PolicyNames"]]:
        remove(partial(aws.iam.delete_role_policy, RoleName=role, PolicyName=name), where=where)
    profiles = aws.iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]
    if profiles:
        names = ", ".join(profile["InstanceProfileName"] for profile in profiles)
        raise Blocked(where, by=f"it is in the instance profile {names}")


def _to_hosts(scope: Scope) -> Condition:
    """The condition that a role is passed to EC2 only."""
    principals = ec2_principals(scope.partition)
    return {"StringEquals": {"iam:PassedToService": principals if len(principals) > 1 else principals[0]}}


def _trust(trusted: Sequence[str]) -> str:
    """The trust policy that lets these services assume a role; always the same text."""
    service = list(trusted) if len(trusted) > 1 else trusted[0]
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _trusted_by(document: Any) -> list[str]:
    """The principals that a trust policy allows: services by name, others as `AWS: arn:…`. Conditions are ignored: a principal that enaxp
    does not want is unwanted under any condition.
    """
    parsed = json.loads(document) if isinstance(document, str) else document or {}
    statements = parsed.get("Statement", [])
    allowing = [
        one for one in (statements if isinstance(statements, list) else [statements]) if one["Effect"] == "Allow"
    ]
    trusted: set[str] = set()
    for statement in allowing:
        principal = statement.get("Principal", "*")
        for kind, values in (principal if isinstance(principal, dict) else {"AWS": principal}).items():
            listed = values if isinstance(values, list) else [values]
            trusted.update(value if kind == "Service" else f"{kind}: {value}" for value in listed)
    return sorted(trusted)


def _put_trust(aws: Aws, *, role: str, trusted: Sequence[str]) -> None:
    aws.iam.update_assume_role_policy(RoleName=role, PolicyDocument=_trust(trusted))


def _attach_policy(aws: Aws, *, role: str, arn: str) -> None:
    aws.iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def _put_role(aws: Aws, profile: Found, role: str) -> None:
    """Puts the role into the profile. A profile has at most one role, so another one is removed first."""
    _remove_role(aws, profile)
    aws.iam.add_role_to_instance_profile(InstanceProfileName=profile.id, RoleName=role)


def _remove_role(aws: Aws, profile: Found) -> None:
    role = profile.facts["role"]
    if role is not None:
        where = f"taking {role} out of {profile.key} {profile.id}"
        remove(
            lambda: aws.iam.remove_role_from_instance_profile(InstanceProfileName=profile.id, RoleName=role),
            where=where,
        )


def _by_names(kind: Role | InstanceProfile, aws: Aws, lab: Lab) -> list[Found]:
    """The lookups of all the lab's names, in parallel."""
    with ThreadPoolExecutor(len(lab.unique_names)) as pool:
        looks = pool.map(lambda name: kind.look(aws, name), lab.unique_names)
        return [found for look in looks for found in ours(look, lab)]
