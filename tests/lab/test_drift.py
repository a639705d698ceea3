"""What others do to a lab: shown field by field, repaired by the next `up`. Two machines that want the same lab at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from doomed import TARGET, WHOLE, DeadlyCloud, Labs, census, deadly_cloud

from enaxp.errors import LabError, NameTakenError
from enaxp.lab import sweep
from enaxp.lab.lifecycle import look, up

Meddle = Callable[[Any, Any, dict[str, str]], object]


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


def client(labs: Labs, service: str) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=labs.cloud.server.endpoint_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def srd(ec2: Any, eni: str, *, on: bool) -> None:
    off_or_on = {"EnaSrdEnabled": on, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": on}}
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, EnaSrdSpecification=off_or_on)


def rule(protocol: str, group: str) -> dict[str, Any]:
    if protocol == "all":
        return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    return {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.0/8"}]}


def unassociate(ec2: Any, table: str) -> None:
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    ec2.disassociate_route_table(AssociationId=found["Associations"][0]["RouteTableAssociationId"])


def disassociate(ec2: Any, address: str) -> None:
    [found] = ec2.describe_addresses(AllocationIds=[address])["Addresses"]
    ec2.disassociate_address(AssociationId=found["AssociationId"])


MEDDLING: dict[str, tuple[Meddle, str, str]] = {
    "SRD switched off": (
        lambda ec2, iam, ids: srd(ec2, ids["eni/server-express"], on=False),
        "instance/server",
        "ENA Express on eni/server-express",
    ),
    "SRD switched on where it must not be": (
        lambda ec2, iam, ids: srd(ec2, ids["eni/client-ena"], on=True),
        "instance/client",
        "ENA Express on eni/client-ena",
    ),
    "DNS hostnames off": (
        lambda ec2, iam, ids: ec2.modify_vpc_attribute(VpcId=ids["vpc"], EnableDnsHostnames={"Value": False}),
        "vpc",
        "dns_hostnames",
    ),
    "SSH rule removed": (
        lambda ec2, iam, ids: ec2.revoke_security_group_ingress(
            GroupId=ids["security-group"], IpPermissions=[rule("ssh", "")]
        ),
        "security-group",
        "ingress ssh",
    ),
    "default route removed": (
        lambda ec2, iam, ids: ec2.delete_route(RouteTableId=ids["route-table"], DestinationCidrBlock="0.0.0.0/0"),
        "route-table",
        "default_route",
    ),
    "route table taken off": (lambda ec2, iam, ids: unassociate(ec2, ids["route-table"]), "route-table", "subnet"),
    "address taken off": (lambda ec2, iam, ids: disassociate(ec2, ids["eip/server"]), "eip/server", "associated with"),
    "policy detached": (
        lambda ec2, iam, ids: iam.detach_role_policy(
            RoleName=ids["role"], PolicyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        ),
        "role",
        "policy",
    ),
    "a tag removed": (
        lambda ec2, iam, ids: ec2.delete_tags(Resources=[ids["subnet"]], Tags=[{"Key": "Name"}]),
        "subnet",
        "tag Name",
    ),
    "a role's tag changed": (
        lambda ec2, iam, ids: iam.tag_role(RoleName=ids["role"], Tags=[{"Key": "enaxp:key", "Value": "other"}]),
        "role",
        "tag enaxp:key",
    ),
    "role out of the profile": (
        lambda ec2, iam, ids: iam.remove_role_from_instance_profile(
            InstanceProfileName=ids["instance-profile"], RoleName=ids["role"]
        ),
        "instance-profile",
        "role",
    ),
}


@pytest.mark.parametrize("name", MEDDLING)
def test_drift_is_shown_and_repaired(labs: Labs, name: str) -> None:
    meddle, key, field = MEDDLING[name]
    meddle(client(labs, "ec2"), client(labs, "iam"), labs.file().state.ids())

    picture = look(labs.config, aws=labs.aws(), file=labs.file(), target=TARGET)
    [step] = picture.plan.changing
    assert (step.key, step.action, [change.field for change in step.changes]) == (key, "settle", [field])
    labs.up()

    assert labs.changes_left() == []


def test_a_terminated_instance_is_made_anew(labs: Labs) -> None:
    client(labs, "ec2").terminate_instances(InstanceIds=[labs.file().state.ids()["instance/client"]])

    assert [left.partition(":")[0] for left in labs.changes_left()] == ["create instance/client"]
    labs.up()

    assert census(labs) == WHOLE
    assert labs.changes_left() == []


def test_what_lost_the_labs_id_is_not_touched_and_is_told(labs: Labs) -> None:
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
    monkeypatch.setattr(sweep, "STALL_S", 0.2)
    ec2, ids = client(labs, "ec2"), labs.file().state.ids()
    made = ec2.create_network_interface(
        SubnetId=ids["subnet"], Groups=[ids["security-group"]], Description="of the balancer"
    )["NetworkInterface"]["NetworkInterfaceId"]

    with pytest.raises(LabError) as stuck:
        labs.down()

    told = str(stuck.value.where)
    assert f"subnet {ids['subnet']}: used by {made} (interface; owner 123456789012, made by " in told
    assert ": of the balancer)" in told
    assert f"security-group {ids['security-group']}: used by {made}" in told
    ec2.delete_network_interface(NetworkInterfaceId=made)
    assert labs.down().lab_is_gone
    labs.up()


def test_who_comes_second_to_a_lab_gives_way_and_has_made_nothing(labs: Labs, tmp_path: Path) -> None:
    """Two machines begin at once: the role's name is the claim."""
    first, second = Labs(labs.cloud, tmp_path / "first", lab="race"), Labs(labs.cloud, tmp_path / "second", lab="race")
    aws, file = second.aws(), second.file()
    picture = look(second.config, aws=aws, file=file, target=TARGET)  # the second looks before the first has begun
    first.up()
    before = set(labs.cloud.server.things())

    with pytest.raises(NameTakenError, match="is taken by something that is not this lab's"):
        up(picture, config=second.config, aws=aws, file=file, watch=lambda _event: None)

    assert set(labs.cloud.server.things()) == before
    assert not (tmp_path / "second/race.json").exists()
    assert first.changes_left() == []
    first.down()
