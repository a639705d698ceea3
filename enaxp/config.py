"""Config: the configuration, read from `bench.yaml` and the command line, and validated completely before any call.

    packaged defaults ─┐
    bench.yaml ────────┼─▶ merged mapping ─▶ Reader (collects every fault) ─▶ Config (frozen)
    overrides ─────────┘

`load_config` either returns a Config in which every value is allowed, or raises one ConfigError that lists all faults, each with its path
(`hosts.client.ena_ip`), the value and what is allowed. Durations are kept in seconds.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from enaxp.data import data_path
from enaxp.errors import ConfigError
from enaxp.reader import Raw, Reader, read_yaml
from enaxp.traffic import (
    BUFFER_SIZES,
    BUSY_POLLS_US,
    MODE_FACTS,
    MODES,
    ORDERS,
    PROTOCOLS,
    Background,
    Mode,
    Order,
    Protocol,
    Rate,
    Scenario,
)

LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
INSTANCE_ID, INTERFACE_ID = r"i-[0-9a-f]{8,32}", r"eni-[0-9a-f]{8,32}"  # of hosts that exist already
VARIANT_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")
NOT_VARIANTS = ("server", "client", "monitoring")  # what stands in the place of a pair's name in keys without a fleet
ONLY_VARIANT = "main"  # where `pairs` alone is asked for
MOST_PAIRS = 500  # of a variant: an account has no more placement groups in a region
FIRST_SLOT_AFTER = 22  # host number of the second pair's first address; each pair has four
ADDRESSES_A_PAIR = 4
REGION = r"[a-z]{2,8}(?:-[a-z]+)+-\d{1,2}"  # us-east-1, us-gov-west-1, eusc-de-east-1
DEFAULT_REGION = "us-east-1"
ROLES: tuple[Role, ...] = ("server", "client")
NOBODY = "none"  # as network.ssh_cidr: no port is open from outside
OWN_TAG_PREFIX = "enaxp:"
# In a proxy's command: ssh's letters, and the names of what is filled in.
PROXY_LETTERS = {"h": "address", "p": "port", "r": "user"}
PROXY_NAMES = ("address", "port", "user", "instance_id", "region")
PROXY_TOKEN = re.compile(r"%(.?)|\{(\w+)\}", re.DOTALL)
SSH_USER = "ec2-user"  # the default user of given hosts
SSH_USER_FORM, SSH_USER_ALLOWED = r"[a-z_][a-z0-9_.-]{0,31}", "the name of a login on the AMI, such as ec2-user"
MAX_USER_TAGS = 40  # AWS allows 50 on a resource; enaxp needs seven of them

Role = Literal["server", "client"]
Placement = Literal["cluster", "none", "zones"]
PLACEMENTS: tuple[Placement, ...] = ("cluster", "none", "zones")
Addresses = Literal["elastic", "assigned", "private"]


@dataclass(frozen=True, kw_only=True)
class AwsConfig:
    """The section `aws`. region: DEFAULT_REGION if it is `auto` (region_is_auto) and determined later, from the lab's state, the
    environment or the profile."""

    region: str
    region_is_auto: bool
    account: str | None


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The section `network`. second_subnet_cidr: of the subnet in another zone, only used with `placement: zones`."""

    vpc_cidr: str
    subnet_cidr: str
    second_subnet_cidr: str
    availability_zone: str  # a zone's name, or `auto`
    ssh_cidr: str  # a CIDR, or `auto`, or NOBODY
    vpc_id: str | None
    subnet_id: str | None


@dataclass(frozen=True, kw_only=True)
class GivenKey:
    """An existing key pair: its name on AWS and the path of its private half."""

    name: str
    private_key: Path


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    name: str
    ena_ip: str
    ena_express_ip: str


@dataclass(frozen=True, kw_only=True)
class HostsConfig:
    instance_type: str
    ami: str  # `auto`, an AMI id, or the name of an SSM parameter
    ssh_user: str
    ssh_port: int
    key: GivenKey | None  # None: generated
    instance_profile: str | None  # None: made with the lab
    address: Literal["auto", "public", "private"]
    proxy_command: str | None  # the program through which SSH goes; None: directly
    ssm: bool  # whether Systems Manager keeps their software; enaxp over SSH if not
    server: HostConfig
    client: HostConfig

    def by_role(self) -> dict[Role, HostConfig]:
        return {"server": self.server, "client": self.client}


