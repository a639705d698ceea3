"""What others do to a lab: shown field by field, repaired by the next `up`. Two machines that want the same lab at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.config import load_config
from enaxp.errors import AwsError, LabError, NameTakenError
from enaxp.lab.lifecycle import look, up
from enaxp.local.strict import Capacity, Timing
from tests.support.crash_harness import WHOLE, DeadlyCloud, Labs, census, deadly_cloud
from tests.support.drift_cases import DRIFT_CASES, client

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def labs(cloud: DeadlyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    labs = Labs(cloud, tmp_path_factory.mktemp("drift"))
    labs.up()
    yield labs
    labs.down()


@pytest.mark.parametrize("name", DRIFT_CASES)
def test_drift_is_shown_and_repaired(labs: Labs, name: str) -> None:
    act, key, field = DRIFT_CASES[name]
    act(client(labs, "ec2"), client(labs, "iam"), labs.file().state.ids())

    snapshot = labs.snapshot()
    [step] = snapshot.plan.changing
    assert (step.key, step.action, [change.field for change in step.changes]) == (key, "settle", [field])
    labs.up()

    assert labs.changes_left() == []


def test_tags_that_automation_adds_are_no_drift(labs: Labs) -> None:
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    those = [
        id for key, id in ids.items() if key.partition("/")[0] in {"vpc", "subnet", "security-group", "eni", "instance"}
    ]
    ec2.create_tags(Resources=those, Tags=[{"Key": "CostCenter", "Value": "4711"}])

    assert labs.changes_left() == []
    assert labs.snapshot().notes == ()


def test_policies_that_somebody_added_to_the_role_are_reported_and_left(labs: Labs) -> None:
    iam, role = client(labs, "iam"), labs.file().state.ids()["role"]
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=json.dumps(EVERYTHING))

    [warning] = labs.snapshot().notes

    assert labs.changes_left() == []
    assert warning.startswith("warning: ")
    assert "arn:aws:iam::aws:policy/AdministratorAccess, more" in warning
    iam.delete_role_policy(RoleName=role, PolicyName="more")
    iam.detach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def test_ssh_from_everywhere_is_what_the_config_wants_and_is_warned_of(labs: Labs) -> None:
    everywhere = replace(labs.config, network=replace(labs.config.network, ssh_cidr="0.0.0.0/0"))
    context = replace(labs.context(), config=everywhere)

    [warning] = look(context).notes
    assert "everybody" in warning
    up(context, look(context), watch=lambda _event: None)

    assert look(replace(labs.context(), config=everywhere)).plan.changing == ()
    labs.up()
    assert labs.changes_left() == []


@pytest.mark.parametrize("closes", [{"ssh_cidr": "none"}, {"proxy_command": "ssh -W %h:%p bastion"}])
def test_no_port_is_open_from_outside_where_the_config_says_none_or_a_program_leads_to_the_hosts(
    labs: Labs, closes: dict[str, str]
) -> None:
    part = "network" if "ssh_cidr" in closes else "hosts"
    closed = replace(labs.config, **{part: replace(getattr(labs.config, part), **closes)})  # type: ignore[arg-type]
    group = labs.file().state.ids()["security-group"]

    def open_to() -> list[str]:
        rules = client(labs, "ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        return [entry["CidrIp"] for rule in rules for entry in rule["IpRanges"]]

    # when a lab that SSH reached is closed, then its rule goes, and nothing is left to do
    context = replace(labs.context(), config=closed)
    up(context, look(context), watch=lambda _event: None)
    assert open_to() == []
    assert look(replace(labs.context(), config=closed)).plan.changing == ()

    # and when it is opened again, then the rule is back
    labs.up()
    assert open_to() == ["127.0.0.0/8"]


def test_a_terminated_instance_is_recreated(labs: Labs) -> None:
    client(labs, "ec2").terminate_instances(InstanceIds=[labs.file().state.ids()["instance/client"]])

    assert [left.partition(":")[0] for left in labs.changes_left()] == ["create instance/client"]
    labs.up()

    assert census(labs) == WHOLE
    assert labs.changes_left() == []


def test_what_lost_the_labs_id_is_not_touched_and_is_reported(labs: Labs) -> None:
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    lab_id = {"Key": "enaxp:lab-id", "Value": labs.file().state.lab_id}
    ec2.delete_tags(Resources=[ids["vpc"]], Tags=[lab_id])

    assert labs.changes_left() == []
    with pytest.raises(LabError, match=f"knows vpc {ids['vpc']}, but the tag enaxp:lab-id is not there"):
        labs.up()
    assert census(labs) == WHOLE

    ec2.create_tags(Resources=[ids["vpc"]], Tags=[lab_id])
    labs.up()
    assert census(labs) == WHOLE


def test_a_down_that_is_stuck_names_who_is_in_the_way_by_id_and_owner(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enaxp.lab.sweep.FOREIGN_S", 0.2)
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    made = ec2.create_network_interface(
        SubnetId=ids["subnet"], Groups=[ids["security-group"]], Description="of the balancer"
    )["NetworkInterface"]["NetworkInterfaceId"]

    removal = labs.down()

    told = "\n".join(map(str, removal.leftovers))
    assert not removal.lab_is_gone
    assert f"subnet {ids['subnet']}: used by {made} (interface; owner 123456789012, made by " in told
    assert ": of the balancer)" in told
    assert f"security-group {ids['security-group']}: used by {made}" in told
    ec2.delete_network_interface(NetworkInterfaceId=made)
    assert labs.down().lab_is_gone
    labs.up()


def test_who_comes_second_to_a_lab_gives_way_and_has_made_nothing(labs: Labs, tmp_path: Path) -> None:
    """Two machines begin at once: the role's name is the claim."""
    first, second = Labs(labs.cloud, tmp_path / "first", lab="race"), Labs(labs.cloud, tmp_path / "second", lab="race")
    context = second.context()
    snapshot = look(context)  # the second looks before the first has begun
    first.up()
    before = set(labs.cloud.server.resources())

    with pytest.raises(NameTakenError, match="is taken by something that is not this lab's"):
        up(context, snapshot, watch=lambda _event: None)

    assert set(labs.cloud.server.resources()) == before
    assert not (tmp_path / "second/race.json").exists()
    assert first.changes_left() == []
    first.down()


