"""IAM: roles and instance profiles as AWS takes them. Everything else is moto's."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from moto.core.exceptions import ServiceException
from moto.iam.responses import IamResponse

from enaxp.local.strict.access.guard import require_allowed
from enaxp.local.strict.world import current

NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
# How long a name may be.
LONGEST = {"RoleName": 64, "InstanceProfileName": 128}
AWS_POLICY = re.compile(r"arn:[\w-]+:iam::aws:policy/(?:[\w/-]+/)?([\w+=,.@-]+)")


class Denied(ServiceException):
    """IAM says no."""


class StrictIamResponse(IamResponse):
    """IAM with AWS's rules."""

    def call_action(self) -> Any:
        """Side by side calls take turns. Names made moments ago may still be unknown."""
        world, action = current(), self._get_action()
        with world.lock:
            require_allowed(self, "iam")
            for member in LONGEST:
                name = self._get_param(member)
                if name and not action.startswith("Create") and world.is_unknown(f"{member}/{name}"):
                    return self._denied("NoSuchEntity", f"{member.removesuffix('Name')} {name} cannot be found.")
            return super().call_action()

    def _denied(self, code: str, message: str) -> tuple[int, dict[str, str], str]:
        return 404, {"Content-Type": "text/xml"}, error_body(code, message)

    def create_role(self) -> Any:
        self._check_name("RoleName", [role.name for role in self.backend.roles.values()])
        if not trusts_somebody(self._get_param("AssumeRolePolicyDocument") or ""):
            raise Denied("MalformedPolicyDocument", "This policy contains invalid Json or no principal")
        return super().create_role()

    def update_assume_role_policy(self) -> Any:
        if not trusts_somebody(self._get_param("PolicyDocument") or ""):
            raise Denied("MalformedPolicyDocument", "This policy contains invalid Json or no principal")
        return super().update_assume_role_policy()

    def create_instance_profile(self) -> Any:
        self._check_name("InstanceProfileName", [profile.name for profile in self.backend.instance_profiles.values()])
        return super().create_instance_profile()

    def add_role_to_instance_profile(self) -> Any:
        result = super().add_role_to_instance_profile()
        current().profiles[self._get_param("InstanceProfileName")] = time.monotonic()
        return result

    def remove_role_from_instance_profile(self) -> Any:
        profile = self.backend.get_instance_profile(self._get_param("InstanceProfileName"))
        role = self._get_param("RoleName")
        if role not in [held.name for held in profile.roles]:
            raise Denied("NoSuchEntity", f"The role with name {role} cannot be found in the instance profile.")
        return super().remove_role_from_instance_profile()

    def attach_role_policy(self) -> Any:
        load_managed_policy(self.backend, self._get_param("PolicyArn") or "")
        return super().attach_role_policy()

    def _check_name(self, member: str, taken: list[str]) -> None:
        """Names are unique without regard to case, and across paths."""
        name = self._get_param(member) or ""
        if not NAME.fullmatch(name) or len(name) > LONGEST[member]:
            raise Denied("ValidationError", f"Value '{name}' at '{member}' failed to satisfy constraint")
        if name.casefold() in [other.casefold() for other in taken]:
            raise Denied("EntityAlreadyExists", f"{member.removesuffix('Name')} with name {name} already exists.")
        current().born[f"{member}/{name}"] = time.monotonic()


def trusts_somebody(document: str) -> bool:
    """Whether a trust policy is JSON, and each statement of it names a principal."""
    try:
        statements = json.loads(document)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    statements = statements if isinstance(statements, list) else [statements]
    return bool(statements) and all(isinstance(one, Mapping) and one.get("Principal") for one in statements)


def load_managed_policy(backend: Any, arn: str) -> None:
    """Makes AWS's policy of this ARN known. moto has all 1,500 of them, and reading them all would take a while at each start."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data as policies
    from moto.iam.models import AWSManagedPolicy

    match = AWS_POLICY.fullmatch(arn)
    if match is None or arn in {policy.arn for policy in backend.managed_policies.values()}:
        return
    key = f'\n "{match.group(1)}":'
    start = policies.find(key)
    if start < 0:
        return
    data, _ = json.JSONDecoder().raw_decode(policies, start + len(key))
    policy = AWSManagedPolicy.from_data(match.group(1), backend.account_id, "us-east-1", data)
    if policy.arn == arn:
        backend.managed_policies[arn] = policy


def error_body(code: str, message: str) -> str:
    """An error in IAM's protocol (and that of STS)."""
    from xml.sax.saxutils import escape

    return (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        "<RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
    )
