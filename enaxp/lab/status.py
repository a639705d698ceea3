"""Status: a lab at one moment as one typed document, for people and programs. Pure.

    Snapshot + Prices + software results ─▶ status_of() ─▶ Status ─┬─▶ JSON on stdout (`status --json`, `up --json`)
                                                                   ├─▶ text for a person (terminal/lab.py)
                                                                   └─▶ Session.hosts(): how the hosts are reached

The fields of these classes are the document, in its order. A field that is None is null there; one that is UNSET is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from enaxp.config import Config, Role
from enaxp.lab.cost import Prices, usd_per_hour, usd_so_far
from enaxp.lab.fleet import HostPair, eni_key, instance_key, pairs_of
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.model import Difference, Found, Resource
from enaxp.lab.plan import drift_of
from enaxp.lab.spec import MONITORING
from enaxp.options import TargetName
from enaxp.traffic import Arm

if TYPE_CHECKING:
    from enaxp.lab.state_manager import SoftwareResult, SoftwareResults

PORTS = {"grafana": 3000, "prometheus": 9090}  # of the monitoring, on its own host and at this end of the tunnel

ResourceState = Literal["present", "pending", "missing", "unknown"]


@dataclass(frozen=True, kw_only=True)
class DriftStatus:
    """A field of a resource that differs from the wanted value. The values are those of AWS's API: text, numbers, lists, mappings."""

    field: str
    have: object
    want: object


@dataclass(frozen=True, kw_only=True)
class ResourceStatus:
    """A wanted resource of the lab. `id` is None while it is missing; `owned` is false for a given one."""

    key: str
    kind: str
    id: str | None
    owned: bool
    state: ResourceState
    drift: tuple[DriftStatus, ...]


@dataclass(frozen=True, kw_only=True)
class SshAddress:
    """Address and user for SSH to a host. `host` is None while a public address is needed and missing."""

    host: str | None
    port: int
    user: str


@dataclass(frozen=True, kw_only=True)
class InterfaceStatus:
    """An interface of a host, with ENA Express (and its flag for UDP) as read back from the attachment."""

    eni: str
    ip: str
    srd: bool
    srd_udp: bool


@dataclass(frozen=True, kw_only=True)
class SoftwareStatus:
    """The status of the latest run of a piece of software on a host, as State Manager reports it."""

    status: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class HostStatus:
    """A host of a pair. `software`: by piece, empty if State Manager was not queried. An interface is None while it is missing."""

    role: Role
    pair: int
    name: str
    instance_id: str
    public_ip: str | None
    ssh: SshAddress
    ena: InterfaceStatus | None
    ena_express: InterfaceStatus | None
    software: Mapping[str, SoftwareStatus]

    def interfaces(self) -> dict[Arm, InterfaceStatus]:
        """The existing interfaces, by the arm whose traffic each carries."""
        by_arm: dict[Arm, InterfaceStatus | None] = {"ena": self.ena, "ena_express": self.ena_express}
        return {arm: interface for arm, interface in by_arm.items() if interface is not None}


@dataclass(frozen=True, kw_only=True)
class PairStatus:
    """A host pair in a fleet, called variant-n, with each host whose instance exists."""

    name: str
    variant: str
    hosts: Mapping[Role, HostStatus]


@dataclass(frozen=True, kw_only=True)
class MonitoringStatus:
    """The host of the layer monitoring. `ip` is its address inside the lab's network."""

    name: str
    instance_id: str
    public_ip: str | None
    ip: str
    ssh: SshAddress


@dataclass(frozen=True, kw_only=True)
class Status:
    """A lab at one moment. If it does not exist, `lab_id` is None, and there are no resources and no hosts.

    hosts: of the only pair, or of a fleet's first pair. pairs: every pair, in a fleet only.

    endpoint_url: None on AWS. urls: of the monitoring pages, by name, valid while `enaxp monitor` keeps its tunnel open. usd_per_hour and
    usd_so_far: None on the local target, and if a price is unknown. owner: who created the lab, None if no tag says.
    """

    schema: Literal[2] = 2
    lab: str
    lab_id: str | None
    target: TargetName
    isolation: str | None = None
    endpoint_url: str | None
    account: str | None = None
    region: str
    availability_zone: str | None = None
    owner: str | None = None
    resources: tuple[ResourceStatus, ...] = ()
    hosts: Mapping[Role, HostStatus] = field(default_factory=dict)
    pairs: tuple[PairStatus, ...] | UnsetType = UNSET
    monitoring: MonitoringStatus | UnsetType = UNSET
    urls: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    expires_at: datetime | None = None
    usd_per_hour: float | None = None
    usd_so_far: float | None = None

    def each_pair(self) -> dict[str | None, Status]:
        """For each pair, by name, the status as if the lab had only this pair; in a lab without a fleet the status itself, under None."""
        if not self.pairs:
            return {None: self}
        return {pair.name: replace(self, hosts=pair.hosts, pairs=(pair,)) for pair in self.pairs}

    def every_host(self) -> dict[str, HostStatus]:
        """Each existing host by its place: `server`, or in a fleet `main-1/server`."""
        if not self.pairs:
            return {role: host for role, host in self.hosts.items()}  # noqa: C416 - keys of another type
        return {f"{pair.name}/{role}": host for pair in self.pairs for role, host in pair.hosts.items()}


