"""Resolved: the values that are fixed once for the life of a lab (image, zone, source of SSH), and checks on instance types.

    Config + Pinned (of the state) + Survey ─▶ resolve() ─▶ Resolved ─▶ pinned_of() ─▶ Pinned (saved with the state)

A value is resolved only once: afterwards it is in the state, or is read back from existing resources.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from msgspec import UNSET

from enaxp.aws import Aws, code_of, in_parallel, matching, refused
from enaxp.config import NOBODY, Config
from enaxp.errors import AwsError, LabError, UsageError
from enaxp.lab.fleet import PinnedFleet, PinnedVariant, fleet_that_lives, pairs_of, pin_fleet
from enaxp.lab.model import TAG_LAB_ID, Lab, from_tag_list
from enaxp.lab.spec import Resolved
from enaxp.lab.state import Pinned
from enaxp.lab.survey import Survey

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import InstanceTypeType

AMI_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
ARCHITECTURES = ("x86_64", "arm64")  # the architectures of Amazon Linux; a type may list older ones too
AMAZON_LINUX_ROOT = "/dev/xvda"
NOT_ACROSS_ZONES = frozenset(
    {"sa-east-1", "me-south-1", "me-central-1"}
)  # AWS's documentation of ENA Express, May 2026
WHO_AM_I = "https://checkip.amazonaws.com"


def resolve(
    config: Config,
    *,
    aws: Aws,
    pinned: Pinned,
    seen: Survey,
    isolation: str | None,
    gateway: str | None = None,
) -> Resolved:
    """Image, zone and SSH source: from the state, else from existing resources, else resolved now.

    Raises LabError when the instance type has no ENA Express or no zone offers it, UsageError when this machine's public address cannot
    be determined.
    """
    fleet = pin_fleet(config, pinned.fleet or fleet_that_lives(config, seen.found))
    if fleet is not None:
        _refuse_another_form(seen, lab=config.lab)
    hosts = [key for key in seen.found if key.startswith("instance/")]
    instance = next((seen.found[key].facts for key in hosts if fleet is None or key.endswith("/server")), {})
    subnet = seen.found["subnet"].facts if "subnet" in seen.found else {}
    types = tuple(dict.fromkeys(pair.instance_type for pair in pairs_of(config, fleet)))
    zone = pinned.availability_zone or subnet.get("zone") or instance.get("zone")
    ami = pinned.ami or instance.get("image")
    if zone is None or ami is None:
        architecture, chosen = in_parallel(
            lambda: _architectures(aws, types)[0], lambda: zone or choose_zone(aws, config, types=types)
        )
        zone, ami = chosen, ami or resolve_ami(aws, config.hosts.ami, architecture)
    root_device = pinned.root_device or root_device_of(aws, ami)
    return Resolved(
        ami=ami,
        root_device=root_device,
        availability_zone=zone,
        ssh_cidr=_ssh_cidr(config, aws, pinned),
        isolation=isolation or pinned.isolation,
        gateway=gateway,
        second_zone=_second_zone(config, aws, pinned, seen, fleet=fleet, zone=zone),
        fleet=fleet and _with_images(config, aws, fleet, common=(ami, root_device)),
    )


def _architectures(aws: Aws, types: Iterable[str]) -> list[str]:
    """The CPU architecture of each of these types. Raises LabError for a type without ENA Express."""
    return [check_type(aws, name) for name in types]


def _refuse_another_form(seen: Survey, *, lab: str) -> None:
    """Raises UsageError for a lab of one pair that should become a fleet: its hosts have different keys, and use addresses of the
    fleet."""
    if any(key in seen.found for key in ("instance/server", "instance/client")):
        raise UsageError(
            f"lab {lab} is one pair of hosts, and cannot become a fleet as it stands",
            todo="use another --lab, or run `enaxp down compute` first",
        )


def _with_images(config: Config, aws: Aws, fleet: PinnedFleet, *, common: tuple[str, str]) -> PinnedFleet:
    """The fleet with every variant's image. common: the default host settings of variants."""
    asked = config.fleet.variants if config.fleet else {}

    def image(name: str, variant: PinnedVariant) -> tuple[str, str]:
        own = asked.get(name, config.only_variant)
        if variant.ami is None and (own.ami, own.instance_type) == (config.hosts.ami, config.hosts.instance_type):
            return common
        ami = variant.ami or resolve_ami(aws, own.ami, check_type(aws, variant.instance_type))
        return ami, variant.root_device or (common[1] if ami == common[0] else root_device_of(aws, ami))

    images = {name: image(name, variant) for name, variant in fleet.items()}
    return {name: replace(variant, ami=images[name][0], root_device=images[name][1]) for name, variant in fleet.items()}


