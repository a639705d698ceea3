"""Other people's resources: used as given, never tagged, changed or deleted; what they lack is said beforehand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enaxp.config import load_config
from enaxp.lab.checks.preflight import preflight_report
from enaxp.lab.status import status_of
from tests.support.crash_harness import Labs

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfq7ICUKD4ZoEUHJTgSdKV3ZpyCnVEbm0ZbQfPzXjEe theirs"


class Theirs:
    """A network, a profile and a key of somebody else."""

    def __init__(self, labs: Labs, *, gateway: bool = True, block: str = "192.168.0.0/16") -> None:
        self.ec2, self.iam = labs.aws().ec2, labs.aws().iam
        self.vpc = self.ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"]
        self.gateway = None
        if gateway:
            self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
            self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)

    def subnet(self, block: str = "192.168.3.0/24", *, public: bool = True) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=block, AvailabilityZone="us-east-1b")
        subnet = str(made["Subnet"]["SubnetId"])
        if public:
            table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
            self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=self.gateway)
            self.ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        return subnet

    def profile(self, *, role: bool = True) -> str:
        self.iam.create_instance_profile(InstanceProfileName="theirs")
        if role:
            self.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=TRUST)
            self.iam.add_role_to_instance_profile(InstanceProfileName="theirs", RoleName="theirs")
        return "theirs"

    def key(self, folder: Path) -> dict[str, str]:
        self.ec2.import_key_pair(KeyName="theirs", PublicKeyMaterial=KEY.encode())
        (folder / "theirs.pem").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        return {"name": "theirs", "private_key": str(folder / "theirs.pem")}

    def snapshot(self) -> dict[str, Any]:
        """All there is to see of their network: what must read the same when the lab is gone."""
        calls = ("describe_vpcs", "describe_subnets", "describe_internet_gateways", "describe_route_tables")
        seen = {call: getattr(self.ec2, call)() for call in (*calls, "describe_key_pairs", "describe_security_groups")}
        seen["dns"] = self.ec2.describe_vpc_attribute(VpcId=self.vpc, Attribute="enableDnsHostnames")
        seen["profiles"] = self.iam.list_instance_profiles()
        seen["roles"] = self.iam.list_roles()
        for answer in seen.values():
            answer.pop("ResponseMetadata")
        return seen


TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def use(labs: Labs, **values: Any) -> None:
    labs.config = load_config(overrides={"lab": "dev", **{k.replace("__", "."): v for k, v in values.items()}})


def owned(labs: Labs) -> dict[str, bool]:
    snapshot = labs.snapshot()
    status = status_of(snapshot, config=labs.config, endpoint_url=None, prices=None, software={}, now=datetime.now(UTC))
    return {resource.key: resource.owned for resource in status.resources}


def failures(labs: Labs) -> str:
    snapshot = labs.snapshot()
    report = preflight_report(snapshot, config=labs.config, aws=labs.aws())
    return "\n".join(f.text for f in report.of("failure"))


def test_a_lab_lives_in_a_vpc_of_another_owner_and_leaves_it_as_it_was(labs: Labs) -> None:
    theirs = Theirs(labs)
    before = theirs.snapshot()
    use(labs, network__vpc_id=theirs.vpc)
    assert failures(labs) == ""

    labs.up()

    assert labs.changes_left() == []
    kept = {key for key, own in owned(labs).items() if not own}
    assert kept == {"vpc", "igw"}
    state = labs.file().state
    assert state.resources["igw"].id == theirs.gateway
    assert not state.resources["igw"].owned
    assert labs.down().lab_is_gone
    assert theirs.snapshot() == before


def test_a_vpc_without_a_gateway_gets_one_for_as_long_as_the_lab_lives(labs: Labs) -> None:
    theirs = Theirs(labs, gateway=False)
    before = theirs.snapshot()
    use(labs, network__vpc_id=theirs.vpc)

    labs.up()

    assert {key for key, own in owned(labs).items() if not own} == {"vpc"}
    assert labs.changes_left() == []
    assert labs.down().lab_is_gone
    assert theirs.snapshot() == before


def test_a_lab_of_given_resources_changes_none_of_them(labs: Labs, tmp_path: Path) -> None:
    theirs = Theirs(labs)
    use(
        labs,
        network__vpc_id=theirs.vpc,
        network__subnet_id=theirs.subnet(),
        hosts__instance_profile=theirs.profile(),
        hosts__key=theirs.key(tmp_path),
        tags={"team": "perf"},
    )
    before = theirs.snapshot()
    assert failures(labs) == ""

    labs.up()

    assert labs.changes_left() == []
    assert {key for key, own in owned(labs).items() if not own} == {"vpc", "subnet", "instance-profile", "key-pair"}
    assert labs.file().state.pinned.availability_zone == "us-east-1b"
    instances = labs.aws().ec2.describe_instances(Filters=[{"Name": "tag:team", "Values": ["perf"]}])["Reservations"]
    assert len(instances) == 2
    assert labs.down().lab_is_gone
    assert theirs.snapshot() == before


def test_without_public_addresses_none_are_made(labs: Labs) -> None:
    use(labs, hosts__address="private")

    labs.up()

    assert labs.changes_left() == []
    assert labs.aws().ec2.describe_addresses()["Addresses"] == []
    labs.down()


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("192.168.3.0/24", "overlaps subnet-"),
        ("10.0.0.0/24", "does not lie in vpc-"),
    ],
)
def test_a_vpc_without_room_is_reported(labs: Labs, block: str, said: str) -> None:
    theirs = Theirs(labs)
    theirs.subnet("192.168.3.0/25")
    octets = block.rpartition(".")[0]
    addresses = {
        f"hosts.{role}.{arm}": f"{octets}.{number}"
        for number, (role, arm) in enumerate(
            [("server", "ena_ip"), ("server", "ena_express_ip"), ("client", "ena_ip"), ("client", "ena_express_ip")], 10
        )
    }
    labs.config = load_config(
        overrides={"lab": "dev", "network.vpc_id": theirs.vpc, "network.subnet_cidr": block, **addresses}
    )

    assert said in failures(labs)


def test_a_subnet_without_a_way_out_is_reported(labs: Labs) -> None:
    theirs = Theirs(labs)
    use(labs, network__vpc_id=theirs.vpc, network__subnet_id=theirs.subnet(public=False))

    assert "has no route to an internet gateway" in failures(labs)


def test_a_subnet_of_other_addresses_is_reported(labs: Labs) -> None:
    theirs = Theirs(labs)
    use(labs, network__vpc_id=theirs.vpc, network__subnet_id=theirs.subnet("192.168.4.0/24"))

    assert "is 192.168.4.0/24, network.subnet_cidr says 192.168.3.0/24" in failures(labs)


def test_a_subnet_whose_addresses_are_taken_is_reported(labs: Labs) -> None:
    theirs = Theirs(labs)
    subnet = theirs.subnet()
    theirs.ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress="192.168.3.11")
    use(labs, network__vpc_id=theirs.vpc, network__subnet_id=subnet)

    assert "192.168.3.11 is taken by eni-" in failures(labs)


def test_given_resources_that_are_not_there_are_named(labs: Labs, tmp_path: Path) -> None:
    theirs = Theirs(labs)
    subnet = "subnet-0123456789abcdef0"
    key = {"name": "gone", "private_key": str(tmp_path / "no.pem")}
    use(labs, network__vpc_id=theirs.vpc, network__subnet_id=subnet, hosts__instance_profile="gone", hosts__key=key)

    said = failures(labs)

    for text in (f"subnet {subnet} is not there", "instance-profile gone is not there", "key-pair gone is not there"):
        assert text in said


def test_a_profile_without_a_role_is_reported(labs: Labs) -> None:
    use(labs, hosts__instance_profile=Theirs(labs).profile(role=False))

    assert "the instance profile theirs has no role in it" in failures(labs)
