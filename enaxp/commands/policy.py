"""Policy: the implementation of `enaxp policy`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, refused
from enaxp.config import INSTANCE_ID, INTERFACE_ID, Config
from enaxp.errors import AwsError, UsageError
from enaxp.lab.fleet import PinnedFleet
from enaxp.lab.given.discovery import interfaces_of
from enaxp.lab.given.policy import given_policy
from enaxp.lab.grants import PolicyDocument
from enaxp.lab.policy import MANAGED_CHARACTERS, policies_of


def policy_document(
    config: Config,
    aws: Aws,
    *,
    role: str | None,
    part: int | None,
    say: Callable[[str], None],
    fleet: PinnedFleet | None = None,
) -> PolicyDocument | list[PolicyDocument]:
    """The policy for this config; a list of policies if one would be too long and no part is requested.

    fleet: the lab's pinned fleet. role: the role in the given instance profile; by default it is read from AWS. Raises UsageError when
    the role is needed and cannot be determined, and for a part that does not exist.
    """
    if config.hosts.instance_profile and role is None:
        role = _role_in(config.hosts.instance_profile, aws)
    policies = policies_of(config, given_role=role or "", fleet=fleet)
    if part is not None and part > len(policies):
        raise UsageError(f"there is no part {part}", said=f"{len(policies)} in all", todo="give a smaller --part")
    if part is not None:
        return policies[part - 1]
    if len(policies) > 1:
        say(
            f"AWS takes {MANAGED_CHARACTERS} characters in a policy: these are {len(policies)}; `--part 1` prints the first alone"
        )
        return policies
    return policies[0]


def given_policy_document(config: Config, aws: Aws, *, ids: Sequence[str]) -> PolicyDocument:
    """The policy for a bench between existing instances, and for `enaxp restore`.

    ids: of interfaces, and of instances, whose primary interface is read from AWS. Raises UsageError for other ids.
    """
    instances = [one for one in ids if re.fullmatch(INSTANCE_ID, one)]
    interfaces = [one for one in ids if re.fullmatch(INTERFACE_ID, one)]
    if other := set(ids) - {*instances, *interfaces}:
        raise UsageError(f"{min(other)!r} is no id", todo="give the id of an instance, i-…, or of an interface, eni-…")
    named = {host.instance_id: host.interface for pair in config.given for host in (pair.server, pair.client)}
    known = {one: interface for one in instances if (interface := named.get(one, "primary")) != "primary"}
    asked = [one for one in instances if one not in known]
    if asked and not interfaces:  # whoever names interfaces has named them all
        interfaces += interfaces_of(aws, asked)
    return given_policy(
        region=config.aws.region,
        account=config.aws.account,
        instances=instances,
        interfaces=dict.fromkeys([*known.values(), *interfaces]),
    )


def _role_in(profile: str, aws: Aws) -> str:
    """The ARN of the role in an instance profile."""
    todo = "name the role: `enaxp policy --role NAME`"
    try:
        roles = aws.iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
    except (ClientError, BotoCoreError, AwsError) as error:
        said = error.said if isinstance(error, AwsError) else refused("", error).said
        raise UsageError(
            f"which role is in the instance profile {profile} is not known here", said=said, todo=todo
        ) from error
    if not roles:
        raise UsageError(f"there is no role in the instance profile {profile}", todo="insert one, then try again")
    return roles[0]["Arn"]