def _second_zone(
    config: Config, aws: Aws, pinned: Pinned, seen: Survey, *, fleet: PinnedFleet | None, zone: str
) -> str | None:
    """A second zone that offers the types to be placed in it; None if nothing is placed across zones.

    Raises LabError if ENA Express does not work across zones in this region, or no other zone offers the types.
    """
    across = [pair for pair in pairs_of(config, fleet) if pair.placement == "zones"]
    if not across:
        return None
    if aws.region in NOT_ACROSS_ZONES:
        raise LabError(
            f"in {aws.region} ENA Express does not work across zones: `placement: zones` would compare ENA with ENA",
            said=f"AWS says so of {', '.join(sorted(NOT_ACROSS_ZONES))}",
            todo="choose another aws.region, or placement: cluster or none",
        )
    known = pinned.second_zone or (
        seen.found["subnet/second"].facts.get("zone") if "subnet/second" in seen.found else None
    )
    if known:
        return str(known)
    types = sorted({pair.instance_type for pair in across})
    others = [one for one in zones_offering_all(aws, types) if one != zone]
    if not others:
        raise LabError(
            f"no zone of {aws.region} but {zone} offers {', '.join(types)}: `placement: zones` needs two",
            todo="choose another instance type or aws.region, or placement: none",
        )
    return others[0]


def pinned_of(resolved: Resolved) -> Pinned:
    """The part that the state stores: everything except the gateway, which is looked up each time."""
    return Pinned(
        ami=resolved.ami,
        root_device=resolved.root_device,
        availability_zone=resolved.availability_zone,
        ssh_cidr=resolved.ssh_cidr,
        isolation=resolved.isolation,
        second_zone=resolved.second_zone or UNSET,
        fleet=resolved.fleet or UNSET,
    )


def given_gateway(config: Config, aws: Aws, lab: Lab) -> str | None:
    """The id of the internet gateway that a given VPC already has, if it is not the lab's own; None if the lab creates one."""
    from botocore.exceptions import BotoCoreError, ClientError

    vpc = config.network.vpc_id
    if vpc is None or config.network.subnet_id is not None:
        return None
    of_vpc = matching({"attachment.vpc-id": [vpc]})
    try:
        attached = aws.ec2.describe_internet_gateways(Filters=of_vpc)["InternetGateways"]
    except (ClientError, BotoCoreError) as error:
        raise refused(f"asking for the internet gateway of {vpc}", error) from error
    others = [g["InternetGatewayId"] for g in attached if from_tag_list(g.get("Tags")).get(TAG_LAB_ID) != lab.lab_id]
    return str(others[0]) if others else None


def check_type(aws: Aws, instance_type: str) -> str:
    """The architecture of an instance type. Raises LabError if AWS does not know the type, or it has no ENA Express."""
    from botocore.exceptions import ClientError

    try:
        named = cast("InstanceTypeType", instance_type)
        [described] = aws.ec2.describe_instance_types(InstanceTypes=[named])["InstanceTypes"]
    except ClientError as error:
        if code_of(error) != "InvalidInstanceType":
            raise refused(f"asking what {instance_type} can do", error) from error
        raise LabError(
            f"{aws.region} has no instance type {instance_type}",
            said=code_of(error),
            todo="choose another hosts.instance_type or aws.region",
        ) from error
    if not described["NetworkInfo"].get("EnaSrdSupported"):
        near = [name for name in near_types(aws, instance_type) if name != instance_type] or ["none that AWS lists"]
        raise LabError(
            f"{instance_type} does not support ENA Express (EnaSrdSupported is false)",
            todo=f"choose a type that does; near it: {', '.join(near)}",
        )
    if described["NetworkInfo"]["MaximumNetworkInterfaces"] < 2:
        raise LabError(f"{instance_type} takes fewer than two interfaces", todo="choose a larger hosts.instance_type")
    supported = described["ProcessorInfo"]["SupportedArchitectures"]
    return next((known for known in ARCHITECTURES if known in supported), str(supported[0]))


def root_device_of(aws: Aws, image: str) -> str:
    """The device name of an image's root disk; a mapping for another name would add a second disk. Raises AwsError.

    For an image that cannot be read it is Amazon Linux's; the preflight reports the image.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        images = aws.ec2.describe_images(ImageIds=[image])["Images"]
    except ClientError as error:
        if not code_of(error).startswith("InvalidAMIID"):
            raise refused(f"asking for the root disk of {image}", error) from error
        images = []
    except BotoCoreError as error:
        raise refused(f"asking for the root disk of {image}", error) from error
    return images[0].get("RootDeviceName", AMAZON_LINUX_ROOT) if images else AMAZON_LINUX_ROOT


def is_bare_metal(aws: Aws, instance_type: str) -> bool:
    """Whether the type is bare metal, which takes long to boot. False if AWS does not say."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        named = cast("InstanceTypeType", instance_type)
        types = aws.ec2.describe_instance_types(InstanceTypes=[named])["InstanceTypes"]
    except (ClientError, BotoCoreError):
        return False
    return any(described.get("BareMetal", False) for described in types)


def near_types(aws: Aws, instance_type: str, *, most: int = 4) -> list[str]:
    """Types with ENA Express of the same family, smallest first; if it has none, of related families (c6i, c6in, c7i … for c6id).

    EC2 has no filter for ENA Express: what it describes is filtered here.
    """
    family = instance_type.partition(".")[0]
    for pattern in (f"{family}.*", f"{family[:2]}*", f"{family[:1]}*"):
        pages = aws.ec2.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": [pattern]}]
        )
        able = [t for page in pages for t in page["InstanceTypes"] if t["NetworkInfo"].get("EnaSrdSupported")]
        if able:
            able.sort(key=lambda t: (t["VCpuInfo"]["DefaultVCpus"], t["InstanceType"]))
            return [str(t["InstanceType"]) for t in able[:most]]
    return []


