"""Networks, security groups' rules, interfaces, ENA Express, Elastic IPs and keys, where moto does otherwise than AWS."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import time
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models.elastic_network_interfaces import Attachment, NetworkInterface
from moto.ec2.models.route_tables import Route
from moto.ec2.responses._base_response import EC2BaseResponse

from enaxp.local.strict.life import AttachmentSrd
from enaxp.local.strict.machines import MachineInterface
from enaxp.local.strict.world import World, current

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import EnaSrdSpecificationTypeDef


class StrictAttachment(Attachment):
    """An attachment that takes its time and carries ENA Express."""

    def __init__(self, eni: NetworkInterface) -> None:
        super().__init__(eni)
        world = current()
        self.status = world.attachment_status(eni)
        if eni.id in world.srd:
            self.ena_srd_specification = world.srd[eni.id].as_specification()


def _attachment(eni: NetworkInterface) -> Attachment | None:
    return StrictAttachment(eni) if eni.attachment_id and eni.instance else None


def _route_state(route: Route) -> str:
    """A route by a gateway that was detached leads nowhere."""
    return "blackhole" if getattr(route.gateway, "vpc", route) is None else "active"


_moto_association = NetworkInterface.association.fget


def _association(eni: NetworkInterface) -> dict[str, Any]:
    """An address that AWS assigned belongs to `amazon`, an Elastic IP to the account."""
    told: dict[str, Any] = _moto_association(eni)
    return {**told, "ipOwnerId": "amazon"} if told and "allocationId" not in told else told


NetworkInterface.association = property(_association)
NetworkInterface.attachment = property(_attachment)  # moto makes it anew at each look
Route.state = property(_route_state)


class NetworkActions(EC2BaseResponse):
    """What has no life of its own."""

    # -- vpc and subnet ------------------------------------------------------------------------------------------------

    def create_vpc(self) -> ActionResult:
        self._mask("CidrBlock")
        return super().create_vpc()

    def create_subnet(self) -> ActionResult:
        self._mask("CidrBlock")
        return super().create_subnet()

    def _mask(self, member: str) -> None:
        """AWS keeps the network of a CIDR, not its host bits."""
        self.params[member] = str(ipaddress.IPv4Network(self._get_param(member), strict=False))

    # -- security groups -----------------------------------------------------------------------------------------------

    def create_security_group(self) -> ActionResult:
        result = super().create_security_group()
        tags = self.ec2_backend.describe_tags({"resource-id": [result.result["GroupId"]]})
        return ActionResult({**result.result, "Tags": [{"Key": t["key"], "Value": t["value"]} for t in tags]})

    def authorize_security_group_ingress(self) -> ActionResult:
        return self._all_new_rules("ingress_rules", super().authorize_security_group_ingress)

    def authorize_security_group_egress(self) -> ActionResult:
        return self._all_new_rules("egress_rules", super().authorize_security_group_egress)

    def _all_new_rules(self, direction: str, authorize: Any) -> ActionResult:
        """AWS stores the network of a CIDR, not its host bits, and answers with every rule that it made."""
        for permission in self._get_param("IpPermissions") or []:
            for entry in permission.get("IpRanges") or []:
                entry["CidrIp"] = str(ipaddress.IPv4Network(entry["CidrIp"], strict=False))
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId"))
        before = {rule.id for rule in getattr(group, direction)}
        authorize()
        made = [rule for rule in getattr(group, direction) if rule.id not in before]
        return ActionResult({"Return": True, "SecurityGroupRules": made})

    # -- interfaces ----------------------------------------------------------------------------------------------------

    def modify_network_interface_attribute(self) -> Any:
        world, eni = current(), self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        specification, attachment = self._get_param("EnaSrdSpecification"), self._get_param("Attachment")
        if specification:
            set_ena_express(world, eni, specification)
            return EmptyResult()
        if attachment and "DeleteOnTermination" in attachment:
            eni.delete_on_termination = bool(attachment["DeleteOnTermination"])
            return EmptyResult()
        return super().modify_network_interface_attribute()

    def attach_network_interface(self) -> ActionResult:
        """To an instance that runs it takes its time; to one that has stopped it is done at once. The interface outlives the instance."""
        result, world = super().attach_network_interface(), current()
        eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        eni.delete_on_termination = False
        specification = self._get_param("EnaSrdSpecification")
        if specification:
            set_ena_express(world, eni, specification)
        life = world.life_of_eni(eni)
        if life is not None:
            if life.state == "running":
                world.born[f"attachment/{eni.id}"] = time.monotonic()
            world.machines.attach(life.instance.id, machine_interface(int(eni.device_index or 0), eni))
        return result

    def detach_network_interface(self) -> EmptyResult:
        """ENA Express belongs to the attachment and ends with it."""
        world = current()
        for eni in self.ec2_backend.enis.values():
            if eni.attachment_id == self._get_param("AttachmentId") and eni.instance is not None:
                world.srd.pop(eni.id, None)
                world.machines.detach(eni.instance.id, device_index=int(eni.device_index or 0))
        return super().detach_network_interface()

    # -- endpoints -----------------------------------------------------------------------------------------------------

    def create_vpc_endpoint(self) -> ActionResult:
        """The interfaces of an endpoint are AWS's own, with the groups that were asked for."""
        result = super().create_vpc_endpoint()
        endpoint = result.result["VpcEndpoint"]
        groups = self.ec2_backend.groups.get(endpoint.vpc_id, {})
        for eni_id in endpoint.network_interface_ids or ():
            eni = self.ec2_backend.enis[eni_id]
            eni.requester_managed, eni.description = True, f"VPC Endpoint Interface {endpoint.id}"
            eni._group_set = [groups[group_id] for group_id in endpoint.security_group_ids or ()]
        return result

    # -- addresses -----------------------------------------------------------------------------------------------------

    def allocate_address(self) -> ActionResult:
        result, hand_out = super().allocate_address(), current().public_address
        if hand_out is not None:
            [address] = self.ec2_backend.address_by_allocation([result.result["AllocationId"]])
            address.public_ip = result.result["PublicIp"] = hand_out()
        return result

    def associate_address(self) -> ActionResult:
        """Associating again what is associated already is harmless. Unless it is forbidden, AWS takes an address from another."""
        world = current()
        [address] = self.ec2_backend.address_by_allocation([self._get_param("AllocationId")])
        if address.eni is not None and address.eni.id == self._get_param("NetworkInterfaceId"):
            return ActionResult({"AssociationId": address.association_id})
        for other in self.ec2_backend.addresses:
            wanted = other is address or (other.eni and other.eni.id == self._get_param("NetworkInterfaceId"))
            if wanted and other.association_id:
                self._unmap(world, other)
        result = super().associate_address()
        _tell(world, address.eni, address.public_ip)
        return result

    def disassociate_address(self) -> EmptyResult:
        """Twice is as good as once."""
        for address in self.ec2_backend.addresses:
            if address.association_id and address.association_id == self._get_param("AssociationId"):
                self._unmap(current(), address)
        return EmptyResult()

    def _unmap(self, world: World, address: Any) -> None:
        eni = address.eni
        world.unmapped[eni.subnet.vpc_id] = time.monotonic()
        self.ec2_backend.disassociate_address(association_id=address.association_id)
        _tell(world, eni, None)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def import_key_pair(self) -> ActionResult:
        """Fingerprints of ED25519 keys are SHA-256 in base64, not hexadecimal."""
        result = super().import_key_pair()
        key = result.result
        current().born[f"key/{key.key_name}"] = time.monotonic()
        if key.key_type == "ed25519":
            blob = base64.b64decode(key.public_key.split()[1])
            key.key_fingerprint = base64.b64encode(hashlib.sha256(blob).digest()).decode()
        return result


