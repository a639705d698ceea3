"""Resource types: what the strict AWS knows of each type of EC2 resource, said once.

    TYPES ─┬─▶ rules: whether a named id exists, and how AWS refuses it; what a create may tag
           ├─▶ policies: what a call names and makes, and the ARNs of these
           └─▶ listings and logs of calls: what stands, what was named

To teach it a type: a row in `TYPES`, and the actions in `access/actions.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from enaxp.local.strict.life import GroupInUse


class Standing(Protocol):
    """What the emulated account has besides moto's own, as far as these types need it."""

    groups: dict[tuple[str, str], GroupInUse]


@dataclass(frozen=True, kw_only=True)
class JudgedType:
    """A type that policies speak of, by its name there and in TagSpecifications.

    prefix: of its ids.  creates: actions that make one, and may tag it.  tagged_by: others that may tag one which they make.
    members: of a request, which name some by their ids.  names: likewise, of a type that goes by its name.
    """

    type: str
    prefix: str
    creates: tuple[str, ...] = ()
    tagged_by: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ResourceType(JudgedType):
    """A type of which a request may name only what exists.

    noun, not_found, malformed: AWS's word for one, and its codes.  ids: those that there are, of moto's backend and the world.
    stands: those that somebody made and that can stay behind, by what they go by; None: all of `ids`.
    by_name: the ids by the names, of a type that goes by its name; its ids follow from them.
    ruled_members: like `members`, with a rule of their own about what exists.  members_in: what names some in one action alone.
    """

    noun: str
    not_found: str
    malformed: str
    ids: Callable[[Any, Standing], Iterable[str]]
    stands: Callable[[Any], Iterable[str]] | None = None
    by_name: Callable[[Any, Standing], Mapping[str, str]] | None = None
    ruled_members: tuple[str, ...] = ()
    members_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def standing(self, backend: Any, world: Standing) -> Iterable[str]:
        """What somebody made and what is still there."""
        return self.ids(backend, world) if self.stands is None else self.stands(backend)


def subnets_of(backend: Any) -> list[Any]:
    return [subnet for zone in backend.subnets.values() for subnet in zone.values()]


def groups_of(backend: Any) -> list[Any]:
    return [group for groups in backend.groups.values() for group in groups.values()]


def _instances_of(backend: Any) -> list[Any]:
    return [instance for reservation in backend.reservations.values() for instance in reservation.instances]


def _keys_of(backend: Any, _: Standing) -> dict[str, str]:
    return {name: str(key.id) for name, key in backend.key_pairs.items()}


def _placement_groups_of(backend: Any, world: Standing) -> dict[str, str]:
    return {group.name: group.id for (region, _), group in world.groups.items() if region == backend.region_name}


