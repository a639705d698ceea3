"""Given resources: whether an existing VPC, subnet, instance profile or key is suitable for a lab. They are only read."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.aws import Aws, matching
from enaxp.config import Config
from enaxp.lab.checks.findings import Said
from enaxp.lab.kinds.compute import EniWant, InstanceWant
from enaxp.lab.kinds.network import ANYWHERE, SubnetWant
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import Found
from enaxp.lab.spec.network import SECOND_SUBNET

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import RouteTypeDef


def check_given(config: Config, snapshot: Snapshot, aws: Aws) -> list[Said]:
    """The findings about the given resources."""
    given = [resource for resource in snapshot.resources if not resource.owned]
    said = [
        Said("failure", f"{resource.kind} {resource.given_id} is not there", "correct the config, or leave it out")
        for resource in given
        if resource.key not in snapshot.survey.found
    ]
    if not said:
        found = snapshot.survey.found
        if config.network.subnet_id:
            said += _subnet(config, snapshot, aws, found["subnet"])
        elif config.network.vpc_id:
            said += _room_in(config, snapshot, aws, found["vpc"])
        if config.network.vpc_id and not found["vpc"].facts["dns_hostnames"]:
            said.append(
                Said("warning", f"{config.network.vpc_id} gives its hosts no DNS names (enableDnsHostnames is off)")
            )
        said += _rest(config, found)
    return said or [Said("ok", f"{', '.join(resource.key for resource in given) or 'none'}")]


def _room_in(config: Config, snapshot: Snapshot, aws: Aws, vpc: Found) -> Iterator[Said]:
    """Findings on whether the lab's subnets fit into a given VPC."""
    own = {resource.key: resource.want for resource in snapshot.resources if isinstance(resource.want, SubnetWant)}
    for key, member in (("subnet", "subnet_cidr"), (SECOND_SUBNET, "second_subnet_cidr")):
        if key == "subnet" or key in own:
            yield from _room_for(key, member, config, snapshot, aws, vpc)


def _room_for(key: str, member: str, config: Config, snapshot: Snapshot, aws: Aws, vpc: Found) -> Iterator[Said]:
    """The finding on whether one of the lab's subnets fits. member: the config key of its CIDR."""
    wanted, todo = (
        ipaddress.IPv4Network(getattr(config.network, member)),
        f"set network.{member} (and the hosts' addresses)",
    )
    [described] = aws.ec2.describe_vpcs(VpcIds=[vpc.id])["Vpcs"]
    blocks = [block["CidrBlock"] for block in described.get("CidrBlockAssociationSet", [])] or [described["CidrBlock"]]
    if not any(wanted.subnet_of(ipaddress.IPv4Network(block)) for block in blocks):
        yield Said("failure", f"{member} {wanted} does not lie in {vpc.id} ({', '.join(blocks)})", todo)
    pages = aws.ec2.get_paginator("describe_subnets").paginate(Filters=matching({"vpc-id": [vpc.id]}))
    own = snapshot.survey.found.get(key)
    for subnet in (subnet for page in pages for subnet in page["Subnets"]):
        clashes = wanted.overlaps(ipaddress.IPv4Network(subnet["CidrBlock"]))
        if clashes and (own is None or own.id != subnet["SubnetId"]):
            yield Said("failure", f"{member} {wanted} overlaps {subnet['SubnetId']} ({subnet['CidrBlock']})", todo)


def _subnet(config: Config, snapshot: Snapshot, aws: Aws, subnet: Found) -> Iterator[Said]:
    """Findings on whether the hosts fit into a given subnet, and whether it has a route to the internet."""
    [described] = aws.ec2.describe_subnets(SubnetIds=[subnet.id])["Subnets"]
    if described["VpcId"] != config.network.vpc_id:
        yield Said(
            "failure", f"{subnet.id} lies in {described['VpcId']}, not in {config.network.vpc_id}", "correct vpc_id"
        )
    if described["CidrBlock"] != config.network.subnet_cidr:
        text = f"{subnet.id} is {described['CidrBlock']}, network.subnet_cidr says {config.network.subnet_cidr}"
        yield Said("failure", text, "set network.subnet_cidr and the hosts' addresses to fit it")
    zone = config.network.availability_zone
    if zone not in ("auto", described["AvailabilityZone"]):
        yield Said("failure", f"{subnet.id} lies in {described['AvailabilityZone']}, not in {zone}", "correct the zone")
    creating = {step.key for step in snapshot.plan.with_action("create")}
    need = len(creating.intersection(_addresses(snapshot).values()))
    if described["AvailableIpAddressCount"] < need:
        text = f"{subnet.id} has {described['AvailableIpAddressCount']} free addresses, {need} are needed"
        yield Said("failure", text, "free some, or use another subnet")
    yield from _taken_addresses(snapshot, aws, subnet)
    yield from _way_out(config, aws, subnet)


