"""The compute layer: placement-group, key-pair, eni, eip, instance, and the settings that live on them.

ENA Express is a setting of the *attachment* of an interface to an instance: it is switched on after the launch, read back from
the attachment, and gone when the instance is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from enaxp.aws import Aws, code_of
from enaxp.lab.kinds.base import Ec2Kind, differences, remove
from enaxp.lab.model import Change, Difference, Found, Ids, Lab, Resource, change

EXPRESS_DEVICE = 1  # device 0 stays plain ENA: it carries SSH
SHUTTING_DOWN = "shutting-down"


class PlacementGroup(Ec2Kind):
    """want: strategy. A group is known by its name; it is `pending` first, and in use until its instances have been gone for a while."""

    name = "placement-group"
    ready_s = 300.0
    resource_type, describe, items, ids_argument = (
        "placement-group",
        "describe_placement_groups",
        "PlacementGroups",
        "GroupNames",
    )
    actions = ("ec2:CreatePlacementGroup", "ec2:DescribePlacementGroups", "ec2:DeletePlacementGroup")

    def read(self, item: Mapping[str, Any]) -> Found | None:
        if item["State"] == "deleted":
            return None
        return self.found(
            item["GroupName"],
            item.get("Tags"),
            pending="" if item["State"] == "available" else item["State"],
            strategy=item["Strategy"],
            tag_id=item.get("GroupId", item["GroupName"]),  # a group goes by its name, its tags by its id
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "GroupName": resource.name,
            "Strategy": resource.want["strategy"],
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        aws.once("ec2").create_placement_group(**request)
        return str(request["GroupName"])

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, resource.want, "strategy")

    def delete(self, aws: Aws, found: Found) -> None:
        if found.pending != "deleting":
            remove(lambda: aws.ec2.delete_placement_group(GroupName=found.id), where=f"deleting {found.key} {found.id}")


class KeyPair(Ec2Kind):
    """want: public_key (one OpenSSH line). Compared by the key itself: fingerprints come in several forms."""

    name = "key-pair"
    resource_type, describe, items, ids_argument = "key-pair", "describe_key_pairs", "KeyPairs", "KeyNames"
    actions = ("ec2:ImportKeyPair", "ec2:DescribeKeyPairs", "ec2:DeleteKeyPair")

    def _describe(self, aws: Aws, **arguments: Any) -> list[Found]:
        return super()._describe(aws, **arguments, IncludePublicKey=True)

    def read(self, item: Mapping[str, Any]) -> Found:
        public_key = _without_comment(item["PublicKey"]) if item.get("PublicKey") else None
        return self.found(item["KeyName"], item.get("Tags"), public_key=public_key, tag_id=item["KeyPairId"])

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "KeyName": resource.name,
            "PublicKeyMaterial": resource.want["public_key"],
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ec2").import_key_pair(**request)["KeyName"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {}

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        want = {"public_key": _without_comment(resource.want["public_key"])}
        return differences(found.facts, want, "public_key")

    def delete(self, aws: Aws, found: Found) -> None:
        aws.ec2.delete_key_pair(KeyName=found.id)


class Eni(Ec2Kind):
    """want: address, and where it is not the hosts': subnet, groups (keys). Setting: the groups.

    ENA Express cannot be asked for here: it belongs to the attachment.
    """

    name = "eni"
    needs = ("subnet", "security-group")
    token = True
    resource_type, describe, items, ids_argument = (
        "network-interface",
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceIds",
    )
    actions = (
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:DeleteNetworkInterface",
    )

    def read(self, item: Mapping[str, Any]) -> Found:
        attachment = item.get("Attachment") or {}
        return self.found(
            item["NetworkInterfaceId"],
            item.get("TagSet"),
            pending=item["Status"] if item["Status"] in {"pending", "detaching"} else "",
            address=item["PrivateIpAddress"],
            subnet=item["SubnetId"],
            groups=sorted(group["GroupId"] for group in item.get("Groups", [])),
            instance=attachment.get("InstanceId"),
            device_index=attachment.get("DeviceIndex"),
            **srd_of(attachment),
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {
            "SubnetId": ids[resource.want.get("subnet", "subnet")],
            "PrivateIpAddress": resource.want["address"],
            "Groups": sorted(ids[key] for key in _groups(resource)),
            "Description": f"enaxp {lab.name}: {resource.key}",
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        answer = aws.ec2.create_network_interface(**request, ClientToken=token)
        return str(answer["NetworkInterface"]["NetworkInterfaceId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"groups": [ids["security-group"]]}

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, resource.want, "address")

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        groups = sorted(ids[key] for key in _groups(resource) if key in ids)
        if found.facts["groups"] != groups:
            yield change(
                "groups",
                have=", ".join(found.facts["groups"]),
                want=", ".join(groups),
                act=lambda aws: aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=found.id, Groups=groups),
            )

    def delete(self, aws: Aws, found: Found) -> None:
        remove(
            lambda: aws.ec2.delete_network_interface(NetworkInterfaceId=found.id),
            where=f"deleting {found.key} {found.id}",
        )


class Eip(Ec2Kind):
    """want: eni (the key of the interface). Setting: the association, made before the launch, so that the first boot has a way out."""

    name = "eip"
    needs = ("igw", "eni")
    resource_type, describe, items, ids_argument = "elastic-ip", "describe_addresses", "Addresses", "AllocationIds"
    actions = (
        "ec2:AllocateAddress",
        "ec2:DescribeAddresses",
        "ec2:AssociateAddress",
        "ec2:DisassociateAddress",
        "ec2:ReleaseAddress",
    )

    def read(self, item: Mapping[str, Any]) -> Found:
        return self.found(
            item["AllocationId"],
            item.get("Tags"),
            public_ip=item["PublicIp"],
            eni=item.get("NetworkInterfaceId") or None,
            association=item.get("AssociationId") or None,
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        return {"Domain": "vpc", "TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        return str(aws.once("ec2").allocate_address(**request)["AllocationId"])

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any]:
        return {"eni": None, "association": None}

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        eni = ids.get(resource.want["eni"])
        if found.facts["eni"] != eni:
            yield change(
                "associated with", have=found.facts["eni"], want=eni, act=lambda aws: _associate(aws, found, str(eni))
            )

    def delete(self, aws: Aws, found: Found) -> None:
        if found.facts["association"]:
            remove(
                lambda: aws.ec2.disassociate_address(AssociationId=found.facts["association"]),
                where=f"disassociating {found.key} {found.id}",
            )
        remove(lambda: aws.ec2.release_address(AllocationId=found.id), where=f"releasing {found.key} {found.id}")


class Instance(Ec2Kind):
    """want: role, type, image, zone, user_data, enis (keys in device order), express (keys that carry ENA Express), in_group, and
    where they are not the hosts': key_pair, profile (keys).

    Setting: ENA Express with its UDP flag on each attachment that is to carry it, off on the others.
    """

    name = "instance"
    needs = ("instance-profile", "key-pair", "placement-group", "eni", "eip")
    needs_settled = True
    token = True
    ready_s = 600.0
    resource_type, describe, items, ids_argument = "instance", "describe_instances", "Reservations", "InstanceIds"
    actions = (
        "ec2:RunInstances",
        "ec2:CreateTags",
        "ec2:DescribeInstances",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:TerminateInstances",
    )

    def _items(self, page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [instance for reservation in page["Reservations"] for instance in reservation["Instances"]]

    def read(self, item: Mapping[str, Any]) -> Found:
        state = item["State"]["Name"]
        reason = item.get("StateReason", {}).get("Message") or item.get("StateTransitionReason") or "no reason given"
        interfaces = {nic["NetworkInterfaceId"]: nic["Attachment"] for nic in item.get("NetworkInterfaces", [])}
        attaching = [eni for eni, attachment in interfaces.items() if attachment["Status"] != "attached"]
        return self.found(
            item["InstanceId"],
            item.get("Tags"),
            pending=state if state != "running" else f"attaching {', '.join(attaching)}" if attaching else "",
            gone=f"it was terminated: {reason}" if state == "terminated" else "",
            created=str(item.get("LaunchTime", "")),
            state=state,
            type=item["InstanceType"],
            image=item["ImageId"],
            zone=item["Placement"]["AvailabilityZone"],
            key=item.get("KeyName"),
            public_ip=item.get("PublicIpAddress"),
            srd={eni: srd_of(attachment) for eni, attachment in interfaces.items()},
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        want = resource.want
        placement = {"AvailabilityZone": want["zone"]}
        if want["in_group"]:
            placement["GroupName"] = ids["placement-group"]
        return {
            "ImageId": want["image"],
            "InstanceType": want["type"],
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": ids[want.get("key_pair", "key-pair")],
            "IamInstanceProfile": {"Name": ids[want.get("profile", "instance-profile")]},
            "Placement": placement,
            "NetworkInterfaces": [
                {"DeviceIndex": index, "NetworkInterfaceId": ids[eni]} for index, eni in enumerate(want["enis"])
            ],
            "UserData": want["user_data"],
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": _ROOT_VOLUME}],
            "TagSpecifications": self.tagged(resource, lab, "instance", "volume"),
        }

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        # Asked once: the SDK takes a lack of capacity for a passing fault, and would spend its patience on a full zone.
        return str(aws.once("ec2").run_instances(**request, ClientToken=token)["Instances"][0]["InstanceId"])

    def may_repeat(self, error: Exception) -> bool:
        """Interfaces of an instance that is still shutting down come free soon."""
        return super().may_repeat(error) or code_of(error) == "InvalidNetworkInterface.InUse"

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, resource.want, "type", "image", "zone")

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        for key in resource.want["enis"]:
            eni, wanted = ids.get(key), key in resource.want["express"]
            have = found.facts["srd"].get(eni)
            if eni is None or have is None or found.facts["state"] != "running":
                continue
            # While ENA Express is off, the UDP flag is a memory without effect.
            if have["srd"] != wanted or (wanted and not have["srd_udp"]):
                yield change(
                    f"ENA Express on {key}",
                    have=_srd_in_words(have["srd"], have["srd_udp"]),
                    want=_srd_in_words(wanted, wanted),
                    act=partial(set_srd, eni=eni, on=wanted),
                )

    def delete(self, aws: Aws, found: Found) -> None:
        if found.facts["state"] != SHUTTING_DOWN:
            remove(
                lambda: aws.ec2.terminate_instances(InstanceIds=[found.id]), where=f"terminating {found.key} {found.id}"
            )


def set_srd(aws: Aws, *, eni: str, on: bool) -> None:
    """Switches ENA Express and its UDP flag, together, on the interface's attachment. It takes effect without a restart."""
    specification = {"EnaSrdEnabled": on, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": on}}
    aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, EnaSrdSpecification=specification)


