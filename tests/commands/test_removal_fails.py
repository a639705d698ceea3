"""A removal that is not whole, at the command line: exit 1, what is left and why, on every way to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from enaxp.lab.model import TAG_EXPIRES, TAG_LAB
from enaxp.local.strict import Fault, FaultPlan, StrictServer
from tests.support.on_aws import OnAws, strict_aws

DENIED = Fault(
    action="DeleteVpc", code="UnauthorizedOperation", status=403, message="You are not authorized.", probability=1.0
)
BLIND = Fault(action="DescribeTags", code="InvalidRequest", status=400, message="Not today.", nth=4)


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with strict_aws() as running:
        yield running


@pytest.fixture
def expired(server: StrictServer, tmp_path: Path) -> Iterator[OnAws]:
    """A person whose lab, a network, is over by its tags; it goes when its VPC may be deleted."""
    person = OnAws(server, tmp_path)
    assert person.run("up", "network", "--yes", "--no-wait").code == 0
    ec2 = boto3.client(
        "ec2",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    tagged = ec2.describe_tags(Filters=[{"Name": "key", "Values": [TAG_LAB]}])["Tags"]
    ec2.create_tags(
        Resources=[tag["ResourceId"] for tag in tagged], Tags=[{"Key": TAG_EXPIRES, "Value": "2026-01-01T00:00:00Z"}]
    )
    yield person
    server.set_faults(FaultPlan())
    assert person.run("down", "--yes").code == 0


def lab_id(person: OnAws) -> str:
    return str(json.loads((person.folder / "state/dev.json").read_text())["lab_id"])


def test_down_says_what_is_left_and_exits_1(expired: OnAws) -> None:
    expired.server.set_faults(FaultPlan([DENIED]))

    ran = expired.run("down", "--yes", "--json")

    assert ran.code == 1
    [left] = json.loads(ran.stdout)["leftovers"]
    assert left["id"].startswith("vpc-")
    assert "UnauthorizedOperation" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_down_by_id_says_what_is_left_and_exits_1(expired: OnAws) -> None:
    expired.server.set_faults(FaultPlan([DENIED]))

    ran = expired.run("down", "--lab-id", lab_id(expired), "--yes", "--json")

    assert (ran.code, len(json.loads(ran.stdout)["leftovers"])) == (1, 1)


def test_the_janitor_names_labs_that_are_not_wholly_removed_and_exits_1(expired: OnAws) -> None:
    expired.server.set_faults(FaultPlan([DENIED]))

    ran = expired.run("down", "--expired", "--yes", "--json")

    [lab] = json.loads(ran.stdout)["labs"]
    assert (ran.code, lab["lab"], len(lab["leftovers"])) == (1, "dev", 1)
    assert f"not removed, or not wholly: dev ({lab_id(expired)}) in us-east-1" in ran.stderr


def test_the_janitor_goes_on_where_a_region_cannot_be_asked_and_exits_1(expired: OnAws) -> None:
    """An error, not a denial: a region that the caller may not ask has no lab of theirs. The fourth call is none of the lab's region."""
    expired.server.set_faults(FaultPlan([BLIND]))

    ran = expired.run("down", "--expired", "--all-regions", "--yes", "--json")

    assert (ran.code, [lab["lab"] for lab in json.loads(ran.stdout)["labs"]]) == (1, ["dev"])
    assert "warning: " in ran.stderr
    assert "InvalidRequest" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_removal_that_is_whole_exits_0(expired: OnAws) -> None:
    ran = expired.run("down", "--expired", "--yes", "--json")

    [lab] = json.loads(ran.stdout)["labs"]
    assert (ran.code, lab["leftovers"], lab["error"]) == (0, [], None)
