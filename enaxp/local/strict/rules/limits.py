"""Rules for what is left: of an account's quotas (`quotas.py` has their values), then of a zone's room (`capacity.py`)."""

from __future__ import annotations

from enaxp.local.strict.resource_types import groups_of
from enaxp.local.strict.rules.request import RefusedByEc2, Request, type_data
from enaxp.local.strict.rules.rule import rule


@rule("CreateVpc")
def vpcs_are_left(request: Request) -> None:
    if len(request.backend.vpcs) >= request.world.quotas.vpcs:
        raise RefusedByEc2("VpcLimitExceeded", "The maximum number of VPCs has been reached.")


@rule("CreateInternetGateway")
def internet_gateways_are_left(request: Request) -> None:
    if len(request.backend.internet_gateways) >= request.world.quotas.internet_gateways:
        raise RefusedByEc2("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")


@rule("AllocateAddress")
def addresses_are_left(request: Request) -> None:
    if len(request.backend.addresses) >= request.world.quotas.addresses:
        raise RefusedByEc2("AddressLimitExceeded", "The maximum number of addresses has been reached.")


@rule("CreateNetworkInterface")
def interfaces_are_left(request: Request) -> None:
    if len(request.backend.enis) >= request.world.quotas.interfaces:
        raise RefusedByEc2(
            "NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached."
        )


@rule("CreatePlacementGroup")
def placement_groups_are_left(request: Request) -> None:
    there = [group for group in request.world.groups.values() if group.region == request.region]
    if len(there) >= request.world.quotas.placement_groups:
        raise RefusedByEc2("PlacementGroupLimitExceeded", "The maximum number of placement groups has been reached.")


@rule("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def rules_are_left(request: Request) -> None:
    """For each direction of a group."""
    group = next((g for g in groups_of(request.backend) if g.id == request.get("GroupId")), None)
    if group is None:
        return
    there = len(group.egress_rules if request.action.endswith("Egress") else group.ingress_rules)
    permissions = request.get("IpPermissions") or []
    asked = sum(len(p.get("IpRanges") or []) + len(p.get("UserIdGroupPairs") or []) for p in permissions)
    if there + asked > request.world.quotas.rules_per_group:
        message = "The maximum number of rules per security group has been reached."
        raise RefusedByEc2("RulesPerSecurityGroupLimitExceeded", message)


@rule("RunInstances")
def vcpus_are_left(request: Request) -> None:
    running = sum(
        _vcpus(life.instance.instance_type)
        for life in request.world.lives.values()
        if life.backend is request.backend and life.state in {"pending", "running"}
    )
    limit = request.world.quotas.vcpus
    if running + _vcpus(request.instance_type) * int(request.get("MaxCount") or 1) > limit:
        raise RefusedByEc2(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows "
            "for the instance bucket that the specified instance type belongs to.",
        )


@rule("RunInstances")
def zone_has_room(request: Request) -> None:
    world = request.world
    for zone in request.zones:
        if not world.capacity.late and not world.has_room(zone, int(request.get("MinCount") or 1)):
            others = sorted(other for other in request.zones_offering if world.has_room(other))
            raise RefusedByEc2(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {request.instance_type} capacity in the Availability Zone you "
                f"requested ({zone}). Our system will be working on provisioning additional capacity. You can currently "
                f"get {request.instance_type} capacity by choosing {', '.join(others) or 'another time'}.",
            )


@rule("StartInstances")
def zone_has_room_again(request: Request) -> None:
    """A stopped instance has given its room away."""
    for instance_id in request.get("InstanceIds") or []:
        instance = request.backend.get_instance(instance_id)
        if instance._state.name == "stopped" and not request.world.has_room(instance._placement.zone):
            raise RefusedByEc2(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {instance.instance_type} capacity in the Availability Zone "
                f"you requested ({instance._placement.zone}).",
            )


def _vcpus(instance_type: str) -> int:
    return int(type_data(instance_type)["VCpuInfo"]["DefaultVCpus"])