TYPES: tuple[ResourceType, ...] = (
    ResourceType(
        type="vpc",
        prefix="vpc",
        creates=("CreateVpc",),
        members=("VpcId", "VpcIds"),
        noun="vpc",
        not_found="InvalidVpcID.NotFound",
        malformed="InvalidVpcID.Malformed",
        ids=lambda backend, _: backend.vpcs,
    ),
    ResourceType(
        type="subnet",
        prefix="subnet",
        creates=("CreateSubnet",),
        members=("SubnetId", "SubnetIds"),
        noun="subnet",
        not_found="InvalidSubnetID.NotFound",
        malformed="InvalidSubnetID.Malformed",
        ids=lambda backend, _: [subnet.id for subnet in subnets_of(backend)],
    ),
    ResourceType(
        type="internet-gateway",
        prefix="igw",
        creates=("CreateInternetGateway",),
        members=("InternetGatewayId", "InternetGatewayIds"),
        noun="internetGateway",
        not_found="InvalidInternetGatewayID.NotFound",
        malformed="InvalidInternetGatewayId.Malformed",
        ids=lambda backend, _: backend.internet_gateways,
    ),
    ResourceType(
        type="route-table",
        prefix="rtb",
        creates=("CreateRouteTable",),
        members=("RouteTableId", "RouteTableIds"),
        noun="routeTable",
        not_found="InvalidRouteTableID.NotFound",
        malformed="InvalidRouteTableId.Malformed",
        ids=lambda backend, _: backend.route_tables,
        stands=lambda backend: [one.id for one in backend.route_tables.values() if not one.main_association_id],
    ),
    ResourceType(
        type="security-group",
        prefix="sg",
        creates=("CreateSecurityGroup",),
        members=("GroupId", "GroupIds", "SecurityGroupIds"),
        ruled_members=("Groups",),
        noun="security group",
        not_found="InvalidGroup.NotFound",
        malformed="InvalidGroupId.Malformed",
        ids=lambda backend, _: [group.id for group in groups_of(backend)],
        stands=lambda backend: [group.id for group in groups_of(backend) if group.name != "default"],
    ),
    ResourceType(
        type="network-interface",
        prefix="eni",
        creates=("CreateNetworkInterface",),
        tagged_by=("RunInstances",),
        members=("NetworkInterfaceId", "NetworkInterfaceIds"),
        noun="networkInterface",
        not_found="InvalidNetworkInterfaceID.NotFound",
        malformed="InvalidNetworkInterfaceId.Malformed",
        ids=lambda backend, _: backend.enis,
    ),
    ResourceType(
        type="elastic-ip",
        prefix="eipalloc",
        creates=("AllocateAddress",),
        members=("AllocationId", "AllocationIds"),
        noun="allocation",
        not_found="InvalidAllocationID.NotFound",
        malformed="InvalidAllocationID.Malformed",
        ids=lambda backend, _: [address.allocation_id for address in backend.addresses],
    ),
    ResourceType(
        type="key-pair",
        prefix="key",
        creates=("ImportKeyPair", "CreateKeyPair"),
        names=("KeyName",),
        noun="key",
        not_found="InvalidKeyPair.NotFound",
        malformed="InvalidKeyPair.NotFound",
        ids=lambda backend, world: _keys_of(backend, world).values(),
        stands=lambda backend: backend.key_pairs,
        by_name=_keys_of,
    ),
    ResourceType(
        type="volume",
        prefix="vol",
        creates=("CreateVolume", "RunInstances"),
        members=("VolumeId", "VolumeIds"),
        noun="volume",
        not_found="InvalidVolume.NotFound",
        malformed="InvalidVolumeID.Malformed",
        ids=lambda backend, _: backend.volumes,
    ),
    ResourceType(
        type="instance",
        prefix="i",
        creates=("RunInstances",),
        members=("InstanceId", "InstanceIds"),
        noun="instance",
        not_found="InvalidInstanceID.NotFound",
        malformed="InvalidInstanceID.Malformed",
        ids=lambda backend, _: [one.id for one in _instances_of(backend)],
        stands=lambda backend: [one.id for one in _instances_of(backend) if one._state.name != "terminated"],
    ),
    ResourceType(
        type="placement-group",
        prefix="pg",
        creates=("CreatePlacementGroup",),
        names=("GroupName", "Placement.GroupName"),
        members_in={"DescribePlacementGroups": ("GroupIds",)},
        noun="Placement Group",
        not_found="InvalidPlacementGroup.Unknown",
        malformed="InvalidPlacementGroupId.Malformed",
        ids=lambda backend, world: _placement_groups_of(backend, world).values(),
        by_name=_placement_groups_of,
    ),
)
# What calls name or tag, and what nobody asks here whether it exists: an image has a rule of its own.
_OTHERS: tuple[JudgedType, ...] = (
    JudgedType(type="image", prefix="ami", members=("ImageId",)),
    JudgedType(
        type="security-group-rule",
        prefix="sgr",
        tagged_by=("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"),
    ),
    JudgedType(type="spot-instances-request", prefix="sir", tagged_by=("RunInstances",)),
)
BY_PREFIX: Mapping[str, ResourceType] = {one.prefix: one for one in TYPES}
BY_NAME: Mapping[str, ResourceType] = {one.type: one for one in TYPES}
TYPE_BY_PREFIX: Mapping[str, str] = {one.prefix: one.type for one in (*TYPES, *_OTHERS)}
# Type → members of a request that name some, in whatever way.
NAMED_BY: Mapping[str, tuple[str, ...]] = {
    **{one.type: (*one.members, *one.ruled_members, *one.names) for one in TYPES},
    **{one.type: one.members for one in _OTHERS},
}


def _by_action(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    actions: dict[str, tuple[str, ...]] = {}
    for action, type in pairs:
        actions[action] = (*actions.get(action, ()), type)
    return actions


# Action → the types that it makes, and those that it may tag as it makes them.
MADE_BY: Mapping[str, tuple[str, ...]] = _by_action((action, one.type) for one in TYPES for action in one.creates)
TAGGED_BY: Mapping[str, tuple[str, ...]] = _by_action(
    (action, one.type) for one in (*TYPES, *_OTHERS) for action in (*one.creates, *one.tagged_by)
)


@cache
def ids_named_in(action: str) -> Mapping[str, ResourceType]:
    """The members of a request for this action that hold ids, with the type of what they name."""
    everywhere = {member: one for one in TYPES for member in one.members}
    here = {member: one for one in TYPES for member in one.members_in.get(action, ())}
    return {**everywhere, **here}


def id_pattern(*more_prefixes: str) -> str:
    """A regular expression for any id of these types, and of such prefixes."""
    return rf"(?:{'|'.join((*BY_PREFIX, *more_prefixes))})-[0-9a-f]{{8,17}}"


def standing_in(backend: Any, world: Standing) -> Iterator[str]:
    """The resources in a region that a caller created and that still exist: ids, and the names of key pairs."""
    for one in TYPES:
        yield from one.standing(backend, world)
