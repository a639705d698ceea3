"""The kinds of the network layer: vpc, subnet, igw, route-table, security-group, and their settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from enaxp.aws import Aws, in_parallel, is_gone
from enaxp.config import NOBODY
from enaxp.lab.kinds.base import (
    Ec2Kind,
    Listing,
    Quota,
    SettingCall,
    differences,
    no_id,
    remove,
    want_of,
)
from enaxp.lab.model import Change, Difference, Facts, Found, Ids, Lab, Resource, Want, change

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateInternetGatewayRequestTypeDef,
        CreateRouteTableRequestTypeDef,
        CreateSecurityGroupRequestTypeDef,
        CreateSubnetRequestTypeDef,
        CreateVpcRequestTypeDef,
        InternetGatewayTypeDef,
        IpPermissionOutputTypeDef,
        IpPermissionTypeDef,
        NetworkInterfaceTypeDef,
        RouteTableTypeDef,
        RouteTypeDef,
        SecurityGroupTypeDef,
        SubnetTypeDef,
        UserIdGroupPairTypeDef,
        VpcEndpointTypeDef,
        VpcTypeDef,
    )

ANYWHERE = "0.0.0.0/0"
ANYWHERE_V6 = "::/0"
SSH_RULE = "enaxp: SSH"  # the description that distinguishes enaxp's rules from rules that somebody added
SSH_PORT = 22
_TO_PORT = " to port "
SAMPLE_RULE = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}


def interfaces(*, by: str, **more: Any) -> Listing:
    """The listing of interfaces that match a filter on the resource's id. more: further members of the listing."""
    describe, items = "describe_network_interfaces", "NetworkInterfaces"
    return Listing(what="interface", describe=describe, items=items, id="NetworkInterfaceId", by=by, **more)


def _has_no_address(interface: NetworkInterfaceTypeDef) -> bool:
    return not interface.get("Association", {}).get("PublicIp")


def _groups(*, what: str, by: str) -> Listing:
    """The listing of security groups that match a filter on the resource's id, without a VPC's default group, which is deleted with the
    VPC."""
    describe, items = "describe_security_groups", "SecurityGroups"
    return Listing(what=what, describe=describe, items=items, id="GroupId", by=by, leave_out=_is_default)


def _is_deleted(endpoint: VpcEndpointTypeDef) -> bool:
    return endpoint.get("State", "").lower() == "deleted"


def _is_default(group: SecurityGroupTypeDef) -> bool:
    return group.get("GroupName") == "default"


def _is_main(table: RouteTableTypeDef) -> bool:
    return any(association.get("Main") for association in table.get("Associations", ()))


@dataclass(frozen=True, kw_only=True)
class VpcWant(Want):
    cidr: str