def _taken_addresses(snapshot: Snapshot, aws: Aws, subnet: Found) -> Iterator[Said]:
    missing = [address for address, key in _addresses(snapshot).items() if key not in snapshot.survey.found]
    if not missing:
        return
    theirs = matching({"subnet-id": [subnet.id], "addresses.private-ip-address": sorted(missing)})
    for interface in aws.ec2.describe_network_interfaces(Filters=theirs)["NetworkInterfaces"]:
        text = f"{interface['PrivateIpAddress']} is taken by {interface['NetworkInterfaceId']}"
        yield Said("failure", text, "choose other addresses for the hosts (hosts.server, hosts.client)")


def _addresses(snapshot: Snapshot) -> dict[str, str]:
    """For each wanted address, the key of its interface, or of the instance whose launch creates the interface."""
    wants = {resource.key: resource.want for resource in snapshot.resources}
    made = {want.address: key for key, want in wants.items() if isinstance(want, EniWant)}
    launched = ((want.primary, key) for key, want in wants.items() if isinstance(want, InstanceWant))
    return {**made, **{primary.address: key for primary, key in launched if primary}}


def _way_out(config: Config, aws: Aws, subnet: Found) -> Iterator[Said]:
    """The default route of the subnet's own table, or of the VPC's main one."""
    vpc = str(subnet.facts["vpc"])
    own, main = {"association.subnet-id": subnet.id}, {"vpc-id": vpc, "association.main": "true"}
    routes = _routes(aws, own) or _routes(aws, main)
    default = next((route for route in routes if route.get("DestinationCidrBlock") == ANYWHERE), None)
    gateway = default.get("GatewayId", "") if default else ""
    if config.hosts.address != "private":
        if not gateway.startswith("igw-"):
            text = f"{subnet.id} has no route to an internet gateway: public addresses do not work in it"
            yield Said("failure", text, "use a public subnet, or set hosts.address: private")
    elif default is None:
        text = f"{subnet.id} has no default route: the first boot cannot download what hosts.ami does not have"
        yield Said("warning", text)


def _routes(aws: Aws, by: Mapping[str, str]) -> list[RouteTypeDef]:
    """The routes of the route tables that match these filters."""
    filters = matching({name: [value] for name, value in by.items()})
    return [
        route for table in aws.ec2.describe_route_tables(Filters=filters)["RouteTables"] for route in table["Routes"]
    ]


def _rest(config: Config, found: Mapping[str, Found]) -> Iterator[Said]:
    """Findings on the instance profile, the key, and addresses that are reachable only from inside."""
    profile = found["instance-profile"].facts if config.hosts.instance_profile else {}
    if "role" in profile and not profile["role"]:  # no facts: it may not be read, only used
        text = f"the instance profile {config.hosts.instance_profile} has no role in it"
        yield Said("failure", text, "put one in, or set hosts.instance_profile: auto")
    key = config.hosts.key
    if key and (fault := _fault_of_key(key.private_key)):
        yield Said("failure", f"the private key {key.private_key} {fault}", "correct hosts.key.private_key")
    if config.hosts.address == "private" and not config.network.subnet_id:
        text = "without public addresses the lab's own network has no way out: hosts.ami must have sockperf and ethtool"
        yield Said("warning", text)


def _fault_of_key(path: Path) -> str:
    """Why a private key file cannot be used; empty if it can. A key with a passphrase is accepted: an SSH agent may hold it."""
    try:
        first = path.read_text(encoding="ascii", errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return (
        ""
        if first.startswith("-----BEGIN ") and "PRIVATE KEY" in first
        else "is no private key in OpenSSH's or PEM form"
    )
