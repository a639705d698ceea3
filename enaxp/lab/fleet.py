"""Fleets: the host pairs of a lab, their names and their addresses. Pure.

    Config + the pinned fleet ─▶ pairs_of() ─▶ (HostPair, …) ─▶ spec, status

A lab without a fleet has one unnamed pair, with keys like `instance/server`. In a fleet a pair is called variant-n, and its keys contain
that name: `instance/main-1/server`. Pinned values take precedence over the config: a later `up` without the option keeps the same pairs
with the same addresses.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from enaxp.config import (
    ADDRESSES_A_PAIR,
    FIRST_SLOT_AFTER,
    ROLES,
    Addresses,
    Config,
    HostConfig,
    Placement,
    Role,
    VariantConfig,
    prefix_needed,
)
from enaxp.errors import UsageError
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import Found, kind_of


@dataclass(frozen=True, kw_only=True)
class PinnedVariant:
    """The values of a variant that are fixed for the life of the lab.

    slots: for each pair, the slot that determines its addresses (see `hosts_in_slot`). ami, root_device: the resolved image.
    """

    slots: tuple[int, ...]
    instance_type: str
    placement: Placement
    ami: str | None = None
    root_device: str | None = None


PinnedFleet = Mapping[str, PinnedVariant]


@dataclass(frozen=True, kw_only=True)
class HostPair:
    """A server and a client. name and variant: None in a lab without a fleet. slot: determines their addresses, from 1."""

    name: str | None
    variant: str | None
    slot: int
    instance_type: str
    placement: Placement
    hosts: Mapping[Role, HostConfig]

    def place(self, role: Role) -> str:
        """The host's name in keys and messages: `server`, or `main-1/server`."""
        return role if self.name is None else f"{self.name}/{role}"

    def key(self, kind: str) -> str:
        """The key of a resource of which the pair has one, such as its placement group."""
        return kind if self.name is None else f"{kind}/{self.name}"

    def crosses_zones(self, role: Role) -> bool:
        """Whether this host is in the second subnet."""
        return self.placement == "zones" and role == "client"


def instance_key(pair: HostPair, role: Role) -> str:
    return f"instance/{pair.place(role)}"


def eni_key(place: str, arm: str) -> str:
    """The key of an interface. place: the host's, as from `HostPair.place`. arm: `ena` (the primary interface) or `express`."""
    return f"eni/{place}-{arm}"


def places_of(pairs: Iterable[HostPair]) -> list[str]:
    """The place of every host, pair by pair, the server first."""
    return [pair.place(role) for pair in pairs for role in ROLES]


def addresses_of(config: Config, *, fleet: bool) -> Addresses:
    """The kind of public addresses of the hosts: Elastic IPs, addresses that AWS assigns at launch, or none."""
    asked = config.hosts.address
    if asked == "auto":
        return "assigned" if fleet else "elastic"
    return "elastic" if asked == "public" else "private"


def pin_fleet(config: Config, pinned: PinnedFleet | None) -> PinnedFleet | None:
    """The requested fleet with a slot for each pair: the pair's existing one or the lowest free one. None without a fleet.

    A config without a fleet requests the pinned one. Raises UsageError when the subnet is too small for it.
    """
    if config.fleet is None:
        return pinned
    before, asked = pinned or {}, config.fleet
    kept = {name: before[name].slots[: asked.pairs] for name in asked.variants if name in before}
    taken = {slot for slots in kept.values() for slot in slots}
    free = (slot for slot in range(1, len(asked.variants) * asked.pairs + 1) if slot not in taken)
    slots = {name: list(kept.get(name, ())) for name in asked.variants}
    for number in range(asked.pairs):  # in turn, so that a fleet that grows keeps its addresses' order
        for name in asked.variants:
            if number >= len(kept.get(name, ())):
                slots[name].append(next(free))
    return {
        name: _pinned(variant, before.get(name), slots=tuple(slots[name])) for name, variant in asked.variants.items()
    }


