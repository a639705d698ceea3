"""Spec: from a Config and what is pinned to the resources that the lab wants, in dependency order. Pure.

    Config + Resolved + the lab's public key ─▶ wanted() ─▶ (Resource, …)

What must be the same for the whole life of a lab (the image, the zone, who may use SSH) is resolved once, elsewhere, and comes
in as Resolved: two runs over the same lab want the same things, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from enaxp.config import ROLES, Config, Role
from enaxp.lab.model import BELOW, LAYERS, Layer, Resource, repository_name, unique_name
from enaxp.lab.software import pieces
from enaxp.lab.userdata import HostBoot, render_monitoring_userdata, render_userdata

SSM_POLICY = "AmazonSSMManagedInstanceCore"
MONITORING = "monitoring"  # what follows the kind in the keys of that layer's resources
MONITORING_POLICIES = (SSM_POLICY,)

LAYER_OF_KIND: Mapping[str, Layer] = {
    "vpc": "network",
    "subnet": "network",
    "igw": "network",
    "route-table": "network",
    "security-group": "network",
    "placement-group": "compute",
    "key-pair": "compute",
    "role": "compute",
    "instance-profile": "compute",
    "eni": "compute",
    "eip": "compute",
    "instance": "compute",
    "ssm-document": "compute",
    "ssm-association": "compute",
    "ecr-repository": "monitoring",
}


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What is resolved once for a lab. `isolation` is that of the local target, None on AWS.

    gateway: the internet gateway that a given VPC has already; it is used, never changed.
    """

    ami: str
    availability_zone: str
    ssh_cidr: str
    isolation: str | None = None
    gateway: str | None = None


def layer_of(key: str) -> Layer:
    """The layer of a resource: what is called after monitoring belongs to that, of whatever kind it is."""
    kind, _, suffix = key.partition("/")
    return "monitoring" if suffix == MONITORING else LAYER_OF_KIND[kind]


def wanted(
    config: Config, resolved: Resolved, *, public_key: str, partition: str, expires_at: datetime
) -> tuple[Resource, ...]:
    """Every resource of every layer, each after what it needs.

    partition: `aws`, `aws-cn` or `aws-us-gov`, for ARNs.  Raises LabError when the hosts' user data is longer than AWS takes.
    """
    compute = _compute(config, resolved, public_key=public_key, partition=partition, expires_at=expires_at)
    monitoring = _monitoring(config, resolved, public_key=public_key, partition=partition, expires_at=expires_at)
    return tuple(_claimed_first(resource) for resource in (*_network(config, resolved), *compute, *monitoring))


def of_layers(resources: Iterable[Resource], layers: Iterable[Layer]) -> tuple[Resource, ...]:
    """The resources of these layers and of what they stand on."""
    chosen = with_below(layers)
    return tuple(resource for resource in resources if resource.layer in chosen)


