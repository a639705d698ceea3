"""Network: whether a host's interfaces are as the lab needs them, and waiting until they are.

    Connection, the other host ─▶ probe_arms() ─▶ what each arm's interface is ─▶ faults, in words ─▶ settle(): waits, sets again, waits

After a start, and whenever something has had the distribution configure an interface anew, MTU and routes may be wrong for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, Host, as_root
from enaxp.hosts.doctor import MTU_MOST, RESTART_NETWORK
from enaxp.hosts.nic import InterfaceProbe, probe_command, read_probe
from enaxp.traffic import Arm

SETTLE_S = 90.0
BY_ITSELF_S = 15.0  # for what the host's own units set; after that they are started once more
LOOK_S = 0.5

ArmProbes = Mapping[Arm, InterfaceProbe]


def probe_arms(connection: Connection, peer: Host) -> ArmProbes:
    """What each arm's interface of a host is, and by which one traffic to the peer leaves. Raises HostError."""
    own = connection.host
    return {arm: read_probe(connection.check(probe_command(own.ip_of(arm), peer.ip_of(arm)))) for arm in own.homes}


def faults(probes: ArmProbes) -> list[str]:
    """What is not as a lab needs it, in words. Nothing is said of what a host does not tell."""
    found = []
    for arm, probe in probes.items():
        if probe.interface is not None and probe.leaves_by != probe.interface:
            found.append(f"{arm} traffic leaves by {probe.leaves_by or 'no interface'}, not by {probe.interface}")
        if probe.mtu is not None and probe.mtu > MTU_MOST:
            found.append(f"the MTU of {probe.interface} ({arm}) is {probe.mtu}, more than {MTU_MOST}")
    return found


def settle(
    connection: Connection,
    peer: Host,
    *,
    faults_of: Callable[[ArmProbes], list[str]] = faults,
    patience_s: float = SETTLE_S,
) -> None:
    """Waits until nothing is wrong with a host's network; has its own unit set it again when it does not become so by itself.

    Raises HostError that says what is wrong, when it stays so.
    """
    began, restarted = time.monotonic(), False
    role = connection.host.role
    while wrong := faults_of(probe_arms(connection, peer)):
        waited = time.monotonic() - began
        if waited >= patience_s:
            raise HostError(
                f"the interfaces of the {role} are not as the lab needs them",
                said="; ".join(wrong),
                todo=f"`enaxp ssh {role} -- sudo {RESTART_NETWORK}` sets them again and says why it cannot",
            )
        if not restarted and waited >= min(BY_ITSELF_S, patience_s / 2):
            connection.run(as_root(RESTART_NETWORK), timeout_s=90)
            restarted = True
        time.sleep(LOOK_S)
