"""Tags: puts tags on things that are there. Every kind can be tagged, by one of three calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from enaxp.aws import Aws, refused
from enaxp.lab.things import Found, as_tag_list

AT_ONCE = 500  # resources in one call
IAM_KINDS = ("role", "instance-profile")


def put_tags(aws: Aws, things: Iterable[Found], tags: Mapping[str, str]) -> None:
    """Sets these tags on every thing; its other tags stay. Doing it again is harmless. Raises AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError

    things, listed = tuple(things), as_tag_list(tags)
    resources = [str(found.facts.get("tag_id", found.id)) for found in things if found.kind not in IAM_KINDS]
    try:
        for found in things:
            if found.kind == "role":
                aws.iam.tag_role(RoleName=found.id, Tags=listed)
            elif found.kind == "instance-profile":
                aws.iam.tag_instance_profile(InstanceProfileName=found.id, Tags=listed)
        for start in range(0, len(resources), AT_ONCE):
            aws.ec2.create_tags(Resources=resources[start : start + AT_ONCE], Tags=listed)
    except (ClientError, BotoCoreError) as error:
        raise refused(f"tagging {len(things)} things with {', '.join(tags)}", error) from error
