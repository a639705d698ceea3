"""What AWS refuses and moto accepts. One small function a rule; `RULES` says which rules an action meets, in order.

A rule reads the request and the world, and raises `Refused` with AWS's own code. It changes nothing: with DryRun the rules are all
that runs. Codes that no public source confirms are marked (?): they are sensible guesses, and enaxp must not depend on them.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from enaxp.local.strict.world import World

Rule = Callable[["Request"], None]

USER_DATA_LIMIT = 16 * 1024
GROUP_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
TAGGABLE = {
    "CreateVpc": {"vpc"},
    "CreateSubnet": {"subnet"},
    "CreateInternetGateway": {"internet-gateway"},
    "CreateRouteTable": {"route-table"},
    "CreateSecurityGroup": {"security-group"},
    "CreatePlacementGroup": {"placement-group"},
    "CreateNetworkInterface": {"network-interface"},
    "AllocateAddress": {"elastic-ip"},
    "ImportKeyPair": {"key-pair"},
    "CreateKeyPair": {"key-pair"},
    "RunInstances": {"instance", "volume", "network-interface", "spot-instances-request"},
}
MALFORMED = {
    "InstanceIds": (r"i-[0-9a-f]{8,17}", "InvalidInstanceID.Malformed"),
    "VpcId": (r"vpc-[0-9a-f]{8,17}", "InvalidVpcID.Malformed"),
    "SubnetId": (r"subnet-[0-9a-f]{8,17}", "InvalidSubnetID.Malformed"),
    "NetworkInterfaceId": (r"eni-[0-9a-f]{8,17}", "InvalidNetworkInterfaceID.Malformed"),
}
# Members that refer to one existing thing, and the code for one that is not known.
REFERENCES = {
    "VpcId": "InvalidVpcID.NotFound",
    "SubnetId": "InvalidSubnetID.NotFound",
    "InternetGatewayId": "InvalidInternetGatewayID.NotFound",
    "RouteTableId": "InvalidRouteTableID.NotFound",
    "GatewayId": "InvalidGatewayID.NotFound",
    "GroupId": "InvalidGroup.NotFound",
    "NetworkInterfaceId": "InvalidNetworkInterfaceID.NotFound",
    "AllocationId": "InvalidAllocationID.NotFound",
}


class Refused(EC2ClientError):  # noqa: N818 - AWS's word for it
    """AWS says no. The status is 400 unless the code has one of its own."""


class Request:
    """One EC2 request as the rules see it."""

    def __init__(self, *, action: str, get: Callable[..., Any], backend: Any, world: World) -> None:
        self.action = action
        self.get = get
        self.backend = backend
        self.world = world

    @property
    def region(self) -> str:
        return str(self.backend.region_name)

    def eni(self, eni_id: str) -> Any:
        eni = self.backend.enis.get(eni_id)
        if eni is None:
            raise Refused("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni_id}' does not exist")
        return eni

    def subnet(self, subnet_id: str) -> Any:
        for zone in self.backend.subnets.values():
            if subnet_id in zone:
                return zone[subnet_id]
        raise Refused("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")

    def vpc(self, vpc_id: str) -> Any:
        vpc = self.backend.vpcs.get(vpc_id)
        if vpc is None:
            raise Refused("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
        return vpc

    def address(self, allocation_id: str) -> Any:
        for address in self.backend.addresses:
            if address.allocation_id == allocation_id:
                return address
        raise Refused("InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist")

    def enis_of(self, vpc_id: str) -> list[Any]:
        return [eni for eni in self.backend.enis.values() if eni.subnet.vpc_id == vpc_id]

    def mapped_addresses(self, vpc_id: str) -> list[Any]:
        return [address for address in self.backend.addresses if address.eni and address.eni.subnet.vpc_id == vpc_id]

    def gateway_of(self, vpc_id: str) -> Any:
        return next((g for g in self.backend.internet_gateways.values() if g.vpc and g.vpc.id == vpc_id), None)


# -- every action --------------------------------------------------------------------------------------------------------------


def ids_are_well_formed(request: Request) -> None:
    for member, (pattern, code) in MALFORMED.items():
        value = request.get(member)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and not re.fullmatch(pattern, one):
                raise Refused(code, f'Invalid id: "{one}"')


def new_ids_become_known_slowly(request: Request) -> None:
    """Eventual consistency: a call that names an id made moments ago may not find it."""
    for member, code in REFERENCES.items():
        value = request.get(member)
        if isinstance(value, str) and request.world.is_unknown(value):
            raise Refused(code, f"The ID '{value}' does not exist")


def tag_specifications_fit(request: Request) -> None:
    allowed = TAGGABLE.get(request.action)
    for specification in request.get("TagSpecifications") or []:
        resource = specification.get("ResourceType")
        if allowed is not None and resource not in allowed:
            raise Refused(
                "InvalidParameterValue", f"'{resource}' is not a valid taggable resource type for this operation."
            )
        tags_are_valid(specification.get("Tags") or [])


def created_tags_are_valid(request: Request) -> None:
    tags_are_valid(request.get("Tags") or [])


def tags_are_valid(tags: Iterable[dict[str, str]]) -> None:
    keys = [tag.get("Key", "") for tag in tags]
    if len(set(keys)) != len(keys):
        raise Refused("InvalidParameterValue", "Duplicate tag key specified.")
    if len(keys) > 50:
        raise Refused("TagLimitExceeded", "You have exceeded the maximum number of tags for this resource.")
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if key.lower().startswith("aws:"):
            raise Refused(
                "InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
            )
        if not 0 < len(key) <= 127 or len(value) > 256:
            raise Refused("InvalidParameterValue", f"Tag {key[:40]!r} is too long")


# -- vpc, subnet, gateway, routes ----------------------------------------------------------------------------------------------


def vpc_cidr_is_between_16_and_28(request: Request) -> None:
    if not 16 <= ipaddress.ip_network(request.get("CidrBlock"), strict=False).prefixlen <= 28:
        raise Refused("InvalidVpc.Range", f"The CIDR '{request.get('CidrBlock')}' is invalid.")


def one_vpc_attribute_a_call(request: Request) -> None:
    given = [
        n for n in ("EnableDnsHostnames", "EnableDnsSupport", "EnableNetworkAddressUsageMetrics") if request.get(n)
    ]
    if len(given) > 1:
        raise Refused("InvalidParameterCombination", "Fields for multiple attribute types specified")


def vpc_is_empty(request: Request) -> None:
    vpc_id = request.vpc(request.get("VpcId")).id
    backend = request.backend
    children = [
        *(subnet for zone in backend.subnets.values() for subnet in zone.values() if subnet.vpc_id == vpc_id),
        *(g for g in backend.groups.get(vpc_id, {}).values() if g.name != "default"),
        *(t for t in backend.route_tables.values() if t.vpc_id == vpc_id and t.main_association_id is None),
        *request.enis_of(vpc_id),
    ]
    if children or request.gateway_of(vpc_id):
        raise Refused("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


def subnet_is_no_smaller_than_28(request: Request) -> None:
    if not 16 <= ipaddress.ip_network(request.get("CidrBlock"), strict=False).prefixlen <= 28:
        raise Refused("InvalidSubnet.Range", f"The CIDR '{request.get('CidrBlock')}' is invalid.")


def subnet_is_empty(request: Request) -> None:
    subnet = request.subnet(request.get("SubnetId"))
    if any(eni.subnet.id == subnet.id for eni in request.backend.enis.values()):
        raise Refused("DependencyViolation", f"The subnet '{subnet.id}' has dependencies and cannot be deleted.")


def one_gateway_a_vpc(request: Request) -> None:
    vpc_id = request.vpc(request.get("VpcId")).id
    if request.gateway_of(vpc_id) is not None:
        raise Refused("Resource.AlreadyAssociated", f"Network {vpc_id} already has an internet gateway attached")


def no_address_is_mapped(request: Request) -> None:
    vpc_id = request.get("VpcId")
    if request.mapped_addresses(vpc_id):
        raise Refused(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
        )


def gateway_belongs_to_the_network(request: Request) -> None:
    table = request.backend.route_tables.get(request.get("RouteTableId"))
    gateway_id = request.get("GatewayId")
    if table is None or not gateway_id or gateway_id == "local":
        return
    gateway = request.backend.internet_gateways.get(gateway_id)
    if gateway is None:
        raise Refused("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
    if gateway.vpc is None or gateway.vpc.id != table.vpc_id:
        message = f"route table {table.id} and network gateway {gateway_id} belong to different networks"
        raise Refused("InvalidParameterValue", message)


def subnet_has_no_other_route_table(request: Request) -> None:
    subnet = request.subnet(request.get("SubnetId"))
    table = request.backend.route_tables.get(request.get("RouteTableId"))
    if table is not None and table.vpc_id != subnet.vpc_id:
        raise Refused(
            "InvalidParameterValue", f"Route table {table.id} and subnet {subnet.id} belong to different networks"
        )  # (?)
    for other in request.backend.route_tables.values():
        if subnet.id in other._associations.values():
            raise Refused(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {other.id} conflicts with an existing association",
            )


# -- security groups -----------------------------------------------------------------------------------------------------------


def group_texts_are_allowed(request: Request) -> None:
    name, description = request.get("GroupName") or "", request.get("Description") or ""
    if not name or name.lower().startswith("sg-"):
        raise Refused("InvalidParameterValue", "Group names may not be in the format sg-*.")
    if name.lower() == "default":
        raise Refused("InvalidGroup.Reserved", "The security group 'default' is reserved")
    for what, text in (("GroupName", name), ("GroupDescription", description)):
        if not GROUP_TEXT.fullmatch(text):
            raise Refused(
                "InvalidParameterValue",
                f"Value ({text}) for parameter {what} is invalid. Character sets beyond ASCII are not supported.",
            )


def group_name_is_free(request: Request) -> None:
    vpc_id, name = request.get("VpcId"), request.get("GroupName") or ""
    if any(group.name.casefold() == name.casefold() for group in request.backend.groups.get(vpc_id, {}).values()):
        raise Refused("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'")


def permissions_are_complete(request: Request) -> None:
    for permission in request.get("IpPermissions") or []:
        protocol = str(permission.get("IpProtocol"))
        if protocol in {"tcp", "udp", "6", "17"} and (
            permission.get("FromPort") is None or permission.get("ToPort") is None
        ):
            raise Refused(
                "InvalidParameterValue",
                "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.",
            )
        for entry in (*(permission.get("IpRanges") or []), *(permission.get("UserIdGroupPairs") or [])):
            if not GROUP_TEXT.fullmatch(entry.get("Description") or ""):
                raise Refused("InvalidParameterValue", "Invalid rule description.")
        for entry in permission.get("IpRanges") or []:
            try:
                ipaddress.IPv4Network(entry.get("CidrIp", ""), strict=False)
            except ValueError:
                raise Refused("InvalidParameterValue", f"CIDR block {entry.get('CidrIp')} is malformed") from None


def group_is_unused(request: Request) -> None:
    group_id = request.get("GroupId")
    used_by_eni = any(group_id in [g.id for g in eni._group_set] for eni in request.backend.enis.values())
    referred_to = any(
        source.get("GroupId") == group_id
        for groups in request.backend.groups.values()
        for group in groups.values()
        if group.id != group_id
        for rule in (*group.ingress_rules, *group.egress_rules)
        for source in [rule.source_group or {}]
    )
    if used_by_eni or referred_to:
        raise Refused("DependencyViolation", f"resource {group_id} has a dependent object")


# -- interfaces and ENA Express ------------------------------------------------------------------------------------------------


def eni_address_is_usable_and_free(request: Request) -> None:
    subnet = request.subnet(request.get("SubnetId"))
    asked = request.get("PrivateIpAddress")
    if not asked:
        return
    network, address = ipaddress.IPv4Network(subnet.cidr_block), ipaddress.IPv4Address(asked)
    if address not in network:
        raise Refused("InvalidParameterValue", f"Address does not fall within the subnet's address range: {asked}")
    if not network[4] <= address <= network[-2]:
        raise Refused("InvalidParameterValue", f"Address {asked} is in subnet's reserved address range")
    if any(eni.subnet.id == subnet.id and eni.private_ip_address == asked for eni in request.backend.enis.values()):
        raise Refused("InvalidIPAddress.InUse", "The specified address is already in use.")


def eni_groups_exist(request: Request) -> None:
    groups = request.get("Groups") or []
    subnet_id = request.get("SubnetId")
    vpc_id = (
        request.subnet(subnet_id).vpc_id if subnet_id else request.eni(request.get("NetworkInterfaceId")).subnet.vpc_id
    )
    if len(groups) > 5:
        raise Refused(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
        )
    for group_id in groups:
        if group_id not in request.backend.groups.get(vpc_id, {}):
            raise Refused("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if request.world.is_unknown(group_id):
            raise Refused("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def eni_is_free(request: Request) -> None:
    eni = request.eni(request.get("NetworkInterfaceId"))
    if eni.instance is not None:
        raise Refused("InvalidParameterValue", f"Network interface '{eni.id}' is currently in use.")


def one_eni_attribute_a_call(request: Request) -> None:
    members = ("Attachment", "Description", "Groups", "SourceDestCheck", "EnaSrdSpecification")
    if sum(bool(request.get(member)) for member in members) > 1:
        raise Refused("InvalidParameterCombination", "Fields for multiple attribute types specified")


def ena_express_is_possible(request: Request) -> None:
    """It belongs to an attachment, needs a type that has it, and UDP cannot be on without it. Switching only SRD off keeps the flag."""
    specification = request.get("EnaSrdSpecification")
    if not specification:
        return
    eni = request.eni(request.get("NetworkInterfaceId"))
    if eni.instance is None:
        raise Refused(
            "InvalidParameterCombination", f"Network interface '{eni.id}' is not attached to an instance."
        )  # (?)
    if not type_has_ena_express(request.backend, eni.instance.instance_type):
        raise Refused(
            "InvalidParameterCombination",
            f"ENA Express is not supported by instance type {eni.instance.instance_type}.",
        )  # (?)
    state = request.world.srd.get(eni.id)
    on = specification.get("EnaSrdEnabled", state.on if state else False)
    udp = (specification.get("EnaSrdUdpSpecification") or {}).get("EnaSrdUdpEnabled", False)
    if udp and not on:
        raise Refused("InvalidParameterCombination", "EnaSrdUdpEnabled requires EnaSrdEnabled.")  # (?)


def type_has_ena_express(backend: Any, instance_type: str) -> bool:
    described = backend.describe_instance_types([instance_type])
    return bool(described and _plain(described[0]).get("NetworkInfo", {}).get("EnaSrdSupported"))


# -- addresses -----------------------------------------------------------------------------------------------------------------


def address_can_be_associated(request: Request) -> None:
    address = request.address(request.get("AllocationId"))
    eni_id = request.get("NetworkInterfaceId")
    if not eni_id:
        instance = request.backend.get_instance(request.get("InstanceId"))
        if len(instance.nics) > 1:
            raise Refused("InvalidInstanceID", f"There are multiple interfaces attached to instance '{instance.id}'.")
        if instance._state.name == "pending":
            raise Refused(
                "IncorrectInstanceState",
                f"The pending instance '{instance.id}' is not in a valid state for this operation.",
            )
        return
    eni = request.eni(eni_id)
    if request.gateway_of(eni.subnet.vpc_id) is None:
        raise Refused("Gateway.NotAttached", f"Network {eni.subnet.vpc_id} is not attached to any internet gateway")
    life = request.world.life_of_eni(eni)
    if life is not None and life.state == "pending":
        raise Refused(
            "InvalidInstanceID",
            f"The pending instance '{life.instance.id}' is not in a valid state for this operation.",
        )
    if request.get("AllowReassociation") is not False:
        return
    if address.eni is not None and address.eni.id != eni.id:
        raise Refused(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with associate-id {address.association_id}",
        )
    if any(
        other.eni is not None and other.eni.id == eni.id and other is not address for other in request.backend.addresses
    ):
        raise Refused("Resource.AlreadyAssociated", f"resource {eni.id} is already associated with another address")


def address_is_free(request: Request) -> None:
    address = request.address(request.get("AllocationId"))
    if address.association_id:
        raise Refused("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")


# -- keys ----------------------------------------------------------------------------------------------------------------------


def key_is_importable(request: Request) -> None:
    name = request.get("KeyName") or ""
    if not 0 < len(name) <= 255 or name != name.strip():
        raise Refused("InvalidParameterValue", f"Value ({name}) for parameter keyName is invalid.")
    material = request.get("PublicKeyMaterial")
    text = material if isinstance(material, bytes) else base64.b64decode(material or "")
    if not re.match(rb"(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+", text):
        raise Refused("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


# -- placement groups ----------------------------------------------------------------------------------------------------------


def placement_group_is_unused(request: Request) -> None:
    name = request.get("GroupName")
    group = request.world.groups.get((request.region, name))
    if group is None or group.deleting_at is not None:
        raise Refused("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    for life in request.world.lives.values():
        lag = request.world.timing.placement_group_release
        busy = life.ended_at is None or time.monotonic() < life.ended_at + lag
        if life.group == name and life.backend is request.backend and busy:
            raise Refused(
                "InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use and may not be deleted."
            )


# -- instances -----------------------------------------------------------------------------------------------------------------


def counts_are_sensible(request: Request) -> None:
    least, most = int(request.get("MinCount") or 0), int(request.get("MaxCount") or 0)
    if not 1 <= least <= most:
        raise Refused("InvalidParameterValue", f"Value ({least}) for parameter minCount is invalid.")
    if most > 1 and any(nic.get("NetworkInterfaceId") for nic in request.get("NetworkInterfaces") or []):
        raise Refused("InvalidParameterCombination", "Multiple instances cannot share a network interface")  # (?)


def image_type_and_key_exist(request: Request) -> None:
    image = request.get("ImageId") or ""
    if not image.startswith("resolve:ssm:"):
        if not re.fullmatch(r"ami-[0-9a-f]{8,17}", image):
            raise Refused("InvalidAMIID.Malformed", f'Invalid id: "{image}"')
        if not request.backend.describe_images(filters={"image-id": [image]}):
            raise Refused("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
    if not request.backend.describe_instance_types([request.get("InstanceType")]):
        raise Refused("InvalidParameterValue", f"Invalid value '{request.get('InstanceType')}' for InstanceType.")
    key = request.get("KeyName")
    if key and (key not in request.backend.key_pairs or request.world.is_unknown(key)):
        raise Refused("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")


def profile_is_known(request: Request) -> None:
    from moto.iam.models import iam_backends

    name = request.get("IamInstanceProfile.Name")
    if not name:
        return
    profiles = iam_backends[request.backend.account_id]["aws"].instance_profiles.values()
    profile = next((profile for profile in profiles if profile.name == name), None)
    prefix = f"Value ({name}) for parameter iamInstanceProfile.name is invalid."
    since = time.monotonic() - request.world.profiles.get(name, float("-inf"))
    if profile is None or (profile.roles and since < request.world.timing.profile_visible):
        raise Refused("InvalidParameterValue", f"{prefix} Invalid IAM Instance Profile name")
    if not profile.roles:
        raise Refused("InvalidParameterValue", f"IAM Instance Profile {name} has no associated IAM Roles")


def interfaces_are_given_rightly(request: Request) -> None:
    nics = request.get("NetworkInterfaces") or []
    if not nics:
        return
    if request.get("SubnetId"):
        raise Refused(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID may not be specified on the same request",
        )
    if request.get("SecurityGroupIds") or request.get("SecurityGroups") or request.get("PrivateIpAddress"):
        raise Refused(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level security groups may not be specified on the same request",
        )
    indexes = [nic.get("DeviceIndex") for nic in nics]
    if None in indexes or len(set(indexes)) != len(indexes) or 0 not in [int(index) for index in indexes]:
        raise Refused(
            "InvalidParameterValue", "Each network interface requires a device index; 0 must be among them, none twice."
        )  # (?)
    if len(nics) > 1 and any(nic.get("AssociatePublicIpAddress") is not None for nic in nics):
        message = "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces."
        raise Refused("InvalidParameterCombination", message)
    for nic in nics:
        if nic.get("NetworkInterfaceId") and nic.get("DeleteOnTermination"):
            message = "A network interface may not specify a network interface ID and delete on termination as true"
            raise Refused("InvalidParameterCombination", message)
    if all(nic.get("NetworkInterfaceId") for nic in nics) and any(
        specification.get("ResourceType") == "network-interface"
        for specification in request.get("TagSpecifications") or []
    ):
        message = "You cannot specify tags for network interfaces if there are no network interfaces being created by the request."
        raise Refused("InvalidParameterValue", message)


def interfaces_are_free_and_in_the_zone(request: Request) -> None:
    enis = []
    for nic in request.get("NetworkInterfaces") or []:
        if nic.get("NetworkInterfaceId"):
            eni = request.eni(nic["NetworkInterfaceId"])
            if request.world.is_unknown(eni.id):
                raise Refused(
                    "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni.id}' does not exist"
                )
            enis.append(eni)
    for eni in enis:
        if eni.instance is not None:
            raise Refused("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
    zones = {eni.subnet.availability_zone for eni in enis} | {request.get("Placement.AvailabilityZone")} - {None}
    if len(zones) > 1:
        raise Refused(
            "InvalidParameterValue",
            f"Network interfaces and placement are in different zones: {', '.join(sorted(map(str, zones)))}",
        )
    limit = _plain(request.backend.describe_instance_types([request.get("InstanceType")])[0])["NetworkInfo"][
        "MaximumNetworkInterfaces"
    ]
    if len(enis) > limit:
        raise Refused(
            "AttachmentLimitExceeded",
            f"Interface count {len(enis)} exceeds the limit for {request.get('InstanceType')}",
        )


def group_takes_the_instance(request: Request) -> None:
    name = request.get("Placement.GroupName")
    if not name:
        return
    group = request.world.groups.get((request.region, name))
    ready = (
        group is not None
        and group.deleting_at is None
        and time.monotonic() >= group.created_at + request.world.timing.placement_group
    )
    if group is None or not ready:
        raise Refused("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    instance_type, zone = request.get("InstanceType"), request.get("Placement.AvailabilityZone")
    strategies = (
        _plain(request.backend.describe_instance_types([instance_type])[0])
        .get("PlacementGroupInfo", {})
        .get("SupportedStrategies", [])
    )
    if group.strategy not in strategies:
        raise Refused(
            "InvalidParameterCombination",
            f"{group.strategy.capitalize()} placement groups are not supported by the '{instance_type}' instance type.",
        )
    for life in request.world.lives.values():
        if (
            life.group == name
            and life.state in {"pending", "running"}
            and zone
            and life.instance._placement.zone != zone
        ):
            raise Refused(
                "InvalidPlacementGroup.InUse",
                f"The placement group '{name}' is in use in another availability zone: {life.instance._placement.zone}",
            )


def user_data_fits(request: Request) -> None:
    if len(decoded_user_data(request.get("UserData")).encode()) > USER_DATA_LIMIT:
        raise Refused("InvalidParameterValue", "User data is limited to 16384 bytes")


def decoded_user_data(raw: Any) -> str:
    """The text of a request's user data, which travels in base64."""
    if not raw:
        return ""
    content = raw if isinstance(raw, bytes) else str(raw).encode()
    try:
        return base64.b64decode(content, validate=True).decode("utf-8", "replace")
    except ValueError:
        return content.decode("utf-8", "replace")