class Vpc(Ec2Kind):
    """A VPC. Setting: dns_hostnames (off in a new VPC; one attribute per call)."""

    name = "vpc"
    layer = "network"
    placeholder = no_id("vpc")
    resource_type, describe, items, ids_argument = "vpc", "describe_vpcs", "Vpcs", "VpcIds"
    reads = ("ec2:DescribeVpcs", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints")
    creates, deletes = "ec2:CreateVpc", "ec2:DeleteVpc"
    serves = (
        "ec2:CreateSubnet",
        "ec2:CreateRouteTable",
        "ec2:CreateSecurityGroup",
        "ec2:AttachInternetGateway",
        "ec2:DetachInternetGateway",
    )
    settings = (SettingCall(action="ec2:ModifyVpcAttribute", sample=None),)
    quota = Quota(words="VPCs", service="vpc", code="L-F678F1CE")
    used_by = (
        interfaces(by="vpc-id"),
        Listing(what="subnet", describe="describe_subnets", items="Subnets", id="SubnetId", by="vpc-id"),
        _groups(what="security group", by="vpc-id"),
        Listing(
            what="endpoint",
            describe="describe_vpc_endpoints",
            items="VpcEndpoints",
            id="VpcEndpointId",
            by="vpc-id",
            leave_out=_is_deleted,
        ),
        Listing(
            what="route table",
            describe="describe_route_tables",
            items="RouteTables",
            id="RouteTableId",
            by="vpc-id",
            leave_out=_is_main,
        ),
        Listing(
            what="internet gateway",
            describe="describe_internet_gateways",
            items="InternetGateways",
            id="InternetGatewayId",
            by="attachment.vpc-id",
        ),
    )

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """The VPCs. DNS hostnames are not in the describe's answer: they take one more call per VPC, in parallel if the id is known."""
        known = lab.ids.get(self.name)
        listed, dns = in_parallel(
            partial(super().find, aws, lab), lambda: _dns_hostnames(aws, known) if known else None
        )
        return [_with_dns(found, dns if found.id == known else _dns_hostnames(aws, found.id)) for found in listed]

    def look(self, aws: Aws, id: str) -> Found | None:
        found, dns = in_parallel(partial(super().look, aws, id), partial(_dns_hostnames, aws, id))
        return found and _with_dns(found, dns)

    def read(self, item: VpcTypeDef) -> Found:
        return self.found(
            item["VpcId"],
            item.get("Tags"),
            pending="" if item["State"] == "available" else item["State"],
            cidr=item["CidrBlock"],
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateVpcRequestTypeDef:
        return {"CidrBlock": want_of(resource, VpcWant).cidr, "TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: CreateVpcRequestTypeDef, token: str) -> str:
        return aws.once("ec2").create_vpc(**request)["Vpc"]["VpcId"]

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, cidr=want_of(resource, VpcWant).cidr)

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
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
    """Whether instances of the VPC get DNS names; None if there is no such VPC."""
    try:
        answer = aws.ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return bool(answer["EnableDnsHostnames"]["Value"])


def _with_dns(vpc: Found, dns_hostnames: bool | None) -> Found:
    return replace(vpc, facts={**vpc.facts, "dns_hostnames": dns_hostnames})


@dataclass(frozen=True, kw_only=True)
class SubnetWant(Want):
    cidr: str
    zone: str


class Subnet(Ec2Kind):
    """A subnet of the lab's VPC, in one availability zone. No settings."""

    name = "subnet"
    layer = "network"
    needs = ("vpc",)
    patience_s = 1200.0  # interfaces that services of AWS made in it vanish slowly
    placeholder = no_id("subnet")
    resource_type, describe, items, ids_argument = "subnet", "describe_subnets", "Subnets", "SubnetIds"
    reads = ("ec2:DescribeSubnets",)
    creates, deletes = "ec2:CreateSubnet", "ec2:DeleteSubnet"
    serves = ("ec2:CreateNetworkInterface", "ec2:RunInstances", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable")
    used_by = (interfaces(by="subnet-id"),)

    def read(self, item: SubnetTypeDef) -> Found:
        return self.found(
            item["SubnetId"],
            item.get("Tags"),
            pending="" if item["State"] == "available" else item["State"],
            cidr=item["CidrBlock"],
            zone=item["AvailabilityZone"],
            vpc=item["VpcId"],
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateSubnetRequestTypeDef:
        want = want_of(resource, SubnetWant)
        return {
            "VpcId": ids["vpc"],
            "CidrBlock": want.cidr,
            "AvailabilityZone": want.zone,
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: CreateSubnetRequestTypeDef, token: str) -> str:
        return aws.once("ec2").create_subnet(**request)["Subnet"]["SubnetId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {}

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        want = want_of(resource, SubnetWant)
        return differences(found.facts, cidr=want.cidr, zone=want.zone)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_subnet(SubnetId=found.id), where=f"deleting {found.key} {found.id}")


class Igw(Ec2Kind):
    """An internet gateway. Setting: the attachment to the VPC, which is in force when its state is `available`."""

    name = "igw"
    layer = "network"
    needs = ("vpc",)
    patience_s = 1200.0  # public addresses count as mapped until their instances have ended
    placeholder = no_id("igw")
    resource_type, describe, items, ids_argument = (
        "internet-gateway",
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayIds",
    )
    reads = ("ec2:DescribeInternetGateways",)
    creates, deletes = "ec2:CreateInternetGateway", "ec2:DeleteInternetGateway"
    settings = (
        SettingCall(
            action="ec2:AttachInternetGateway",
            sample={"InternetGatewayId": placeholder, "VpcId": Vpc.placeholder},
        ),
        SettingCall(
            action="ec2:DetachInternetGateway",
            sample={"InternetGatewayId": placeholder, "VpcId": Vpc.placeholder},
        ),
    )
    quota = Quota(words="internet gateways", service="vpc", code="L-A4707A72")
    used_by = (interfaces(by="vpc-id", of=lambda found: str(found.facts["attached"]), leave_out=_has_no_address),)

    def read(self, item: InternetGatewayTypeDef) -> Found:
        attached = next(
            (a["VpcId"] for a in item.get("Attachments", []) if a["State"] in {"available", "attached"}), None
        )
        return self.found(item["InternetGatewayId"], item.get("Tags"), attached=attached)

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateInternetGatewayRequestTypeDef:
        return {"TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: CreateInternetGatewayRequestTypeDef, token: str) -> str:
        return aws.once("ec2").create_internet_gateway(**request)["InternetGateway"]["InternetGatewayId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"attached": None}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        vpc = ids.get("vpc")
        if found.facts["attached"] != vpc:
            yield change(
                "attached",
                have=found.facts["attached"],
                want=vpc,
                act=lambda aws: aws.ec2.attach_internet_gateway(InternetGatewayId=found.id, VpcId=str(vpc)),
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


@dataclass(frozen=True, kw_only=True)
class RouteTableWant(Want):
    """The desired route table. subnet: the key of the subnet that uses it."""

    subnet: str = "subnet"


class RouteTable(Ec2Kind):
    """A route table. Settings: the default route to the gateway (which must be attached) and the association with the subnet."""

    name = "route-table"
    layer = "network"
    needs = ("vpc", "subnet", "igw")
    token = True
    placeholder = no_id("rtb")
    resource_type, describe, items, ids_argument = (
        "route-table",
        "describe_route_tables",
        "RouteTables",
        "RouteTableIds",
    )
    reads = ("ec2:DescribeRouteTables",)
    creates, deletes = "ec2:CreateRouteTable", "ec2:DeleteRouteTable"
    settings = (
        SettingCall(
            action="ec2:CreateRoute",
            sample={"RouteTableId": placeholder, "DestinationCidrBlock": ANYWHERE, "GatewayId": Igw.placeholder},
        ),
        SettingCall(
            action="ec2:ReplaceRoute",
            sample={"RouteTableId": placeholder, "DestinationCidrBlock": ANYWHERE, "GatewayId": Igw.placeholder},
        ),
        SettingCall(
            action="ec2:AssociateRouteTable",
            sample={"RouteTableId": placeholder, "SubnetId": Subnet.placeholder},
        ),
        SettingCall(action="ec2:DisassociateRouteTable", sample={"AssociationId": no_id("rtbassoc")}),
    )

    def read(self, item: RouteTableTypeDef) -> Found:
        nothing: RouteTypeDef = {}
        default = next((r for r in item.get("Routes", []) if r.get("DestinationCidrBlock") == ANYWHERE), nothing)
        associations = [a for a in item.get("Associations", []) if not a.get("Main") and a.get("SubnetId")]
        return self.found(
            item["RouteTableId"],
            item.get("Tags"),
            default_route=default.get("GatewayId"),
            route_state=default.get("State"),
            subnet=associations[0]["SubnetId"] if associations else None,
            associations=tuple(a["RouteTableAssociationId"] for a in associations),
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateRouteTableRequestTypeDef:
        return {"VpcId": ids["vpc"], "TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: CreateRouteTableRequestTypeDef, token: str) -> str:
        asked: CreateRouteTableRequestTypeDef = {**request, "ClientToken": token}
        return aws.ec2.create_route_table(**asked)["RouteTable"]["RouteTableId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"default_route": None, "route_state": None, "subnet": None}

    def stands_on(self, found: Found, other: Found) -> bool:
        """Whether this table blocks the other resource: of subnets only the associated ones."""
        return other.id == found.facts["subnet"] if other.kind == Subnet.name else super().stands_on(found, other)

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        igw, subnet, facts = ids.get("igw"), ids.get(want_of(resource, RouteTableWant).subnet), found.facts
        if facts["default_route"] != igw or facts["route_state"] != "active":
            put = _replace_route if facts["default_route"] else _create_route
            act = partial(put, table=found.id, gateway=str(igw))
            yield change("default_route", have=facts["default_route"], want=igw, act=act)
        if facts["subnet"] != subnet:
            yield change(
                "subnet",
                have=facts["subnet"],
                want=subnet,
                act=lambda aws: aws.ec2.associate_route_table(RouteTableId=found.id, SubnetId=str(subnet)),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        for association in found.facts["associations"]:
            where = f"disassociating {found.key} {found.id}"
            remove(partial(aws.ec2.disassociate_route_table, AssociationId=association), where=where)
        remove(lambda: aws.ec2.delete_route_table(RouteTableId=found.id), where=f"deleting {found.key} {found.id}")


def _create_route(aws: Aws, *, table: str, gateway: str) -> None:
    aws.ec2.create_route(RouteTableId=table, DestinationCidrBlock=ANYWHERE, GatewayId=gateway)


def _replace_route(aws: Aws, *, table: str, gateway: str) -> None:
    aws.ec2.replace_route(RouteTableId=table, DestinationCidrBlock=ANYWHERE, GatewayId=gateway)


@dataclass(frozen=True, kw_only=True)
class SecurityGroupWant(Want):
    """The desired security group. ssh_cidr: the source allowed to ssh_port; NOBODY if SSH goes through a proxy inside the VPC."""

    ssh_cidr: str
    ssh_port: int = 22
    description: str


class SecurityGroup(Ec2Kind):
    """A security group. Settings: all traffic from itself, SSH from ssh_cidr, no other rule open to the world, all egress (the
    default)."""

    name = "security-group"
    layer = "network"
    needs = ("vpc",)
    patience_s = 900.0  # interfaces of instances that have ended count for a while
    hidden = ("description",)
    placeholder = no_id("sg")
    resource_type, describe, items, ids_argument = (
        "security-group",
        "describe_security_groups",
        "SecurityGroups",
        "GroupIds",
    )
    reads = ("ec2:DescribeSecurityGroups",)
    creates, deletes = "ec2:CreateSecurityGroup", "ec2:DeleteSecurityGroup"
    serves = ("ec2:CreateNetworkInterface", "ec2:RunInstances")
    settings = (
        SettingCall(
            action="ec2:AuthorizeSecurityGroupIngress",
            sample={"GroupId": placeholder, "IpPermissions": [SAMPLE_RULE]},
        ),
        SettingCall(
            action="ec2:AuthorizeSecurityGroupEgress",
            sample={"GroupId": placeholder, "IpPermissions": [SAMPLE_RULE]},
        ),
        SettingCall(
            action="ec2:RevokeSecurityGroupIngress",
            sample={"GroupId": placeholder, "IpPermissions": [SAMPLE_RULE]},
        ),
    )
    used_by = (
        interfaces(by="group-id"),
        _groups(what="security group that refers to it", by="ip-permission.group-id"),
        _groups(what="security group that refers to it", by="egress.ip-permission.group-id"),
    )

    def read(self, item: SecurityGroupTypeDef) -> Found:
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
                str(_SshRule(cidr=entry["CidrIp"], port=rule["FromPort"])): entry.get("Description", "")
                for rule in ingress
                if rule["IpProtocol"] == "tcp" and rule.get("FromPort") == rule.get("ToPort")
                for entry in rule.get("IpRanges", [])
            },
            open=_open_to_the_world(ingress),
            egress=any(
                entry["CidrIp"] == ANYWHERE
                for rule in item.get("IpPermissionsEgress", [])
                if rule["IpProtocol"] == "-1"
                for entry in rule.get("IpRanges", [])
            ),
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateSecurityGroupRequestTypeDef:
        return {
            "GroupName": resource.name,
            "Description": want_of(resource, SecurityGroupWant).description,
            "VpcId": ids["vpc"],
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: CreateSecurityGroupRequestTypeDef, token: str) -> str:
        return aws.once("ec2").create_security_group(**request)["GroupId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"from_itself": False, "ssh": {}, "open": [], "egress": True}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        group, facts, want = found.id, found.facts, want_of(resource, SecurityGroupWant)
        wanted = None if want.ssh_cidr == NOBODY else _SshRule(cidr=want.ssh_cidr, port=want.ssh_port)
        if not facts["from_itself"]:
            yield change("ingress from itself", have=None, want="all", act=partial(_allow_itself, group=group))
        if wanted is not None and str(wanted) not in facts["ssh"]:
            act = partial(_allow, group=group, rule=wanted.permission())
            yield change("ingress ssh", have=None, want=str(wanted), act=act)
        for there, description in facts["ssh"].items():
            if there != str(wanted) and description == SSH_RULE:
                act = partial(_disallow, group=group, rule=_SshRule.of(there).permission())
                yield change("ingress ssh", have=there, want=None, act=act)
        for rule in facts["open"]:
            if wanted is None or rule != _without_description(wanted.permission()):
                what, world = _in_words(rule)
                yield change(f"ingress {what}", have=world, want=None, act=partial(_disallow, group=group, rule=rule))
        if not facts["egress"]:
            yield change("egress", have=None, want=ANYWHERE, act=partial(_allow_egress, group=group))

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_security_group(GroupId=found.id), where=f"deleting {found.key} {found.id}")


class _SshRule(NamedTuple):
    """The rule for SSH: source and port. As text `203.0.113.7/32`, with ` to port N` if that is not 22."""

    cidr: str
    port: int

    def __str__(self) -> str:
        return self.cidr if self.port == SSH_PORT else f"{self.cidr}{_TO_PORT}{self.port}"

    @classmethod
    def of(cls, text: str) -> _SshRule:
        cidr, _, port = text.partition(_TO_PORT)
        return cls(cidr=cidr, port=int(port or SSH_PORT))

    def permission(self) -> IpPermissionTypeDef:
        """The rule as an IpPermission of the API."""
        return {
            "IpProtocol": "tcp",
            "FromPort": self.port,
            "ToPort": self.port,
            "IpRanges": [{"CidrIp": self.cidr, "Description": SSH_RULE}],
        }


def ssh_ports(group: Found) -> set[int]:
    """The ports that enaxp's own rules open for SSH in a group."""
    return {_SshRule.of(rule).port for rule, description in group.facts["ssh"].items() if description == SSH_RULE}


def _open_to_the_world(ingress: Iterable[IpPermissionOutputTypeDef]) -> list[IpPermissionTypeDef]:
    """The rules of a group that are open to the world, each in the form of a revocation; enaxp's own rules are not included."""
    found: list[IpPermissionTypeDef] = []
    for rule in ingress:
        ranges, ranges6 = rule.get("IpRanges", []), rule.get("Ipv6Ranges", [])
        if any(entry["CidrIp"] == ANYWHERE and entry.get("Description") != SSH_RULE for entry in ranges):
            found.append({**_of_ports(rule), "IpRanges": [{"CidrIp": ANYWHERE}]})
        if any(entry["CidrIpv6"] == ANYWHERE_V6 for entry in ranges6):
            found.append({**_of_ports(rule), "Ipv6Ranges": [{"CidrIpv6": ANYWHERE_V6}]})
    return found


def _of_ports(rule: IpPermissionOutputTypeDef) -> IpPermissionTypeDef:
    """The protocol and ports of a rule, without its sources."""
    protocol: IpPermissionTypeDef = {"IpProtocol": rule["IpProtocol"]}
    return {**protocol, "FromPort": rule["FromPort"], "ToPort": rule["ToPort"]} if "FromPort" in rule else protocol


def _in_words(rule: IpPermissionTypeDef) -> tuple[str, str]:
    """A rule that is open to the world, in words: ports and source."""
    protocol = {"-1": "everything"}.get(rule["IpProtocol"], rule["IpProtocol"])
    ports = "" if "FromPort" not in rule else f" {rule['FromPort']}-{rule['ToPort']}"
    return f"{protocol}{ports}", ANYWHERE if rule.get("IpRanges") else ANYWHERE_V6


def _without_description(rule: IpPermissionTypeDef) -> IpPermissionTypeDef:
    return {**rule, "IpRanges": [{"CidrIp": entry["CidrIp"]} for entry in rule["IpRanges"]]}


def _allow(aws: Aws, *, group: str, rule: IpPermissionTypeDef) -> None:
    """Adds one rule per call: AWS refuses a whole batch if one rule exists already."""
    aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])


def _allow_itself(aws: Aws, *, group: str) -> None:
    pair: UserIdGroupPairTypeDef = {"GroupId": group, "Description": "enaxp: hosts of the lab"}
    _allow(aws, group=group, rule={"IpProtocol": "-1", "UserIdGroupPairs": [pair]})


def _allow_egress(aws: Aws, *, group: str) -> None:
    everywhere: IpPermissionTypeDef = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}
    aws.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everywhere])


def _disallow(aws: Aws, *, group: str, rule: IpPermissionTypeDef) -> None:
    call = partial(aws.ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[rule])
    remove(call, where=f"revoking a rule of {group}")
