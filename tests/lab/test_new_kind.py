"""A new kind is one class: registered, it is planned, created, settled, tagged, permitted, priced and removed, with no other change.

The kind is an EBS volume, which no lab has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enaxp.aws import Aws
from enaxp.lab.apply import apply
from enaxp.lab.checks.permissions import probe_of
from enaxp.lab.cost import Prices, usd_per_hour
from enaxp.lab.fleet import pair_in
from enaxp.lab.grants import Scope
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind, SettingCall, differences, no_id, remove, want_of
from enaxp.lab.kinds.network import VpcWant
from enaxp.lab.model import Change, Difference, Found, Ids, Lab, Resource, Want, change
from enaxp.lab.plan import Plan, make_plan
from enaxp.lab.policy import grants_for
from enaxp.lab.spec import layer_of
from enaxp.lab.state import StateFile, new_state
from enaxp.lab.survey import survey
from enaxp.lab.sweep import sweep_layers
from enaxp.lab.tags import put_tags
from tests.support.crash_harness import DeadlyCloud, Labs


@dataclass(frozen=True, kw_only=True)
class VolumeWant(Want):
    zone: str
    size_gb: int
    type: str = "gp3"
    note: str = ""


class Volume(Ec2Kind):
    """Setting: the volume's type."""

    name = "volume"
    layer = "compute"
    of_a_pair = True
    token = True
    billed = ("disk",)
    hidden = ("note",)
    placeholder = no_id("vol")
    resource_type, describe, items, ids_argument = "volume", "describe_volumes", "Volumes", "VolumeIds"
    reads = ("ec2:DescribeVolumes",)
    creates, deletes = "ec2:CreateVolume", "ec2:DeleteVolume"
    settings = (SettingCall(action="ec2:ModifyVolume", sample={"VolumeId": placeholder, "VolumeType": "gp3"}),)

    def read(self, item: Any) -> Found:
        pending = "" if item["State"] in {"available", "in-use"} else item["State"]
        facts = {"size_gb": item["Size"], "zone": item["AvailabilityZone"], "type": item["VolumeType"]}
        return self.found(item["VolumeId"], item.get("Tags"), pending=pending, **facts)

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        want = want_of(resource, VolumeWant)
        return {
            "AvailabilityZone": want.zone,
            "Size": want.size_gb,
            "VolumeType": "gp2",
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: Any, token: str) -> str:
        return aws.ec2.create_volume(**request, ClientToken=token)["VolumeId"]

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        want = want_of(resource, VolumeWant)
        return differences(found.facts, zone=want.zone, size_gb=want.size_gb)

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        want, have = want_of(resource, VolumeWant).type, found.facts["type"]
        if have != want:
            yield change(
                "type",
                have=have,
                want=want,
                act=lambda aws: aws.ec2.modify_volume(VolumeId=found.id, VolumeType=want),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_volume(VolumeId=found.id), where=f"deleting {found.key} {found.id}")


DATA = Resource(
    key="volume/data",
    kind="volume",
    layer="compute",
    name="enaxp-dev-us-east-1-data",
    want=VolumeWant(zone="us-east-1a", size_gb=8, note="scratch"),
    needs=("vpc",),
)
VPC = Resource(key="vpc", kind="vpc", layer="network", name="enaxp-dev-us-east-1", want=VpcWant(cidr="10.0.0.0/16"))
SCOPE = Scope(partition="aws", region="us-east-1", account="123456789012", lab="dev", name="enaxp-dev-us-east-1")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "volume", Volume())


class Life:
    """A lab of a VPC and a volume, looked at, built and removed by the parts of the provisioner themselves."""

    def __init__(self, cloud: DeadlyCloud, folder: Path) -> None:
        self.aws = Labs(cloud, folder).aws()
        self.file = StateFile(folder, "dev")
        state = new_state(
            lab="dev",
            account="123456789012",
            region="us-east-1",
            target="aws",
            now=datetime(2026, 1, 31, 12, tzinfo=UTC),
            ttl_s=3600,
        )
        self.file.save(state)

    @property
    def lab(self) -> Lab:
        return self.file.state.as_lab({})

    def found(self) -> dict[str, Found]:
        return dict(survey(self.aws, self.lab, state=self.file.state).found)

    def plan(self, data: Resource = DATA) -> Plan:
        seen = survey(self.aws, self.lab, state=self.file.state)
        return make_plan([VPC, data], seen, self.file.state, self.lab)

    def up(self) -> None:
        apply(self.plan(), resources=[VPC, DATA], aws=self.aws, lab=self.lab, file=self.file, watch=lambda _event: None)

    def down(self) -> Sequence[Found]:
        seen = survey(self.aws, self.lab, state=self.file.state)
        layers = ("network", "compute")
        swept = sweep_layers(layers, seen=seen, aws=self.aws, lab=self.lab, file=self.file, watch=lambda _event: None)
        return swept.removed