@dataclass(frozen=True, kw_only=True)
class VariantConfig:
    """The settings of all host pairs of one variant. Keys missing in the config are taken from `hosts` and `placement`."""

    instance_type: str
    ami: str
    placement: Placement


@dataclass(frozen=True, kw_only=True)
class FleetConfig:
    """The section `fleet`. pairs: the number of pairs of each variant."""

    pairs: int
    variants: Mapping[str, VariantConfig]


@dataclass(frozen=True, kw_only=True)
class MonitoringConfig:
    """The section `monitoring`. subnet_cidr: empty if the VPC has no space for it besides the hosts' subnet."""

    instance_type: str
    subnet_cidr: str

    @property
    def address(self) -> str:
        """The address of the monitoring host, the only one in that subnet."""
        return str(ipaddress.IPv4Network(self.subnet_cidr)[10])


Crossover = Literal["auto"] | bool


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """at_once: how many pairs of hosts are measured side by side; None for all of them on AWS, one on the local target."""

    scenarios: tuple[str, ...]
    iterations: int
    repeats: int
    duration_s: float
    order: Order
    cpus: str  # auto, none, or numbers of cores
    margin_pct: float
    seed: int | None
    crossover: Crossover
    at_once: int | None


@dataclass(frozen=True, kw_only=True)
class GivenHostConfig:
    """A given host. address: None for the address that AWS reports. interface: an id, or `primary`."""

    instance_id: str
    address: str | None
    ssh_user: str
    ssh_port: int
    private_key: Path | None
    proxy_command: str | None
    interface: str


@dataclass(frozen=True, kw_only=True)
class GivenPairConfig:
    server: GivenHostConfig
    client: GivenHostConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    lab: str
    aws: AwsConfig
    tags: Mapping[str, str]
    network: NetworkConfig
    hosts: HostsConfig
    monitoring: MonitoringConfig
    placement: Placement
    ttl_s: float
    bench: BenchConfig
    scenarios: Mapping[str, Scenario]
    fleet: FleetConfig | None = None
    given: tuple[GivenPairConfig, ...] = ()

    @property
    def only_variant(self) -> VariantConfig:
        """The variant that describes the hosts of a lab without variants."""
        hosts = self.hosts
        return VariantConfig(instance_type=hosts.instance_type, ami=hosts.ami, placement=self.placement)


def load_config(path: Path | None = None, *, overrides: Raw | None = None) -> Config:
    """The config from the packaged defaults, overridden by the file at `path`, and by `overrides` (dotted path → value).

    Without `path`, `config/bench.yaml` of the current folder is read if there is one. Raises ConfigError with all faults at once.
    """
    merged = _packaged_defaults()
    source = path or _file_of_this_folder()
    if source is not None:
        merged = _merge(merged, read_yaml(source))
    for dotted, value in (overrides or {}).items():
        merged = _merge(merged, _nest(dotted, value))
    faults: list[str] = []
    config = _read_config(Reader(merged, path="", faults=faults))
    if config is None or faults:
        raise ConfigError(
            f"{source or 'the configuration'} cannot be used:",
            faults,
            todo="correct these values; `enaxp init` writes a commented file with every key",
        )
    return config


@cache
def _packaged_defaults() -> Raw:
    return read_yaml(data_path("config/bench.yaml"))


def write_default_config(path: Path, *, replace: bool) -> Path:
    """Writes the commented defaults to `path` and returns the path.

    Raises ConfigError when the file exists and must not be replaced.
    """
    if path.exists() and not replace:
        raise ConfigError(f"{path} is there already.", [], todo="give --force to replace it, or another --config")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data_path("config/bench.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written.", [str(error)]) from None
    return path


