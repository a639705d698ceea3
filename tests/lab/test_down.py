"""A `down` that meets what others did: what can go goes, billed first; what cannot is named with why, and with what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enaxp.commands.labs import expired_labs, remove_labs
from enaxp.config import load_config
from enaxp.lab.documents import removals_document
from enaxp.lab.lifecycle import Removal, down
from enaxp.lab.model import LAYERS
from enaxp.local.strict import Fault, FaultPlan, Timing
from tests.lab.test_ls import expire, session
from tests.support.crash_harness import DeadlyCloud, Labs, census
from tests.support.drift_cases import client


def denied(*actions: str) -> FaultPlan:
    message = "You are not authorized to perform this operation."
    return FaultPlan(
        [Fault(action=a, code="UnauthorizedOperation", status=403, message=message, probability=1) for a in actions]
    )


def said(removal: Removal) -> str:
    return "\n".join(f"{leftover} → {leftover.todo}" for leftover in removal.leftovers)


@pytest.mark.parametrize("protection", ["DisableApiTermination", "DisableApiStop"])
def test_a_protected_host_is_named_with_the_command_and_the_other_one_goes_with_its_address(
    labs: Labs, protection: str
) -> None:
    labs.up()
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    ec2.modify_instance_attribute(InstanceId=ids["instance/server"], **{protection: {"Value": True}})

    removal = labs.down()

    what = protection.removeprefix("DisableApi").lower()
    command = f"aws ec2 modify-instance-attribute --instance-id {ids['instance/server']} --no-disable-api-{what} --region us-east-1"
    assert f"instance/server {ids['instance/server']}: OperationNotPermitted" in said(removal)
    assert command in said(removal)
    there = labs.cloud.server.resources()
    assert ids["instance/client"] not in there
    assert ids["eip/client"] not in there
    assert ids["eip/server"] in there
    assert census(labs) == {
        "i": 1,
        "vol": 1,
        "eipalloc": 1,
        "igw": 1,
        "eni": 2,
        "sg": 1,
        "subnet": 1,
        "vpc": 1,
        "pg": 1,
    } | {"enaxp": census(labs)["enaxp"]}

    ec2.modify_instance_attribute(InstanceId=ids["instance/server"], **{protection: {"Value": False}})
    assert labs.down().lab_is_gone


def test_a_group_elsewhere_that_refers_to_the_labs_is_named_by_id_and_owner(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enaxp.lab.sweep.FOREIGN_S", 0.1)
    ec2 = client(labs, "ec2")
    vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    labs.config = load_config(overrides={"network.vpc_id": vpc})
    labs.up()
    own = labs.file().state.ids()["security-group"]
    theirs = ec2.create_security_group(GroupName="theirs", Description="theirs", VpcId=vpc)["GroupId"]
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": own}]}]
    ec2.authorize_security_group_ingress(GroupId=theirs, IpPermissions=rule)

    removal = labs.down()

    assert (
        f"security-group {own}: used by {theirs} (security group that refers to it; owner 123456789012: theirs)"
        in said(removal)
    )
    assert [leftover.found.key for leftover in removal.leftovers] == ["security-group"]
    ec2.delete_security_group(GroupId=theirs)
    assert labs.down().lab_is_gone
    ec2.delete_vpc(VpcId=vpc)


def test_policies_that_automation_has_put_on_the_role_go_with_it(labs: Labs) -> None:
    labs.up()
    iam, role = client(labs, "iam"), labs.file().state.ids()["role"]
    statement = {"Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="baseline", PolicyDocument=document)
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy")

    assert labs.down().lab_is_gone


def test_a_role_that_is_in_somebodys_profile_is_left_with_its_name(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enaxp.lab.kinds.identity.Role.patience_s", 0.2)
    labs.up()
    iam, role = client(labs, "iam"), labs.file().state.ids()["role"]
    iam.create_instance_profile(InstanceProfileName="theirs")
    iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName=role)

    assert f"role {role}: it is in the instance profile theirs" in said(labs.down())

    iam.remove_role_from_instance_profile(InstanceProfileName="theirs", RoleName=role)
    iam.delete_instance_profile(InstanceProfileName="theirs")
    assert labs.down().lab_is_gone


def guarded(ec2: Any, *, vpc: str, subnet: str) -> tuple[str, str]:
    """What GuardDuty's Runtime Monitoring puts into a VPC: a group, and an endpoint with it."""
    group = ec2.create_security_group(GroupName="GuardDutyManagedSecurityGroup", Description="managed", VpcId=vpc)[
        "GroupId"
    ]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName="com.amazonaws.us-east-1.guardduty-data",
        VpcEndpointType="Interface",
        SubnetIds=[subnet],
        SecurityGroupIds=[group],
    )["VpcEndpoint"]["VpcEndpointId"]
    return group, endpoint


