"""The network layer: vpc, subnet, igw, route-table, security-group, and the settings that live on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from enaxp.aws import Aws, in_parallel, is_gone
from enaxp.lab.kinds.base import Ec2Kind, differences, remove
from enaxp.lab.model import Change, Difference, Found, Ids, Lab, Resource, change

ANYWHERE = "0.0.0.0/0"


class Vpc(Ec2Kind):
    """want: cidr. Setting: dns_hostnames (off in a new VPC; one attribute a call)."""

    name = "vpc"
    resource_type, describe, items, ids_argument = "vpc", "describe_vpcs", "Vpcs", "VpcIds"
    actions = (
        "ec2:CreateVpc",
        "ec2:DescribeVpcs",
        "ec2:DescribeVpcAttribute",
        "ec2:ModifyVpcAttribute",
        "ec2:DeleteVpc",
    )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """DNS hostnames are not part of the describe: one more call for each VPC, side by side with it where the id is known."""
        known = lab.ids.get("vpc")
        listed, dns = in_parallel(
            partial(super().find, aws, lab), lambda: _dns_hostnames(aws, known) if known else None
        )
        return [_with_dns(found, dns if found.id == known else _dns_hostnames(aws, found.id)) for found in listed]

    def look(self, aws: Aws, id: str) -> Found | None:
        found, dns = in_parallel(partial(super().look, aws, id), partial(_dns_hostnames, aws, id))
        return found and _with_dns(found, dns)

    def read(self, item: Mapping[str, Any]) -> Found:
        return self.found(
            item["VpcId"],
            item.get("Tags"),
            pending="" if item["State"] == "available" else item["State"],
            cidr=item["CidrBlock"],
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {"CidrBlock": resource.want["cidr"], "TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ec2").create_vpc(**request)["Vpc"]["VpcId"])

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, resource.want, "cidr")

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"dns_hostnames": False}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        if not found.facts["dns_hostnames"]:
            yield change(
                "dns_hostnames",
                have=False,
                want=True,
                act=lambda aws: aws.ec2.modify_vpc_attribute(VpcId=found.id, EnableDnsHostnames={"Value": True}),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_vpc(VpcId=found.id), where=f"deleting {found.key} {found.id}")


def _dns_hostnames(aws: Aws, vpc: str) -> bool | None:
    """Whether instances of the VPC get DNS names; None when there is no such VPC."""
    try:
        answer = aws.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return bool(answer["EnableDnsHostnames"]["Value"])


def _with_dns(vpc: Found, dns_hostnames: bool | None) -> Found:
    return replace(vpc, facts={**vpc.facts, "dns_hostnames": dns_hostnames})


class Subnet(Ec2Kind):
    """want: cidr, zone."""

    name = "subnet"
    needs = ("vpc",)
    resource_type, describe, items, ids_argument = "subnet", "describe_subnets", "Subnets", "SubnetIds"
    actions = ("ec2:CreateSubnet", "ec2:DescribeSubnets", "ec2:DeleteSubnet")

    def read(self, item: Mapping[str, Any]) -> Found:
        return self.found(
            item["SubnetId"],
            item.get("Tags"),
            pending="" if item["State"] == "available" else item["State"],
            cidr=item["CidrBlock"],
            zone=item["AvailabilityZone"],
            vpc=item["VpcId"],
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "VpcId": ids["vpc"],
            "CidrBlock": resource.want["cidr"],
            "AvailabilityZone": resource.want["zone"],
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ec2").create_subnet(**request)["Subnet"]["SubnetId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {}

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, resource.want, "cidr", "zone")

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_subnet(SubnetId=found.id), where=f"deleting {found.key} {found.id}")


class Igw(Ec2Kind):
    """Setting: attachment to the VPC. An attachment has no state worth the name but `available`."""

    name = "igw"
    needs = ("vpc",)
    resource_type, describe, items, ids_argument = (
        "internet-gateway",
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayIds",
    )
    actions = (
        "ec2:CreateInternetGateway",
        "ec2:DescribeInternetGateways",
        "ec2:AttachInternetGateway",
        "ec2:DetachInternetGateway",
        "ec2:DeleteInternetGateway",
    )

    def read(self, item: Mapping[str, Any]) -> Found:
        attached = next(
            (a["VpcId"] for a in item.get("Attachments", []) if a["State"] in {"available", "attached"}), None
        )
        return self.found(item["InternetGatewayId"], item.get("Tags"), attached=attached)

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {"TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ec2").create_internet_gateway(**request)["InternetGateway"]["InternetGatewayId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"attached": None}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        vpc = ids.get("vpc")
        if found.facts["attached"] != vpc:
            yield change(
                "attached",
                have=found.facts["attached"],
                want=vpc,
                act=lambda aws: aws.ec2.attach_internet_gateway(InternetGatewayId=found.id, VpcId=vpc),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        if found.facts["attached"]:
            remove(
                lambda: aws.ec2.detach_internet_gateway(InternetGatewayId=found.id, VpcId=found.facts["attached"]),
                where=f"detaching {found.key} {found.id}",
            )
        remove(
            lambda: aws.ec2.delete_internet_gateway(InternetGatewayId=found.id),
            where=f"deleting {found.key} {found.id}",
        )


class RouteTable(Ec2Kind):
    """want: subnet (its key; `subnet` without). Settings: the default route to the gateway (which must be attached) and the
    association with the subnet.
    """

    name = "route-table"
    needs = ("vpc", "subnet", "igw")
    token = True
    resource_type, describe, items, ids_argument = (
        "route-table",
        "describe_route_tables",
        "RouteTables",
        "RouteTableIds",
    )
    actions = (
        "ec2:CreateRouteTable",
        "ec2:DescribeRouteTables",
        "ec2:CreateRoute",
        "ec2:ReplaceRoute",
        "ec2:AssociateRouteTable",
        "ec2:DisassociateRouteTable",
        "ec2:DeleteRouteTable",
    )

    def read(self, item: Mapping[str, Any]) -> Found:
        default: Mapping[str, Any] = next(
            (r for r in item.get("Routes", []) if r.get("DestinationCidrBlock") == ANYWHERE), {}
        )
        associations = [a for a in item.get("Associations", []) if not a.get("Main") and a.get("SubnetId")]
        return self.found(
            item["RouteTableId"],
            item.get("Tags"),
            default_route=default.get("GatewayId"),
            route_state=default.get("State"),
            subnet=associations[0]["SubnetId"] if associations else None,
            associations=tuple(a["RouteTableAssociationId"] for a in associations),
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {"VpcId": ids["vpc"], "TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.ec2.create_route_table(**request, ClientToken=token)["RouteTable"]["RouteTableId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"default_route": None, "route_state": None, "subnet": None}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        igw, subnet, facts = ids.get("igw"), ids.get(resource.want.get("subnet", "subnet")), found.facts
        if facts["default_route"] != igw or facts["route_state"] != "active":
            verb = "replace_route" if facts["default_route"] else "create_route"
            yield change(
                "default_route",
                have=facts["default_route"],
                want=igw,
                act=lambda aws: getattr(aws.ec2, verb)(
                    RouteTableId=found.id, DestinationCidrBlock=ANYWHERE, GatewayId=igw
                ),
            )
        if facts["subnet"] != subnet:
            yield change(
                "subnet",
                have=facts["subnet"],
                want=subnet,
                act=lambda aws: aws.ec2.associate_route_table(RouteTableId=found.id, SubnetId=subnet),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        for association in found.facts["associations"]:
            where = f"disassociating {found.key} {found.id}"
            remove(partial(aws.ec2.disassociate_route_table, AssociationId=association), where=where)
        remove(lambda: aws.ec2.delete_route_table(RouteTableId=found.id), where=f"deleting {found.key} {found.id}")


class SecurityGroup(Ec2Kind):
    """want: ssh_cidr, description. Settings: all traffic from itself, SSH from ssh_cidr, all egress (there from the start).

    A rule that enaxp made carries its description, so that it can be told from one that somebody added.
    """

    name = "security-group"
    needs = ("vpc",)
    resource_type, describe, items, ids_argument = (
        "security-group",
        "describe_security_groups",
        "SecurityGroups",
        "GroupIds",
    )
    actions = (
        "ec2:CreateSecurityGroup",
        "ec2:DescribeSecurityGroups",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:DeleteSecurityGroup",
    )
    ssh_rule = "enaxp: SSH"

    def read(self, item: Mapping[str, Any]) -> Found:
        ingress = item.get("IpPermissions", [])
        return self.found(
            item["GroupId"],
            item.get("Tags"),
            from_itself=any(
                pair.get("GroupId") == item["GroupId"]
                for rule in ingress
                if rule["IpProtocol"] == "-1"
                for pair in rule.get("UserIdGroupPairs", [])
            ),
            ssh={
                entry["CidrIp"]: entry.get("Description", "")
                for rule in ingress
                if rule["IpProtocol"] == "tcp" and rule.get("FromPort") == rule.get("ToPort") == 22
                for entry in rule.get("IpRanges", [])
            },
            egress=any(
                entry["CidrIp"] == ANYWHERE
                for rule in item.get("IpPermissionsEgress", [])
                if rule["IpProtocol"] == "-1"
                for entry in rule.get("IpRanges", [])
            ),
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "GroupName": resource.name,
            "Description": resource.want["description"],
            "VpcId": ids["vpc"],
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ec2").create_security_group(**request)["GroupId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"from_itself": False, "ssh": {}, "egress": True}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        group, facts, ssh_cidr = found.id, found.facts, resource.want["ssh_cidr"]
        if not facts["from_itself"]:
            itself = {
                "IpProtocol": "-1",
                "UserIdGroupPairs": [{"GroupId": group, "Description": "enaxp: hosts of the lab"}],
            }
            yield change("ingress from itself", have=None, want="all", act=lambda aws: _allow(aws, group, itself))
        if ssh_cidr not in facts["ssh"]:
            rule = self._ssh(ssh_cidr, self.ssh_rule)
            yield change("ingress ssh", have=None, want=ssh_cidr, act=lambda aws: _allow(aws, group, rule))
        for cidr, description in facts["ssh"].items():
            if cidr != ssh_cidr and description == self.ssh_rule:
                stale = self._ssh(cidr, description)
                yield change(
                    "ingress ssh",
                    have=cidr,
                    want=None,
                    act=partial(_disallow, group=group, rule=stale),
                )
        if not facts["egress"]:
            everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}
            yield change(
                "egress",
                have=None,
                want=ANYWHERE,
                act=lambda aws: aws.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everywhere]),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_security_group(GroupId=found.id), where=f"deleting {found.key} {found.id}")

    @staticmethod
    def _ssh(cidr: str, description: str) -> dict[str, Any]:
        return {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": cidr, "Description": description}],
        }


def _allow(aws: Aws, group: str, rule: dict[str, Any]) -> None:
    """One rule a call: AWS refuses a whole batch for one duplicate in it."""
    aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])


def _disallow(aws: Aws, *, group: str, rule: dict[str, Any]) -> None:
    call = partial(aws.ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[rule])
    remove(call, where=f"revoking a rule of {group}")
