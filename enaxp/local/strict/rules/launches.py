"""Rules for launches, in the order in which they are checked; quotas and room come after them, in `limits.py`."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

from enaxp.local.strict.rules.interfaces import check_address, check_ena_express, check_groups, check_number
from enaxp.local.strict.rules.request import RefusedByEc2, Request, type_data, unknown_group
from enaxp.local.strict.rules.rule import rule

USER_DATA_LIMIT = 16 * 1024  # bytes, before base64
SSM_IMAGE = "resolve:ssm:"
# Members of an interface that belong to one that the launch creates.
ONLY_FOR_NEW = ("SubnetId", "Groups", "PrivateIpAddress", "AssociatePublicIpAddress")


@rule("RunInstances")
def counts_are_sensible(request: Request) -> None:
    least, most = int(request.get("MinCount") or 0), int(request.get("MaxCount") or 0)
    if not 1 <= least <= most:
        raise RefusedByEc2("InvalidParameterValue", f"Value ({least}) for parameter minCount is invalid.")
    if most > 1 and any(nic.get("NetworkInterfaceId") for nic in request.interfaces):
        raise RefusedByEc2("InvalidParameterCombination", "Multiple instances cannot share a network interface")  # (?)


@rule("RunInstances")
def nothing_is_said_twice(request: Request) -> None:
    """Subnet, groups and address belong to the interfaces once there are interfaces in the request."""
    if not request.interfaces:
        return
    beside = {
        "subnet ID": request.get("SubnetId"),
        "security groups": request.get("SecurityGroupIds") or request.get("SecurityGroups"),
        "private IP address": request.get("PrivateIpAddress"),
    }
    for what, given in beside.items():
        if given:
            message = f"Network interfaces and an instance-level {what} may not be specified on the same request"
            raise RefusedByEc2("InvalidParameterCombination", message)


@rule("RunInstances")
def device_indexes_are_right(request: Request) -> None:
    indexes = [nic.get("DeviceIndex") for nic in request.interfaces]
    if not indexes:
        return
    if None in indexes or len(set(indexes)) != len(indexes) or "0" not in map(str, indexes):
        message = "Each network interface requires a device index; 0 must be among them, none twice."
        raise RefusedByEc2("InvalidParameterValue", message)  # (?)


@rule("RunInstances")
def existing_interfaces_stay_as_they_are(request: Request) -> None:
    """What exists has its subnet, address, groups and tags already, and outlives the instance."""
    interfaces = request.interfaces
    if len(interfaces) > 1 and any(nic.get("AssociatePublicIpAddress") is not None for nic in interfaces):
        raise RefusedByEc2(
            "InvalidParameterCombination",
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.",
        )
    existing = [nic for nic in interfaces if nic.get("NetworkInterfaceId")]
    for nic in existing:
        again = ["delete on termination as true"] if nic.get("DeleteOnTermination") else []
        again += [member for member in ONLY_FOR_NEW if nic.get(member) is not None]
        if again:
            message = f"A network interface may not specify a network interface ID and {again[0]}"
            raise RefusedByEc2("InvalidParameterCombination", message)
    tagged = {specification.get("ResourceType") for specification in request.get("TagSpecifications") or []}
    if existing and existing == interfaces and "network-interface" in tagged:
        raise RefusedByEc2(
            "InvalidParameterValue",
            "You cannot specify tags for network interfaces if there are no network interfaces being created by the request.",
        )


@rule("RunInstances")
def user_data_fits(request: Request) -> None:
    if len(user_data_bytes(request.get("UserData"))) > USER_DATA_LIMIT:
        raise RefusedByEc2("InvalidParameterValue", "User data is limited to 16384 bytes")


def user_data_bytes(raw: Any) -> bytes:
    """A request's user data, which travels in base64."""
    content = raw if isinstance(raw, bytes) else str(raw or "").encode()
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        return content