def status_of(
    snapshot: Snapshot,
    *,
    config: Config,
    endpoint_url: str | None,
    prices: Prices | None,
    software: SoftwareResults,
    now: datetime,
) -> Status:
    """The status of the lab in the snapshot."""
    state = snapshot.state
    owned = {resource.key for resource in snapshot.resources if resource.owned}
    billed = [found for key, found in snapshot.survey.found.items() if key in owned]
    fleet = state.pinned.fleet or None
    pairs = pairs_of(config, fleet)
    hosts = [_hosts(pair, snapshot, config, software) for pair in pairs]
    named = tuple(
        PairStatus(name=pair.name, variant=pair.variant, hosts=those)
        for pair, those in zip(pairs, hosts, strict=True)
        if pair.name and pair.variant
    )
    return Status(
        lab=state.lab,
        lab_id=state.lab_id,
        target=state.target,
        isolation=snapshot.resolved.isolation,
        endpoint_url=endpoint_url,
        account=state.account,
        region=state.region,
        availability_zone=snapshot.resolved.availability_zone,
        resources=tuple(_resource(resource, snapshot) for resource in snapshot.resources),
        hosts=hosts[0],
        pairs=named or UNSET,
        monitoring=_monitoring(snapshot, config),
        urls=_urls(snapshot),
        created_at=state.created_at,
        expires_at=state.expires_at,
        owner=state.owner,
        usd_per_hour=usd_per_hour(prices, (found.key for found in billed)),
        usd_so_far=usd_so_far(prices, billed, now=now),
    )


def drift(difference: Difference) -> DriftStatus:
    """A difference in the form of the JSON documents."""
    return DriftStatus(field=difference.field, have=difference.have, want=difference.want)


def _resource(resource: Resource, snapshot: Snapshot) -> ResourceStatus:
    found = snapshot.survey.found.get(resource.key)
    is_known = found is not None and found.facts
    differences = drift_of(resource, found, snapshot.survey.ids(), snapshot.lab) if found and is_known else ()
    return ResourceStatus(
        key=resource.key,
        kind=resource.kind,
        id=found.id if found else None,
        owned=resource.owned,
        state="missing" if found is None else "pending" if found.pending else "present",
        drift=tuple(map(drift, differences)),
    )


def _hosts(pair: HostPair, snapshot: Snapshot, config: Config, software: SoftwareResults) -> dict[Role, HostStatus]:
    """Each host of the pair whose instance exists."""
    found, hosts = snapshot.survey.found, dict[Role, HostStatus]()
    for role, host in pair.hosts.items():
        instance, place = found.get(instance_key(pair, role)), pair.place(role)
        if instance is None:
            continue
        public_ip = _public_ip(instance, found.get(f"eip/{place}"))
        hosts[role] = HostStatus(
            role=role,
            pair=1,
            name=host.name,
            instance_id=instance.id,
            public_ip=public_ip,
            ssh=_ssh(config, public_ip=public_ip, private_ip=host.ena_ip),
            ena=_interface(found.get(eni_key(place, "ena"))),
            ena_express=_interface(found.get(eni_key(place, "express"))),
            software={piece: _software(result) for piece, result in software.get(place, {}).items()},
        )
    return hosts


def _monitoring(snapshot: Snapshot, config: Config) -> MonitoringStatus | UnsetType:
    """The monitoring host; UNSET if there is none."""
    found = snapshot.survey.found
    instance, eni, address = (found.get(f"{kind}/{MONITORING}") for kind in ("instance", "eni", "eip"))
    if instance is None or eni is None:
        return UNSET
    public_ip = _public_ip(instance, address)
    return MonitoringStatus(
        name=instance.tags.get("Name", MONITORING),
        instance_id=instance.id,
        public_ip=public_ip,
        ip=eni.facts["address"],
        ssh=_ssh(config, public_ip=public_ip, private_ip=eni.facts["address"]),
    )


def _urls(snapshot: Snapshot) -> dict[str, str]:
    """The URLs of the monitoring pages through the tunnel of `enaxp monitor`; they are not reachable otherwise. The local target has no
    Grafana."""
    if f"instance/{MONITORING}" not in snapshot.survey.found:
        return {}
    names = ("prometheus",) if snapshot.resolved.isolation else ("grafana", "prometheus")
    return {name: f"http://127.0.0.1:{PORTS[name]}" for name in names}


def _public_ip(instance: Found, address: Found | None) -> str | None:
    """The Elastic IP, else the instance's own public address."""
    public_ip: str | None = address.facts["public_ip"] if address else instance.facts.get("public_ip")
    return public_ip


def _ssh(config: Config, *, public_ip: str | None, private_ip: str) -> SshAddress:
    return SshAddress(
        host=private_ip if config.hosts.address == "private" else public_ip,
        port=config.hosts.ssh_port,
        user=config.hosts.ssh_user,
    )


def _interface(eni: Found | None) -> InterfaceStatus | None:
    if eni is None:
        return None
    facts = eni.facts
    return InterfaceStatus(eni=eni.id, ip=facts["address"], srd=facts["srd"], srd_udp=facts["srd_udp"])


def _software(result: SoftwareResult) -> SoftwareStatus:
    return SoftwareStatus(status=result.status, detail=result.detail)