def test_an_endpoint_of_a_service_is_named_and_goes_only_with_foreign(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enaxp.lab.sweep.FOREIGN_S", 0.1)
    labs.up()
    ids = labs.file().state.ids()
    ec2 = client(labs, "ec2")
    group, endpoint = guarded(ec2, vpc=ids["vpc"], subnet=ids["subnet"])

    named = labs.down()

    assert {leftover.found.kind for leftover in named.leftovers} == {"subnet", "vpc"}
    assert f"VPC Endpoint Interface {endpoint}" in said(named)
    assert "--with-foreign" in said(named)
    assert "i" not in census(labs)
    removal = down(labs.context(), layers=LAYERS, watch=lambda _event: None, note=lambda _text: None, with_foreign=True)
    assert removal.lab_is_gone
    assert {found.id for found in removal.removed} >= {group, endpoint}


def test_with_foreign_touches_nothing_in_a_given_vpc(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enaxp.lab.sweep.FOREIGN_S", 0.1)
    ec2 = client(labs, "ec2")
    vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    labs.config = load_config(overrides={"network.vpc_id": vpc})
    labs.up()
    group, endpoint = guarded(ec2, vpc=vpc, subnet=labs.file().state.ids()["subnet"])

    removal = down(labs.context(), layers=LAYERS, watch=lambda _event: None, note=lambda _text: None, with_foreign=True)

    assert [leftover.found.kind for leftover in removal.leftovers] == ["subnet"]
    assert "--with-foreign" not in said(removal)
    there = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    assert there[0]["State"] == "available"
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    ec2.delete_security_group(GroupId=group)
    assert labs.down().lab_is_gone
    ec2.delete_vpc(VpcId=vpc)


def test_a_disk_that_was_told_to_stay_goes_too(labs: Labs) -> None:
    labs.up()
    ec2, instance = client(labs, "ec2"), labs.file().state.ids()["instance/server"]
    [device] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
    stays = [{"DeviceName": device["DeviceName"], "Ebs": {"DeleteOnTermination": False}}]
    ec2.modify_instance_attribute(InstanceId=instance, BlockDeviceMappings=stays)

    removal = labs.down()

    assert removal.lab_is_gone
    assert ("disk/server", device["Ebs"]["VolumeId"]) in [(found.key, found.id) for found in removal.removed]


def test_who_may_not_read_roles_uses_a_given_profile_and_takes_the_lab_down(labs: Labs) -> None:
    iam = client(labs, "iam")
    iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="theirs")
    iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    labs.config = load_config(overrides={"hosts.instance_profile": "theirs"})
    labs.cloud.server.set_faults(denied("GetRole", "GetInstanceProfile", "ListAttachedRolePolicies"))

    labs.up()
    (labs.folder / "dev.json").unlink()  # found by tags alone

    assert labs.down().lab_is_gone
    labs.cloud.server.set_faults(FaultPlan())
    iam.remove_role_from_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
    iam.delete_instance_profile(InstanceProfileName="theirs")
    iam.delete_role(RoleName="theirs")


TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def test_credentials_that_expire_in_the_midst_end_it_at_once_and_it_continues_afterwards(labs: Labs) -> None:
    from enaxp.errors import AwsError

    labs.up()
    expired = Fault(action="Delete*", code="ExpiredToken", status=403, message="expired", probability=1)
    labs.cloud.server.set_faults(FaultPlan([expired]))

    with pytest.raises(AwsError, match="deleting"):
        labs.down()

    labs.cloud.server.set_faults(FaultPlan())
    assert labs.down().lab_is_gone


def test_a_placement_group_is_waited_for_as_long_as_it_takes(labs: Labs) -> None:
    labs.up()
    labs.cloud.server.set_timing(replace(Timing.instant(), placement_group_release=1.5))

    assert labs.down().lab_is_gone
    labs.cloud.server.set_timing(Timing.instant())


def test_expired_labs_go_one_by_one_and_one_that_cannot_does_not_keep_the_others(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    cloud.server._world.quotas = replace(cloud.server._world.quotas, vcpus=1024, addresses=20)
    stuck, other = Labs(cloud, tmp_path / "stuck", lab="stuck"), Labs(cloud, tmp_path / "other", lab="other")
    for one in (stuck, other):
        one.up()
    host = stuck.file().state.ids()["instance/server"]
    ec2 = client(stuck, "ec2")
    ec2.modify_instance_attribute(InstanceId=host, DisableApiTermination={"Value": True})
    for one in (stuck, other):
        expire(one)
    mine = session(other, tmp_path / "mine")

    done = remove_labs(mine, expired_labs(mine, everywhere=False).labs, force=False)

    shown = msgspec.to_builtins(removals_document(done))["labs"]
    assert {(one["lab"], bool(one["leftovers"]), one["error"]) for one in shown} == {
        ("stuck", True, None),
        ("other", False, None),
    }
    [left] = [one for one in shown if one["lab"] == "stuck"]
    assert host in {leftover["id"] for leftover in left["leftovers"]}
    assert set(left) == {"lab", "lab_id", "owner", "removed", "leftovers", "error"}
    ec2.modify_instance_attribute(InstanceId=host, DisableApiTermination={"Value": False})
    assert stuck.down().lab_is_gone
    assert cloud.server.resources() == []
