"""Blockers: who uses a resource that AWS will not delete. Asked only when a sweep is stuck, to name each by id and owner.

Found ─▶ describe, filtered by the resource's id ─▶ "eni-0abc (interface; owner 123456789012, made by amazon-elb: ELB app/web)"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from enaxp.aws import Aws
from enaxp.lab.model import TAG_LAB, TAG_LAB_ID, Found, Lab, from_tag_list


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """One describe that shows what may stand on a resource: `by` is the filter that takes the resource's id."""

    what: str
    call: str
    items: str
    id: str
    by: str


def _interfaces(by: str) -> _Listing:
    return _Listing(
        what="interface",
        call="describe_network_interfaces",
        items="NetworkInterfaces",
        id="NetworkInterfaceId",
        by=by,
    )


_STANDS_ON: Mapping[str, tuple[_Listing, ...]] = {
    "security-group": (_interfaces("group-id"),),
    "subnet": (_interfaces("subnet-id"),),
    "vpc": (
        _interfaces("vpc-id"),
        _Listing(what="subnet", call="describe_subnets", items="Subnets", id="SubnetId", by="vpc-id"),
        _Listing(
            what="security group", call="describe_security_groups", items="SecurityGroups", id="GroupId", by="vpc-id"
        ),
        _Listing(what="route table", call="describe_route_tables", items="RouteTables", id="RouteTableId", by="vpc-id"),
        _Listing(
            what="internet gateway",
            call="describe_internet_gateways",
            items="InternetGateways",
            id="InternetGatewayId",
            by="attachment.vpc-id",
        ),
    ),
    "placement-group": (
        _Listing(what="instance", call="describe_instances", items="Reservations", id="", by="placement-group-name"),
    ),
}


def blockers_of(aws: Aws, found: Found, *, lab: Lab) -> list[str]:
    """What stands on the resource and is not the lab's own, each with its id and whose it is. Empty where nothing is to be seen.

    Raises botocore's ClientError when AWS refuses to tell.
    """
    return [
        _told(listing.what, id, item)
        for listing in _STANDS_ON.get(found.kind, ())
        for id, item in _items(aws, listing, found.id)
        if from_tag_list(item.get("Tags")).get(TAG_LAB_ID) != lab.lab_id and not _comes_with_the_vpc(item)
    ]


def _items(aws: Aws, listing: _Listing, id: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    pages = aws.ec2.get_paginator(listing.call).paginate(Filters=[{"Name": listing.by, "Values": [id]}])
    for page in pages:
        for item in page[listing.items]:
            if listing.items == "Reservations":
                yield from ((i["InstanceId"], i) for i in item["Instances"])
            else:
                yield item[listing.id], item


def _comes_with_the_vpc(item: Mapping[str, Any]) -> bool:
    """A VPC's default group and main route table go with it."""
    return item.get("GroupName") == "default" or any(a.get("Main") for a in item.get("Associations", ()))


def _told(what: str, id: str, item: Mapping[str, Any]) -> str:
    tags = from_tag_list(item.get("Tags"))
    whose = [
        f"owner {item['OwnerId']}" if item.get("OwnerId") else "",
        f"made by {item['RequesterId']}" if item.get("RequesterId") else "",
        f"of lab {tags[TAG_LAB]}" if TAG_LAB in tags else "",
        f"called {tags['Name']}" if tags.get("Name") else "",
    ]
    told = ", ".join(part for part in whose if part)
    described = f": {item['Description']}" if item.get("Description") else ""
    return f"{id} ({what}{'; ' + told if told else ''}{described})"
