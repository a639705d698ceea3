"""Who the hosts are: the role (whose name is the claim on the lab) and the instance profile that carries it.

IAM is global, slow, and has no filter by tag: these kinds are found by name, and are ours only if their tags say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from enaxp.aws import Aws, in_parallel, is_gone
from enaxp.lab.kinds.base import BaseKind, named, ours, remove
from enaxp.lab.model import Change, Found, Ids, Lab, Resource, as_tag_list, change

# What EC2 hosts may become; the same in every partition but China's, where the service has a name of its own.
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Role(BaseKind):
    """want: policy_arns. Setting: the attached managed policies."""

    name = "role"
    actions = (
        "iam:CreateRole",
        "iam:GetRole",
        "iam:TagRole",
        "iam:ListAttachedRolePolicies",
        "iam:AttachRolePolicy",
        "iam:DetachRolePolicy",
        "iam:DeleteRole",
        "iam:PassRole",
    )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        return _by_names(self, aws, lab)

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            answer, pages = in_parallel(
                lambda: aws.iam.get_role(RoleName=id),
                lambda: list(aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=id)),
            )
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        role = answer["Role"]
        policies = sorted(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])
        return named(self.name, role["RoleName"], role.get("Tags"), policies=policies)

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "RoleName": resource.name,
            "AssumeRolePolicyDocument": json.dumps(_TRUST),
            "Description": f"Hosts of the enaxp lab {lab.name}",
            "Tags": as_tag_list(lab.tags_for(resource)),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("iam").create_role(**request)["Role"]["RoleName"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"policies": []}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        for arn in resource.want["policy_arns"]:
            if arn not in found.facts["policies"]:
                yield change(
                    "policy",
                    have=None,
                    want=arn,
                    act=partial(_attach_policy, role=found.id, arn=arn),
                )

    def delete(self, aws: Aws, found: Found) -> None:
        where = f"deleting {found.key} {found.id}"
        for arn in found.facts["policies"]:
            remove(partial(aws.iam.detach_role_policy, RoleName=found.id, PolicyArn=arn), where=where)
        remove(lambda: aws.iam.delete_role(RoleName=found.id), where=where)


class InstanceProfile(BaseKind):
    """want: role (its key; `role` without). Setting: the one role in it. EC2 learns of a new profile some seconds after IAM does."""

    name = "instance-profile"
    needs = ("role",)
    actions = (
        "iam:CreateInstanceProfile",
        "iam:GetInstanceProfile",
        "iam:TagInstanceProfile",
        "iam:AddRoleToInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:DeleteInstanceProfile",
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

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {"InstanceProfileName": resource.name, "Tags": as_tag_list(lab.tags_for(resource))}

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("iam").create_instance_profile(**request)["InstanceProfile"]["InstanceProfileName"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"role": None}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        role = ids.get(resource.want.get("role", "role"))
        if found.facts["role"] != role:
            yield change("role", have=found.facts["role"], want=role, act=lambda aws: _put_role(aws, found, str(role)))

    def delete(self, aws: Aws, found: Found) -> None:
        _remove_role(aws, found)
        remove(
            lambda: aws.iam.delete_instance_profile(InstanceProfileName=found.id),
            where=f"deleting {found.key} {found.id}",
        )


def _attach_policy(aws: Aws, *, role: str, arn: str) -> None:
    aws.iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def _put_role(aws: Aws, profile: Found, role: str) -> None:
    """A profile holds one role: another one has to leave first."""
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
    with ThreadPoolExecutor(len(lab.unique_names)) as pool:
        looks = pool.map(lambda name: kind.look(aws, name), lab.unique_names)
        return [found for look in looks for found in ours(look, lab)]