@rule("RunInstances")
def type_exists_in_the_zone(request: Request) -> None:
    instance_type = request.instance_type
    if not type_data(instance_type):
        raise RefusedByEc2("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
    offering = request.zones_offering
    for zone in request.zones:
        if zone not in offering:
            raise RefusedByEc2(
                "Unsupported",
                f"Your requested instance type ({instance_type}) is not supported in your requested Availability Zone "
                f"({zone}). Please retry your request by choosing {', '.join(sorted(offering))}.",
            )


@rule("RunInstances")
def image_exists_and_fits(request: Request) -> None:
    image_id = request.get("ImageId") or ""
    if image_id.startswith(SSM_IMAGE):
        return
    if not re.fullmatch(r"ami-[0-9a-f]{8,17}", image_id):
        raise RefusedByEc2("InvalidAMIID.Malformed", f'Invalid id: "{image_id}"')
    image = request.backend.amis.get(image_id)
    if image is None:
        raise RefusedByEc2("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    architectures = type_data(request.instance_type).get("ProcessorInfo", {}).get("SupportedArchitectures")
    if architectures and image.architecture not in architectures:
        raise RefusedByEc2(
            "InvalidParameterValue",
            f"The architecture '{','.join(architectures)}' of the specified instance type does not match "
            f"the architecture '{image.architecture}' of the specified AMI.",
        )


@rule("RunInstances")
def key_exists(request: Request) -> None:
    name = request.get("KeyName")
    if name and (name not in request.backend.key_pairs or request.world.is_unknown(f"key/{name}")):
        raise RefusedByEc2("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


@rule("RunInstances")
def interfaces_are_free_and_together(request: Request) -> None:
    for nic in request.interfaces:
        if nic.get("NetworkInterfaceId"):
            eni = request.eni(nic["NetworkInterfaceId"])
            if eni.instance is not None:
                raise RefusedByEc2("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
        elif nic.get("SubnetId"):
            most, asked = int(request.get("MaxCount") or 1), nic.get("PrivateIpAddress")
            if asked and most > 1:
                message = "A private IP address can be specified for a single instance alone"
                raise RefusedByEc2("InvalidParameterCombination", message)  # (?)
            check_address(request, subnet_id=nic["SubnetId"], asked=asked, instances=most)
            check_groups(request, nic.get("Groups") or [], vpc_id=request.subnet(nic["SubnetId"]).vpc_id)
    zones = request.zones
    if len(zones) > 1:
        message = f"Network interfaces and placement are in different zones: {', '.join(zones)}"
        raise RefusedByEc2("InvalidParameterValue", message)
    check_number(request.instance_type, len(request.interfaces))


@rule("RunInstances")
def ena_express_is_possible_at_launch(request: Request) -> None:
    for nic in request.interfaces:
        check_ena_express(request.instance_type, nic.get("EnaSrdSpecification"), on=False)


@rule("RunInstances")
def group_takes_the_instance(request: Request) -> None:
    name, world = group_name(request), request.world
    if not name:
        return
    group = world.groups.get((request.region, name))
    if group is None or not world.is_ready(group) or world.is_unknown(f"group/{name}"):
        raise unknown_group(name)
    if group.strategy not in type_data(request.instance_type)["PlacementGroupInfo"]["SupportedStrategies"]:
        strategy = group.strategy.capitalize()
        message = f"{strategy} placement groups are not supported by the '{request.instance_type}' instance type."
        raise RefusedByEc2("InvalidParameterCombination", message)
    for zone in request.zones:
        _check_same_zone(request, name, zone)


def _check_same_zone(request: Request, name: str, zone: str) -> None:
    """A group lives where its instances are, or were a while ago (Timing.placement_group_release)."""
    for life in request.world.members(name, request.backend):
        if life.instance._placement.zone != zone:
            raise RefusedByEc2(
                "InvalidPlacementGroup.InUse",
                f"The placement group '{name}' is in use in another availability zone: {life.instance._placement.zone}",
            )


def group_name(request: Request) -> str | None:
    """The name of the placement group that a launch asks for, by name or by id."""
    group_id = request.get("Placement.GroupId")
    if group_id:
        return next((g.name for g in request.world.groups.values() if g.id == group_id), str(group_id))
    return request.get("Placement.GroupName") or None


@rule("RunInstances")
def profile_is_known(request: Request) -> None:
    """EC2 hears of a profile, and of its role, some time after IAM does."""
    from moto.iam.models import iam_backends

    name, arn = request.get("IamInstanceProfile.Name"), request.get("IamInstanceProfile.Arn")
    if not name and not arn:
        return
    profiles = iam_backends[request.backend.account_id]["aws"].instance_profiles.values()
    profile = next((one for one in profiles if (one.name == name if name else one.arn == arn)), None)
    since = time.monotonic() - request.world.profiles.get(profile.name if profile else "", float("-inf"))
    if profile is None or (profile.roles and since < request.world.timing.profile_visible):
        what, called = ("name", "name") if name else ("arn", "ARN")
        message = f"Value ({name or arn}) for parameter iamInstanceProfile.{what} is invalid."
        raise RefusedByEc2("InvalidParameterValue", f"{message} Invalid IAM Instance Profile {called}")
    if not profile.roles:
        raise RefusedByEc2("InvalidParameterValue", f"IAM Instance Profile {profile.name} has no associated IAM Roles")
