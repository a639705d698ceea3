"""What others may do to a lab, by raw boto3: each with the resource that it strikes and the field that it shows in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3

from tests.support.crash_harness import Labs

Meddle = Callable[[Any, Any, dict[str, str]], object]


TRUST_OF_OTHERS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole"},
        ],
    }
)


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


DRIFT_CASES: dict[str, tuple[Meddle, str, str]] = {
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
    "another account trusted by the role": (
        lambda ec2, iam, ids: iam.update_assume_role_policy(RoleName=ids["role"], PolicyDocument=TRUST_OF_OTHERS),
        "role",
        "trust",
    ),
    "everything open to the world": (
        lambda ec2, iam, ids: ec2.authorize_security_group_ingress(
            GroupId=ids["security-group"], IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        ),
        "security-group",
        "ingress everything",
    ),
    "ports open to the world of IPv6": (
        lambda ec2, iam, ids: ec2.authorize_security_group_ingress(
            GroupId=ids["security-group"],
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": 1,
                    "ToPort": 99,
                    "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "x"}],
                }
            ],
        ),
        "security-group",
        "ingress tcp 1-99",
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