def _pinned(variant: VariantConfig, before: PinnedVariant | None, *, slots: tuple[int, ...]) -> PinnedVariant:
    """The pinned values of a variant. Its image is kept as long as its instance type is the same."""
    known = before or PinnedVariant(slots=(), instance_type="", placement=variant.placement)
    same_type = known.instance_type == variant.instance_type
    return PinnedVariant(
        slots=slots,
        instance_type=variant.instance_type,
        placement=variant.placement,
        ami=known.ami if same_type else None,
        root_device=known.root_device if same_type else None,
    )


_PAIR = re.compile(
    r"[a-z]+(?:-[a-z]+)*/(?P<name>(?P<variant>[a-z][a-z0-9-]{0,11})-(?P<number>[1-9][0-9]{0,3}))(?:/.+)?"
)


class PairName(NamedTuple):
    """`main-2`, and what it is made of."""

    name: str
    variant: str
    number: int


def pair_in(key: str) -> PairName | None:
    """The pair whose name a key contains; None for a resource of no pair, and in a lab without a fleet."""
    found = _PAIR.fullmatch(key)
    kind = KINDS.get(kind_of(key))
    if found is None or kind is None or not kind.of_a_pair:
        return None
    return PairName(found["name"], found["variant"], int(found["number"]))


def surplus_of(keys: Iterable[str], *, pairs: Iterable[HostPair], wanted: Iterable[str]) -> list[str]:
    """Those of these keys that belong to pairs which the lab should not have, or to a placement group that a pair should not use."""
    names, wanted = {pair.name for pair in pairs}, set(wanted)
    of_pairs = [(key, pair.name) for key in keys if (pair := pair_in(key))]
    return [
        key for key, name in of_pairs if name not in names or (kind_of(key) == "placement-group" and key not in wanted)
    ]


def fleet_that_lives(config: Config, found: Mapping[str, Found]) -> PinnedFleet | None:
    """The fleet reconstructed from its existing hosts and interfaces, for a lost state; None if there is none.

    The slot of a pair follows from one of its addresses, because other addresses would mean other hosts.
    """
    seen: dict[str, list[tuple[int, Found]]] = {}  # by variant: what is there of its pairs, each with the pair's number
    for key, one in found.items():
        if pair := pair_in(key):
            seen.setdefault(pair.variant, []).append((pair.number, one))
    slots = {variant: numbered for variant, those in seen.items() if (numbered := _slots_seen(config, those))}
    taken = {slot for numbered in slots.values() for slot in numbered.values()}
    free = (slot for slot in itertools.count(1) if slot not in taken)
    fleet = {}
    for variant, numbered in sorted(slots.items(), key=lambda item: min(item[1].values())):
        resources = [one for _, one in seen[variant]]
        instance = next((one.facts for one in resources if "image" in one.facts), {})
        fleet[variant] = PinnedVariant(
            slots=tuple(numbered.get(number) or next(free) for number in range(1, max(numbered) + 1)),
            instance_type=instance.get("type", config.hosts.instance_type),
            placement=_placement_seen(config, resources),
            ami=instance.get("image"),
        )
    return fleet or None


def _slots_seen(config: Config, resources: Iterable[tuple[int, Found]]) -> dict[int, int]:
    """The slot of each pair that has an address, by the pair's number."""
    addresses = [(number, address) for number, one in resources if (address := one.facts.get("address"))]
    return {number: slot for number, address in addresses if (slot := slot_of(config, address))}


def _placement_seen(config: Config, resources: Iterable[Found]) -> Placement:
    """The placement of a variant's pairs, from their existing resources."""
    resources = tuple(resources)
    if any(one.kind == "placement-group" for one in resources):
        return "cluster"
    second = ipaddress.IPv4Network(config.network.second_subnet_cidr)
    addresses = [address for one in resources if (address := one.facts.get("address"))]
    return "zones" if any(ipaddress.IPv4Address(address) in second for address in addresses) else "none"