def srd_of(attachment: Mapping[str, Any]) -> dict[str, Any]:
    """ENA Express as an attachment has it; what AWS leaves out is off."""
    specification = attachment.get("EnaSrdSpecification") or {}
    udp = specification.get("EnaSrdUdpSpecification") or {}
    return {"srd": bool(specification.get("EnaSrdEnabled")), "srd_udp": bool(udp.get("EnaSrdUdpEnabled"))}


_ROOT_VOLUME = {"VolumeSize": 30, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}


def _groups(eni: Resource) -> tuple[str, ...]:
    """The keys of an interface's security groups."""
    return tuple(eni.want.get("groups", ("security-group",)))


def _srd_in_words(srd: bool, udp: bool) -> str:
    if not srd:
        return "off"
    return "on, UDP on" if udp else "on, UDP off"


def _associate(aws: Aws, address: Found, eni: str) -> None:
    """AllowReassociation=False: an interface that has an address of somebody else keeps it, and we hear of it."""
    if address.facts["association"]:
        aws.ec2.disassociate_address(AssociationId=address.facts["association"])
    aws.ec2.associate_address(AllocationId=address.id, NetworkInterfaceId=eni, AllowReassociation=False)


def _without_comment(public_key: str) -> str:
    return " ".join(public_key.split()[:2])