@pytest.fixture
def life(cloud: DeadlyCloud, tmp_path: Path) -> Life:
    return Life(cloud, tmp_path)


def test_it_is_planned_with_what_a_person_reads_of_it(life: Life) -> None:
    [_, step] = life.plan().steps

    assert (step.key, step.action) == ("volume/data", "create")
    assert [str(one) for one in step.changes] == ["zone: none → us-east-1a", "size_gb: none → 8"]


def test_it_is_created_with_the_labs_tags_and_its_setting(life: Life) -> None:
    life.up()

    volume = life.found()["volume/data"]
    assert volume.facts == {"size_gb": 8, "zone": "us-east-1a", "type": "gp3"}
    assert volume.tags == life.lab.tags_for(DATA)
    assert life.plan().changing == ()


def test_what_cannot_be_changed_in_place_is_replaced(life: Life) -> None:
    life.up()
    larger = replace(DATA, want=VolumeWant(zone="us-east-1a", size_gb=16))

    [step] = life.plan(larger).changing

    assert (step.action, [str(one) for one in step.changes]) == ("replace", ["size_gb: 8 → 16"])


def test_a_tag_that_was_lost_is_put_back(life: Life) -> None:
    life.up()
    volume = life.found()["volume/data"]
    life.aws.ec2.delete_tags(Resources=[volume.id], Tags=[{"Key": "Name"}])

    [step] = life.plan().changing
    assert [one.field for one in step.changes] == ["tag Name"]
    life.up()

    assert life.plan().changing == ()


def test_it_is_tagged_in_one_call_with_the_other_kinds_of_ec2(cloud: DeadlyCloud, life: Life) -> None:
    life.up()
    found = life.found()
    cloud.server.forget_calls()

    put_tags(life.aws, found.values(), {"enaxp:expires": "2026-02-01T00:00:00Z"})

    assert [call.action for call in cloud.server.calls] == ["CreateTags"]
    assert {one.tags["enaxp:expires"] for one in life.found().values()} == {"2026-02-01T00:00:00Z"}


def test_every_call_of_its_life_is_in_the_policy(cloud: DeadlyCloud, life: Life) -> None:
    life.up()
    life.down()

    called = {f"ec2:{call.action}" for call in cloud.server.calls if "Volume" in call.action}
    granted = {one.sid: one.as_statement() for one in grants_for([DATA], SCOPE)}

    assert called == {"ec2:CreateVolume", "ec2:DescribeVolumes", "ec2:ModifyVolume", "ec2:DeleteVolume"}
    assert "ec2:DescribeVolumes" in granted["Look"]["Action"]
    assert granted["MakeWithTheLabsTag"]["Action"] == ["ec2:CreateVolume"]
    changing = ["ec2:CreateTags", "ec2:DeleteVolume", "ec2:ModifyVolume"]
    assert granted["OnThisLabsResources"]["Action"] == changing
    made = {"ec2:CreateAction": ["CreateVolume"], "aws:RequestTag/enaxp:lab": "dev"}
    assert granted["TagWhatIsMade"]["Condition"] == {"StringEquals": made}


def test_whether_its_setting_may_be_changed_can_be_asked_before(life: Life) -> None:
    [call] = Volume.settings

    probe = probe_of(call)

    assert probe is not None
    assert (probe.action, probe.certain) == ("ec2:ModifyVolume", False)


def test_in_a_fleet_it_goes_with_the_pair_in_its_key() -> None:
    assert pair_in("volume/main-2/data") == ("main-2", "main", 2)
    assert pair_in("volume/data") is None


def test_it_has_a_layer_and_a_price() -> None:
    prices = Prices(instance=1.0, disk=0.25, address=0.125, source="a test")

    assert layer_of("volume/data") == "compute"
    assert usd_per_hour(prices, ["volume/data", "vpc"]) == 0.25


def test_it_is_removed_and_nothing_is_left(cloud: DeadlyCloud, life: Life) -> None:
    life.up()

    removed = life.down()

    assert {one.key for one in removed} == {"vpc", "volume/data"}
    assert life.found() == {}
    assert cloud.server.resources() == []
    assert life.file.state.resources == {}
