"""EC2: the actions that moto lacks or answers differently from AWS; everything else goes through the rules and on to moto.

request ─▶ tick ─▶ rules ─▶ DryRun? ─▶ token seen before? ─▶ moto's action (or one of ours) ─▶ answer
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_network_interfaces import Attachment, NetworkInterface
from moto.ec2.responses import EC2Response

from enaxp.local.strict import rules
from enaxp.local.strict.machines import MachineInterface, MachineSpec
from enaxp.local.strict.rules import Refused, Request
from enaxp.local.strict.world import Life, PlacementGroup, Srd, World, current

STATUS_OF = {
    "DryRunOperation": 412,
    "UnauthorizedOperation": 403,
    "RequestLimitExceeded": 503,
    "Unavailable": 503,
    "InternalError": 500,
    "InsufficientInstanceCapacity": 500,
    "InsufficientAddressCapacity": 500,
}
TOKENED = {"RunInstances", "CreateNetworkInterface", "CreateRouteTable"}
# Valid on AWS, unknown to moto: (action, filter) → how to read it off one item.
OWN_FILTERS: dict[tuple[str, str], Callable[[Any, World], Any]] = {
    ("DescribeInstances", "client-token"): lambda instance, world: instance.client_token,
    ("DescribeInstances", "placement-group-name"): lambda instance, world: instance._placement.group_name,
    ("DescribeNetworkInterfaces", "attachment.status"): lambda eni, world: (
        world.attachment_status(eni) if eni.instance else None
    ),
    ("DescribeNetworkInterfaces", "attachment.device-index"): lambda eni, world: (
        str(eni.device_index) if eni.instance else None
    ),
    ("DescribeNetworkInterfaces", "association.allocation-id"): lambda eni, world: eni.association.get("allocationId"),
}


class StrictAttachment(Attachment):
    """An attachment that takes its time and carries ENA Express."""

    def __init__(self, eni: NetworkInterface) -> None:
        super().__init__(eni)
        world = current()
        self.status = world.attachment_status(eni)
        srd = world.srd.get(eni.id)
        if srd is not None:
            self.ena_srd_specification = srd.as_specification()


def _attachment(eni: NetworkInterface) -> Attachment | None:
    return StrictAttachment(eni) if eni.attachment_id and eni.instance else None


NetworkInterface.attachment = property(_attachment)  # moto makes it anew at each look


def error_answer(code: str, message: str, *, status: int | None = None) -> tuple[int, dict[str, str], str]:
    """An EC2 error as it goes over the wire."""
    from xml.sax.saxutils import escape

    body = (
        "<?xml version='1.0' encoding='UTF-8'?><Response><Errors><Error>"
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        "</Error></Errors><RequestID>00000000-0000-4000-8000-000000000000</RequestID></Response>"
    )
    return status or STATUS_OF.get(code, 400), {"Content-Type": "text/xml"}, body


class StrictEC2Response(EC2Response):
    """EC2 with AWS's rules."""

    def call_action(self) -> Any:
        world = current()
        with world.lock:
            backend = self.ec2_backend
            world.prepare(backend)
            world.tick()
            action = self._get_action()
            request = Request(action=action, get=self._get_param, backend=backend, world=world)
            try:
                rules.check(request)
            except EC2ClientError as error:
                return error_answer(str(error.code), str(error.message))
            if self._get_param("DryRun"):
                return error_answer("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
            token = self._get_param("ClientToken")
            if action in TOKENED and token:
                return self._once(world, action, token)
            return self._born(world, action, self._answer())

    def _answer(self) -> Any:
        try:
            return super().call_action()
        except NotImplementedError as error:
            return error_answer("InvalidAction", f"The strict layer does not serve this: {error}")
        except KeyError as error:
            return error_answer("InternalError", f"The strict layer stumbled over {error}")

    def _once(self, world: World, action: str, token: str) -> Any:
        """The same token gives the same answer, as long as it comes with the same request."""
        digest = hashlib.sha256(json.dumps(self._get_params(), sort_keys=True, default=str).encode()).hexdigest()
        known = world.tokens.get((action, token))
        if known is None:
            answer = self._born(world, action, self._answer())
            if answer[0] < 400:
                world.tokens[action, token] = (digest, answer, getattr(self, "_made", ""))
            return answer
        if known[0] != digest:
            return error_answer(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        life = world.lives.get(known[2])
        if action == "RunInstances" and (life is None or life.state in {"shutting-down", "terminated"}):
            return error_answer(
                "IdempotentInstanceTerminated",
                "The client token you have provided is associated with a resource that is already deleted.",
            )
        return known[1]

    def _born(self, world: World, action: str, answer: Any) -> Any:
        """Notes when a new thing was made: it may become known only slowly."""
        if answer[0] < 400 and action.startswith(("Create", "Allocate", "Import", "Run")):
            for id in _ids_in(str(answer[2])):
                world.born.setdefault(id, time.monotonic())
        return answer

    # -- describes -----------------------------------------------------------------------------------------------------

    def _filters_from_querystring(self) -> dict[str, Any]:
        """moto's filters, without those that only we know."""
        action = self._get_action()
        given = super()._filters_from_querystring()
        self._own_filters = {name: values for name, values in given.items() if (action, name) in OWN_FILTERS}
        self._by_tag = any(name.startswith("tag") for name in given)
        return {name: values for name, values in given.items() if name not in self._own_filters}

    def _passes(self, item: Any) -> bool:
        """Whether one item of a describe is to be shown: our own filters, and what listings by tag do not know yet."""
        world, action = current(), self._get_action()
        if self._by_tag and world.is_blind_to(item.id):
            return False
        return all(OWN_FILTERS[action, name](item, world) in values for name, values in self._own_filters.items())

    def describe_instances(self) -> Any:
        result = super().describe_instances()
        reservations = result.result["Reservations"]
        for reservation in reservations:
            reservation.instances = [instance for instance in reservation.instances if self._passes(instance)]
        result.result["Reservations"] = [reservation for reservation in reservations if reservation.instances]
        return result

    def describe_network_interfaces(self) -> Any:
        result = super().describe_network_interfaces()
        return self._page(result, "NetworkInterfaces")

    def describe_vpcs(self) -> Any:
        return self._page(super().describe_vpcs(), "Vpcs")

    def describe_subnets(self) -> Any:
        return self._page(super().describe_subnets(), "Subnets")

    def describe_internet_gateways(self) -> Any:
        return self._page(super().describe_internet_gateways(), "InternetGateways")

    def describe_route_tables(self) -> Any:
        return self._page(super().describe_route_tables(), "RouteTables")

    def describe_security_groups(self) -> Any:
        return self._page(super().describe_security_groups(), "SecurityGroups")

    def _page(self, result: Any, member: str) -> Any:
        """What passes, cut to the page that was asked for."""
        items = [item for item in result.result[member] if self._passes(item)]
        size, start = int(self._get_param("MaxResults") or 1000), int(self._get_param("NextToken") or 0)
        rest = start + size < len(items)
        return ActionResult({member: items[start : start + size], **({"NextToken": str(start + size)} if rest else {})})

    def describe_addresses(self) -> Any:
        result = super().describe_addresses()
        for address in result.result["Addresses"]:
            address.instance = address.eni.instance if address.eni is not None else None
        result.result["Addresses"] = [address for address in result.result["Addresses"] if self._passes(address)]
        return result

    def describe_availability_zones(self) -> Any:
        """As moto has them, with what tells a Local Zone: AllAvailabilityZones lists one, too."""
        result = super().describe_availability_zones()
        zones = [{**_zone(zone), "OptInStatus": "opt-in-not-required"} for zone in result.result["AvailabilityZones"]]
        if self._get_param("AllAvailabilityZones"):
            local = {
                "ZoneName": f"{self.region}-bos-1a",
                "ZoneId": "local-az1",
                "RegionName": self.region,
                "State": "available",
            }
            zones.append({**local, "ZoneType": "local-zone", "OptInStatus": "not-opted-in"})
        return ActionResult({"AvailabilityZones": zones})

    # -- addresses -----------------------------------------------------------------------------------------------------

    def allocate_address(self) -> Any:
        result = super().allocate_address()
        address = next(a for a in self.ec2_backend.addresses if a.allocation_id == result.result["AllocationId"])
        hand_out = current().public_address
        if hand_out is not None:
            address.public_ip = result.result["PublicIp"] = hand_out()
        return result

    def associate_address(self) -> Any:
        """Associating again what is associated already is harmless."""
        address = next(a for a in self.ec2_backend.addresses if a.allocation_id == self._get_param("AllocationId"))
        if address.eni is not None and address.eni.id == self._get_param("NetworkInterfaceId"):
            return ActionResult({"AssociationId": address.association_id})
        result = super().associate_address()
        _tell_address(current(), address.eni, address.public_ip)
        return result

    def disassociate_address(self) -> Any:
        """Twice is as good as once."""
        association = self._get_param("AssociationId")
        address = next((a for a in self.ec2_backend.addresses if a.association_id == association), None)
        if address is None:
            return EmptyResult()
        eni = address.eni
        result = super().disassociate_address()
        _tell_address(current(), eni, None)
        return result

    # -- interfaces ----------------------------------------------------------------------------------------------------

    def modify_network_interface_attribute(self) -> Any:
        world, eni = current(), self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        specification, attachment = self._get_param("EnaSrdSpecification"), self._get_param("Attachment")
        if specification:
            self._set_srd(world, eni, specification)
            return EmptyResult()
        if attachment and "DeleteOnTermination" in attachment:
            eni.delete_on_termination = bool(attachment["DeleteOnTermination"])
            return EmptyResult()
        return super().modify_network_interface_attribute()

    @staticmethod
    def _set_srd(world: World, eni: Any, specification: dict[str, Any]) -> None:
        """What is not given stays: switching only SRD off keeps the UDP flag as a memory without effect."""
        state = world.srd.setdefault(eni.id, Srd())
        state.on = specification.get("EnaSrdEnabled", state.on)
        state.udp = (specification.get("EnaSrdUdpSpecification") or {}).get("EnaSrdUdpEnabled", state.udp)
        world.machines.set_srd(eni.instance.id, device_index=int(eni.device_index), srd=state.on, udp=state.udp)

    def detach_network_interface(self) -> Any:
        for eni in self.ec2_backend.enis.values():
            if eni.attachment_id == self._get_param("AttachmentId"):
                if int(eni.device_index or 0) == 0:
                    raise Refused(
                        "OperationNotPermitted", f"The network interface at device index 0 cannot be detached: {eni.id}"
                    )
                current().srd.pop(eni.id, None)
        return super().detach_network_interface()

    # -- placement groups ----------------------------------------------------------------------------------------------

    def create_placement_group(self) -> Any:
        world, name = current(), self._get_param("GroupName")
        if (self.region, name) in world.groups:
            raise Refused("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
        tags = {
            tag["Key"]: tag.get("Value", "")
            for specification in self._get_param("TagSpecifications") or []
            for tag in specification.get("Tags") or []
        }
        strategy = self._get_param("Strategy") or "cluster"
        group = PlacementGroup(name=name, strategy=strategy, region=self.region, tags=tags, created_at=time.monotonic())
        world.groups[self.region, name] = group
        world.born[name] = group.created_at
        return ActionResult({"PlacementGroup": self._group(group)})

    def describe_placement_groups(self) -> Any:
        world, names, ids = current(), self._get_param("GroupNames") or [], self._get_param("GroupIds") or []
        groups = [group for group in world.groups.values() if group.region == self.region]
        for name in names:
            if name not in [group.name for group in groups] or world.is_unknown(name):
                raise Refused("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        chosen = [g for g in groups if (not names or g.name in names) and (not ids or g.id in ids)]
        for filter in self._get_param("Filters") or []:
            chosen = [group for group in chosen if self._group_passes(group, filter["Name"], filter.get("Values", []))]
        return ActionResult({"PlacementGroups": [self._group(group) for group in chosen]})

    def delete_placement_group(self) -> Any:
        current().groups[self.region, self._get_param("GroupName")].deleting_at = time.monotonic()
        return EmptyResult()

    def _group_passes(self, group: PlacementGroup, name: str, values: list[str]) -> bool:
        if name.startswith("tag:"):
            return group.tags.get(name[4:]) in values and not current().is_blind_to(group.name)
        if name == "tag-key":
            return any(key in values for key in group.tags)
        facts = {"group-name": group.name, "strategy": group.strategy, "state": self._group(group)["State"]}
        if name not in facts:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        return facts[name] in values

    @staticmethod
    def _group(group: PlacementGroup) -> dict[str, Any]:
        ready = time.monotonic() >= group.created_at + current().timing.placement_group
        return {
            "GroupName": group.name,
            "GroupId": group.id,
            "Strategy": group.strategy,
            "State": "deleting" if group.deleting_at is not None else "available" if ready else "pending",
            "Tags": [{"Key": key, "Value": value} for key, value in group.tags.items()],
        }

    def create_tags(self) -> Any:
        """Placement groups are ours; moto has the rest."""
        return self._on_groups(
            lambda group, tag: group.tags.__setitem__(tag["Key"], tag.get("Value", "")), super().create_tags
        )

    def delete_tags(self) -> Any:
        return self._on_groups(lambda group, tag: group.tags.pop(tag["Key"], None), super().delete_tags)

    def _on_groups(self, edit: Any, otherwise: Any) -> Any:
        ids = self._get_param("Resources") or []
        groups = [group for group in current().groups.values() if group.id in ids]
        for group in groups:
            for tag in self._get_param("Tags") or []:
                edit(group, tag)
        return EmptyResult() if len(groups) == len(ids) else otherwise()

    # -- instances -----------------------------------------------------------------------------------------------------

    def run_instances(self) -> Any:
        world, backend = current(), self.ec2_backend
        result = super().run_instances()
        for instance in result.result.instances:
            instance.client_token = self._get_param("ClientToken")
            instance.security_groups = []
            instance._placement.group_name = self._get_param("Placement.GroupName") or ""
            life = Life(
                instance=instance,
                backend=backend,
                group=self._get_param("Placement.GroupName"),
                launched_at=time.monotonic(),
            )
            world.lives[instance.id] = life
            world._set_state(life, "pending")
            self._made = instance.id
            world.machines.launch(self._machine(instance))
        return result

    def _machine(self, instance: Any) -> MachineSpec:
        key = self.ec2_backend.key_pairs.get(instance.key_name)
        material = key.material_public if key is not None else b""
        return MachineSpec(
            instance_id=instance.id,
            image_id=instance.image_id,
            instance_type=instance.instance_type,
            user_data=rules.decoded_user_data(self._get_param("UserData")),
            key_name=instance.key_name or "",
            public_key=(material.decode() if isinstance(material, bytes) else str(material)).strip(),
            interfaces=tuple(_interface(index, eni) for index, eni in sorted(instance.nics.items())),
            availability_zone=instance._placement.zone,
        )

    def terminate_instances(self) -> Any:
        world, ids = current(), self._get_param("InstanceIds") or []
        before = []
        for instance in self.ec2_backend.get_multi_instances_by_id(ids):
            if instance.disable_api_termination:
                raise Refused("OperationNotPermitted", f"The instance '{instance.id}' may not be terminated.")
            before.append((instance, instance._state))
        for instance, _ in before:
            world.end(world.lives[instance.id])
        shown = [
            {"InstanceId": i.id, "PreviousState": _state(old), "CurrentState": _state(i._state)} for i, old in before
        ]
        return ActionResult({"TerminatingInstances": shown})

    def describe_instance_status(self) -> Any:
        """Terminated instances have none."""
        result = super().describe_instance_status()
        if isinstance(result.result, dict) and "InstanceStatuses" in result.result:
            result.result["InstanceStatuses"] = [
                i for i in result.result["InstanceStatuses"] if i._state.name != "terminated"
            ]
        return result


def _state(state: Any) -> dict[str, Any]:
    return {"Code": state.code, "Name": state.name}


def _zone(zone: Any) -> dict[str, Any]:
    return {
        "ZoneName": zone.name,
        "ZoneId": zone.zone_id,
        "RegionName": zone.region_name,
        "State": zone.state,
        "ZoneType": zone.zone_type,
        "Messages": [],
    }


def _interface(index: int, eni: Any) -> MachineInterface:
    srd = current().srd.get(eni.id, Srd())
    return MachineInterface(
        device_index=index,
        eni_id=eni.id,
        mac=eni.mac_address,
        private_ip=eni.private_ip_address,
        subnet_id=eni.subnet.id,
        subnet_cidr=eni.subnet.cidr_block,
        public_ip=eni.public_ip,
        srd=srd.on,
        udp=srd.udp,
    )


def _tell_address(world: World, eni: Any, public_ip: str | None) -> None:
    """A machine that runs already hears of its new address."""
    life = world.life_of_eni(eni) if eni is not None else None
    if life is not None and life.state in {"pending", "running"}:
        world.machines.set_public_ip(life.instance.id, device_index=int(eni.device_index), public_ip=public_ip)


def _ids_in(body: str) -> set[str]:
    import re

    return set(re.findall(r">((?:vpc|subnet|igw|rtb|sg|eni|eipalloc|i)-[0-9a-f]{8,17})<", body)) | set(
        re.findall(r"<keyName>([^<]+)</keyName>", body)
    )