def sustained_gbps(types: Iterable[Mapping[str, Any]]) -> float | None:
    """The lowest baseline bandwidth of these types (items of DescribeInstanceTypes), in Gbit/s; None if AWS does not publish it for one.

    It is that of the first network card, which has the lab's interfaces. The peak bandwidth is a short burst, limited by credits.
    """
    rates = [(kind["NetworkInfo"].get("NetworkCards") or [{}])[0].get("BaselineBandwidthInGbps") for kind in types]
    known = [float(rate) for rate in rates if rate is not None]
    return min(known) if known and len(known) == len(rates) else None


def choose_zone(aws: Aws, config: Config, *, types: Sequence[str]) -> str:
    """The requested zone, or the first that offers all types. Raises LabError, naming the zones that do, if the requested one does not."""
    offered = zones_offering_all(aws, types)
    asked, names = config.network.availability_zone, " and ".join(types)
    if asked != "auto" and asked not in offered:
        raise LabError(
            f"{asked} does not offer {names}",
            said=f"offered in: {', '.join(offered) or 'no zone'}",
            todo="choose another zone or type",
        )
    if not offered:
        raise LabError(
            f"no zone of {aws.region} offers {names}",
            todo="choose another hosts.instance_type or aws.region",
        )
    return offered[0] if asked == "auto" else asked


def zones_offering_all(aws: Aws, types: Sequence[str]) -> list[str]:
    """Those of `offering_zones` that offer every one of these types."""
    first, *rest = [offering_zones(aws, name) for name in types]
    return [zone for zone in first if all(zone in zones for zones in rest)]


def offering_zones(aws: Aws, instance_type: str) -> list[str]:
    """The names of the region's available zones that offer the type, without Local Zones, which have no ENA Express."""
    of_type = matching({"instance-type": [instance_type]})
    offerings = aws.ec2.get_paginator("describe_instance_type_offerings")
    pages, answer = in_parallel(
        lambda: list(offerings.paginate(LocationType="availability-zone", Filters=of_type)),
        aws.ec2.describe_availability_zones,
    )
    offered = {offering["Location"] for page in pages for offering in page["InstanceTypeOfferings"]}
    zones = answer["AvailabilityZones"]
    return sorted(
        zone["ZoneName"]
        for zone in zones
        if zone["ZoneName"] in offered
        and zone["State"] == "available"
        and zone.get("OptInStatus", "opt-in-not-required") == "opt-in-not-required"
        and zone.get("ZoneType", "availability-zone") == "availability-zone"
    )


def resolve_ami(aws: Aws, asked: str, architecture: str) -> str:
    """The image id: as given, or the value of an SSM parameter (by default the newest Amazon Linux 2023). Raises AwsError."""
    if asked.startswith("ami-"):
        return asked
    name = AMI_PARAMETER.format(architecture=architecture) if asked == "auto" else asked
    try:
        value = str(aws.ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except Exception as error:
        raise refused(
            f"reading the image's id from the parameter {name}", error, todo="set hosts.ami to an AMI id"
        ) from error
    if not re.fullmatch(r"ami-[0-9a-f]{8,17}", value):
        raise AwsError(f"the parameter {name} holds {value!r}, not an AMI id", todo="set hosts.ami to an AMI id")
    return value


def _ssh_cidr(config: Config, aws: Aws, pinned: Pinned) -> str:
    """The source allowed for SSH: as configured; else nobody if SSH goes through a proxy command; else as before; else loopback for a
    loopback endpoint; else this machine's address.
    """
    if config.network.ssh_cidr != "auto":
        return config.network.ssh_cidr
    if config.hosts.proxy_command is not None:
        return NOBODY  # who needs a port for what leads there says so
    if pinned.ssh_cidr and pinned.ssh_cidr != NOBODY:
        return pinned.ssh_cidr
    if re.match(r"https?://(127\.|localhost)", aws.ec2.meta.endpoint_url):
        return "127.0.0.0/8"
    return public_address()


def _is_public(text: str) -> bool:
    """Whether this is a globally routable IPv4 address."""
    try:
        return ipaddress.IPv4Address(text).is_global
    except ValueError:
        return False


def public_address() -> str:
    """This machine's public address as a /32. Raises UsageError when it cannot be determined.

    The request bypasses HTTP proxies, as SSH does: through one the answer would be the proxy's address.
    """
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(WHO_AM_I, timeout=5) as answer:
            address = answer.read(64).decode("ascii").strip()
        if not _is_public(address):
            raise ValueError(f"it answered {address!r}")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"this machine's public address cannot be found out ({WHO_AM_I}, asked without a proxy, since SSH uses none)",
            said=str(error),
            todo="say who may reach port 22: set network.ssh_cidr, for example 203.0.113.7/32",
        ) from None
    return f"{address}/32"