def _read_config(root: Reader) -> Config | None:
    lab = root.text("lab", LAB_NAME, "a small letter, then up to 23 small letters, digits or hyphens")
    aws = root.section("aws")
    region = aws.text("region", rf"auto|{REGION}", "auto, or the name of a region, such as us-east-1")
    aws_config = AwsConfig(
        region=DEFAULT_REGION if region == "auto" else region,
        region_is_auto=region == "auto",
        account=aws.optional_text("account", r"\d{12}", "twelve digits in quotes"),
    )
    aws.close()
    network, subnet = _read_network(root.section("network"))
    hosts = _read_hosts(root.section("hosts"), subnet)
    placement: Placement = root.choice("placement", PLACEMENTS, "cluster")
    fleet = _read_fleet(root, VariantConfig(instance_type=hosts.instance_type, ami=hosts.ami, placement=placement))
    scenarios = _read_scenarios(root.section("scenarios"))
    config = Config(
        lab=lab,
        aws=aws_config,
        tags=_read_tags(root.section("tags")),
        network=network,
        hosts=hosts,
        monitoring=_read_monitoring(root.section("monitoring"), network, subnet, hosts),
        placement=placement,
        ttl_s=root.duration("ttl", low=600, high=30 * 86400),
        bench=_read_bench(root.section("bench"), scenarios),
        scenarios=scenarios,
        fleet=fleet,
        given=_read_given(root.section("given")),
    )
    if subnet is not None:
        _refuse_what_does_not_fit(root, config, subnet)
    root.close()
    return config


def _read_fleet(root: Reader, common: VariantConfig) -> FleetConfig | None:
    if root.raw("fleet") is None:
        return None
    section = root.section("fleet")
    named = section.section("variants") if section.has("variants") else None
    variants = _read_variants(named, common) if named else {ONLY_VARIANT: common}
    fleet = FleetConfig(pairs=section.whole("pairs", low=1, high=MOST_PAIRS), variants=variants)
    section.close()
    return fleet


def _read_variants(section: Reader, common: VariantConfig) -> dict[str, VariantConfig]:
    variants = {}
    for name in section.names():
        if not VARIANT_NAME.fullmatch(name) or name in NOT_VARIANTS:
            allowed = "a variant's name: a small letter, then up to 11 small letters, digits or hyphens"
            section.fault(name, name, f"{allowed}; not {', '.join(NOT_VARIANTS)}")
        one = section.section(name)
        hosts = one.section("hosts") if one.has("hosts") else Reader({}, path="", faults=[])
        variants[name] = VariantConfig(
            instance_type=common.instance_type if hosts.raw("instance_type") is None else _read_type(hosts),
            ami=common.ami if hosts.raw("ami") is None else _read_ami(hosts),
            placement=common.placement
            if one.raw("placement") is None
            else one.choice("placement", PLACEMENTS, "cluster"),
        )
        hosts.close()
        one.close()
    if not variants:
        section.fault("", {}, "at least one variant, {NAME: {hosts: {instance_type, ami}, placement}}")
    return variants


def _refuse_what_does_not_fit(root: Reader, config: Config, subnet: ipaddress.IPv4Network) -> None:
    """Faults of the fleet, and of its second subnet, together with the rest of the config."""
    fleet = config.fleet
    variants = list(fleet.variants.values()) if fleet else [config.only_variant]
    pairs = fleet.pairs * len(variants) if fleet else 1
    prefix = prefix_needed(subnet, pairs)
    if prefix < subnet.prefixlen:
        text = f"a subnet_cidr with room for {pairs} pairs of hosts, four addresses each: /{prefix} or larger"
        root.fault("network.subnet_cidr", str(subnet), text)
    hosts = config.hosts.by_role()
    if pairs > 1:
        first = subnet[0] + FIRST_SLOT_AFTER
        taken = [
            ip
            for host in hosts.values()
            for ip in (host.ena_ip, host.ena_express_ip)
            if ip and _is_in(ip, first, pairs)
        ]
        for ip in taken:
            root.fault(
                "hosts", ip, f"addresses below {first} for the first pair: the others of a fleet have those from there"
            )
    if fleet:
        longest = max(len(host.name) for host in hosts.values())
        if longest > 63 - len("-variantnames-500"):
            root.fault(
                "hosts", longest, "in a fleet, names of hosts of at most 46 letters: the name of the pair is added"
            )
    if any(variant.placement == "zones" for variant in variants):
        _refuse_second_subnet(root, config, subnet, prefix=prefix)


