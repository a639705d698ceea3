"""No room in a zone: the pair moves on, each zone is tried once, and a failed `up` can take back what it made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.errors import AwsError, LabError, NoRoomError
from enaxp.lab.events import LabEvent
from enaxp.lab.kinds import KINDS
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.zones import rollback, up_in_some_zone
from enaxp.local.strict import Capacity, Fault, FaultPlan, Timing
from tests.support.crash_harness import WHOLE, DeadlyCloud, Labs, census
from tests.support.drift_cases import client

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e", "us-east-1f"]


def up(labs: Labs, snapshot: Snapshot) -> list[str]:
    """What was said on the way."""
    said: list[str] = []
    up_in_some_zone(labs.context(), snapshot, layers=None, watch=lambda _event: None, note=said.append)
    return said


@pytest.mark.parametrize("late", [False, True], ids=["refused", "ended after the launch"])
@pytest.mark.parametrize("room", [0, 1], ids=["for none", "for one"])
def test_the_pair_moves_on_to_a_zone_that_has_room(cloud: DeadlyCloud, tmp_path: Path, room: int, late: bool) -> None:
    labs = Labs(cloud, tmp_path)
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": room}, late=late))

    said = up(labs, labs.snapshot())

    assert said == ["us-east-1a has no room for a c6i.8xlarge: moving on to us-east-1b"]
    assert census(labs) == WHOLE
    assert labs.file().state.pinned.availability_zone == "us-east-1b"
    assert labs.changes_left() == []
    assert labs.down().lab_is_gone


def test_the_placement_group_is_in_use_in_the_old_zone_for_a_while(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    cloud.server.set_timing(replace(Timing.instant(), placement_group_release=3600))
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 1}))
    told: list[str] = []

    def until_it_is_waited_for(event: LabEvent) -> None:
        told.append(event.text)
        if "waiting for the placement group" in event.text:
            cloud.server.set_timing(Timing.instant())

    up_in_some_zone(
        labs.context(),
        labs.snapshot(),
        layers=None,
        watch=until_it_is_waited_for,
        note=lambda _text: None,
    )

    assert any("waiting for the placement group to come free in the zone where it was used" in text for text in told)
    assert census(labs) == WHOLE
    assert labs.down().lab_is_gone


def test_a_group_that_somebody_uses_in_another_zone_is_reported_at_once(cloud: DeadlyCloud, tmp_path: Path) -> None:
    # Given a lab in one zone with an instance of somebody else in its group
    labs = Labs(cloud, tmp_path)
    labs.up()
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    image = labs.file().state.pinned.ami
    theirs = ec2.run_instances(
        ImageId=image,
        InstanceType="c6i.large",
        MinCount=1,
        MaxCount=1,
        SubnetId=ids["subnet"],
        Placement={"GroupName": ids["placement-group"]},
    )["Instances"][0]["InstanceId"]

    # When it is to move
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": 0}))
    ec2.terminate_instances(InstanceIds=[ids["instance/server"], ids["instance/client"]])
    other = ec2.create_subnet(VpcId=ids["vpc"], CidrBlock="192.168.9.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    eni = ec2.create_network_interface(SubnetId=other["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
    request = {
        "ImageId": image,
        "InstanceType": "c6i.8xlarge",
        "MinCount": 1,
        "MaxCount": 1,
        "NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": eni}],
        "Placement": {"AvailabilityZone": "us-east-1b", "GroupName": ids["placement-group"]},
    }
    # Then who is in the way is named, and nothing waits
    with pytest.raises(AwsError, match=f"{theirs} .* has the placement group"):
        KINDS["instance"].create(labs.aws(), request, "token")


def test_no_public_address_in_the_region_moves_nobody_to_another_zone(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    none = Fault(action="AllocateAddress", code="InsufficientAddressCapacity", status=500, message="no", probability=1)
    cloud.server.set_faults(FaultPlan([none]))

    with pytest.raises(AwsError, match="creating eip") as refusal:
        up(labs, labs.snapshot())

    assert "no public address left in this region" in refusal.value.todo
    assert not isinstance(refusal.value, NoRoomError)


def test_when_no_zone_has_room_the_zones_tried_are_reported_and_all_can_be_taken_back(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    labs = Labs(cloud, tmp_path)
    cloud.server.set_capacity(Capacity(zones=dict.fromkeys(ZONES, 0)))
    before = labs.snapshot()

    with pytest.raises(LabError, match=r"no room for two c6i\.8xlarge; tried: us-east-1a, us-east-1b, us-east-1c"):
        up(labs, before)
    rollback(labs.context(), before, watch=lambda _event: None)

    assert cloud.server.resources() == []
    assert not (tmp_path / "dev.json").exists()


def test_what_was_there_before_is_not_taken_back(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    labs.up(layers=("network",))
    there = census(labs)
    cloud.server.set_capacity(Capacity(zones=dict.fromkeys(ZONES, 0)))
    before = labs.snapshot()

    with pytest.raises(LabError):
        up(labs, before)
    rollback(labs.context(), before, watch=lambda _event: None)

    assert census(labs) == there
    assert labs.down().lab_is_gone
