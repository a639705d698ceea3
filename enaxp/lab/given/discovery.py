"""Discovery: the properties of existing hosts, read by Describe calls alone.

instance ids (and an interface of each, or its primary one) ─▶ discover() ─▶ GivenPairFound: types, zones, settings, security groups
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, refused
from enaxp.config import GivenHostConfig, GivenPairConfig, Role
from enaxp.errors import UsageError
from enaxp.lab.given.saved import SavedSetting
from enaxp.lab.model import TAG_BENCH
from enaxp.lab.resolved import sustained_gbps
from enaxp.lab.srd import srd_of

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        InstanceNetworkInterfaceTypeDef,
        InstanceTypeDef,
        IpPermissionOutputTypeDef,
        TagTypeDef,
    )

# The read actions of `enaxp policy --given`.
READS = {
    "sts:GetCallerIdentity": "whose account this is",
    "ec2:DescribeInstances": "the hosts, and the settings found",
    "ec2:DescribeNetworkInterfaces": "reading each switch back",
    "ec2:DescribeInstanceTypes": "whether the types have ENA Express",
    "ec2:DescribeSecurityGroups": "whether sockperf's ports are open",
    "ec2:GetConsoleOutput": "the hosts' SSH keys",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a security group. protocol: tcp, udp, all, or another IP protocol; ports: first and last, None for all."""

    protocol: str
    ports: tuple[int, int] | None
    cidrs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # prefix lists, whose content is not asked


@dataclass(frozen=True, kw_only=True)
class GivenHostFound:
    """One given host. address: for SSH. ip: of the measured interface. bench_until: the value of another bench's tag."""

    role: Role
    instance_id: str
    name: str
    state: str
    instance_type: str
    image: str
    zone: str
    vpc: str
    subnet: str
    address: str | None
    ip: str
    setting: SavedSetting
    groups: tuple[str, ...]
    bench_until: str | None = None


@dataclass(frozen=True, kw_only=True)
class GivenPairFound:
    """Both given hosts. supporting: the instance types that have ENA Express. ingress, egress: the rules of each security group. gbps:
    the baseline bandwidth of the slower host, None if AWS does not publish it."""

    server: GivenHostFound
    client: GivenHostFound
    supporting: frozenset[str]
    ingress: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    egress: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    gbps: float | None = None

    @property
    def hosts(self) -> tuple[GivenHostFound, GivenHostFound]:
        return self.server, self.client


def discover(aws: Aws, pair: GivenPairConfig) -> GivenPairFound:
    """The properties of a pair of given hosts. Raises UsageError for an instance or interface that does not exist, AwsError when AWS
    refuses."""
    try:
        instances = _instances(aws, [pair.server.instance_id, pair.client.instance_id])
        server = _found("server", pair.server, instances)
        client = _found("client", pair.client, instances)
        types = sorted({server.instance_type, client.instance_type})
        known = aws.ec2.describe_instance_types(InstanceTypes=types)["InstanceTypes"]  # type: ignore[arg-type]
        groups = sorted({*server.groups, *client.groups})
        described = aws.ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"] if groups else []
    except (ClientError, BotoCoreError) as error:
        raise refused("looking at the given hosts", error) from error
    return GivenPairFound(
        server=server,
        client=client,
        supporting=frozenset(one["InstanceType"] for one in known if one["NetworkInfo"].get("EnaSrdSupported")),
        ingress={one["GroupId"]: [_rule(rule) for rule in one.get("IpPermissions", [])] for one in described},
        egress={one["GroupId"]: [_rule(rule) for rule in one.get("IpPermissionsEgress", [])] for one in described},
        gbps=sustained_gbps(known),
    )


def interfaces_of(aws: Aws, instance_ids: Iterable[str]) -> list[str]:
    """The primary interface of each instance. Raises UsageError and AwsError."""
    try:
        instances = _instances(aws, list(instance_ids))
    except (ClientError, BotoCoreError) as error:
        raise refused("looking at the given hosts", error) from error
    return [_interface("host", one, "primary")["NetworkInterfaceId"] for one in instances.values()]


def _instances(aws: Aws, ids: list[str]) -> dict[str, InstanceTypeDef]:
    try:
        answer = aws.ec2.describe_instances(InstanceIds=sorted(set(ids)))
    except ClientError as error:
        if "InvalidInstanceID" in str(error):
            raise UsageError(
                f"there is no such instance in region {aws.region}",
                said=str(error),
                todo="look at the ids; give --region, --profile where they are others",
            ) from error
        raise
    return {one["InstanceId"]: one for reservation in answer["Reservations"] for one in reservation["Instances"]}


def _found(role: Role, config: GivenHostConfig, instances: Mapping[str, InstanceTypeDef]) -> GivenHostFound:
    instance = instances.get(config.instance_id)
    if instance is None:
        raise UsageError(f"there is no instance {config.instance_id}", todo="look at the id and the region")
    interface = _interface(role, instance, config.interface)
    srd = srd_of(interface.get("Attachment", {}))
    tags = _tags(instance.get("Tags", []))
    return GivenHostFound(
        role=role,
        instance_id=config.instance_id,
        name=tags.get("Name") or config.instance_id,
        state=instance["State"]["Name"],
        instance_type=instance["InstanceType"],
        image=instance.get("ImageId", ""),
        zone=instance["Placement"]["AvailabilityZone"],
        vpc=interface.get("VpcId", ""),
        subnet=interface.get("SubnetId", ""),
        address=config.address or instance.get("PublicIpAddress") or instance.get("PrivateIpAddress"),
        ip=interface["PrivateIpAddress"],
        setting=SavedSetting(
            instance_id=config.instance_id,
            eni=interface["NetworkInterfaceId"],
            srd=srd["srd"],
            srd_udp=srd["srd_udp"],
        ),
        groups=tuple(sorted(group["GroupId"] for group in interface.get("Groups", []))),
        bench_until=tags.get(TAG_BENCH),
    )


def _interface(role: str, instance: InstanceTypeDef, wanted: str) -> InstanceNetworkInterfaceTypeDef:
    """The selected interface: by its id, or the instance's primary one."""
    interfaces = instance.get("NetworkInterfaces", [])
    for one in interfaces:
        is_primary = one.get("Attachment", {}).get("DeviceIndex") == 0
        if one["NetworkInterfaceId"] == wanted or (wanted == "primary" and is_primary):
            return one
    there = ", ".join(one["NetworkInterfaceId"] for one in interfaces) or "none"
    raise UsageError(
        f"the {role} {instance['InstanceId']} has no interface {wanted}",
        said=f"attached to it: {there} (it is {instance['State']['Name']})",
        todo="give `interface: primary`, or one of these",
    )


def _tags(tags: Sequence[TagTypeDef]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _rule(rule: IpPermissionOutputTypeDef) -> Rule:
    protocol = {"-1": "all", "6": "tcp", "17": "udp"}.get(rule["IpProtocol"], rule["IpProtocol"])
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return Rule(
        protocol=protocol,
        ports=None if protocol == "all" or first is None or last is None else (first, last),
        cidrs=tuple(one["CidrIp"] for one in rule.get("IpRanges", [])),
        groups=tuple(one["GroupId"] for one in rule.get("UserIdGroupPairs", []) if "GroupId" in one),
        lists=tuple(one["PrefixListId"] for one in rule.get("PrefixListIds", [])),
    )