def token_is_short_enough(request: Request) -> None:
    token = request.get("ClientToken")
    if token and (len(token) > 64 or not token.isascii()):
        raise Refused("InvalidParameterValue", "Client token must be at most 64 ASCII characters")


def _plain(described: Any) -> dict[str, Any]:
    return described if isinstance(described, dict) else json.loads(json.dumps(described, default=vars))


ALWAYS: tuple[Rule, ...] = (
    ids_are_well_formed,
    new_ids_become_known_slowly,
    tag_specifications_fit,
    token_is_short_enough,
)
RULES: dict[str, tuple[Rule, ...]] = {
    "CreateTags": (created_tags_are_valid,),
    "CreateVpc": (vpc_cidr_is_between_16_and_28,),
    "ModifyVpcAttribute": (one_vpc_attribute_a_call,),
    "DeleteVpc": (vpc_is_empty,),
    "CreateSubnet": (subnet_is_no_smaller_than_28,),
    "DeleteSubnet": (subnet_is_empty,),
    "AttachInternetGateway": (one_gateway_a_vpc,),
    "DetachInternetGateway": (no_address_is_mapped,),
    "CreateRoute": (gateway_belongs_to_the_network,),
    "ReplaceRoute": (gateway_belongs_to_the_network,),
    "AssociateRouteTable": (subnet_has_no_other_route_table,),
    "CreateSecurityGroup": (group_texts_are_allowed, group_name_is_free),
    "AuthorizeSecurityGroupIngress": (permissions_are_complete,),
    "AuthorizeSecurityGroupEgress": (permissions_are_complete,),
    "DeleteSecurityGroup": (group_is_unused,),
    "CreateNetworkInterface": (eni_address_is_usable_and_free, eni_groups_exist),
    "ModifyNetworkInterfaceAttribute": (one_eni_attribute_a_call, eni_groups_exist, ena_express_is_possible),
    "DeleteNetworkInterface": (eni_is_free,),
    "AssociateAddress": (address_can_be_associated,),
    "ReleaseAddress": (address_is_free,),
    "ImportKeyPair": (key_is_importable,),
    "DeletePlacementGroup": (placement_group_is_unused,),
    "RunInstances": (
        counts_are_sensible,
        image_type_and_key_exist,
        interfaces_are_given_rightly,
        interfaces_are_free_and_in_the_zone,
        group_takes_the_instance,
        user_data_fits,
        profile_is_known,
    ),
}


def check(request: Request) -> None:
    """Meets every rule of the action. Raises Refused at the first that says no."""
    for rule in (*ALWAYS, *RULES.get(request.action, ())):
        rule(request)
