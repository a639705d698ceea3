"""Pair: open connections to the two hosts of a lab, and the state of their interfaces.

Host × 2 ─▶ connected() ─▶ Pair ─▶ prove_routes() ─▶ Probes (per role and arm: interface, route, driver)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from enaxp.errors import BenchError, HostError
from enaxp.hosts import nic
from enaxp.hosts.connection import Connection, Host, connect
from enaxp.hosts.doctor import RESTART_NETWORK
from enaxp.hosts.network import ArmProbes, probe_arms
from enaxp.hosts.usage import usage_command

Probes = Mapping[str, ArmProbes]  # by role


@dataclass
class Pair:
    """The two hosts of a lab, with an open connection to each.

    A lost connection is replaced inside the pair, so that every holder of the pair uses the new one.
    """

    server: Connection
    client: Connection

    def by_role(self) -> dict[str, Connection]:
        return {"server": self.server, "client": self.client}

    def peer_of(self, role: str) -> Connection:
        """The host that is the peer of this role."""
        return self.client if role == "server" else self.server

    def reconnect(self, *, patience_s: float, still_there: Callable[[str], None] | None = None) -> None:
        """Reopens each connection that no longer answers, and waits for a host that is restarting.

        Raises HostError when it does not come back: at once if `still_there` raises for its role, else after a time limit.
        """
        for role, connection in self.by_role().items():
            try:
                connection.check("true", timeout_s=15)
            except HostError:
                connection.close()
                setattr(self, role, connect(connection.host, patience_s=patience_s, still_there=still_there))


@contextmanager
def connected(hosts: Mapping[str, Host]) -> Iterator[Pair]:
    """A context with one open connection to each host. Raises HostError when one cannot be opened."""
    with ThreadPoolExecutor(2) as pool:
        server, client = pool.map(connect, (hosts["server"], hosts["client"]))
    pair = Pair(server=server, client=client)
    try:
        yield pair
    finally:
        pair.server.close()
        pair.client.close()


def prove_routes(pair: Pair) -> Probes:
    """By role and arm: the interface that has the address, and the interface by which traffic to the peer's address leaves.

    Raises BenchError when an arm leaves a host by an interface that is not its own: both arms would then measure the same one.
    """
    probes: dict[str, ArmProbes] = {}
    for role, connection in pair.by_role().items():
        probes[role] = probe_arms(connection, pair.peer_of(role).host)
    for role, arms in probes.items():
        for arm, probe in arms.items():
            if probe.interface is not None and probe.leaves_by != probe.interface:
                raise BenchError(
                    f"the {role}'s {arm} traffic would leave by {probe.leaves_by or 'no interface'}, not by {probe.interface}",
                    todo=_todo(pair.by_role()[role].host, probe),
                )
    return probes


def _todo(host: Host, probe: nic.InterfaceProbe) -> str:
    if host.is_given:
        return f"look at `ip rule` there: what has the address of {probe.interface} must leave by it"
    return (
        f"look at `enaxp ssh {host.role} -- ip rule`; `enaxp ssh {host.role} -- sudo {RESTART_NETWORK}` sets it again"
    )


def counters_command(pair: Pair, probes: Probes, role: str) -> str:
    """A shell command that prints the counters of a host and its interfaces, for `nic.read_counters`, `nic.read_network` and
    `read_usage`."""
    own, peer = pair.by_role()[role].host, pair.peer_of(role).host
    ways = [
        (probe.interface, own.ip_of(arm), peer.ip_of(arm)) for arm, probe in probes[role].items() if probe.interface
    ]
    if not ways:
        return "true"
    interfaces = [interface for interface, *_ in ways]
    return f"{nic.network_command(ways)}; {usage_command(interfaces)}; {nic.counters_command(interfaces)}"


def counters_text(pair: Pair, probes: Probes, role: str) -> str:
    """The output of `counters_command` on a host now; empty if the host has no interfaces of its own. Raises HostError."""
    command = counters_command(pair, probes, role)
    return pair.by_role()[role].check(command) if command != "true" else ""
