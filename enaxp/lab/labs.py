"""Labs: which labs stand in a region, from their tags and instances alone: no state file, no config of theirs is needed.

tags of the region ─┐
living instances  ──┴─▶ list_labs() ─▶ Standing (one a lab-id): age, end, what it has
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enaxp.aws import Aws, matching, refused
from enaxp.errors import AwsError
from enaxp.lab.model import TAG_CREATED, TAG_EXPIRES, TAG_LAB, TAG_LAB_ID, as_text, from_text

WORKERS = 8
LIVING = ("pending", "running", "stopping", "stopped", "shutting-down")
NOT_COUNTED = ("vol-", "i-")  # a volume goes with its instance; an instance lists itself


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A lab as its tags tell it. instance_types: one entry for each living instance; dates are None where no tag tells them."""

    lab: str
    lab_id: str
    region: str
    created_at: datetime | None
    expires_at: datetime | None
    resources: int
    addresses: int
    instance_types: tuple[str, ...]

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over. One that does not tell its end is not taken for over."""
        return self.expires_at is not None and self.expires_at <= now

    def as_json(self, *, now: datetime, usd_per_hour: float | None) -> dict[str, Any]:
        return {
            "lab": self.lab,
            "lab_id": self.lab_id,
            "region": self.region,
            "created_at": as_text(self.created_at) if self.created_at else None,
            "expires_at": as_text(self.expires_at) if self.expires_at else None,
            "expired": self.is_expired(now),
            "age_s": round((now - self.created_at).total_seconds()) if self.created_at else None,
            "resources": self.resources,
            "instances": len(self.instance_types),
            "usd_per_hour": usd_per_hour,
        }


def list_labs(aws: Aws) -> list[Standing]:
    """Every lab that something in the region carries the tags of, oldest first. Raises AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with ThreadPoolExecutor(2) as pool:
            tags, instances = pool.submit(_tags, aws), pool.submit(_instances, aws)
            return _grouped(tags.result(), instances.result(), aws.region)
    except (ClientError, BotoCoreError) as error:
        raise refused(f"looking for labs in {aws.region}", error) from error


def list_labs_everywhere(aws: Aws) -> tuple[list[Standing], list[AwsError]]:
    """As `list_labs`, of every region that the account has switched on, and what the regions that cannot be asked said."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        regions = sorted(region["RegionName"] for region in aws.ec2.describe_regions()["Regions"])
    except (ClientError, BotoCoreError) as error:
        raise refused("asking for the regions", error) from error
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda region: _tried(aws.in_region(region)), regions))
    found = [lab for answer in answers if not isinstance(answer, AwsError) for lab in answer]
    return found, [answer for answer in answers if isinstance(answer, AwsError)]


def _tried(aws: Aws) -> list[Standing] | AwsError:
    try:
        return list_labs(aws)
    except AwsError as error:
        return error


def _tags(aws: Aws) -> dict[str, dict[str, str]]:
    """Tags of enaxp's by resource id."""
    keys = [TAG_LAB, TAG_LAB_ID, TAG_CREATED, TAG_EXPIRES]
    pages = aws.ec2.get_paginator("describe_tags").paginate(Filters=[{"Name": "key", "Values": keys}])
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for page in pages:
        for tag in page["Tags"]:
            tags[tag["ResourceId"]][tag["Key"]] = tag["Value"]
    return tags


def _instances(aws: Aws) -> dict[str, tuple[str, dict[str, str]]]:
    """Type and tags of living instances that carry a lab-id, by id."""
    filters = matching({"tag-key": [TAG_LAB_ID], "instance-state-name": LIVING})
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    found = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
    return {i["InstanceId"]: (i["InstanceType"], {t["Key"]: t["Value"] for t in i["Tags"]}) for i in found}


def _grouped(
    tags: dict[str, dict[str, str]], instances: dict[str, tuple[str, dict[str, str]]], region: str
) -> list[Standing]:
    resources = {id: own for id, own in tags.items() if not id.startswith(NOT_COUNTED)}
    resources |= {id: own for id, (_, own) in instances.items()}
    by_lab: dict[str, list[str]] = defaultdict(list)
    for id, own in resources.items():
        if TAG_LAB in own and TAG_LAB_ID in own:
            by_lab[own[TAG_LAB_ID]].append(id)
    labs = [
        Standing(
            lab=resources[ids[0]][TAG_LAB],
            lab_id=lab_id,
            region=region,
            created_at=min(_moments(resources, ids, TAG_CREATED), default=None),
            expires_at=max(_moments(resources, ids, TAG_EXPIRES), default=None),
            resources=len(ids),
            addresses=sum(id.startswith("eipalloc-") for id in ids),
            instance_types=tuple(sorted(instances[id][0] for id in ids if id in instances)),
        )
        for lab_id, ids in by_lab.items()
    ]
    return sorted(labs, key=lambda lab: (as_text(lab.created_at) if lab.created_at else "", lab.lab_id))


def _moments(resources: dict[str, dict[str, str]], ids: Iterable[str], key: str) -> list[datetime]:
    """What the tags tell; somebody may have changed one into something else."""
    moments = []
    for id in ids:
        try:
            moments.append(from_text(resources[id][key]))
        except (KeyError, ValueError):
            continue
    return moments