def _is_in(ip: str, first: ipaddress.IPv4Address, pairs: int) -> bool:
    return first <= ipaddress.IPv4Address(ip) < first + ADDRESSES_A_PAIR * (pairs - 1)


def prefix_needed(subnet: ipaddress.IPv4Network, pairs: int) -> int:
    """The longest prefix of a subnet that is large enough for this many pairs."""
    last = FIRST_SLOT_AFTER + ADDRESSES_A_PAIR * (pairs - 1) if pairs > 1 else 1
    return min(
        subnet.prefixlen, 32 - last.bit_length()
    )  # the very last address is AWS's, and `last` is one past the pair's


def _refuse_second_subnet(root: Reader, config: Config, subnet: ipaddress.IPv4Network, *, prefix: int) -> None:
    network = config.network
    key = "network.second_subnet_cidr"
    if network.subnet_id:
        root.fault(
            "placement",
            "zones",
            "cluster or none with network.subnet_id: a second subnet needs a VPC alone (network.vpc_id)",
        )
    try:
        second, vpc = ipaddress.IPv4Network(network.second_subnet_cidr), ipaddress.IPv4Network(network.vpc_cidr)
    except ValueError:  # listed already
        return
    if not network.vpc_id and not second.subnet_of(vpc):
        root.fault(key, str(second), f"a network inside vpc_cidr {vpc}")
    if second.overlaps(subnet):
        root.fault(key, str(second), f"a network apart from network.subnet_cidr {subnet}")
    if config.monitoring.subnet_cidr and second.overlaps(ipaddress.IPv4Network(config.monitoring.subnet_cidr)):
        root.fault(key, str(second), f"a network apart from the monitoring's {config.monitoring.subnet_cidr}")
    if second.prefixlen > min(subnet.prefixlen, prefix):
        root.fault(
            key, str(second), f"a network as large as network.subnet_cidr: /{min(subnet.prefixlen, prefix)} or larger"
        )


def _read_network(section: Reader) -> tuple[NetworkConfig, ipaddress.IPv4Network | None]:
    vpc = section.network("vpc_cidr", prefixes=(16, 28))
    subnet = section.network("subnet_cidr", prefixes=(16, 28))
    second = section.network("second_subnet_cidr", prefixes=(16, 28))
    ssh = section.raw("ssh_cidr")
    ssh_network = None if ssh in ("auto", NOBODY) else section.network("ssh_cidr", prefixes=(0, 32))
    vpc_id = section.optional_text("vpc_id", r"vpc-[0-9a-f]+", "the id of an existing VPC")
    subnet_id = section.optional_text("subnet_id", r"subnet-[0-9a-f]+", "the id of an existing subnet")
    if subnet_id and not vpc_id:
        section.fault("subnet_id", subnet_id, "an existing subnet together with the vpc_id it lies in")
    if vpc and subnet and not vpc_id and not subnet.subnet_of(vpc):  # a given VPC has its own address range
        section.fault("subnet_cidr", str(subnet), f"a network inside vpc_cidr {vpc}")
    config = NetworkConfig(
        vpc_cidr=str(vpc),
        subnet_cidr=str(subnet),
        second_subnet_cidr=str(second),
        availability_zone=section.text(
            "availability_zone",
            rf"auto|{REGION}[a-z0-9-]*",
            "auto, or the name of a zone such as us-east-1a",
        ),
        ssh_cidr=str(ssh_network) if ssh_network else NOBODY if ssh == NOBODY else "auto",
        vpc_id=vpc_id,
        subnet_id=subnet_id,
    )
    section.close()
    return config, subnet


