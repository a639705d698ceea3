"""The layer network: the lab's VPC, subnet, internet gateway, routes and the hosts' security group, or given ones."""

from __future__ import annotations

from enaxp.lab.kinds.network import RouteTableWant, SecurityGroupWant, SubnetWant, VpcWant
from enaxp.lab.model import Resource
from enaxp.lab.spec.inputs import SpecInputs

SECOND_SUBNET, SECOND_TABLE = "subnet/second", "route-table/second"


def network_resources(inputs: SpecInputs) -> list[Resource]:
    network, resolved = inputs.config.network, inputs.resolved
    group = SecurityGroupWant(
        ssh_cidr=resolved.ssh_cidr,
        ssh_port=inputs.config.hosts.ssh_port,
        description=f"enaxp lab {inputs.config.lab}: all traffic inside, SSH from outside",
    )
    return [
        inputs.resource("vpc", VpcWant(cidr=network.vpc_cidr), given_id=network.vpc_id),
        *_subnet(inputs),
        inputs.resource("security-group", group, needs=("vpc",)),
    ]


def _subnet(inputs: SpecInputs) -> list[Resource]:
    """The subnet, gateway and route table; a given subnet already has a gateway and routes."""
    network, resolved = inputs.config.network, inputs.resolved
    if network.subnet_id:
        return [inputs.resource("subnet", given_id=network.subnet_id, needs=("vpc",))]
    subnet = SubnetWant(cidr=network.subnet_cidr, zone=resolved.availability_zone)
    return [
        inputs.resource("subnet", subnet, needs=("vpc",)),
        inputs.resource("igw", needs=("vpc",), given_id=resolved.gateway),
        inputs.resource("route-table", RouteTableWant(), needs=("vpc", "subnet", "igw")),
        *(_second_subnet(inputs) if inputs.has_second_subnet else ()),
    ]


def _second_subnet(inputs: SpecInputs) -> list[Resource]:
    """The subnet in another zone, and its route table."""
    subnet = SubnetWant(cidr=inputs.config.network.second_subnet_cidr, zone=inputs.resolved.second_zone or "")
    return [
        inputs.resource(SECOND_SUBNET, subnet, needs=("vpc",)),
        inputs.resource(SECOND_TABLE, RouteTableWant(subnet=SECOND_SUBNET), needs=("vpc", SECOND_SUBNET, "igw")),
    ]
