"""Foreign: resources that AWS services or other people created in the lab's own VPC, and that block its deletion.

GuardDuty's Runtime Monitoring, for one, creates an endpoint with a security group in each VPC that has an instance, and leaves both
behind. `down --with-foreign` removes exactly these two kinds, and nothing in a VPC that was given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from enaxp.aws import Aws, Blocked, Refused, matching
from enaxp.lab.kinds.base import remove
from enaxp.lab.model import TAG_LAB_ID, Found, Lab, from_tag_list

ENDPOINT, GROUP = "foreign-endpoint", "foreign-group"


def remove_foreign(aws: Aws, *, vpc: str, lab: Lab) -> Iterator[Found]:
    """Asks AWS to delete the VPC's endpoints, and its security groups that are no longer in use; yields a Found for each accepted
    deletion.

    What AWS refuses to delete stays, and is named when the VPC's own deletion is blocked.
    """
    with contextlib.suppress(ClientError):  # if they cannot be listed, the VPC's own deletion reports the users
        for endpoint in _in(aws, vpc, "describe_vpc_endpoints", "VpcEndpoints"):
            id = endpoint["VpcEndpointId"]
            if endpoint["State"].lower() not in {"deleting", "deleted"} and _removes(
                partial(_delete_endpoint, aws, id)
            ):
                yield Found(key=f"{ENDPOINT}/{id}", kind=ENDPOINT, id=id, tags={})
        for group in _in(aws, vpc, "describe_security_groups", "SecurityGroups"):
            id, is_own = group["GroupId"], from_tag_list(group.get("Tags")).get(TAG_LAB_ID) == lab.lab_id
            if group["GroupName"] == "default" or is_own:
                continue
            if _removes(partial(aws.ec2.delete_security_group, GroupId=id)):
                yield Found(key=f"{GROUP}/{id}", kind=GROUP, id=id, tags={})


def _in(aws: Aws, vpc: str, describe: str, items: str) -> list[Any]:
    return [item for page in aws.pages(describe, Filters=matching({"vpc-id": [vpc]})) for item in page[items]]


def _delete_endpoint(aws: Aws, id: str) -> None:
    """Deletes an endpoint. AWS's call succeeds in every case and lists what it did not delete: then this raises Refused."""
    for failed in aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[id])["Unsuccessful"]:
        raise Refused(f"deleting {id}", by=str(failed.get("Error", {}).get("Message")), todo="", code="")


def _removes(call: Callable[[], object]) -> bool:
    try:
        remove(call, where="removing what is foreign")
    except (Blocked, Refused):
        return False
    return True
