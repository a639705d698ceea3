"""IAM: roles and instance profiles as AWS takes them. Everything else is moto's."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from moto.core.exceptions import ServiceException
from moto.iam.responses import IamResponse

from enaxp.local.strict.world import current

NAME = re.compile(r"[\w+=,.@-]+")
LONGEST = {"RoleName": 64, "InstanceProfileName": 128}


class Denied(ServiceException):
    """IAM says no."""


class StrictIamResponse(IamResponse):
    """IAM with AWS's rules."""

    def create_role(self) -> Any:
        self._check_name("RoleName", [role.name for role in self.backend.roles.values()])
        try:
            statements = json.loads(self._get_param("AssumeRolePolicyDocument") or "")["Statement"]
            good = all(
                statement.get("Principal")
                for statement in (statements if isinstance(statements, list) else [statements])
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            good = False
        if not good:
            raise Denied("MalformedPolicyDocument", "This policy contains invalid Json or no principal")
        return super().create_role()

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

    def _check_name(self, member: str, taken: list[str]) -> None:
        name = self._get_param(member) or ""
        if not NAME.fullmatch(name) or len(name) > LONGEST[member]:
            raise Denied("ValidationError", f"Value '{name}' at '{member}' failed to satisfy constraint")
        if name.casefold() in [other.casefold() for other in taken]:
            raise Denied("EntityAlreadyExists", f"{member.removesuffix('Name')} with name {name} already exists.")
