"""A standing lab that refusals are tried on, one for all tests that change nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from enaxp.local.strict import Quotas, StrictServer, Timing, serve
from tests.support.strict_lab import KEY, OTHER_ZONE, ZONE, Lab, document

ECDSA = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJ lab"


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    running = serve(timing=Timing.instant(), quotas=Quotas(vpcs=20, internet_gateways=20, addresses=20))
    yield running
    running.stop()


@pytest.fixture
def fresh(server: StrictServer) -> Lab:
    """A lab with nothing in it yet, in a cloud that other tests of the module use, too."""
    return Lab.at(server)


@pytest.fixture(scope="module")
def standing(server: StrictServer) -> Lab:
    """A running lab of two hosts, and odd resources beside it: what they are for is told by their names."""
    lab = Lab.at(server)
    lab.build()
    lab.interface("free", "192.168.3.30")
    lab.interface("free_express", "192.168.3.31")
    _networks(lab)
    _hosts(lab)
    _software(lab)
    lab.group("spread", strategy="spread")
    lab.iam.create_instance_profile(InstanceProfileName="roleless")
    lab.ids["loose_disk"] = lab.ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    lab.ids["loose_ip"] = lab.ec2.allocate_address(Domain="vpc")["AllocationId"]
    lab.ids["server_attachment"] = lab.attachment(lab.ids["server"])["AttachmentId"]
    lab.ids["express_attachment"] = lab.attachment(lab.ids["server_express"])["AttachmentId"]
    lab.ids["arm_image"] = lab.image("arm64")
    lab.ids |= {"key_text": KEY, "ecdsa_text": ECDSA, "long_token": "t" * 65, "long_text": "d" * 256}
    lab.ids["many_tags"] = [{"Key": f"tag {number}", "Value": ""} for number in range(51)]
    lab.ids["long_user_data"] = "#" * (16 * 1024 + 1)
    return lab


def _networks(lab: Lab) -> None:
    ec2, ids = lab.ec2, lab.ids
    for name in ("group_vpc", "gateway_vpc", "empty_vpc"):
        ids[name] = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ids["far_group"] = lab.security(ids["group_vpc"], "far")
    for name in ("loose_gateway", "gateway_alone"):
        ids[name] = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=ids["gateway_alone"], VpcId=ids["gateway_vpc"])
    ids["dark_vpc"] = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ids["far_table"] = lab.table(ids["dark_vpc"])
    ids["dark_subnet"] = lab.subnet(ids["dark_vpc"], "10.1.1.0/24", ZONE)
    service = f"com.amazonaws.{ec2.meta.region_name}.s3"
    ids["endpoint"] = ec2.create_vpc_endpoint(VpcId=ids["dark_vpc"], ServiceName=service)["VpcEndpoint"][
        "VpcEndpointId"
    ]
    lab.interface("gatewayless", "10.1.1.10", SubnetId=ids["dark_subnet"], Groups=[])
    ids["bare_table"] = lab.table(ids["vpc"])
    ids["bare_subnet"] = lab.subnet(ids["vpc"], "192.168.50.0/24", ZONE)
    ids["far_subnet"] = lab.subnet(ids["vpc"], "192.168.4.0/24", OTHER_ZONE)
    for name in ("bare_group", "named_group", "naming_group"):
        ids[name] = lab.security(ids["vpc"], name)
    naming = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": ids["named_group"]}]}
    ec2.authorize_security_group_ingress(GroupId=ids["naming_group"], IpPermissions=[naming])


def _hosts(lab: Lab) -> None:
    """One of a type without ENA Express, one in another zone with a group of its own, one that may not be terminated."""
    lab.interface("far_free", "192.168.4.30", SubnetId=lab.ids["far_subnet"])
    lab.group("elsewhere")
    _host(lab, "small", "192.168.3.40", InstanceType="t3.medium", Placement={"AvailabilityZone": ZONE})
    _host(lab, "guarded", "192.168.3.50", InstanceType="t3.medium", Placement={}, DisableApiTermination=True)
    lab.interface("far", "192.168.4.10", SubnetId=lab.ids["far_subnet"])
    lab.launch("far", Placement={"GroupName": "elsewhere"})
    lab.wait_attached("far")


def _software(lab: Lab) -> None:
    lab.document("hello", document("echo {{ Word }}"))
    lab.ids["hello_association"] = lab.association("hello")
    lab.ids["sound"] = document("echo {{ Word }}")
    lab.ids["no_json"] = "{"
    lab.ids["old_schema"] = document("true", schemaVersion="1.2")
    lab.ids["no_steps"] = document("true", mainSteps=[])
    lab.ids["undeclared"] = document("echo {{ Nobody }}")
    lab.ids["long_content"] = document("#" * 64 * 1024)
    [step] = json.loads(document("true"))["mainSteps"]
    lab.ids["twins"] = document("true", mainSteps=[step, step])
    lab.ids["bad_step"] = document("true", mainSteps=[{**step, "name": "no-such name"}])


def _host(lab: Lab, name: str, address: str, **more: object) -> None:
    lab.interface(name, address)
    lab.launch(name, **more)
    lab.wait_attached(name)
