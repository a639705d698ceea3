"""Notices: the refusals and notices before ENA Express of given hosts is switched. Pure.

GivenPairFound (AWS) + HostTold (each host) + the ports of the plan ─▶ refusals, and notices for the confirmation prompt

A *refusal* means that the bench would measure nothing or do harm; `--force` overrides those marked so. A *notice* is shown to the user
who is asked to confirm, and stored in the run.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from enaxp.config import Role
from enaxp.hosts.watching import HostTold
from enaxp.lab.given.discovery import GivenHostFound, GivenPairFound, Rule
from enaxp.traffic import SRD_MTU, Protocol


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A refusal or notice. refuses: whether nothing may be switched. can_be_forced: whether `--force` overrides it."""

    text: str
    refuses: bool = False
    can_be_forced: bool = False


def notices_of_aws(
    found: GivenPairFound, *, ports: Mapping[Protocol, Sequence[int]], now: datetime | None = None
) -> list[Notice]:
    """The refusals and notices that follow from AWS's answers alone, before any host is contacted. ports: the server's, by protocol."""
    return [
        *_refusals(found, now=now or datetime.now(UTC)),
        *_places(found),
        *_closed(found, ports),
        *(
            Notice(
                text=f"the {host.role}'s {host.setting.eni} ({host.ip}) has ENA Express {host.setting.in_words} now; "
                "it is put back so at the end"
            )
            for host in found.hosts
        ),
        Notice(
            text="while it is on, whatever else these interfaces exchange with others that have ENA Express goes by SRD, too; "
            "it is switched on and off about twice an iteration"
        ),
    ]


def notices_of_hosts(told: Mapping[Role, HostTold], *, has_tcp: bool) -> list[Notice]:
    """The refusals and notices that follow from the hosts' own answers. has_tcp: whether a scenario sends TCP."""
    return [notice for role, host in told.items() for notice in _of_a_host(role, host, has_tcp=has_tcp)]


def _refusals(found: GivenPairFound, *, now: datetime) -> Iterator[Notice]:
    if found.server.instance_id == found.client.instance_id:
        yield Notice(text="server and client are the same instance", refuses=True)
    for host in found.hosts:
        if host.state != "running":
            yield Notice(text=f"the {host.role} {host.instance_id} is {host.state}, not running", refuses=True)
        if host.instance_type not in found.supporting:
            yield Notice(text=f"the {host.role}'s type {host.instance_type} has no ENA Express", refuses=True)
        if host.bench_until and _is_later(host.bench_until, now):
            text = f"another bench runs on the {host.role} {host.instance_id}, until {host.bench_until} as it expects"
            yield Notice(text=text, refuses=True, can_be_forced=True)


def _is_later(moment: str, now: datetime) -> bool:
    try:
        until = datetime.fromisoformat(moment)
    except ValueError:
        return False
    return until.tzinfo is not None and until > now


def _places(found: GivenPairFound) -> Iterator[Notice]:
    server, client = found.server, found.client
    if server.zone != client.zone:
        yield Notice(
            text=f"the hosts are in two zones, {server.zone} and {client.zone}: what is sent between them is billed; across zones AWS "
            "promises bandwidth of ENA Express, and no tail latency"
        )
    elif server.subnet != client.subnet:
        yield Notice(text=f"the hosts are in two subnets of {server.zone}")
    if server.vpc != client.vpc:
        text = f"the hosts are in two VPCs, {server.vpc} and {client.vpc}: there must be a way between them, without a middlebox"
        yield Notice(text=text)


def _closed(found: GivenPairFound, ports: Mapping[Protocol, Sequence[int]]) -> Iterator[Notice]:
    """The refusal for sockperf's ports that the security groups block, with the command that would open them."""
    ways = (
        ("in from", found.server, found.client, found.ingress, "ingress"),
        ("out to", found.client, found.server, found.egress, "egress"),
    )
    for what, own, peer, rules, direction in ways:
        for protocol, wanted in ports.items():
            closed = [port for port in wanted if not _lets_through(own, peer, rules, protocol=protocol, port=port)]
            if not closed:
                continue
            span = f"{min(closed)}-{max(closed)}" if len(closed) > 1 else str(closed[0])
            groups, group = ", ".join(own.groups) or "none", own.groups[0] if own.groups else "GROUP"
            yield Notice(
                text=f"no security group of the {own.role} ({groups}) lets {protocol} port {span} {what} {peer.ip}; "
                f"nothing is opened here: `aws ec2 authorize-security-group-{direction} --group-id {group} --protocol {protocol} "
                f"--port {span} --cidr {peer.ip}/32` would",
                refuses=True,
                can_be_forced=True,
            )


def _lets_through(
    own: GivenHostFound,
    peer: GivenHostFound,
    rules: Mapping[str, Sequence[Rule]],
    *,
    protocol: Protocol,
    port: int,
) -> bool:
    """Whether a rule of the host's security groups allows the port. A rule with a prefix list is assumed to match."""
    return any(
        rule.protocol in ("all", protocol)
        and (rule.ports is None or rule.ports[0] <= port <= rule.ports[1])
        and (bool(rule.lists) or bool(set(rule.groups) & set(peer.groups)) or _is_in(peer.ip, rule.cidrs))
        for group in own.groups
        for rule in rules.get(group, ())
    )


def _is_in(address: str, cidrs: Sequence[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


def _of_a_host(role: Role, host: HostTold, *, has_tcp: bool) -> Iterator[Notice]:
    if host.interface is None:
        yield Notice(text=f"the {role} has no interface with its address", refuses=True)
    elif host.driver is not None and not host.driver.startswith("driver: ena"):
        yield Notice(text=f"the {role}'s {host.interface} has another driver than ena: {host.driver}", refuses=True)
    elif not host.shows_srd:
        text = f"the {role}'s driver has no ena_srd counters, so nothing would prove that SRD carried the packets (version 2.8 has them)"
        yield Notice(text=text, refuses=True, can_be_forced=True)
    if host.mtu is not None and host.mtu > SRD_MTU:
        tcp = (
            "TCP fills its packets, so bulk TCP goes by plain ENA in both arms; " if has_tcp else "small messages fit; "
        )
        yield Notice(
            text=f"the {role}'s {host.interface} has MTU {host.mtu}, and SRD carries packets up to {SRD_MTU} bytes: {tcp}nothing is "
            f"changed without --fix, which sets {SRD_MTU} until the host's network is set up again"
        )
    if host.is_busy:
        yield Notice(text=f"the {role} is busy: {host.other_traffic}. That is in the figures of both arms")
    else:
        yield Notice(text=f"the {role} is quiet: {host.other_traffic}")
