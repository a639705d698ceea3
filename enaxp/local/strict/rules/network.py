"""Rules for the network: VPC, subnet, gateway, routes, security groups."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from enaxp.local.strict.resource_types import groups_of, subnets_of
from enaxp.local.strict.rules.everywhere import only_one_of
from enaxp.local.strict.rules.request import RefusedByEc2, Request
from enaxp.local.strict.rules.rule import rule

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef

GROUP_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
WITH_PORTS = {"tcp", "udp", "6", "17"}


# -- vpc and subnet ------------------------------------------------------------------------------------------------------------


@rule("CreateVpc")
def vpc_cidr_is_between_16_and_28(request: Request) -> None:
    if not _is_between_16_and_28(request.get("CidrBlock")):
        raise RefusedByEc2("InvalidVpc.Range", f"The CIDR '{request.get('CidrBlock')}' is invalid.")


@rule("CreateSubnet")
def subnet_cidr_is_between_16_and_28(request: Request) -> None:
    if not _is_between_16_and_28(request.get("CidrBlock")):
        raise RefusedByEc2("InvalidSubnet.Range", f"The CIDR '{request.get('CidrBlock')}' is invalid.")


def _is_between_16_and_28(cidr: str) -> bool:
    try:
        return 16 <= ipaddress.IPv4Network(cidr, strict=False).prefixlen <= 28
    except ValueError:
        raise RefusedByEc2("InvalidParameterValue", f"Value ({cidr}) for parameter cidrBlock is invalid.") from None


@rule("ModifyVpcAttribute")
def one_vpc_attribute_a_call(request: Request) -> None:
    only_one_of(request, ("EnableDnsHostnames", "EnableDnsSupport", "EnableNetworkAddressUsageMetrics"))


@rule("DeleteVpc")
def vpc_is_empty(request: Request) -> None:
    vpc_id, backend = request.get("VpcId"), request.backend
    children = [
        *(subnet for subnet in subnets_of(backend) if subnet.vpc_id == vpc_id),
        *(group for group in backend.groups.get(vpc_id, {}).values() if group.name != "default"),
        *(table for table in backend.route_tables.values() if table.vpc_id == vpc_id and not table.main_association_id),
        *request.enis_of(vpc_id),
        *(one for one in backend.vpc_end_points.values() if one.vpc_id == vpc_id and one.state != "deleted"),
    ]
    if children or request.gateway_of(vpc_id):
        raise RefusedByEc2("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


@rule("DeleteSubnet")
def subnet_is_empty(request: Request) -> None:
    subnet_id = request.get("SubnetId")
    if any(eni.subnet.id == subnet_id for eni in request.backend.enis.values()):
        raise RefusedByEc2("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


# -- gateway and routes --------------------------------------------------------------------------------------------------------


@rule("AttachInternetGateway")
def one_gateway_a_vpc(request: Request) -> None:
    vpc_id = request.get("VpcId")
    if request.gateway_of(vpc_id) is not None:
        raise RefusedByEc2("Resource.AlreadyAssociated", f"Network {vpc_id} already has an internet gateway attached")


@rule("DeleteInternetGateway")
def gateway_is_detached(request: Request) -> None:
    gateway = request.backend.internet_gateways[request.get("InternetGatewayId")]
    if gateway.vpc is not None:
        message = f"The internetGateway '{gateway.id}' has dependencies and cannot be deleted."
        raise RefusedByEc2("DependencyViolation", message)


@rule("DetachInternetGateway")
def no_address_is_mapped(request: Request) -> None:
    """Addresses count as mapped for a while after they were unmapped (Timing.gateway_busy)."""
    vpc_id, world = request.get("VpcId"), request.world
    mapped = any(address.eni and address.eni.subnet.vpc_id == vpc_id for address in request.backend.addresses)
    lately = time.monotonic() - world.unmapped.get(vpc_id, float("-inf")) < world.timing.gateway_busy
    if mapped or lately:
        raise RefusedByEc2(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). "
            "Please unmap those public address(es) before detaching the gateway.",
        )


@rule("CreateRoute", "ReplaceRoute")
def gateway_belongs_to_the_network(request: Request) -> None:
    table = request.backend.route_tables.get(request.get("RouteTableId"))
    gateway_id = request.get("GatewayId")
    if table is None or not gateway_id or not gateway_id.startswith("igw-"):
        return
    if not request.is_known(gateway_id):
        raise RefusedByEc2("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    gateway = request.backend.internet_gateways[gateway_id]
    if gateway.vpc is None or gateway.vpc.id != table.vpc_id:
        message = f"route table {table.id} and network gateway {gateway_id} belong to different networks"
        raise RefusedByEc2("InvalidParameterValue", message)


@rule("AssociateRouteTable")
def subnet_has_no_other_route_table(request: Request) -> None:
    subnet = request.subnet(request.get("SubnetId"))
    table = request.backend.route_tables.get(request.get("RouteTableId"))
    if table is not None and table.vpc_id != subnet.vpc_id:
        message = f"Route table {table.id} and subnet {subnet.id} belong to different networks"
        raise RefusedByEc2("InvalidParameterValue", message)  # (?)
    for other in request.backend.route_tables.values():
        if subnet.id in other._associations.values():
            message = f"the specified association for route table {other.id} conflicts with an existing association"
            raise RefusedByEc2("Resource.AlreadyAssociated", message)


# -- security groups -----------------------------------------------------------------------------------------------------------


@rule("CreateSecurityGroup")
def group_texts_are_allowed(request: Request) -> None:
    name, description = request.get("GroupName") or "", request.get("Description") or ""
    if not name or name.lower().startswith("sg-"):
        raise RefusedByEc2("InvalidParameterValue", "Group names may not be in the format sg-*.")
    if name.lower() == "default":
        raise RefusedByEc2("InvalidGroup.Reserved", "The security group 'default' is reserved")
    for what, text in (("GroupName", name), ("GroupDescription", description)):
        _check_text(what, text)


def _check_text(what: str, text: str) -> None:
    if not GROUP_TEXT.fullmatch(text):
        message = (
            f"Value ({text}) for parameter {what} is invalid. Only some ASCII characters are allowed, at most 255."
        )
        raise RefusedByEc2("InvalidParameterValue", message)


@rule("CreateSecurityGroup")
def group_name_is_free(request: Request) -> None:
    vpc_id, name = request.get("VpcId"), request.get("GroupName") or ""
    if any(group.name.casefold() == name.casefold() for group in request.backend.groups.get(vpc_id, {}).values()):
        raise RefusedByEc2("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'")


@rule("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def permissions_are_complete(request: Request) -> None:
    """The group may go by its name only in a default VPC, which there is not."""
    if not request.get("GroupId"):
        raise RefusedByEc2("MissingParameter", "The request must contain the parameter groupId")
    for permission in request.get("IpPermissions") or []:
        ports = permission.get("FromPort"), permission.get("ToPort")
        if str(permission.get("IpProtocol")) in WITH_PORTS and None in ports:
            message = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
            raise RefusedByEc2("InvalidParameterValue", message)
        for entry in (*(permission.get("IpRanges") or []), *(permission.get("UserIdGroupPairs") or [])):
            _check_text("Description", entry.get("Description") or "")
        for entry in permission.get("IpRanges") or []:
            try:
                ipaddress.IPv4Network(entry.get("CidrIp", ""), strict=False)
            except ValueError:
                raise RefusedByEc2("InvalidParameterValue", f"CIDR block {entry.get('CidrIp')} is malformed") from None
        for pair in permission.get("UserIdGroupPairs") or []:
            if pair.get("GroupId") and not request.is_known(pair["GroupId"]):
                raise RefusedByEc2("InvalidGroup.NotFound", f"The security group '{pair['GroupId']}' does not exist")


@rule("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def permissions_are_new(request: Request) -> None:
    """One rule that is there already makes AWS refuse the whole batch."""
    group = next((g for g in groups_of(request.backend) if g.id == request.get("GroupId")), None)
    if group is None:
        return
    there = {
        _GroupRule.of(
            rule.ip_protocol, rule.from_port, rule.to_port, rule.cidr_ipv4 or rule.source_group.get("GroupId")
        )
        for rule in (group.egress_rules if request.action.endswith("Egress") else group.ingress_rules)
    }
    again = [rule for rule in _rules_in(request.get("IpPermissions") or []) if rule in there]
    if again:
        message = f'the specified rule "peer: {again[0].peer}, {again[0].protocol}, ALLOW" already exists'
        raise RefusedByEc2("InvalidPermission.Duplicate", message)


class _GroupRule(NamedTuple):
    """One rule of a group, by which it is told from others. `peer` is a CIDR or a group's id; ports count with some protocols only."""

    protocol: str
    low: int | None
    high: int | None
    peer: str

    @classmethod
    def of(cls, protocol: str | None, low: int | None, high: int | None, peer: str | None) -> _GroupRule:
        with_ports = str(protocol) in WITH_PORTS
        return cls(str(protocol), low if with_ports else None, high if with_ports else None, str(peer))


def _rules_in(permissions: Sequence[IpPermissionTypeDef]) -> Iterator[_GroupRule]:
    """The rules that a request is to make."""
    for permission in permissions:
        ends = (permission.get("IpProtocol"), permission.get("FromPort"), permission.get("ToPort"))
        for entry in permission.get("IpRanges") or []:
            yield _GroupRule.of(*ends, str(ipaddress.IPv4Network(entry["CidrIp"], strict=False)))
        for pair in permission.get("UserIdGroupPairs") or []:
            yield _GroupRule.of(*ends, pair.get("GroupId"))


@rule("DeleteSecurityGroup")
def group_is_unused(request: Request) -> None:
    """Interfaces of instances that ended moments ago count, and so do rules of other groups that name it."""
    group_id = request.get("GroupId")
    used = any(group_id == group.id for eni in request.backend.enis.values() for group in eni._group_set)
    referred_to = any(
        (rule.source_group or {}).get("GroupId") == group_id
        for group in groups_of(request.backend)
        if group.id != group_id
        for rule in (*group.ingress_rules, *group.egress_rules)
    )
    if used or referred_to:
        raise RefusedByEc2("DependencyViolation", f"resource {group_id} has a dependent object")
