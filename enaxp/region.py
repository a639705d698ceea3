"""Region: the lab's region if the config does not set it (`aws.region: auto`).

the lab's state ▶ AWS_REGION ▶ AWS_DEFAULT_REGION ▶ the profile's ▶ us-east-1     the first that is set
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from enaxp.config import DEFAULT_REGION, REGION
from enaxp.errors import AwsError, UsageError

VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True, kw_only=True)
class Region:
    """A region, and the source of its name in words."""

    name: str
    source: str


def find_region(*, profile: str | None) -> Region:
    """The region from AWS_REGION or AWS_DEFAULT_REGION, else the profile's (None: the SDK's default profile), else DEFAULT_REGION.

    Raises UsageError for an invalid region name, AwsError if the profile does not exist or cannot be read.
    """
    for variable in VARIABLES:
        if name := os.environ.get(variable):
            return _checked(Region(name=name, source=f"of {variable}"))
    named, name = _of_profile(profile)
    if name is not None:
        return _checked(Region(name=name, source=f"of profile {named}"))
    return Region(name=DEFAULT_REGION, source="the default; --region or aws.region choose another")


def _checked(region: Region) -> Region:
    if not re.fullmatch(REGION, region.name):
        raise UsageError(
            f"the region {region.source} is {region.name!r}, which is no region's name",
            todo="correct it, or give --region, for example us-east-1",
        )
    return region


def _of_profile(profile: str | None) -> tuple[str, str | None]:
    """The profile's name, and the region that the SDK's configuration has for it."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    session = botocore.session.Session(profile=profile)
    try:
        return session.profile or "default", session.get_scoped_config().get("region")
    except BotoCoreError as error:
        raise AwsError(
            "reading the region of the AWS profile", said=str(error), todo="check --profile and the AWS configuration"
        ) from error
