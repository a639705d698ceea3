"""Labs: the labs that exist in a region, from their tags and instances alone, without their state files or configs.

tags of the region ─┐
living instances  ──┴─▶ list_labs() ─▶ StandingLab (one for each lab-id) ─▶ ListedLab (with its age and cost: `ls --json`)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from enaxp.aws import Aws, matching, refused
from enaxp.config import LAB_NAME
from enaxp.errors import AwsError
from enaxp.lab.lifecycle import Removal
from enaxp.lab.model import (
    TAG_BENCH,
    TAG_CREATED,
    TAG_EXPIRES,
    TAG_KEY,
    TAG_LAB,
    TAG_LAB_ID,
    TAG_OWNER,
    as_text,
    from_text,
)

WORKERS = 8
LAB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MARKS = (TAG_KEY, TAG_CREATED, TAG_EXPIRES, "Name")  # the tags on every resource of a lab, besides its name and id
LIVING = ("pending", "running", "stopping", "stopped", "shutting-down")
OF_AWS = "amazon"  # whose a public address is that AWS assigned, of its own
NOT_COUNTED = ("vol-", "i-")  # a volume goes with its instance; an instance lists itself


@dataclass(frozen=True, kw_only=True)
class StandingLab:
    """A lab as described by its tags. instance_types: one entry for each running or pending instance. Owner and dates are None if no tag
    has them.

    ids: of the resources with its tags. fault: why enaxp cannot have made this lab; empty if it may have.
    """

    lab: str
    lab_id: str
    region: str
    owner: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    resources: int = 0
    addresses: int = 0
    instance_types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    fault: str = ""
    bench_until: datetime | None = None  # when a bench that runs is expected to end

    def is_expired(self, now: datetime) -> bool:
        """Whether the lab's expiry has passed. A lab without an expiry tag is not expired."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, kw_only=True)
class LabRemoval:
    """The outcome of removing one of several labs. error: why it could not be swept; `removal` is None then."""

    lab: StandingLab
    removal: Removal | None
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing of the lab is left."""
        return self.removal is not None and not self.removal.leftovers


@dataclass(frozen=True, kw_only=True)
class ListedLab:
    """One lab in the list of `ls`; the fields are an entry of `ls --json`. Unknown values are None."""

    lab: str
    lab_id: str
    region: str
    owner: str | None
    created_at: datetime | None
    expires_at: datetime | None
    expired: bool
    age_s: int | None
    resources: int
    instances: int
    usd_per_hour: float | None


def listed(lab: StandingLab, *, now: datetime, usd_per_hour: float | None) -> ListedLab:
    """The list entry of a lab at this moment, with its cost."""
    return ListedLab(
        lab=lab.lab,
        lab_id=lab.lab_id,
        region=lab.region,
        owner=lab.owner,
        created_at=lab.created_at,
        expires_at=lab.expires_at,
        expired=lab.is_expired(now),
        age_s=round((now - lab.created_at).total_seconds()) if lab.created_at else None,
        resources=lab.resources,
        instances=len(lab.instance_types),
        usd_per_hour=usd_per_hour,
    )


def list_labs(aws: Aws) -> list[StandingLab]:
    """Every lab with at least one tagged resource in the region, oldest first. Raises AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with ThreadPoolExecutor(2) as pool:
            tags, instances = pool.submit(_tags, aws), pool.submit(_instances, aws)
            return _grouped(tags.result(), instances.result(), aws.region)
    except (ClientError, BotoCoreError) as error:
        raise refused(f"looking for labs in {aws.region}", error) from error


def list_labs_everywhere(aws: Aws) -> tuple[list[StandingLab], list[AwsError]]:
    """Like `list_labs`, for every region enabled in the account; and the error for each region that could not be listed."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        regions = sorted(region["RegionName"] for region in aws.ec2.describe_regions()["Regions"])
    except (ClientError, BotoCoreError) as error:
        raise refused("asking for the regions", error) from error
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda region: _tried(aws.in_region(region)), regions))
    found = [lab for answer in answers if not isinstance(answer, AwsError) for lab in answer]
    return found, [answer for answer in answers if isinstance(answer, AwsError)]


def _tried(aws: Aws) -> list[StandingLab] | AwsError:
    try:
        return list_labs(aws)
    except AwsError as error:
        return error


def _tags(aws: Aws) -> dict[str, dict[str, str]]:
    """enaxp's tags on all resources in the region, by resource id."""
    keys = [TAG_LAB, TAG_LAB_ID, TAG_OWNER, TAG_BENCH, *MARKS]
    pages = aws.ec2.get_paginator("describe_tags").paginate(Filters=[{"Name": "key", "Values": keys}])
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for page in pages:
        for tag in page["Tags"]:
            tags[tag["ResourceId"]][tag["Key"]] = tag["Value"]
    return tags