def _read_hosts(section: Reader, subnet: ipaddress.IPv4Network | None) -> HostsConfig:
    profile = section.text(
        "instance_profile", r"[\w+=,.@-]{1,128}", "auto, or the name of an existing instance profile"
    )
    hosts = {role: _read_host(section.section(role), subnet) for role in ROLES}
    _refuse_equal_addresses(section, hosts)
    config = HostsConfig(
        instance_type=_read_type(section),
        ami=_read_ami(section),
        ssh_user=section.text("ssh_user", SSH_USER_FORM, SSH_USER_ALLOWED),
        ssh_port=section.whole("ssh_port", low=1, high=65535),
        key=_read_key(section),
        instance_profile=None if profile == "auto" else profile,
        address=section.choice("address", ("auto", "public", "private"), "auto"),
        proxy_command=_read_proxy_command(section),
        ssm=section.flag("ssm"),
        server=hosts["server"],
        client=hosts["client"],
    )
    section.close()
    return config


def _read_type(section: Reader) -> str:
    return section.text("instance_type", r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type, such as c6i.8xlarge")


def _read_ami(section: Reader) -> str:
    return section.text(
        "ami",
        r"auto|ami-[0-9a-f]{8,17}|/[\w./-]+",
        "auto, an AMI id (ami-...), or the name of an SSM parameter (/aws/service/...)",
    )


_PROXY_COMMAND = (
    "null, or a program and its arguments in one line, in which %h or {address}, %p or {port}, %r or {user}, {instance_id} and "
    "{region} are filled in, and %% is a percent sign"
)


def _read_proxy_command(section: Reader) -> str | None:
    command = section.raw("proxy_command")
    if command is None:
        return None
    fault = _proxy_fault(command) if isinstance(command, str) else ""
    if fault is None:
        return str(command)
    section.fault("proxy_command", command, f"{_PROXY_COMMAND}{fault and f' ({fault})'}")
    return None


def _proxy_fault(command: str) -> str | None:
    """Why a proxy command cannot be used, in words. No shell runs it: it is only split into words as a shell would do."""
    if len(command) > 2000 or not command.isprintable():
        return "of at most 2000 characters, none of them a control character"
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"it cannot be split into words: {error}"
    unknown = [token for word in words for token in _unknown_tokens(word)]
    if not words or unknown:
        return f"{', '.join(unknown)} stands for nothing" if unknown else "it names no program"
    return None


def _unknown_tokens(word: str) -> Iterator[str]:
    for found in PROXY_TOKEN.finditer(word):
        letter, name = found.groups()
        if not (name in PROXY_NAMES if letter is None else letter == "%" or letter in PROXY_LETTERS):
            yield found[0]


def _read_monitoring(
    section: Reader, network: NetworkConfig, hosts_subnet: ipaddress.IPv4Network | None, hosts: HostsConfig
) -> MonitoringConfig:
    asked_type = section.text("instance_type", r"auto|[a-z][a-z0-9-]*\.[a-z0-9-]+", "auto, or an instance type")
    asked_subnet = section.raw("subnet_cidr")
    own = None if asked_subnet == "auto" else section.network("subnet_cidr", prefixes=(16, 28))
    try:  # the address range of a given VPC is unknown here
        vpc = None if network.vpc_id else ipaddress.IPv4Network(network.vpc_cidr)
    except ValueError:  # a fault that is listed already
        vpc = None
    if own is None and hosts_subnet is not None and asked_subnet == "auto":
        own = _beside(hosts_subnet, vpc)
    elif own is not None and vpc is not None and not own.subnet_of(vpc):
        section.fault("subnet_cidr", str(own), f"auto, or a network inside vpc_cidr {vpc}")
    elif own is not None and hosts_subnet is not None and own.overlaps(hosts_subnet):
        section.fault("subnet_cidr", str(own), f"auto, or a network apart from network.subnet_cidr {hosts_subnet}")
    section.close()
    has_graviton = re.match(r"[a-z]+\d+g", hosts.instance_type) is not None
    return MonitoringConfig(
        instance_type=("t4g.small" if has_graviton else "t3.small") if asked_type == "auto" else asked_type,
        subnet_cidr=str(own or ""),
    )


def _beside(subnet: ipaddress.IPv4Network, vpc: ipaddress.IPv4Network | None) -> ipaddress.IPv4Network | None:
    """The adjacent network of the same size, after this one or else before it, inside the VPC; None if there is none."""
    for first in (int(subnet[0]) + subnet.num_addresses, int(subnet[0]) - subnet.num_addresses):
        if 0 <= first < 2**32:
            other = ipaddress.IPv4Network((first, subnet.prefixlen))
            if vpc is None or other.subnet_of(vpc):
                return other
    return None


def _read_host(section: Reader, subnet: ipaddress.IPv4Network | None) -> HostConfig:
    config = HostConfig(
        name=section.text(
            "name", r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", "a host name of letters, digits and hyphens"
        ),
        ena_ip=_read_address(section, "ena_ip", subnet),
        ena_express_ip=_read_address(section, "ena_express_ip", subnet),
    )
    section.close()
    return config


def _read_address(section: Reader, key: str, subnet: ipaddress.IPv4Network | None) -> str:
    """An address that an interface in the subnet may have: AWS keeps the first four and the last of each subnet."""
    value = section.raw(key)
    if subnet is None:  # its own fault is listed already
        return str(value)
    usable = f"an address from {subnet[4]} to {subnet[-2]}"
    try:
        address = ipaddress.IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        section.fault(key, value, usable)
        return ""
    if address not in subnet:
        section.fault(key, value, f"{usable}: it must lie inside subnet_cidr {subnet}")
    elif not subnet[4] <= address <= subnet[-2]:
        section.fault(key, value, f"{usable}: AWS reserves the first four addresses and the last")
    return str(address)


def _refuse_equal_addresses(section: Reader, hosts: Mapping[Role, HostConfig]) -> None:
    seen: dict[str, str] = {}
    for role, host in hosts.items():
        for key in ("ena_ip", "ena_express_ip"):
            address: str = getattr(host, key)
            if address and address in seen:
                section.fault(f"{role}.{key}", address, f"four different addresses; {seen[address]} has this one")
            seen.setdefault(address, f"hosts.{role}.{key}")


def _read_key(section: Reader) -> GivenKey | None:
    if section.raw("key") == "auto":
        return None
    if not isinstance(section.raw("key"), Mapping):
        section.fault("key", section.raw("key"), "auto, or {name: NAME, private_key: PATH}")
        return None
    key = section.section("key")
    given = GivenKey(
        name=key.text("name", r"\S(.{0,253}\S)?", "the name of an existing key pair"),
        private_key=_read_private_key(key),
    )
    key.close()
    return given


def _read_private_key(key: Reader) -> Path:
    path = Path(key.text("private_key", r"[^\0\n]+", "the path of its private key"))
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user, or no home of one's own
        key.fault(
            "private_key", str(path), "the path of its private key; the home folder that ~ stands for is not known here"
        )
        return path


def _read_given(section: Reader) -> tuple[GivenPairConfig, ...]:
    """The given hosts; settings for all of them are above the list of pairs."""
    above = _read_given_ssh(section, _GivenSsh(user=SSH_USER, port=22, private_key=None, proxy_command=None))
    pairs = []
    for pair in section.sections("pairs", "a list of {server: {instance_id: i-…}, client: {instance_id: i-…}}"):
        hosts = {role: _read_given_host(pair.section(role), above) for role in ROLES}
        pair.close()
        pairs.append(GivenPairConfig(server=hosts["server"], client=hosts["client"]))
    section.close()
    return tuple(pairs)


@dataclass(frozen=True, kw_only=True)
class _GivenSsh:
    """The default SSH settings of given hosts."""

    user: str
    port: int
    private_key: Path | None
    proxy_command: str | None


def _read_given_ssh(section: Reader, default: _GivenSsh) -> _GivenSsh:
    return _GivenSsh(
        user=section.optional_text("ssh_user", SSH_USER_FORM, SSH_USER_ALLOWED) or default.user,
        port=section.whole("ssh_port", low=1, high=65535, default=default.port),
        private_key=default.private_key if section.raw("private_key") is None else _read_private_key(section),
        proxy_command=_read_proxy_command(section) or default.proxy_command,
    )


def _read_given_host(section: Reader, above: _GivenSsh) -> GivenHostConfig:
    ssh = _read_given_ssh(section, above)
    config = GivenHostConfig(
        instance_id=section.text("instance_id", INSTANCE_ID, "the id of a running instance, i-…"),
        address=section.optional_text(
            "address", r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}", "the address or name by which SSH reaches it"
        ),
        ssh_user=ssh.user,
        ssh_port=ssh.port,
        private_key=ssh.private_key,
        proxy_command=ssh.proxy_command,
        interface=section.optional_text("interface", rf"primary|{INTERFACE_ID}", "primary, or eni-…") or "primary",
    )
    section.close()
    return config


