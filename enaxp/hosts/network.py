"""Network: checks whether a host's interfaces are as the lab needs them, and waits until they are.

    Connection, the other host ─▶ probe_arms() ─▶ each arm's interface ─▶ faults, in words ─▶ settle(): waits, reconfigures, waits

MTU and routes may be wrong for a moment after boot, and whenever the distribution has reconfigured an interface. An interface attached to
a running host has no address at first: the distribution configures it within a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, Host, as_root, login
from enaxp.hosts.doctor import RESTART_NETWORK
from enaxp.hosts.nic import InterfaceProbe, probe_command, read_probe
from enaxp.traffic import SRD_MTU, Arm

SETTLE_S = 90.0
BY_ITSELF_S = 15.0  # for what the host's own units set; after that they are started once more
MISSING = "no interface has the address of {} yet"
LOOK_S = 0.5

ArmProbes = Mapping[Arm, InterfaceProbe]


def probe_arms(connection: Connection, peer: Host) -> ArmProbes:
    """The interface of each arm on a host, and the interface by which its traffic to the peer leaves. Raises HostError."""
    own = connection.host
    return {arm: read_probe(connection.check(probe_command(own.ip_of(arm), peer.ip_of(arm)))) for arm in own.homes}


def faults(probes: ArmProbes) -> list[str]:
    """The faults of a host's network, in words. Values that the host does not report are not faults."""
    found = missing(probes)
    defaults = next((probe.defaults for probe in probes.values()), ())
    if len(defaults) > 1:
        found.append(
            f"the default routes by {' and '.join(defaults)} have the same metric (amazon-ec2-net-utils before 2.4.0 sets them so "
            "for an interface that is attached later)"
        )
    for arm, probe in probes.items():
        if probe.interface is not None and probe.leaves_by != probe.interface:
            found.append(f"{arm} traffic leaves by {probe.leaves_by or 'no interface'}, not by {probe.interface}")
        if probe.mtu is not None and probe.mtu > SRD_MTU:
            found.append(f"the MTU of {probe.interface} ({arm}) is {probe.mtu}, more than {SRD_MTU}")
    return found


def missing(probes: ArmProbes) -> list[str]:
    """The arms whose address no interface has, in words. If no interface has any, the host reports no interfaces, and nothing is
    missing."""
    if all(probe.interface is None for probe in probes.values()):
        return []
    return [MISSING.format(arm) for arm, probe in probes.items() if probe.interface is None]


def settle(
    connection: Connection,
    peer: Host,
    *,
    faults_of: Callable[[ArmProbes], list[str]] = faults,
    say: Callable[[str], None] = lambda text: None,
    patience_s: float = SETTLE_S,
) -> None:
    """Waits until a host's network has no faults, and reports what it waits for.

    It runs the host's own network unit again if the faults persist, or if a missing interface has appeared. Raises HostError that names
    the faults if they remain.
    """
    began, restarted, was_missing, told = time.monotonic(), False, False, list[str]()
    role = connection.host.role
    while wrong := faults_of(probes := probe_arms(connection, peer)):
        if wrong != told:
            say(f"  {role}: {'; '.join(wrong)}")
            told = wrong
        is_missing = bool(missing(probes))
        has_come, was_missing = was_missing and not is_missing, is_missing
        waited = time.monotonic() - began
        if waited >= patience_s:
            raise HostError(
                f"the interfaces of the {role} are not as the lab needs them",
                said="; ".join(wrong),
                todo=f"`{login(role)} -- sudo {RESTART_NETWORK}` sets them again and says why it cannot",
            )
        if has_come or (not restarted and waited >= min(BY_ITSELF_S, patience_s / 2)):
            connection.run(as_root(RESTART_NETWORK), timeout_s=90)
            restarted = True
        time.sleep(LOOK_S)