class _Living(NamedTuple):
    """A running or pending instance. has_address: it has a public address assigned by AWS, which is billed like an Elastic IP."""

    type: str
    tags: dict[str, str]
    has_address: bool


def _instances(aws: Aws) -> dict[str, _Living]:
    """The running or pending instances with a lab-id tag, by id."""
    filters = matching({"tag-key": [TAG_LAB_ID], "instance-state-name": LIVING})
    pages = aws.ec2.get_paginator("describe_instances").paginate(Filters=filters)
    found = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
    return {
        i["InstanceId"]: _Living(
            type=i["InstanceType"],
            tags={t["Key"]: t["Value"] for t in i["Tags"]},
            has_address=any(
                nic.get("Association", {}).get("IpOwnerId") == OF_AWS for nic in i.get("NetworkInterfaces", [])
            ),
        )
        for i in found
    }


def _grouped(tags: dict[str, dict[str, str]], instances: dict[str, _Living], region: str) -> list[StandingLab]:
    resources = {id: own for id, own in tags.items() if not id.startswith(NOT_COUNTED)}
    resources |= {id: one.tags for id, one in instances.items()}
    by_lab: dict[str, list[str]] = defaultdict(list)
    for id, own in resources.items():
        if TAG_LAB in own and TAG_LAB_ID in own:
            by_lab[own[TAG_LAB_ID]].append(id)
    labs = [
        StandingLab(
            lab=resources[ids[0]][TAG_LAB],
            lab_id=lab_id,
            region=region,
            owner=next((resources[id][TAG_OWNER] for id in ids if TAG_OWNER in resources[id]), None),
            created_at=min(_moments(resources, ids, TAG_CREATED), default=None),
            expires_at=max(_moments(resources, ids, TAG_EXPIRES), default=None),
            resources=len(ids),
            addresses=sum(id.startswith("eipalloc-") or (id in instances and instances[id].has_address) for id in ids),
            instance_types=tuple(sorted(instances[id].type for id in ids if id in instances)),
            ids=tuple(sorted(ids)),
            fault=_fault({id: resources[id] for id in ids}),
            bench_until=max(_moments(resources, ids, TAG_BENCH), default=None),
        )
        for lab_id, ids in by_lab.items()
    ]
    return sorted(labs, key=lambda lab: (as_text(lab.created_at) if lab.created_at else "", lab.lab_id))


def _fault(resources: Mapping[str, Mapping[str, str]]) -> str:
    """Why enaxp cannot have made these resources of one lab-id (an invalid id or name, or a missing tag); empty if it may have.

    Anybody with permission to tag can put two tags on resources that enaxp did not make: that must not be enough for their removal.
    """
    lab_id = next(iter(resources.values()))[TAG_LAB_ID]
    if not LAB_ID.fullmatch(lab_id):
        return f"its id {lab_id!r} is none that enaxp gives"
    for id, tags in sorted(resources.items()):
        if not LAB_NAME.fullmatch(tags[TAG_LAB]):
            return f"{id} says that it is of lab {tags[TAG_LAB]!r}, which is no name of a lab"
        if missing := [mark for mark in MARKS if not tags.get(mark)]:
            return f"{id} lacks the tag {missing[0]}"
    return ""


def _moments(resources: dict[str, dict[str, str]], ids: Iterable[str], key: str) -> list[datetime]:
    """The times in this tag of these resources; missing and invalid ones are left out."""
    moments = []
    for id in ids:
        try:
            moments.append(from_text(resources[id][key]))
        except (KeyError, ValueError):
            continue
    return moments
