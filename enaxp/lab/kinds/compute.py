"""The kinds of the compute layer: placement-group, key-pair, eni, eip, instance, disk, and their settings.

ENA Express is a setting of the *attachment* of an interface to an instance: it is switched on after the launch, read back from
the attachment, and gone when the instance is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from enaxp.aws import Aws, Blocked, Refused, code_of, is_gone, matching, refused
from enaxp.errors import AwsError
from enaxp.lab.grants import Grant, Scope
from enaxp.lab.kinds.base import (
    OF_THE_LAB,
    Askable,
    BaseKind,
    Ec2Kind,
    Listing,
    Quota,
    SettingCall,
    differences,
    no_id,
    remove,
    want_of,
)
from enaxp.lab.model import (
    DELETING,
    SHUTTING_DOWN,
    TAG_KEY,
    TAG_LAB_ID,
    Change,
    Difference,
    Facts,
    Found,
    Ids,
    Lab,
    Resource,
    Wait,
    Want,
    change,
    from_tag_list,
    unique_name,
)
from enaxp.lab.srd import set_srd, srd_of, srd_specification

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import InstanceTypeType, PlacementStrategyType
    from mypy_boto3_ec2.type_defs import (
        AddressTypeDef,
        AllocateAddressRequestTypeDef,
        CreateNetworkInterfaceRequestTypeDef,
        CreatePlacementGroupRequestTypeDef,
        EbsBlockDeviceTypeDef,
        ImportKeyPairRequestTypeDef,
        InstanceNetworkInterfaceSpecificationTypeDef,
        InstanceTypeDef,
        KeyPairInfoTypeDef,
        NetworkInterfaceTypeDef,
        PlacementGroupTypeDef,
        PlacementTypeDef,
        RunInstancesRequestTypeDef,
        TagSpecificationTypeDef,
        VolumeTypeDef,
    )

ROOT_VOLUME_GB = 30
PROTECTED = "OperationNotPermitted"  # how AWS refuses to terminate an instance that is protected
ENI_PLACEHOLDER = no_id("eni")
# Of an interface as of an instance: ENA Express is on the attachment, which both have.
MODIFY_INTERFACE = SettingCall(
    action="ec2:ModifyNetworkInterfaceAttribute",
    sample={
        "NetworkInterfaceId": ENI_PLACEHOLDER,
        "EnaSrdSpecification": {"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}},
    },
)


@dataclass(frozen=True, kw_only=True)
class PlacementGroupWant(Want):
    strategy: PlacementStrategyType


class PlacementGroup(Ec2Kind):
    """A placement group, identified by name. A new group is `pending` at first, and it stays in use for a while after its instances have
    ended."""

    name = "placement-group"
    layer = "compute"
    of_a_pair = True
    unique_by_name = True
    ready_s = 300.0
    patience_s = 600.0  # in use until its instances have been gone for minutes
    resource_type, describe, items, ids_argument = (
        "placement-group",
        "describe_placement_groups",
        "PlacementGroups",
        "GroupNames",
    )
    id_filter = "group-name"
    reads = ("ec2:DescribePlacementGroups",)
    creates, deletes = "ec2:CreatePlacementGroup", "ec2:DeletePlacementGroup"
    serves = ("ec2:RunInstances",)
    used_by = (
        Listing(
            what="instance",
            describe="describe_instances",
            items="Reservations",
            id="InstanceId",
            by="placement-group-name",
        ),
    )

    def read(self, item: PlacementGroupTypeDef) -> Found | None:
        if item["State"] == "deleted":
            return None
        return self.found(
            item["GroupName"],
            item.get("Tags"),
            pending="" if item["State"] == "available" else item["State"],
            strategy=item["Strategy"],
            tag_id=item.get("GroupId", item["GroupName"]),  # a group goes by its name, its tags by its id
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreatePlacementGroupRequestTypeDef:
        return {
            "GroupName": resource.name,
            "Strategy": want_of(resource, PlacementGroupWant).strategy,
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: CreatePlacementGroupRequestTypeDef, token: str) -> str:
        aws.once("ec2").create_placement_group(**request)
        return request["GroupName"]

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, strategy=want_of(resource, PlacementGroupWant).strategy)

    def delete(self, aws: Aws, found: Found) -> None:
        if found.pending != DELETING:
            remove(lambda: aws.ec2.delete_placement_group(GroupName=found.id), where=f"deleting {found.key} {found.id}")


@dataclass(frozen=True, kw_only=True)
class KeyPairWant(Want):
    """The desired key pair. public_key: one OpenSSH line."""

    public_key: str


class KeyPair(Ec2Kind):
    """An EC2 key pair. It is compared by the public key itself, because fingerprints have several formats."""

    name = "key-pair"
    layer = "compute"
    unique_by_name = True
    hidden = ("public_key",)
    resource_type, describe, items, ids_argument = "key-pair", "describe_key_pairs", "KeyPairs", "KeyNames"
    reads = ("ec2:DescribeKeyPairs",)
    creates, deletes = "ec2:ImportKeyPair", "ec2:DeleteKeyPair"
    serves = ("ec2:RunInstances",)

    def _describe(self, aws: Aws, **arguments: Any) -> list[Found]:
        return super()._describe(aws, **arguments, IncludePublicKey=True)

    def read(self, item: KeyPairInfoTypeDef) -> Found:
        public_key = _without_comment(item["PublicKey"]) if item.get("PublicKey") else None
        return self.found(item["KeyName"], item.get("Tags"), public_key=public_key, tag_id=item["KeyPairId"])

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> ImportKeyPairRequestTypeDef:
        return {
            "KeyName": resource.name,
            "PublicKeyMaterial": want_of(resource, KeyPairWant).public_key,
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: ImportKeyPairRequestTypeDef, token: str) -> str:
        return aws.once("ec2").import_key_pair(**request)["KeyName"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {}

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, public_key=_without_comment(want_of(resource, KeyPairWant).public_key))

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_key_pair(KeyName=found.id), where=f"deleting {found.key} {found.id}")


@dataclass(frozen=True, kw_only=True)
class EniWant(Want):
    """The desired interface. subnet, groups: keys."""

    address: str
    subnet: str = "subnet"
    groups: tuple[str, ...] = ("security-group",)


class Eni(Ec2Kind):
    """A network interface. Setting: its security groups. ENA Express cannot be set here: it belongs to the attachment."""

    name = "eni"
    layer = "compute"
    of_a_pair = True
    needs = ("subnet", "security-group")
    token = True
    patience_s = 600.0  # in use for a while after its instance
    placeholder = ENI_PLACEHOLDER
    resource_type, describe, items, ids_argument = (
        "network-interface",
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceIds",
    )
    id_filter = "network-interface-id"
    reads = ("ec2:DescribeNetworkInterfaces",)
    creates, deletes = "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"
    settings = (MODIFY_INTERFACE,)

    def read(self, item: NetworkInterfaceTypeDef) -> Found:
        attachment = item.get("Attachment", {})
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

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> CreateNetworkInterfaceRequestTypeDef:
        want = want_of(resource, EniWant)
        return {
            "SubnetId": ids[want.subnet],
            "PrivateIpAddress": want.address,
            "Groups": sorted(ids[key] for key in want.groups),
            "Description": f"enaxp {lab.name}: {resource.key}",
            "TagSpecifications": self.tagged(resource, lab),
        }

    def create(self, aws: Aws, request: CreateNetworkInterfaceRequestTypeDef, token: str) -> str:
        asked: CreateNetworkInterfaceRequestTypeDef = {**request, "ClientToken": token}
        return aws.ec2.create_network_interface(**asked)["NetworkInterface"]["NetworkInterfaceId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"groups": [ids["security-group"]]}

    def stands_on(self, found: Found, other: Found) -> bool:
        return other.id == found.facts["subnet"] or other.id in found.facts["groups"]

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return differences(found.facts, address=want_of(resource, EniWant).address)

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        groups = sorted(ids[key] for key in want_of(resource, EniWant).groups if key in ids)
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


@dataclass(frozen=True, kw_only=True)
class EipWant(Want):
    """The desired Elastic IP. eni: the key of the interface that has the address."""

    eni: str


class Eip(Ec2Kind):
    """An Elastic IP. Setting: its association, made before the launch, so that the first boot has internet access."""

    name = "eip"
    layer = "compute"
    of_a_pair = True
    needs = ("igw", "eni")
    billed = ("address",)
    placeholder = no_id("eipalloc")
    resource_type, describe, items, ids_argument = "elastic-ip", "describe_addresses", "Addresses", "AllocationIds"
    id_filter = "allocation-id"
    reads = ("ec2:DescribeAddresses",)
    creates, deletes = "ec2:AllocateAddress", "ec2:ReleaseAddress"
    settings = (
        SettingCall(
            action="ec2:AssociateAddress",
            sample={"AllocationId": placeholder, "NetworkInterfaceId": ENI_PLACEHOLDER},
        ),
        SettingCall(action="ec2:DisassociateAddress", sample={"AssociationId": no_id("eipassoc")}),
    )
    quota = Quota(words="Elastic IPs", service="ec2", code="L-0263D0A3")

    def read(self, item: AddressTypeDef) -> Found:
        return self.found(
            item["AllocationId"],
            item.get("Tags"),
            public_ip=item["PublicIp"],
            eni=item.get("NetworkInterfaceId") or None,
            association=item.get("AssociationId") or None,
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> AllocateAddressRequestTypeDef:
        return {"Domain": "vpc", "TagSpecifications": self.tagged(resource, lab)}

    def create(self, aws: Aws, request: AllocateAddressRequestTypeDef, token: str) -> str:
        return aws.once("ec2").allocate_address(**request)["AllocationId"]

    def as_made(self, resource: Resource, ids: Ids) -> Facts:
        return {"eni": None, "association": None}

    def calls_to_make(self, resource: Resource) -> tuple[str, ...]:
        return (*super().calls_to_make(resource), "AssociateAddress")

    def stands_on(self, found: Found, other: Found) -> bool:
        """Whether this Elastic IP blocks the deletion of the other resource: of interfaces only the one it is associated with."""
        return other.id == found.facts["eni"] if other.kind == Eni.name else super().stands_on(found, other)

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        eni = ids.get(want_of(resource, EipWant).eni)
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
        where = f"releasing {found.key} {found.id}"
        try:
            remove(lambda: aws.ec2.release_address(AllocationId=found.id), where=where)
        except AwsError as error:
            # Already released, and now another account's: AWS answers AuthFailure then. The next listing no longer shows it.
            if error.code != "AuthFailure":
                raise
            raise Blocked(where, by=error.said) from error


@dataclass(frozen=True, kw_only=True)
class PrimaryWant(Want):
    """The desired primary interface if the launch creates it, with a public address that AWS assigns. subnet, groups: keys."""

    address: str
    subnet: str = "subnet"
    groups: tuple[str, ...] = ("security-group",)


@dataclass(frozen=True, kw_only=True)
class InstanceWant(Want):
    """The desired instance. enis: keys of the interfaces in device order. express: those of them with ENA Express.

    root_device: the device name of the image's root disk. group: the key of its placement group. key_pair, profile: keys. primary: set if
    the launch creates the first interface; the others are attached while the instance runs, because AWS assigns a public address only to
    an instance launched with one interface.
    """

    role: str
    type: str
    image: str
    root_device: str
    zone: str
    user_data: str
    enis: tuple[str, ...]
    express: tuple[str, ...]
    group: str | None = None
    primary: PrimaryWant | None = None
    key_pair: str = "key-pair"
    profile: str = "instance-profile"


class Instance(Ec2Kind):
    """An instance. Settings: that it is running (somebody may have stopped it); ENA Express and its UDP flag, on for the attachments that
    want it and off for the others; in a fleet also a public address, the first interface's groups, and the interfaces attached while it
    runs."""

    name = "instance"
    layer = "compute"
    of_a_pair = True
    needs = ("instance-profile", "key-pair", "placement-group", "eni", "eip")
    needs_settled = True
    token = True
    ready_s = 600.0
    patience_s = 600.0
    ends_slowly = True
    billed = ("instance", "disk")
    hidden = ("role", "root_device", "user_data", "primary", "key_pair", "profile")
    placeholder = no_id("i")
    resource_type, describe, items, ids_argument = "instance", "describe_instances", "Reservations", "InstanceIds"
    id_filter = "instance-id"
    reads = ("ec2:DescribeInstances", "ec2:DescribeVolumes")
    creates, deletes = "ec2:RunInstances", "ec2:TerminateInstances"
    settings = (MODIFY_INTERFACE, SettingCall(action="ec2:StartInstances", sample={"InstanceIds": [placeholder]}))
    settings_of_a_fleet = (
        SettingCall(
            action="ec2:AttachNetworkInterface",
            sample={"InstanceId": placeholder, "NetworkInterfaceId": ENI_PLACEHOLDER, "DeviceIndex": 1},
        ),
        # Judged on the instance and the interface of an attachment that must exist: nothing can be asked before.
        SettingCall(action="ec2:DetachNetworkInterface", sample=None),
        SettingCall(action="ec2:StopInstances", sample={"InstanceIds": [placeholder]}),
    )
    deletes_too = ("ec2:DeleteVolume",)  # a disk that stays

    @property
    def writes(self) -> tuple[str, ...]:
        return (*super().writes, *(call.action for call in self.settings_of_a_fleet))

    def calls_to_make(self, resource: Resource) -> tuple[str, ...]:
        want = want_of(resource, InstanceWant)
        attached = () if want.primary is None else ("AttachNetworkInterface",) * (len(want.enis) - 1)
        switched = () if want.primary else ("ModifyNetworkInterfaceAttribute",) * len(want.express)
        return (*super().calls_to_make(resource), *attached, *switched)

    def settings_for(self, resources: Sequence[Resource]) -> tuple[SettingCall, ...]:
        """The calls that change settings of these instances. Attaching is included only if a launch creates the first interface."""
        is_fleet = any(want_of(resource, InstanceWant).primary for resource in resources if resource.owned)
        return (*self.settings, *(self.settings_of_a_fleet if is_fleet else ()))

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """The grants for launches. AWS also checks the image and each interface, without the interface's tags, so any interface is
        allowed there."""
        yield from super().grants(resources, scope)
        images = dict.fromkeys(want_of(resource, InstanceWant).image for resource in resources if resource.owned)
        if images:
            arns = tuple(scope.public_arn("ec2", f"image/{image}") for image in images)
            interfaces = scope.arn("ec2", "network-interface/*")
            yield Grant(sid="LaunchWith", actions=(self.creates,), resources=(*arns, interfaces))
            # Only of the lab's own hosts: console output may contain confidential data.
            yield Grant(sid=OF_THE_LAB, actions=("ec2:GetConsoleOutput",), conditions=scope.of_the_lab)

    def _items(self, page: Any) -> list[Any]:
        return [instance for reservation in page["Reservations"] for instance in reservation["Instances"]]

    def read(self, item: InstanceTypeDef) -> Found:
        state = item["State"]["Name"]
        reason = item.get("StateReason", {}).get("Message") or item.get("StateTransitionReason") or "no reason given"
        nics = item.get("NetworkInterfaces", [])
        interfaces = {nic["NetworkInterfaceId"]: nic["Attachment"] for nic in nics}
        attaching = [eni for eni, attachment in interfaces.items() if attachment["Status"] != "attached"]
        first = next((nic for nic in nics if nic["Attachment"]["DeviceIndex"] == 0), None)
        return self.found(
            item["InstanceId"],
            item.get("Tags"),
            pending=_pending(state, attaching),
            gone=f"it was terminated: {reason}" if state == "terminated" else "",
            created=str(item.get("LaunchTime", "")),
            state=state,
            type=item["InstanceType"],
            image=item["ImageId"],
            zone=item["Placement"]["AvailabilityZone"],
            key=item.get("KeyName"),
            public_ip=item.get("PublicIpAddress"),
            srd={eni: srd_of(attachment) for eni, attachment in interfaces.items()},
            interfaces={attachment["DeviceIndex"]: eni for eni, attachment in interfaces.items()},
            attachments={a["DeviceIndex"]: a["AttachmentId"] for a in interfaces.values()},
            address=first["PrivateIpAddress"] if first else None,
            groups=sorted(group["GroupId"] for group in first.get("Groups", [])) if first else [],
        )

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> RunInstancesRequestTypeDef:
        want = want_of(resource, InstanceWant)
        placement: PlacementTypeDef = {"AvailabilityZone": want.zone}
        if want.group:
            placement["GroupName"] = ids[want.group]
        return {
            "ImageId": want.image,
            "InstanceType": cast("InstanceTypeType", want.type),
            "MinCount": 1,
            "MaxCount": 1,
            "KeyName": ids[want.key_pair],
            "IamInstanceProfile": {"Name": ids[want.profile]},
            "Placement": placement,
            "NetworkInterfaces": _interfaces_at_launch(want, ids),
            "UserData": want.user_data,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
            "BlockDeviceMappings": [{"DeviceName": want.root_device, "Ebs": _root_volume()}],
            "TagSpecifications": [*self.tagged(resource, lab, "volume"), *_tags_of_primary(want, lab)],
        }

    def dry_run(self, request: RunInstancesRequestTypeDef, known: Ids) -> Askable:
        """The launch request without resources that do not exist yet, because AWS stops at the first of them. Subnet and group replace
        the interfaces, because policies depend on them. If they do not exist yet either, AWS uses the default VPC's, and a denial is
        inconclusive."""
        there, named = set(known.values()), {"NetworkInterfaces", "KeyName", "IamInstanceProfile", "Placement"}
        asked: dict[str, Any] = {member: value for member, value in request.items() if member not in named}
        placement = request["Placement"]
        if placement.get("GroupName") not in there:
            placement = {"AvailabilityZone": placement["AvailabilityZone"]}
        asked["Placement"] = placement
        if request["KeyName"] in there:
            asked["KeyName"] = request["KeyName"]
        if request["IamInstanceProfile"].get("Name") in there:
            asked["IamInstanceProfile"] = request["IamInstanceProfile"]
        subnet, group = known.get("subnet"), known.get("security-group")
        if subnet and group:
            public = [nic for nic in request["NetworkInterfaces"] if "AssociatePublicIpAddress" in nic]
            more = {"AssociatePublicIpAddress": True} if public else {}
            asked["NetworkInterfaces"] = [{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group], **more}]
        return Askable(request=asked, is_complete=bool(subnet and group))

    def create(self, aws: Aws, request: RunInstancesRequestTypeDef, token: str) -> str:
        # Asked once: the SDK takes a lack of capacity for a passing fault, and would spend its patience on a full zone.
        asked: RunInstancesRequestTypeDef = {**request, "ClientToken": token}
        try:
            return aws.once("ec2").run_instances(**asked)["Instances"][0]["InstanceId"]
        except ClientError as error:
            what, holders = _holders(aws, request, error)
            for one in holders:
                if _is_as_requested(one, request):
                    return one["InstanceId"]
            if holders:
                names = ", ".join(f"{one['InstanceId']} ({one['State']['Name']}, {_zone(one)})" for one in holders)
                todo = f"terminate {names} if it is not needed, then run the same command again"
                raise refused(f"launching an instance: {names} has {what}", error, todo=todo) from error
            raise

    def awaits(self, error: Exception) -> Wait | None:
        """The wait for interfaces and group of ended instances, which become free only after a while; `create` has checked that no
        running instance uses them."""
        match code_of(error):
            case "InvalidNetworkInterface.InUse":
                return Wait(what="its interfaces to come free of an instance that has ended", seconds=600.0)
            case "InvalidIPAddress.InUse":
                return Wait(what="its address to come free of an instance that has ended", seconds=600.0)
            case "IncorrectState":
                return Wait(what="the instance to be ready for another interface")
            case "InvalidPlacementGroup.InUse":
                return Wait(what="the placement group to come free in the zone where it was used", seconds=600.0)
        return super().awaits(error)

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        want = want_of(resource, InstanceWant)
        own = {"address": want.primary.address} if want.primary else {}
        return differences(found.facts, type=want.type, image=want.image, zone=want.zone, **own)

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        want = want_of(resource, InstanceWant)
        if found.facts["state"] == "stopped":
            yield _starting(want, found)
        if want.primary and found.facts["state"] == "running":
            yield from _interfaces_while_running(want, found, ids)
        for index, key in enumerate(want.enis):
            eni, wanted = ids.get(key) or found.facts["interfaces"].get(index), key in want.express
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

    def stands_on(self, found: Found, other: Found) -> bool:
        """Whether this instance blocks the other resource: only its own interfaces and addresses; its disks are deleted with it."""
        match other.kind:
            case "eni":
                return other.id in found.facts["srd"] or other.facts["instance"] == found.id
            case "eip":
                return other.facts["eni"] in found.facts["srd"]
            case "disk":
                return bool(other.facts["instance"] == found.id)
        return super().stands_on(found, other)

    def may_stand_on(self, other: Found) -> bool:
        """Whether an unread instance may block the resource; a disk is in use until its instance has ended."""
        is_in_use = other.kind == Disk.name and other.facts["instance"] is not None
        return is_in_use or super().may_stand_on(other)

    def delete(self, aws: Aws, found: Found) -> None:
        """Terminates the instance. Termination protection and stop protection both block that."""
        if found.facts["state"] == SHUTTING_DOWN:
            return
        where = f"terminating {found.key} {found.id}"
        try:
            remove(lambda: aws.ec2.terminate_instances(InstanceIds=[found.id]), where=where)
        except Refused as refusal:
            if refusal.code != PROTECTED:
                raise
            what = "stop" if "disableApiStop" in refusal.by else "termination"
            command = f"aws ec2 modify-instance-attribute --instance-id {found.id} --no-disable-api-{what}"
            todo = f"take the protection off (`{command} --region {aws.region}`), then run `enaxp down` again"
            raise Refused(where, by=refusal.by, todo=todo, code=refusal.code) from refusal


def _pending(state: str, attaching: Sequence[str]) -> str:
    """What AWS is still doing with an instance; empty if nothing. A stopped one waits to be started."""
    if state == "running":
        return f"attaching {', '.join(attaching)}" if attaching else ""
    return "" if state == "stopped" else state


def _interfaces_at_launch(want: InstanceWant, ids: Ids) -> list[InstanceNetworkInterfaceSpecificationTypeDef]:
    """NetworkInterfaces of the launch: the existing ones in device order; or only the first, which the launch creates."""
    if want.primary is None:
        return [{"DeviceIndex": index, "NetworkInterfaceId": ids[eni]} for index, eni in enumerate(want.enis)]
    return [
        {
            "DeviceIndex": 0,
            "SubnetId": ids[want.primary.subnet],
            "PrivateIpAddress": want.primary.address,
            "Groups": sorted(ids[key] for key in want.primary.groups),
            "AssociatePublicIpAddress": True,
            "DeleteOnTermination": True,
        }
    ]


def _tags_of_primary(want: InstanceWant, lab: Lab) -> list[TagSpecificationTypeDef]:
    """TagSpecifications for an interface that the launch creates: like everything else it is found by its tags."""
    if want.primary is None:
        return []
    key = want.enis[0]
    name = unique_name(lab.name, lab.region, key.partition("/")[2])
    return Eni().tagged(Resource(key=key, kind=Eni.name, layer=Eni.layer, name=name), lab)


def _starting(want: InstanceWant, found: Found) -> Change:
    """The change that starts a stopped instance. AWS assigns a new public address only to an instance with one interface: the second one
    is detached first, and attached again once it runs."""
    second = found.facts["attachments"].get(1) if want.primary else None
    if second is None:
        return change("state", have="stopped", want="running", act=partial(_start, instance=found.id))
    return change(
        "state",
        have="stopped, its second interface still attached",
        want="running",
        act=partial(_detach, attachment=second),
    )


def _interfaces_while_running(want: InstanceWant, found: Found, ids: Ids) -> Iterator[Change]:
    """The changes on a running instance: a public address first, then the interfaces that the launch did not create, each with ENA
    Express as wanted.

    Nothing is attached before there is a public address, because AWS would not assign one afterwards. An instance that somebody stopped
    and started with two interfaces has lost its address for good: it is stopped, so that it can start with one interface.
    """
    facts, primary = found.facts, want.primary
    groups = sorted(ids[key] for key in primary.groups if key in ids) if primary else []
    if groups and facts["groups"] != groups and (eni := facts["interfaces"].get(0)):
        act = partial(_put_in_groups, eni=eni, groups=groups)
        yield change(f"groups of {want.enis[0]}", have=", ".join(facts["groups"]), want=", ".join(groups), act=act)
    if facts["public_ip"] is None:
        regain: Callable[[Aws], None] = _wait_for_address
        if len(facts["interfaces"]) > 1:
            regain = partial(_stop, instance=found.id)
        yield change("public address", have=None, want="one that AWS assigns", act=regain)
        return
    for index, key in enumerate(want.enis):
        eni, have = ids.get(key), facts["interfaces"].get(index)
        if index > 0 and eni is not None and have != eni:
            act = partial(_attach, instance=found.id, eni=eni, index=index, express=key in want.express)
            yield change(f"interface {index}", have=have, want=eni, act=act)


def _start(aws: Aws, *, instance: str) -> None:
    aws.ec2.start_instances(InstanceIds=[instance])


def _stop(aws: Aws, *, instance: str) -> None:
    aws.ec2.stop_instances(InstanceIds=[instance])


def _wait_for_address(aws: Aws) -> None:
    """The change that waits for a public address; AWS assigns it without a call."""


def _put_in_groups(aws: Aws, *, eni: str, groups: list[str]) -> None:
    aws.ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=groups)


def _detach(aws: Aws, *, attachment: str) -> None:
    aws.ec2.detach_network_interface(AttachmentId=attachment)


# How AWS says that an interface, or its place in the instance, is taken: perhaps by this call itself, whose answer was lost.
_TAKEN = ("InvalidNetworkInterface.InUse", "InvalidParameterValue")


def _attach(aws: Aws, *, instance: str, eni: str, index: int, express: bool) -> None:
    """Attaches the interface, with ENA Express. The interface is kept when its instance ends, for the next instance with the same key.

    Raises AwsError when a running instance that is not the lab's has the interface, or another interface has its device index.
    """
    more: dict[str, Any] = {"EnaSrdSpecification": srd_specification(srd=True, udp=True)} if express else {}
    try:
        aws.ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=instance, DeviceIndex=index, **more)
    except ClientError as error:
        if code_of(error) not in _TAKEN:
            raise
        [found] = aws.ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
        holder = found.get("Attachment", {}).get("InstanceId")
        if holder == instance:
            return
        if holder and _living(aws, {"instance-id": [holder]}):
            todo = f"detach {eni} from {holder}, then run the same command again"
            raise refused(f"attaching {eni} to {instance}: {holder} has it", error, todo=todo) from error
        raise


LIVING = ("pending", "running", "stopping", "stopped")


def _holders(aws: Aws, request: RunInstancesRequestTypeDef, error: ClientError) -> tuple[str, list[InstanceTypeDef]]:
    """What refused this launch (interfaces, an address or a placement group), in words, and the instances that keep it in use and have not
    ended. None are returned for any other error."""
    match code_of(error):
        case "InvalidNetworkInterface.InUse":
            enis = [nic["NetworkInterfaceId"] for nic in request["NetworkInterfaces"] if "NetworkInterfaceId" in nic]
            return f"the interfaces {', '.join(enis)}", _living(aws, {"network-interface.network-interface-id": enis})
        case "InvalidIPAddress.InUse":
            asked = request["NetworkInterfaces"][0]
            address = asked["PrivateIpAddress"]
            there = _living(aws, {"network-interface.subnet-id": [asked["SubnetId"]]})
            holders = [i for i in there if address in {nic["PrivateIpAddress"] for nic in i["NetworkInterfaces"]}]
            return f"the address {address}", holders
        case "InvalidPlacementGroup.InUse":
            zone, group = request["Placement"]["AvailabilityZone"], request["Placement"]["GroupName"]
            holders = [i for i in _living(aws, {"placement-group-name": [group]}) if _zone(i) != zone]
            return f"the placement group {group} in another zone", holders
    return "", []


def _is_as_requested(instance: InstanceTypeDef, request: RunInstancesRequestTypeDef) -> bool:
    """Whether this is the instance that the request asks for: the same tags, zone and type. AWS may omit a new instance from listings for
    some seconds; it is launched again then, and its interfaces refuse the second launch."""
    specifications = request.get("TagSpecifications", [])
    tags = [tag for one in specifications if one["ResourceType"] == "instance" for tag in one["Tags"]]
    wanted = {tag["Key"]: tag["Value"] for tag in tags if tag["Key"] in (TAG_LAB_ID, TAG_KEY)}
    has = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    same_place = _zone(instance) == request["Placement"]["AvailabilityZone"]
    return (
        bool(wanted)
        and wanted.items() <= has.items()
        and same_place
        and instance["InstanceType"] == request["InstanceType"]
    )


def _living(aws: Aws, by: Mapping[str, list[str]]) -> list[InstanceTypeDef]:
    pages = aws.pages("describe_instances", Filters=matching({**by, "instance-state-name": LIVING}))
    return [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]


def _zone(instance: InstanceTypeDef) -> str:
    return instance["Placement"]["AvailabilityZone"]


class Disk(BaseKind):
    """A volume created with an instance. AWS deletes it with the instance, unless somebody, or the image, has set it to be kept: then it
    is still billed. enaxp does not create it, and looks for it only when everything else is gone.
    """

    name = "disk"
    layer = "compute"
    billed = ("disk",)

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        pages = aws.pages("describe_volumes", Filters=matching({f"tag:{TAG_LAB_ID}": [lab.lab_id]}))
        return [_disk(item) for page in pages for item in page["Volumes"] if item["State"] != "deleted"]

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            [item] = aws.ec2.describe_volumes(VolumeIds=[id])["Volumes"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return _disk(item)

    def delete(self, aws: Aws, found: Found) -> None:
        remove(lambda: aws.ec2.delete_volume(VolumeId=found.id), where=f"deleting {found.key} {found.id}")


def _disk(item: VolumeTypeDef) -> Found:
    """The Found of a volume. Its key is derived from its instance's key."""
    tags = from_tag_list(item.get("Tags"))
    return Found(
        key=f"{Disk.name}/{tags.get(TAG_KEY, '').partition('/')[2] or item['VolumeId']}",
        kind=Disk.name,
        id=item["VolumeId"],
        tags=tags,
        facts={"instance": next((attached["InstanceId"] for attached in item.get("Attachments", [])), None)},
        pending=DELETING if item["State"] == "deleting" else "",
        created=str(item["CreateTime"]),
    )


def _root_volume() -> EbsBlockDeviceTypeDef:
    return {"VolumeSize": ROOT_VOLUME_GB, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}


def _srd_in_words(srd: bool, udp: bool) -> str:
    if not srd:
        return "off"
    return "on, UDP on" if udp else "on, UDP off"


def _associate(aws: Aws, address: Found, eni: str) -> None:
    """Associates an address with an interface. AllowReassociation=False: if the interface has somebody else's address, the call fails
    instead of replacing it."""
    if address.facts["association"]:
        aws.ec2.disassociate_address(AssociationId=address.facts["association"])
    aws.ec2.associate_address(AllocationId=address.id, NetworkInterfaceId=eni, AllowReassociation=False)


def _without_comment(public_key: str) -> str:
    return " ".join(public_key.split()[:2])