def with_below(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The layers and everything below them, lowest first."""
    chosen = set(layers)
    for layer in tuple(chosen):
        chosen.update(BELOW[layer])
    return tuple(layer for layer in LAYERS if layer in chosen)


def above(layer: Layer) -> tuple[Layer, ...]:
    """The layers that stand on this one."""
    return tuple(other for other in LAYERS if layer in BELOW[other])


def eni_key(role: Role, arm: str) -> str:
    return f"eni/{role}-{arm}"


def _claimed_first(resource: Resource) -> Resource:
    """The role comes first: its name is the claim on the lab. Who finds it taken has made nothing yet."""
    is_root = not resource.needs and resource.kind != "role"
    return replace(resource, needs=("role",)) if is_root and resource.owned else resource


def _network(config: Config, resolved: Resolved) -> list[Resource]:
    network = config.network
    ground = [_resource(config, "vpc", want={"cidr": network.vpc_cidr}, given_id=network.vpc_id)]
    if network.subnet_id:  # somebody else's subnet has somebody else's way out
        ground.append(_resource(config, "subnet", given_id=network.subnet_id, needs=("vpc",)))
    else:
        subnet = {"cidr": network.subnet_cidr, "zone": resolved.availability_zone}
        ground += [
            _resource(config, "subnet", want=subnet, needs=("vpc",)),
            _resource(config, "igw", needs=("vpc",), given_id=resolved.gateway),
            _resource(config, "route-table", needs=("vpc", "subnet", "igw")),
        ]
    group = {
        "ssh_cidr": resolved.ssh_cidr,
        "description": f"enaxp lab {config.lab}: all traffic inside, SSH from outside",
    }
    return [*ground, _resource(config, "security-group", want=group, needs=("vpc",))]


def _compute(
    config: Config, resolved: Resolved, *, public_key: str, partition: str, expires_at: datetime
) -> list[Resource]:
    resources = [*_identity(config, partition), _key_pair(config, public_key)]
    if config.placement == "cluster":
        resources.append(_resource(config, "placement-group", want={"strategy": "cluster"}))
    for role, host in config.hosts.by_role().items():
        for arm, address in (("ena", host.ena_ip), ("express", host.ena_express_ip)):
            resources.append(
                _resource(config, eni_key(role, arm), want={"address": address}, needs=("subnet", "security-group"))
            )
    if config.hosts.address == "public":
        way_out = ("igw",) if config.network.subnet_id is None else ()
        for role in ROLES:
            eni = eni_key(role, "ena")
            resources.append(_resource(config, f"eip/{role}", want={"eni": eni}, needs=(eni, *way_out)))
    there = [resource.key for resource in resources]
    resources += _software(config)
    return [*resources, *(_instance(config, resolved, role, there=there, expires_at=expires_at) for role in ROLES)]


def _identity(config: Config, partition: str) -> list[Resource]:
    if config.hosts.instance_profile:
        return [_resource(config, "instance-profile", given_id=config.hosts.instance_profile)]
    policies = {"policy_arns": (f"arn:{partition}:iam::aws:policy/{SSM_POLICY}",)}
    return [_resource(config, "role", want=policies), _resource(config, "instance-profile", needs=("role",))]


def _key_pair(config: Config, public_key: str) -> Resource:
    if config.hosts.key:
        return _resource(config, "key-pair", given_id=config.hosts.key.name)
    return _resource(config, "key-pair", want={"public_key": public_key})


def _software(config: Config) -> list[Resource]:
    """A document and an association for each piece. An association does not need the hosts: they run it as soon as they appear."""
    hosts = tuple(f"instance/{role}" for role in ROLES)
    resources = []
    for piece in pieces():
        document = _resource(
            config, f"ssm-document/{piece.name}", want={"content": piece.document, "digest": piece.digest}
        )
        want = {"document": document.key, "digest": piece.digest, "hosts": hosts}
        association = _resource(config, f"ssm-association/{piece.name}", want=want, needs=(document.key,))
        resources += [document, association]
    return resources


def _instance(config: Config, resolved: Resolved, role: Role, *, there: list[str], expires_at: datetime) -> Resource:
    host = config.hosts.by_role()[role]
    boot = HostBoot(
        hostname=host.name,
        interfaces=(host.ena_ip, host.ena_express_ip),
        subnet_cidr=config.network.subnet_cidr,
        expires_at=expires_at,
    )
    enis = (eni_key(role, "ena"), eni_key(role, "express"))
    shared = [key for key in ("instance-profile", "key-pair", "placement-group") if key in there]
    # User data downloads as soon as the host boots.
    way_out = ("route-table",) if config.network.subnet_id is None else ()
    return _resource(
        config,
        f"instance/{role}",
        name=host.name,
        want={
            "role": role,
            "type": config.hosts.instance_type,
            "image": resolved.ami,
            "zone": resolved.availability_zone,
            "user_data": render_userdata(boot),
            "enis": enis,
            "express": (enis[1],),
            "in_group": config.placement == "cluster",
        },
        needs=(*shared, *enis, *(key for key in (f"eip/{role}",) if key in there), *way_out),
    )


def _monitoring(
    config: Config, resolved: Resolved, *, public_key: str, partition: str, expires_at: datetime
) -> list[Resource]:
    """A host of its own, in a subnet of its own: what it does must not be what is measured. None in somebody else's subnet,
    and none where the VPC has no room for a second one.

    It belongs to the hosts' security group as well, in which everything may talk to everything: so it reaches their exporters.
    """
    if config.network.subnet_id or not config.monitoring.subnet_cidr:
        return []
    subnet, group, eni = f"subnet/{MONITORING}", f"security-group/{MONITORING}", f"eni/{MONITORING}"
    table, address, key = f"route-table/{MONITORING}", f"eip/{MONITORING}", f"key-pair/{MONITORING}"
    role, profile, given = f"role/{MONITORING}", f"instance-profile/{MONITORING}", config.hosts.instance_profile
    description = f"enaxp lab {config.lab}: monitoring, SSH from outside"
    resources = [
        _resource(
            config,
            subnet,
            want={"cidr": config.monitoring.subnet_cidr, "zone": resolved.availability_zone},
            needs=("vpc",),
        ),
        _resource(config, table, want={"subnet": subnet}, needs=("vpc", subnet, "igw")),
        _resource(config, group, want={"ssh_cidr": resolved.ssh_cidr, "description": description}, needs=("vpc",)),
        _resource(
            config, key, want={"public_key": public_key}, given_id=config.hosts.key.name if config.hosts.key else None
        ),
        _resource(
            config,
            eni,
            want={
                "address": config.monitoring.address,
                "subnet": subnet,
                "groups": (group, "security-group"),
            },
            needs=(subnet, group, "security-group"),
        ),
        _resource(config, profile, want={"role": role}, needs=() if given else (role,), given_id=given),
        _resource(config, "ecr-repository", name=repository_name(config.lab, config.aws.region)),
    ]
    if not given:
        policies = tuple(f"arn:{partition}:iam::aws:policy/{name}" for name in MONITORING_POLICIES)
        resources.insert(0, _resource(config, role, want={"policy_arns": policies}))
    if config.hosts.address == "public":
        resources.append(_resource(config, address, want={"eni": eni}, needs=(eni, "igw", table)))
    boot = HostBoot(
        hostname=f"{MONITORING}-{config.lab}",
        interfaces=(config.monitoring.address,),
        subnet_cidr=config.monitoring.subnet_cidr,
        expires_at=expires_at,
    )
    want = {
        "role": MONITORING,
        "type": config.monitoring.instance_type,
        "image": resolved.ami,
        "zone": resolved.availability_zone,
        "user_data": render_monitoring_userdata(boot, grafana=resolved.isolation is None),
        "enis": (eni,),
        "express": (),
        "in_group": False,
        "key_pair": key,
        "profile": profile,
    }
    needs = tuple(
        resource.key for resource in resources if resource.kind in {"key-pair", "instance-profile", "eni", "eip"}
    )
    return [*resources, _resource(config, f"instance/{MONITORING}", want=want, needs=needs)]


def _resource(
    config: Config,
    key: str,
    *,
    name: str = "",
    want: Mapping[str, object] | None = None,
    needs: tuple[str, ...] = (),
    given_id: str | None = None,
) -> Resource:
    kind, _, suffix = key.partition("/")
    unique = unique_name(config.lab, config.aws.region)
    return Resource(
        key=key,
        kind=kind,
        layer=layer_of(key),
        name=name or (f"{unique}-{suffix}" if suffix else unique),
        want=want or {},
        needs=needs,
        given_id=given_id,
    )
