"""Rules for interfaces, ENA Express and Elastic IPs."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from enaxp.local.strict.rules.everywhere import only_one_of
from enaxp.local.strict.rules.request import RefusedByEc2, Request, has_ena_express, type_data
from enaxp.local.strict.rules.rule import rule

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import EnaSrdSpecificationRequestTypeDef, EnaSrdSpecificationTypeDef

GROUPS_OF_AN_INTERFACE = 5  # AWS's default quota


# -- interfaces ----------------------------------------------------------------------------------------------------------------


@rule("ModifyNetworkInterfaceAttribute")
def one_eni_attribute_a_call(request: Request) -> None:
    only_one_of(request, ("Attachment", "Description", "Groups", "SourceDestCheck", "EnaSrdSpecification"))


@rule("CreateNetworkInterface")
def eni_address_is_usable_and_free(request: Request) -> None:
    check_address(request, subnet_id=request.get("SubnetId"), asked=request.get("PrivateIpAddress"))


def check_address(request: Request, *, subnet_id: Any, asked: Any, instances: int = 1) -> None:
    """Of a new interface. The first four addresses of a subnet and the last are AWS's. asked: None for any."""
    subnet = request.subnet(subnet_id)
    usable = ipaddress.IPv4Network(subnet.cidr_block).num_addresses - 5
    if sum(eni.subnet.id == subnet.id for eni in request.backend.enis.values()) + instances > usable:
        message = (
            f"There are not enough free addresses in subnet '{subnet.id}' to satisfy the requested number of instances."
        )
        raise RefusedByEc2("InsufficientFreeAddressesInSubnet", message)
    if not asked:
        return
    network = ipaddress.IPv4Network(subnet.cidr_block)
    try:
        address = ipaddress.IPv4Address(asked)
    except ValueError:
        raise RefusedByEc2(
            "InvalidParameterValue", f"Value ({asked}) for parameter privateIpAddress is invalid."
        ) from None
    if address not in network:
        raise RefusedByEc2("InvalidParameterValue", f"Address does not fall within the subnet's address range: {asked}")
    if not network[4] <= address <= network[-2]:
        raise RefusedByEc2("InvalidParameterValue", f"Address {asked} is in subnet's reserved address range")
    if any(eni.subnet.id == subnet.id and eni.private_ip_address == asked for eni in request.backend.enis.values()):
        raise RefusedByEc2("InvalidIPAddress.InUse", "The specified address is already in use.")


@rule("CreateNetworkInterface", "ModifyNetworkInterfaceAttribute")
def eni_groups_exist(request: Request) -> None:
    """Groups must be known and of the interface's own VPC."""
    groups = request.get("Groups") or []
    if not groups:
        return
    subnet_id = request.get("SubnetId")
    subnet = request.subnet(subnet_id) if subnet_id else request.eni(request.get("NetworkInterfaceId")).subnet
    check_groups(request, groups, vpc_id=subnet.vpc_id)


