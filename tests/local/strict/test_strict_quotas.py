"""An account may have so many of each, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from enaxp.local.strict import Quotas, StrictServer, Timing, serve
from tests.support.strict_lab import KEY, Lab, clients, code_of


@pytest.fixture
def poor() -> Iterator[StrictServer]:
    """An account that may have one of each."""
    quotas = Quotas(
        vpcs=1, internet_gateways=1, addresses=1, interfaces=1, placement_groups=1, rules_per_group=1, vcpus=32
    )
    running = serve(timing=Timing.instant(), quotas=quotas)
    yield running
    running.stop()


def test_quotas_are_kept(poor: StrictServer) -> None:
    lab = Lab.at(poor)
    ec2 = lab.ec2
    ids = lab.ids
    ids["vpc"] = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    ids["subnet"] = lab.subnet(ids["vpc"], "192.168.3.0/24", "us-east-1a")
    ids["security"] = lab.security(ids["vpc"], "enaxp")
    allow = {
        "GroupId": ids["security"],
        "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    }
    more = {"GroupId": ids["security"], "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "11.0.0.0/8"}]}]}
    ec2.authorize_security_group_ingress(**allow)
    ec2.create_internet_gateway()
    ec2.allocate_address(Domain="vpc")
    ec2.create_placement_group(GroupName="one", Strategy="cluster")
    ec2.import_key_pair(KeyName="enaxp", PublicKeyMaterial=KEY.encode())
    lab.interface("server", "192.168.3.10")
    lab.identity("enaxp")
    lab.launch("server", Placement={})
    again = lab.request("server", Placement={}, NetworkInterfaces=None, SubnetId=ids["subnet"])

    assert [
        code_of(lambda: ec2.create_vpc(CidrBlock="10.0.0.0/16")),
        code_of(ec2.create_internet_gateway),
        code_of(lambda: ec2.allocate_address(Domain="vpc")),
        code_of(lambda: ec2.create_network_interface(SubnetId=ids["subnet"])),
        code_of(lambda: ec2.create_placement_group(GroupName="two", Strategy="cluster")),
        code_of(lambda: ec2.authorize_security_group_ingress(**more)),
        code_of(lambda: ec2.run_instances(**again)),
    ] == [
        "VpcLimitExceeded",
        "InternetGatewayLimitExceeded",
        "AddressLimitExceeded",
        "NetworkInterfaceLimitExceeded",
        "PlacementGroupLimitExceeded",
        "RulesPerSecurityGroupLimitExceeded",
        "VcpuLimitExceeded",
    ]


def test_quotas_can_be_read(poor: StrictServer) -> None:
    quotas = clients(poor)("service-quotas")
    vcpus = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}

    assert quotas.get_service_quota(**vcpus)["Quota"]["Value"] == 32.0
    assert quotas.get_aws_default_service_quota(**vcpus)["Quota"]["Value"] == Quotas().vcpus
    assert {quota["QuotaCode"] for quota in quotas.list_service_quotas(ServiceCode="vpc")["Quotas"]} == {
        "L-F678F1CE",
        "L-A4707A72",
        "L-DF5E4CA3",
    }
    unknown = {"ServiceCode": "ec2", "QuotaCode": "L-00000000"}
    assert code_of(lambda: quotas.get_service_quota(**unknown)) == "NoSuchResourceException"
