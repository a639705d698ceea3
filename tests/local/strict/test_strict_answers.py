"""What the strict AWS answers where moto answers otherwise: ENA Express, addresses, filters, pages, tags; many callers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from enaxp.local.strict import StrictServer
from tests.support.strict_lab import KEY, TAGGED, Lab, clients, code_of, tags

EXPRESS_STEPS: list[tuple[dict[str, Any], tuple[bool, bool]]] = [
    ({"EnaSrdEnabled": False, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": False}}, (False, False)),
    ({"EnaSrdEnabled": True}, (True, False)),
    ({"EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}}, (True, True)),
    ({"EnaSrdEnabled": False}, (False, True)),  # the flag stays as a memory, and that is legal
    ({"EnaSrdEnabled": True}, (True, True)),
    ({"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}}, (True, True)),
]


def test_ena_express_is_switched_in_parts_and_read_from_the_attachment(standing: Lab) -> None:
    for specification, seen in EXPRESS_STEPS:
        standing.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=standing.ids["server_express"], EnaSrdSpecification=specification
        )
        assert standing.express_of("server_express") == seen

    interfaces = standing.instance("server_host")["NetworkInterfaces"]
    told = {nic["NetworkInterfaceId"]: nic["Attachment"].get("EnaSrdSpecification") for nic in interfaces}
    assert told[standing.ids["server"]] is None
    assert told[standing.ids["server_express"]] == EXPRESS_STEPS[-1][0]
    attribute = standing.ec2.describe_network_interface_attribute(
        NetworkInterfaceId=standing.ids["server_express"], Attribute="attachment"
    )
    assert attribute["Attachment"]["EnaSrdSpecification"] == EXPRESS_STEPS[-1][0]


def test_ena_express_can_be_asked_for_at_a_launch(standing: Lab) -> None:
    standing.interface("direct", "192.168.3.60")
    on = {"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}}
    interface = {"DeviceIndex": 0, "NetworkInterfaceId": standing.ids["direct"], "EnaSrdSpecification": on}

    standing.launch("direct", NetworkInterfaces=[interface])

    assert standing.express_of("direct") == (True, True)


def test_ena_express_ends_with_the_attachment(standing: Lab) -> None:
    standing.interface("movable", "192.168.3.61")
    standing.interface("movable_host_eni", "192.168.3.62")
    nic = {"DeviceIndex": 0, "NetworkInterfaceId": standing.ids["movable_host_eni"]}
    instance = standing.launch("movable", NetworkInterfaces=[nic])
    standing.state("movable_host")
    attach = {"NetworkInterfaceId": standing.ids["movable"], "InstanceId": instance, "DeviceIndex": 1}
    attached = standing.ec2.attach_network_interface(**attach, EnaSrdSpecification={"EnaSrdEnabled": True})
    assert standing.express_of("movable") == (True, False)

    standing.ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
    standing.ec2.attach_network_interface(**attach)

    assert standing.express_of("movable") is None


def test_an_address_moves_unless_it_is_forbidden(standing: Lab) -> None:
    ec2, ids = standing.ec2, standing.ids
    first = standing.interface("first", "192.168.3.63")
    second = standing.interface("second", "192.168.3.64")
    moving = ec2.allocate_address(Domain="vpc")["AllocationId"]
    association = ec2.associate_address(AllocationId=moving, NetworkInterfaceId=first)["AssociationId"]

    again = ec2.associate_address(AllocationId=moving, NetworkInterfaceId=first, AllowReassociation=False)
    assert again["AssociationId"] == association
    ec2.associate_address(AllocationId=moving, NetworkInterfaceId=second)

    [address] = ec2.describe_addresses(AllocationIds=[moving])["Addresses"]
    assert address["NetworkInterfaceId"] == second
    assert "Association" not in standing.eni(first)
    assert standing.eni(second)["Association"]["AllocationId"] == moving
    ec2.disassociate_address(AssociationId=association)
    ec2.disassociate_address(AssociationId=address["AssociationId"])
    ec2.disassociate_address(AssociationId=address["AssociationId"])
    ec2.release_address(AllocationId=moving)
    assert code_of(lambda: ec2.release_address(AllocationId=moving)) == "InvalidAllocationID.NotFound"
    assert ids["server_ip"]


def test_each_new_rule_is_answered_with_its_network(standing: Lab) -> None:
    group = standing.security(standing.ids["vpc"], "answered")
    permissions = [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.1.2.3/8", "Description": "d"}]},
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]},
    ]

    made = standing.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)

    assert len(made["SecurityGroupRules"]) == 2
    [described] = standing.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert {r["CidrIp"] for p in described["IpPermissions"] for r in p["IpRanges"]} == {"10.0.0.0/8"}


def test_rules_can_be_made_for_what_goes_out(standing: Lab) -> None:
    group = standing.security(standing.ids["vpc"], "outward")
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.1.2.3/8"}]}

    [made] = standing.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])["SecurityGroupRules"]

    assert (made["IsEgress"], made["CidrIpv4"], made["ToPort"]) == (True, "10.0.0.0/8", 443)


def test_an_interface_can_change_its_groups(standing: Lab) -> None:
    eni = standing.interface("regrouped", "192.168.3.65")
    bare = standing.ids["bare_group"]

    standing.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[bare])

    assert [group["GroupId"] for group in standing.eni(eni)["Groups"]] == [bare]


def test_a_launch_can_name_its_group_by_id(standing: Lab) -> None:
    [group] = standing.ec2.describe_placement_groups(GroupNames=["placement"])["PlacementGroups"]
    standing.interface("grouped", "192.168.3.66")

    standing.launch("grouped", Placement={"GroupId": group["GroupId"]})

    assert standing.instance("grouped_host")["Placement"]["GroupName"] == "placement"


def test_fingerprints_of_ed25519_keys_are_base64(standing: Lab) -> None:
    [key] = standing.ec2.describe_key_pairs(KeyNames=["enaxp"], IncludePublicKey=True)["KeyPairs"]

    assert key["PublicKey"].split()[:2] == KEY.split()[:2]
    assert key["KeyFingerprint"].endswith("=")
    assert ":" not in key["KeyFingerprint"]


# -- filters and pages -----------------------------------------------------------------------------------------------------------


def _instances(answer: Any) -> list[str]:
    return [one["InstanceId"] for reservation in answer["Reservations"] for one in reservation["Instances"]]


def _interfaces(answer: Any) -> list[str]:
    return [one["NetworkInterfaceId"] for one in answer["NetworkInterfaces"]]


@pytest.mark.parametrize(
    ("listing", "name", "value", "found"),
    [
        ("instances", "network-interface.network-interface-id", "$server_express", ["server_host"]),
        ("instances", "placement-group-name", "elsewhere", ["far_host"]),
        ("instances", "instance-state-name", "shutting-down", []),
        ("groups", "strategy", "spread", ["spread"]),
        ("groups", "group-name", "placement", ["placement"]),
        ("groups", "state", "deleting", []),
        ("interfaces", "attachment.device-index", "1", ["server_express", "client_express"]),
        ("interfaces", "attachment.status", "detaching", []),
        ("interfaces", "attachment.delete-on-termination", "true", []),
        ("interfaces", "association.allocation-id", "$server_ip", ["server"]),
        ("interfaces", "attachment.instance-id", "$server_host", ["server", "server_express"]),
        ("interfaces", "addresses.private-ip-address", "192.168.3.10", ["server"]),
    ],
)
def test_filters_find_what_they_should(listing: str, name: str, value: str, found: list[str], standing: Lab) -> None:
    filters = [{"Name": name, "Values": [standing.ids[value[1:]] if value.startswith("$") else value]}]
    known = {id: name for name, id in standing.ids.items() if isinstance(id, str)}

    if listing == "instances":
        seen = _instances(standing.ec2.describe_instances(Filters=filters))
    elif listing == "groups":
        groups = standing.ec2.describe_placement_groups(Filters=filters)["PlacementGroups"]
        seen = [group["GroupName"] for group in groups]
    else:
        seen = _interfaces(standing.ec2.describe_network_interfaces(Filters=filters))

    others = {"movable", "direct", "movable_host_eni", "grouped"}  # made by the tests above
    assert sorted({known[id] for id in seen} - others) == sorted(found)


@pytest.mark.parametrize(
    ("listing", "member"),
    [
        ("describe_network_interfaces", "NetworkInterfaces"),
        ("describe_vpcs", "Vpcs"),
        ("describe_subnets", "Subnets"),
        ("describe_security_groups", "SecurityGroups"),
        ("describe_route_tables", "RouteTables"),
        ("describe_internet_gateways", "InternetGateways"),
        ("describe_instances", "Reservations"),
    ],
)
def test_pages_together_are_everything(listing: str, member: str, standing: Lab) -> None:
    call = getattr(standing.ec2, listing)
    for number in range(6):  # so that there is more than one page
        if listing == "describe_internet_gateways":
            standing.ec2.create_internet_gateway()
        if listing == "describe_vpcs":
            standing.ec2.create_vpc(CidrBlock=f"10.{20 + number}.0.0/16")
        if listing == "describe_subnets":
            standing.subnet(standing.ids["vpc"], f"192.168.{100 + number}.0/24", "us-east-1a")
        if listing == "describe_instances":  # the terminated are seen for a while only
            eni = standing.interface(f"paged{number}", f"192.168.3.{200 + number}")
            nic = {"DeviceIndex": 0, "NetworkInterfaceId": eni}
            standing.launch(f"paged{number}", InstanceType="t3.micro", Placement=None, NetworkInterfaces=[nic])
    everything = call()[member]

    pages = list(standing.ec2.get_paginator(listing).paginate(PaginationConfig={"PageSize": 5}))

    assert len(pages) > 1
    assert all(len(page[member]) <= 5 for page in pages)
    assert [item for page in pages for item in page[member]] == everything


LISTINGS = (
    "addresses",
    "availability_zones",
    "images",
    "instance_status",
    "instance_type_offerings",
    "instance_types",
    "instances",
    "internet_gateways",
    "key_pairs",
    "network_interfaces",
    "placement_groups",
    "regions",
    "route_tables",
    "security_group_rules",
    "security_groups",
    "subnets",
    "tags",
    "volumes",
    "vpcs",
)


@pytest.mark.parametrize("listing", LISTINGS)
def test_a_filter_that_aws_does_not_have_is_refused(listing: str, standing: Lab) -> None:
    with pytest.raises(ClientError, match="The filter 'shape' is invalid") as refused:
        getattr(standing.ec2, f"describe_{listing}")(Filters=[{"Name": "shape", "Values": ["round"]}])

    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_a_filter_that_aws_has_and_the_local_one_has_not_is_not_called_invalid(standing: Lab) -> None:
    by_hint = [{"Name": "bare-metal", "Values": ["true"]}]
    by_page = [{"Name": "enclave-options.enabled", "Values": ["true"]}]

    assert not code_of(lambda: standing.ec2.describe_instance_types(Filters=by_hint))
    assert code_of(lambda: standing.ec2.describe_instances(Filters=by_page)) == "InvalidAction"


def test_cidrs_lose_their_host_bits(fresh: Lab) -> None:
    vpc = fresh.ec2.create_vpc(CidrBlock="10.77.3.9/16")["Vpc"]
    subnet = fresh.ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.77.1.9/24")["Subnet"]

    assert (vpc["CidrBlock"], subnet["CidrBlock"]) == ("10.77.0.0/16", "10.77.1.0/24")


def test_a_route_leads_nowhere_without_its_gateway(fresh: Lab) -> None:
    ec2 = fresh.ec2
    vpc = ec2.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    both = {"InternetGatewayId": gateway, "VpcId": vpc}
    ec2.attach_internet_gateway(**both)
    table = fresh.table(vpc)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)

    ec2.detach_internet_gateway(**both)
    detached = _routes(ec2, table)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)

    assert detached == _routes(ec2, table) == {"10.78.0.0/16": "active", "0.0.0.0/0": "blackhole"}


def _routes(ec2: Any, table: str) -> dict[str, str]:
    [described] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return {route["DestinationCidrBlock"]: route["State"] for route in described["Routes"]}


# -- tags ------------------------------------------------------------------------------------------------------------------------


def test_everything_of_a_lab_is_found_by_its_tag(standing: Lab) -> None:
    by_tag = [{"Name": "key", "Values": [TAGGED[0]["Name"].removeprefix("tag:")]}]

    sorts = {tag["ResourceType"] for tag in standing.ec2.describe_tags(Filters=by_tag)["Tags"]}

    assert sorts == {
        "vpc",
        "subnet",
        "internet-gateway",
        "route-table",
        "security-group",
        "placement-group",
        "key-pair",
        "network-interface",
        "elastic-ip",
        "instance",
        "volume",
    }


def test_placement_groups_can_be_tagged_like_everything_else(standing: Lab) -> None:
    ec2 = standing.ec2
    [group] = ec2.describe_placement_groups(GroupNames=["spread"])["PlacementGroups"]
    ec2.create_tags(Resources=[group["GroupId"], standing.ids["vpc"]], Tags=[{"Key": "later", "Value": "yes"}])
    found = ec2.describe_placement_groups(Filters=[{"Name": "tag:later", "Values": ["yes"]}])["PlacementGroups"]
    assert [one["GroupName"] for one in found] == ["spread"]

    ec2.delete_tags(Resources=[group["GroupId"]], Tags=[{"Key": "later"}])

    assert not ec2.describe_placement_groups(Filters=[{"Name": "tag-key", "Values": ["later"]}])["PlacementGroups"]


def test_tags_of_what_is_gone_are_not_listed(standing: Lab) -> None:
    vpc = standing.ec2.create_vpc(CidrBlock="10.99.0.0/16", TagSpecifications=tags("vpc"))["Vpc"]["VpcId"]
    of_vpc = [{"Name": "resource-id", "Values": [vpc]}]
    assert standing.ec2.describe_tags(Filters=of_vpc)["Tags"]

    standing.ec2.delete_vpc(VpcId=vpc)

    assert standing.ec2.describe_tags(Filters=of_vpc)["Tags"] == []


# -- many at once ----------------------------------------------------------------------------------------------------------------


def test_callers_side_by_side_do_not_disturb_each_other(standing: Lab, server: StrictServer) -> None:
    ec2, subnet = clients(server)("ec2"), standing.ids["bare_subnet"]

    def one(number: int) -> str:
        made = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=f"192.168.50.{100 + number // 2}")
        eni = str(made["NetworkInterface"]["NetworkInterfaceId"])
        ec2.describe_network_interfaces()
        return eni

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(one, number) for number in range(32)]
        made = [future.result() for future in asked if not future.exception()]

    # Each address was asked for twice: one of both was refused.
    assert len(made) == 16
    assert sum(eni in server.resources() for eni in made) == 16
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda eni: ec2.delete_network_interface(NetworkInterfaceId=eni), made))
    assert not set(made) & set(server.resources())
