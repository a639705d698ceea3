"""One EC2 request as the rules see it, and how they say no."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES

from enaxp.local.strict.resource_types import BY_PREFIX, subnets_of
from enaxp.local.strict.world import World

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceNetworkInterfaceSpecificationTypeDef, InstanceTypeInfoTypeDef


class RefusedByEc2(EC2ClientError):  # noqa: N818 - AWS's word for it
    """AWS says no. The status is 400 unless the code has one of its own."""


class Request:
    """One request. `get` reads a member by its path, such as `Placement.GroupName`."""

    def __init__(self, *, action: str, get: Callable[..., Any], backend: Any, world: World) -> None:
        self.action = action
        self.get = get
        self.backend = backend
        self.world = world

    @property
    def region(self) -> str:
        return str(self.backend.region_name)

    @property
    def instance_type(self) -> str:
        return str(self.get("InstanceType") or "")

    @property
    def interfaces(self) -> list[InstanceNetworkInterfaceSpecificationTypeDef]:
        """NetworkInterfaces of RunInstances."""
        return list(self.get("NetworkInterfaces") or [])

    @property
    def zones_offering(self) -> frozenset[str]:
        """Zones of the region that offer the type asked for."""
        capacity, offering = self.world.capacity, zones_offering(self.region, self.instance_type)
        return frozenset(zone for zone in offering if capacity.offers(zone, self.instance_type))

    @property
    def zones(self) -> list[str]:
        """The zones that a launch names, directly or by what it attaches: one at most in a sound self."""
        subnets = [nic["SubnetId"] for nic in self.interfaces if nic.get("SubnetId")]
        enis = [nic["NetworkInterfaceId"] for nic in self.interfaces if nic.get("NetworkInterfaceId")]
        subnets += [self.get("SubnetId")] if self.get("SubnetId") else []
        found = {self.subnet(subnet_id).availability_zone for subnet_id in subnets}
        found |= {self.eni(eni_id).subnet.availability_zone for eni_id in enis}
        found |= {self.get("Placement.AvailabilityZone")} - {None, ""}
        return sorted(map(str, found))

    def is_known(self, id: str) -> bool:
        """Whether there is such a resource, as far as other calls know by now."""
        of_type = BY_PREFIX[id.partition("-")[0]]
        return id in of_type.ids(self.backend, self.world) and not self.world.is_unknown(id)

    def eni(self, eni_id: str) -> Any:
        if not eni_id or not self.is_known(eni_id):
            raise not_found("eni", eni_id)
        return self.backend.enis[eni_id]

    def subnet(self, subnet_id: str) -> Any:
        for subnet in subnets_of(self.backend):
            if subnet.id == subnet_id:
                return subnet
        raise not_found("subnet", subnet_id)

    def address(self, allocation_id: str) -> Any:
        for address in self.backend.addresses:
            if address.allocation_id == allocation_id:
                return address
        raise not_found("eipalloc", allocation_id)

    def enis_of(self, vpc_id: str) -> list[Any]:
        return [eni for eni in self.backend.enis.values() if eni.subnet.vpc_id == vpc_id]

    def gateway_of(self, vpc_id: str) -> Any:
        return next((g for g in self.backend.internet_gateways.values() if g.vpc and g.vpc.id == vpc_id), None)


def not_found(prefix: str, id: str) -> RefusedByEc2:
    """AWS's error for an unknown id."""
    known = BY_PREFIX[prefix]
    return RefusedByEc2(known.not_found, f"The {known.noun} ID '{id}' does not exist")


def unknown_group(name: str) -> RefusedByEc2:
    """AWS's error for an unknown placement group."""
    return RefusedByEc2("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")


def type_data(instance_type: str) -> InstanceTypeInfoTypeDef:
    """The entry of a type in DescribeInstanceTypes; empty for one that does not exist."""
    return cast("InstanceTypeInfoTypeDef", INSTANCE_TYPES.get(instance_type) or {})


def has_ena_express(instance_type: str) -> bool:
    return bool(type_data(instance_type).get("NetworkInfo", {}).get("EnaSrdSupported"))


@cache
def zones_offering(region: str, instance_type: str) -> frozenset[str]:
    """Zones of a region that offer a type."""
    offers = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, ())
    return frozenset(offer["Location"] for offer in offers if offer["InstanceType"] == instance_type)