def check_groups(request: Request, groups: Sequence[str], *, vpc_id: str) -> None:
    if len(groups) > GROUPS_OF_AN_INTERFACE:
        message = "The maximum number of security groups per interface has been reached."
        raise RefusedByEc2("SecurityGroupsPerInterfaceLimitExceeded", message)
    for group_id in groups:
        if group_id not in request.backend.groups.get(vpc_id, {}) or request.world.is_unknown(group_id):
            raise RefusedByEc2("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


@rule("DeleteNetworkInterface")
def eni_is_free(request: Request) -> None:
    eni = request.eni(request.get("NetworkInterfaceId"))
    if eni.instance is not None:
        raise RefusedByEc2("InvalidParameterValue", f"Network interface '{eni.id}' is currently in use.")
    if eni.requester_managed:
        raise RefusedByEc2("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")


@rule("AttachNetworkInterface")
def eni_can_be_attached(request: Request) -> None:
    eni, instance = (
        request.eni(request.get("NetworkInterfaceId")),
        request.backend.get_instance(request.get("InstanceId")),
    )
    index = int(request.get("DeviceIndex") or 0)
    if eni.instance is not None:
        raise RefusedByEc2("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
    if index in instance.nics:
        raise RefusedByEc2(
            "InvalidParameterValue",
            f"Instance '{instance.id}' already has an interface attached at device index '{index}'.",
        )
    if eni.subnet.availability_zone != instance._placement.zone:
        message = "You may not attach a network interface to an instance if they are not in the same availability zone"
        raise RefusedByEc2("InvalidParameterCombination", message)
    if instance._state.name not in {"running", "stopped"}:
        message = f"Instance '{instance.id}' is not 'running' or 'stopped'."
        raise RefusedByEc2("IncorrectState", message)
    check_number(instance.instance_type, len(instance.nics) + 1)
    check_ena_express(instance.instance_type, request.get("EnaSrdSpecification"), on=False)


@rule("ModifyNetworkInterfaceAttribute")
def attachment_is_the_interfaces_own(request: Request) -> None:
    asked = request.get("Attachment")
    if not asked:
        return
    eni = request.eni(request.get("NetworkInterfaceId"))
    if not eni.instance or eni.attachment_id != asked.get("AttachmentId"):
        message = f"The attachment ID '{asked.get('AttachmentId')}' does not exist"
        raise RefusedByEc2("InvalidAttachmentID.NotFound", message)


def check_number(instance_type: str, interfaces: int) -> None:
    if interfaces > type_data(instance_type)["NetworkInfo"]["MaximumNetworkInterfaces"]:
        message = f"Interface count {interfaces} exceeds the limit for {instance_type}"
        raise RefusedByEc2("AttachmentLimitExceeded", message)


@rule("DetachNetworkInterface")
def first_interface_stays(request: Request) -> None:
    for eni in request.backend.enis.values():
        if eni.attachment_id == request.get("AttachmentId") and int(eni.device_index or 0) == 0:
            message = f"The network interface at device index 0 cannot be detached: {eni.id}"
            raise RefusedByEc2("OperationNotPermitted", message)


# -- ENA Express ---------------------------------------------------------------------------------------------------------------


@rule("ModifyNetworkInterfaceAttribute")
def ena_express_is_possible(request: Request) -> None:
    """It belongs to an attachment, so there must be one."""
    specification = request.get("EnaSrdSpecification")
    if not specification:
        return
    eni = request.eni(request.get("NetworkInterfaceId"))
    if eni.instance is None:
        message = f"Network interface '{eni.id}' is not attached to an instance."
        raise RefusedByEc2("InvalidParameterCombination", message)  # (?)
    state = request.world.srd.get(eni.id)
    check_ena_express(eni.instance.instance_type, specification, on=bool(state and state.on))


def check_ena_express(
    instance_type: str,
    specification: EnaSrdSpecificationRequestTypeDef | EnaSrdSpecificationTypeDef | None,
    *,
    on: bool,
) -> None:
    """The type must have it, and UDP cannot be switched on without it. Switching only SRD off keeps the UDP flag: that is legal."""
    if not specification:
        return
    if not has_ena_express(instance_type):
        message = f"ENA Express is not supported by instance type {instance_type}."
        raise RefusedByEc2("InvalidParameterCombination", message)  # (?)
    udp = (specification.get("EnaSrdUdpSpecification") or {}).get("EnaSrdUdpEnabled", False)
    if udp and not specification.get("EnaSrdEnabled", on):
        raise RefusedByEc2("InvalidParameterCombination", "EnaSrdUdpEnabled requires EnaSrdEnabled.")  # (?)


# -- addresses -----------------------------------------------------------------------------------------------------------------


@rule("AssociateAddress")
def address_can_be_associated(request: Request) -> None:
    address, eni_id = request.address(request.get("AllocationId")), request.get("NetworkInterfaceId")
    eni = request.eni(eni_id) if eni_id else _only_interface(request)
    if request.gateway_of(eni.subnet.vpc_id) is None:
        raise RefusedByEc2(
            "Gateway.NotAttached", f"Network {eni.subnet.vpc_id} is not attached to any internet gateway"
        )
    life = request.world.life_of_eni(eni)
    if life is not None and life.state == "pending":
        message = f"The pending instance '{life.instance.id}' is not in a valid state for this operation."
        raise RefusedByEc2("InvalidInstanceID" if eni_id else "IncorrectInstanceState", message)
    if request.get("AllowReassociation") is False:
        _check_unassociated(request, address, eni)


def _only_interface(request: Request) -> Any:
    """The interface of an instance that is named itself: it must have no other."""
    instance = request.backend.get_instance(request.get("InstanceId"))
    if len(instance.nics) > 1:
        raise RefusedByEc2("InvalidInstanceID", f"There are multiple interfaces attached to instance '{instance.id}'.")
    return instance.nics[0]


def _check_unassociated(request: Request, address: Any, eni: Any) -> None:
    if address.eni is not None and address.eni.id != eni.id:
        message = f"resource {address.allocation_id} is already associated with associate-id {address.association_id}"
        raise RefusedByEc2("Resource.AlreadyAssociated", message)
    if any(other.eni is eni for other in request.backend.addresses if other is not address):
        raise RefusedByEc2(
            "Resource.AlreadyAssociated", f"resource {eni.id} is already associated with another address"
        )


@rule("ReleaseAddress")
def address_is_free(request: Request) -> None:
    address = request.address(request.get("AllocationId"))
    if address.association_id:
        raise RefusedByEc2("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