def test_a_security_group_of_another_owner_with_the_labs_name_is_reported_and_left_alone(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    """Its name is unique in a VPC, but AWS does not identify it by that."""
    labs = Labs(cloud, tmp_path, lab="guest")
    ec2 = client(labs, "ec2")
    vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    theirs = ec2.create_security_group(GroupName="enaxp-guest-us-east-1", Description="theirs", VpcId=vpc)["GroupId"]
    labs.config = load_config(overrides={"lab": "guest", "network.vpc_id": vpc})

    with pytest.raises(NameTakenError, match="creating security-group: the name enaxp-guest-us-east-1 is taken"):
        labs.up()

    labs.down()
    assert [one["GroupName"] for one in ec2.describe_security_groups(GroupIds=[theirs])["SecurityGroups"]]
    ec2.delete_security_group(GroupId=theirs)
    ec2.delete_vpc(VpcId=vpc)


def test_hosts_that_somebody_has_stopped_are_started_again(labs: Labs) -> None:
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    hosts = [ids["instance/server"], ids["instance/client"]]
    ec2.stop_instances(InstanceIds=hosts)

    stopped = labs.snapshot().plan.changing

    assert {(step.key, step.action, str(*step.changes)) for step in stopped} == {
        ("instance/server", "settle", "state: stopped → running"),
        ("instance/client", "settle", "state: stopped → running"),
    }
    labs.up()
    assert labs.changes_left() == []
    assert labs.file().state.ids() == ids
    express = ec2.describe_network_interfaces(NetworkInterfaceIds=[ids["eni/server-express"]])["NetworkInterfaces"]
    assert express[0]["Attachment"]["EnaSrdSpecification"]["EnaSrdEnabled"]


def test_a_host_that_is_stopping_is_started_once_it_has_stopped(labs: Labs) -> None:
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    labs.cloud.server.set_timing(replace(Timing.instant(), terminate=0.5))
    ec2.stop_instances(InstanceIds=[ids["instance/server"]])

    labs.up()

    assert labs.changes_left() == []
    labs.cloud.server.set_timing(Timing.instant())


def test_a_stopped_host_for_which_there_is_no_room_is_reported_at_once(labs: Labs) -> None:
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    ec2.stop_instances(InstanceIds=[ids["instance/server"]])
    labs.cloud.server.set_capacity(Capacity(zones={"us-east-1a": 0}))

    with pytest.raises(AwsError, match=r"instance/server .*state: stopped → running") as refusal:
        labs.up()

    assert "InsufficientInstanceCapacity" in refusal.value.said
    labs.cloud.server.set_capacity(Capacity())
    labs.up()
    assert labs.changes_left() == []


def test_what_a_host_waits_for_is_said(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enaxp.lab.worker.TELL_S", 0.1)
    labs.cloud.server.set_timing(replace(Timing.instant(), instance_running=2.0))
    client(labs, "ec2").stop_instances(InstanceIds=[labs.file().state.ids()["instance/server"]])
    context, told = labs.context(), list[str]()

    up(context, look(context), watch=lambda event: told.append(event.text))

    assert "waiting for AWS to do its part: pending (at most 600 s)" in told
    labs.cloud.server.set_timing(Timing.instant())


def test_a_resource_that_a_few_reads_miss_is_not_created_again(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    id, reads = labs.file().state.ids()["route-table"], itertools.count()
    monkeypatch.setattr(labs.cloud.server._world, "_is_missed", lambda other, _: other == id and next(reads) < 3)

    assert labs.changes_left() == []
    assert next(reads) > 3


def test_a_host_that_no_listing_showed_is_known_again_by_the_interfaces_it_has(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listings come from copies of different age: a host is missed until its interfaces are refused to a second one."""
    file, id = labs.file(), labs.file().state.ids()["instance/client"]
    file.update(
        lambda state: replace(state, resources={k: v for k, v in state.resources.items() if k != "instance/client"})
    )
    launched = len(labs.cloud.server.calls)

    def is_missed(other: str, at_first: float) -> bool:
        asked = [call.action for call in labs.cloud.server.calls[launched:] if not call.dry_run]
        return other == id and "RunInstances" not in asked

    monkeypatch.setattr(labs.cloud.server._world, "_is_missed", is_missed)
    [step] = labs.snapshot().plan.changing
    assert (step.key, step.action) == ("instance/client", "create")

    labs.up()

    assert labs.file().state.ids()["instance/client"] == id
    assert labs.changes_left() == []