def _read_tags(section: Reader) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key in section.names():
        value = section.raw(key)
        if (
            not re.fullmatch(r"[\w .:/=+@-]{1,127}", key)
            or key.lower().startswith(("aws:", OWN_TAG_PREFIX))
            or key == "Name"
        ):
            section.fault(
                key,
                value,
                "tag keys of up to 127 letters, digits or .:/=+@-_ that are not Name and do not begin with aws: or enaxp:",
            )
        elif not isinstance(value, str) or not re.fullmatch(r"[\w .:/=+@-]{0,256}", value):
            section.fault(key, value, "text of up to 256 letters, digits, spaces or .:/=+@-_ (put numbers in quotes)")
        else:
            tags[key] = value
    if len(tags) > MAX_USER_TAGS:
        section.fault("", f"{len(tags)} tags", f"at most {MAX_USER_TAGS} tags")
    return tags


def _read_bench(section: Reader, scenarios: Mapping[str, Scenario]) -> BenchConfig:
    seed = section.raw("seed")
    config = BenchConfig(
        scenarios=_read_scenario_names(section, scenarios),
        iterations=section.whole("iterations", low=1, high=10_000),
        repeats=section.whole("repeats", low=1, high=10_000),
        duration_s=section.duration("duration", low=1, high=3600),
        order=section.choice("order", ORDERS, "interleaved"),
        cpus=section.text("cpus", r"auto|none|\d{1,4}(,\d{1,4})*", "auto, none, or numbers of cores such as 2,3"),
        margin_pct=section.number("margin_pct", above=0, high=100),
        seed=None if seed is None else section.whole("seed", low=0, high=2**63 - 1),
        crossover=_read_crossover(section),
        at_once=None if section.raw("at_once") == "auto" else section.whole("at_once", low=1, high=500),
    )
    section.close()
    return config


