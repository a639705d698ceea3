"""Quiet: stops the timers that reconfigure the hosts' interfaces while a bench runs, and detects any reconfiguration that happens anyway.

    Quiet.begin() ─▶ on each host, while its connection lasts: timers that configure interfaces are stopped, changes are recorded
    counters of a trial ─▶ HostNetwork before and after ─▶ changes_of() ─▶ words ─▶ the gate `network`
    Quiet.restore() ─▶ after an incident: waits until MTU and routes are as before, stops the timers again

The host itself restarts the timers when the connection ends for any reason, including when enaxp is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from enaxp.bench.measuring.pair import Pair, Probes
from enaxp.errors import HostError
from enaxp.hosts.connection import Connection, HeldCommand
from enaxp.hosts.network import ArmProbes, settle
from enaxp.hosts.nic import ENTER_FOLDER, NETWORK_LOG, HostNetwork, InterfaceProbe
from enaxp.traffic import Arm

# amazon-ec2-net-utils has each of its interfaces set up again every minute.
TIMERS = "refresh-policy-routes@*.timer"
_MOST_TEXT = 120
_BOOT = "cat /proc/sys/kernel/random/boot_id"

# Runs until its standard input ends. One that an earlier connection left (a network can fail without a word) is ended first, and what
# it put to rest is taken over.
HOLD = rf"""{ENTER_FOLDER}
resting= root=
[ "$(id -u)" -eq 0 ] || root="sudo -n"
if [ -f resting ]; then
  read -r earlier resting < resting
  # Its shell heeds the signal once what it waits for has ended, too.
  grep -q {NETWORK_LOG} "/proc/$earlier/cmdline" 2> /dev/null &&
    kill "$earlier" $(cat "/proc/$earlier/task/$earlier/children")
fi
active=$(systemctl list-units --plain --no-legend --state=active '{TIMERS}' 2> /dev/null | awk '{{ print $1 }}')
resting=$(printf '%s\n' $resting $active | sort -u)
echo $$ $resting > resting
ip -o monitor link rule > {NETWORK_LOG} 2> /dev/null & watch=$!
trap 'kill $watch' EXIT
trap 'exit 1' TERM
trap '' HUP PIPE
if [ -n "$active" ]; then $root systemctl stop $active || echo "not stopped: $active"; fi
echo held
cat > /dev/null
rm -f resting
if [ -n "$resting" ]; then $root systemctl start $resting; fi
"""


class Quiet:
    """Keeps both hosts' network configuration unchanged during a bench. Does nothing on hosts without interfaces of their own."""

    def __init__(self, pair: Pair, probes: Probes, *, tell: Callable[[str], None]) -> None:
        self._pair = pair
        self._probes = probes
        self._tell = tell
        self._held: dict[str, tuple[Connection, HeldCommand]] = {}
        self._boots: dict[str, str] = {}

    def begin(self) -> None:
        """Stops the timers and begins to watch for changes, on each host where that is not done yet. Raises HostError."""
        for role, connection in self._pair.by_role().items():
            if not any(probe.interface for probe in self._probes[role].values()):
                continue
            held = self._held.get(role)
            if held is not None and held[0] is connection and held[1].runs:
                continue
            self._boots[role] = connection.check(_BOOT)
            command = connection.hold(HOLD)
            self._held[role] = (connection, command)
            while (line := command.read_line()) != "held":
                if not line:
                    raise HostError(f"putting timers of the {role} to rest", said="it ended at once")
                self._tell(f"the {role}: {line}: they may configure its interfaces anew during a trial")

    def restarted(self) -> list[str]:
        """The hosts that have restarted since `begin`. Raises HostError."""
        now = {role: self._pair.by_role()[role].check(_BOOT) for role in self._boots}
        return [role for role, boot in now.items() if boot != self._boots[role]]

    def end(self) -> None:
        """Restarts the timers and waits until it is done. Raises HostError when that failed on a host."""
        failures = []
        for role in list(self._held):
            _, command = self._held.pop(role)
            try:
                command.release()
            except HostError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def restore(self) -> None:
        """After an incident: waits until MTU and routes are as at the start of the bench, then does what `begin` does. Raises
        HostError."""
        for role, connection in self._pair.by_role().items():
            peer = self._pair.peer_of(role)

            def faults_of(now: ArmProbes, *, role: str = role) -> list[str]:
                return list(_differences(role, self._probes[role], now))

            settle(connection, peer.host, faults_of=faults_of)
        self.begin()


def changes_of(
    role: str, probes: Mapping[Arm, InterfaceProbe], before: HostNetwork | None, after: HostNetwork | None
) -> tuple[str, ...] | None:
    """The changes of a host's network during a trial, in words; None when the host does not report them. `probes`: the interfaces when
    the bench began."""
    if before is None or after is None:
        return None
    found = []
    if before.boot_id != after.boot_id:
        found.append(f"the {role} restarted")
    now = {
        arm: InterfaceProbe(
            interface=probe.interface,
            leaves_by=after.leaves_by.get(probe.interface or ""),
            driver=probe.driver,
            mtu=after.mtus.get(probe.interface or ""),
        )
        for arm, probe in probes.items()
    }
    found += _differences(role, probes, now)
    if before.changes is not None and after.changes is not None and before.changes != after.changes:
        last = after.last_change[:_MOST_TEXT]
        found.append(
            f"links or rules of the {role} were changed by somebody, {after.changes - before.changes} times: {last}"
        )
    return tuple(found)


def _differences(role: str, was: ArmProbes, now: ArmProbes) -> Iterator[str]:
    """The differences between two moments, in values that both report."""
    for arm, before in was.items():
        after = now[arm]
        if before.mtu is not None and after.mtu != before.mtu:
            yield f"the MTU of the {role}'s {before.interface} is {after.mtu or 'unknown'}, it was {before.mtu}"
        if before.leaves_by is not None and after.leaves_by != before.leaves_by:
            yield f"the {role}'s {arm} traffic leaves by {after.leaves_by or 'no interface'}, it left by {before.leaves_by}"