def machine_interface(index: int, eni: Any) -> MachineInterface:
    """An attached interface as a machine has it."""
    srd = current().srd.get(eni.id, AttachmentSrd())
    return MachineInterface(
        device_index=index,
        eni_id=eni.id,
        mac=eni.mac_address,
        private_ip=eni.private_ip_address,
        subnet_id=eni.subnet.id,
        subnet_cidr=eni.subnet.cidr_block,
        vpc_id=eni.subnet.vpc_id,
        public_ip=eni.public_ip,
        srd=srd.on,
        udp=srd.udp,
    )


def set_ena_express(world: World, eni: Any, specification: EnaSrdSpecificationTypeDef) -> None:
    """What is not given stays: switching only SRD off keeps the UDP flag as a memory without effect."""
    state = world.srd.setdefault(eni.id, AttachmentSrd())
    state.on = specification.get("EnaSrdEnabled", state.on)
    state.udp = (specification.get("EnaSrdUdpSpecification") or {}).get("EnaSrdUdpEnabled", state.udp)
    if eni.instance.id in world.lives:
        world.machines.set_srd(eni.instance.id, device_index=int(eni.device_index), srd=state.on, udp=state.udp)


def _tell(world: World, eni: Any, public_ip: str | None) -> None:
    """A machine that lives already hears of its new address."""
    life = world.life_of_eni(eni) if eni is not None else None
    if life is not None and life.state in {"pending", "running"}:
        world.machines.set_public_ip(life.instance.id, device_index=int(eni.device_index), public_ip=public_ip)