def _read_crossover(section: Reader) -> Crossover:
    value = section.raw("crossover")
    if value == "auto" or isinstance(value, bool):
        return value
    section.fault("crossover", value, "auto, true or false")
    return "auto"


def _read_scenario_names(section: Reader, scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
    names = section.raw("scenarios")
    known = f"a list of {', '.join(scenarios) or 'scenarios'}, or [all]"
    if not isinstance(names, list) or not names:
        section.fault("scenarios", names, known)
        return ()
    if names == ["all"]:
        return tuple(scenarios)
    chosen: dict[str, None] = {}
    for name in names:
        expanded = [s for s in scenarios if s == name or s.startswith(f"{name}@")]
        if not expanded:
            section.fault("scenarios", name, known)
        chosen.update(dict.fromkeys(expanded))
    return tuple(chosen)


def _read_scenarios(section: Reader) -> dict[str, Scenario]:
    scenarios: dict[str, Scenario] = {}
    for name in section.names():
        one = section.section(name)
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
            section.fault(
                name, name, "a scenario's name: a small letter, then up to 39 small letters, digits or hyphens"
            )
        for scenario in _read_scenario(name, one):
            scenarios[scenario.name] = scenario
        one.close()
    return scenarios


def _read_scenario(name: str, section: Reader) -> list[Scenario]:
    mode: Mode = section.choice("mode", MODES, "ping-pong")
    protocol: Protocol = section.choice("protocol", PROTOCOLS, "udp")
    message_size = _read_message_size(section, protocol)
    reply_every = _read_reply_every(section, mode)
    flows = section.whole("flows", low=1, high=64, default=1)
    background = _read_background(section)
    buffer_size = _optional_whole(section, "buffer_size", BUFFER_SIZES)
    busy_poll_us = _optional_whole(section, "busy_poll_us", BUSY_POLLS_US)
    csv_name = (
        section.text("csv_name", r"[A-Za-z0-9_][A-Za-z0-9_@-]{0,63}", "letters, digits and _, then - and @, too")
        if section.has("csv_name")
        else name
    )
    rates = _read_rates(section, mode)
    several = len(rates) > 1
    return [
        Scenario(
            name=f"{name}@{rate}" if several else name,
            mode=mode,
            protocol=protocol,
            message_size=message_size,
            rate=rate,
            reply_every=reply_every,
            flows=flows,
            background=background,
            buffer_size=buffer_size,
            busy_poll_us=busy_poll_us,
            csv_name=f"{csv_name}@{rate}" if several else csv_name,
        )
        for rate in rates
    ]


# sockperf's own limits: -m 14..65507 for UDP, 14..1048575 for TCP
_MESSAGE_SIZES: dict[Protocol, int] = {"udp": 65507, "tcp": 1048575}
_BULK_SIZES: dict[Protocol, int] = {"udp": 1472, "tcp": 16384}


def _read_message_size(section: Reader, protocol: Protocol) -> int:
    return section.whole("message_size", low=14, high=_MESSAGE_SIZES[protocol])


def _optional_whole(section: Reader, key: str, bounds: tuple[int, int]) -> int | None:
    low, high = bounds
    return None if section.raw(key) is None else section.whole(key, low=low, high=high)


def _read_background(section: Reader) -> Background | None:
    if section.raw("background") is None:
        return None
    background = section.section("background")
    protocol: Protocol = background.choice("protocol", PROTOCOLS, "tcp")
    config = Background(
        protocol=protocol,
        flows=background.whole("flows", low=1, high=64),
        message_size=background.whole(
            "message_size", low=14, high=_MESSAGE_SIZES[protocol], default=_BULK_SIZES[protocol]
        ),
        share=None if background.raw("share") is None else background.number("share", above=0, high=1),
    )
    background.close()
    return config


def _read_reply_every(section: Reader, mode: Mode) -> int | None:
    if MODE_FACTS[mode].takes_reply_every:
        return section.whole("reply_every", low=1, high=2**30, default=1)
    asked = section.raw("reply_every")
    if asked is not None:
        able = " or ".join(one for one in MODES if MODE_FACTS[one].takes_reply_every)
        section.fault("reply_every", asked, f"null: only mode {able} replies to every Nth message")
    return None


_RATES = "null, max, a whole number of messages a second from 1 to 1073741824, or a list of those"


def _read_rates(section: Reader, mode: Mode) -> list[Rate]:
    asked = section.raw("rate")
    each: list[object] = asked if isinstance(asked, list) else [asked]
    rates = [_read_rate(section, rate) for rate in each]
    if not each or len(set(map(str, each))) != len(each):
        section.fault("rate", asked, f"{_RATES}, each once")
        return [None]
    if MODE_FACTS[mode].needs_rate and None in each:
        section.fault("rate", asked, f"for mode {mode}: {_RATES.removeprefix('null, ')}")
    return rates


def _read_rate(section: Reader, rate: object) -> Rate:
    if isinstance(rate, int) and not isinstance(rate, bool) and 1 <= rate <= 2**30:
        return rate
    if rate == "max":
        return "max"
    if rate is not None:
        section.fault("rate", rate, _RATES)
    return None


def _file_of_this_folder() -> Path | None:
    path = Path("config/bench.yaml")
    return path if path.exists() else None


def _merge(base: Raw, over: Raw) -> Raw:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        # A given key replaces `auto` whole; mappings on both sides are merged key by key.
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _nest(dotted: str, value: object) -> Raw:
    head, _, rest = dotted.partition(".")
    return {head: _nest(rest, value) if rest else value}
