"""Blockers: what uses a resource that AWS refuses to delete. Listed only when a sweep is stuck, to name each user by id and owner.

Found ─▶ the listings that its kind names, filtered by its id ─▶ "eni-0abc (interface; owner 123456789012, made by amazon-elb: ELB app/web)"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from enaxp.aws import Aws, matching
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind, Listing
from enaxp.lab.model import TAG_LAB, TAG_LAB_ID, Found, Lab, from_tag_list


def blockers_of(aws: Aws, found: Found, *, lab: Lab) -> list[str]:
    """The users of the resource that do not belong to the lab, each as text with its id and owner. Empty if none is found.

    Raises botocore's ClientError when AWS refuses a describe call.
    """
    kind = KINDS.get(found.kind)
    listings: tuple[Listing, ...] = kind.used_by if isinstance(kind, Ec2Kind) else ()
    users = (
        _in_words(listing.what, item[listing.id], item)
        for listing in listings
        for item in _items(aws, listing, listing.of(found))
        if from_tag_list(item.get("TagSet") or item.get("Tags")).get(TAG_LAB_ID) != lab.lab_id
        and not listing.leave_out(item)
    )
    return list(dict.fromkeys(users))


def _items(aws: Aws, listing: Listing, id: str) -> Iterator[Any]:
    for page in aws.pages(listing.describe, Filters=matching({listing.by: [id]})):
        for item in page[listing.items]:
            yield from item["Instances"] if listing.items == "Reservations" else (item,)


def _in_words(what: str, id: str, item: Mapping[str, Any]) -> str:
    tags = from_tag_list(item.get("Tags"))
    whose = [
        f"owner {item['OwnerId']}" if item.get("OwnerId") else "",
        f"made by {item['RequesterId']}" if item.get("RequesterId") else "",
        f"of lab {tags[TAG_LAB]}" if TAG_LAB in tags else "",
        f"called {tags['Name']}" if tags.get("Name") else "",
    ]
    known = ", ".join(part for part in whose if part)
    described = f": {item['Description']}" if item.get("Description") else ""
    return f"{id} ({what}{'; ' + known if known else ''}{described})"