def pairs_of(config: Config, fleet: PinnedFleet | None) -> tuple[HostPair, ...]:
    """Every pair of the lab, variant by variant; a lab without a fleet has one.

    fleet: the value of `pin_fleet`. Raises UsageError when the subnet is too small for it.
    """
    if fleet is None:
        only = config.only_variant
        hosts = _in_second_subnet_where(config, config.hosts.by_role(), placement=only.placement)
        pair = HostPair(
            name=None, variant=None, slot=1, instance_type=only.instance_type, placement=only.placement, hosts=hosts
        )
        return (pair,)
    _require_room(config, most=max(slot for variant in fleet.values() for slot in variant.slots))
    return tuple(
        HostPair(
            name=f"{name}-{number}",
            variant=name,
            slot=slot,
            instance_type=variant.instance_type,
            placement=variant.placement,
            hosts=_in_second_subnet_where(
                config, _named(hosts_in_slot(config, slot), f"{name}-{number}"), placement=variant.placement
            ),
        )
        for name, variant in fleet.items()
        for number, slot in enumerate(variant.slots, start=1)
    )


def hosts_in_slot(config: Config, slot: int) -> Mapping[Role, HostConfig]:
    """The hosts of one pair, all in the first subnet. Slot 1 has the config's addresses, slot k ≥ 2 the four from .22 + 4(k - 2) on:
    server, server's ENA Express, client, client's ENA Express."""
    hosts = config.hosts.by_role()
    if slot == 1:
        return hosts
    first = ipaddress.IPv4Network(config.network.subnet_cidr)[0] + FIRST_SLOT_AFTER + ADDRESSES_A_PAIR * (slot - 2)
    return {
        role: replace(hosts[role], ena_ip=str(first + 2 * at), ena_express_ip=str(first + 2 * at + 1))
        for at, role in enumerate(ROLES)
    }


def slot_of(config: Config, address: str) -> int | None:
    """The slot of an interface's address, in either subnet; None for an address that belongs to no pair."""
    subnets = [ipaddress.IPv4Network(cidr) for cidr in (config.network.subnet_cidr, config.network.second_subnet_cidr)]
    subnet = next((subnet for subnet in subnets if ipaddress.IPv4Address(address) in subnet), None)
    if subnet is None:
        return None
    place = int(ipaddress.IPv4Address(address)) - int(subnet[0])
    first = int(subnets[0][0])
    own = [
        int(ipaddress.IPv4Address(ip)) - first
        for host in config.hosts.by_role().values()
        for ip in (host.ena_ip, host.ena_express_ip)
    ]
    if place in own:
        return 1
    return (place - FIRST_SLOT_AFTER) // ADDRESSES_A_PAIR + 2 if place >= FIRST_SLOT_AFTER else None


def _named(hosts: Mapping[Role, HostConfig], pair: str) -> dict[Role, HostConfig]:
    return {role: replace(host, name=f"{host.name}-{pair}") for role, host in hosts.items()}


def _in_second_subnet_where(
    config: Config, hosts: Mapping[Role, HostConfig], *, placement: Placement
) -> Mapping[Role, HostConfig]:
    """The hosts; with placement across zones the client gets the same address offset in the second subnet."""
    if placement != "zones":
        return hosts
    first, second = (
        ipaddress.IPv4Network(cidr)[0] for cidr in (config.network.subnet_cidr, config.network.second_subnet_cidr)
    )
    ends = int(second) - int(first)

    def moved(address: str) -> str:
        return str(ipaddress.IPv4Address(address) + ends)

    client = hosts["client"]
    there = replace(client, ena_ip=moved(client.ena_ip), ena_express_ip=moved(client.ena_express_ip))
    return {**hosts, "client": there}


def _require_room(config: Config, *, most: int) -> None:
    subnet = ipaddress.IPv4Network(config.network.subnet_cidr)
    needed = prefix_needed(subnet, most)
    if needed < subnet.prefixlen:
        raise UsageError(
            f"network.subnet_cidr {subnet} has no room for the addresses of {most} pairs of hosts",
            todo=f"give the lab a subnet of /{needed} or larger (network.subnet_cidr), after `enaxp down`",
        )
