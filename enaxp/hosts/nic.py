"""Nic: the interfaces of a host and their counters. Output of standard tools in, plain data out.

    probe_command()    ─▶ read_probe()    ─▶ the interface of each address, and the one by which each arm leaves
    counters_command() ─▶ read_counters() ─▶ packets, bytes, `ena_srd_*` and allowance counters, per interface
    network_command()  ─▶ read_network()  ─▶ boot id, MTU and route of each interface, number of changes

Only coreutils, awk, iproute2 and ethtool are assumed on a host. A value that a host cannot report is None: unknown, never off.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from enaxp.hosts.numbers import DIGITS, whole_number

STATISTICS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes")
ALLOWANCE = re.compile(r"\w+_allowance_exceeded")
STAND_IN = "stand-in"
# The working folder of a bench on a host. On a host made of plain processes it is below the host's own folder.
WORK_FOLDER = 'here="${ENAXP_ROOT:-}/tmp/enaxp-bench"'
ENTER_FOLDER = f'umask 077; {WORK_FOLDER}; mkdir -p "$here" && cd "$here" || exit 1'
NETWORK_LOG = "enaxp-network-changes"  # a line for each change of a link or a rule, while a bench runs


@dataclass(frozen=True, kw_only=True)
class InterfaceProbe:
    """One address of a host: its interface, the interface by which traffic from it to the peer leaves, and the driver.

    None if the host does not report it (a host that is only processes has no interface with the lab's addresses). defaults: the
    interfaces of the default routes with the lowest metric; if there are several, which one is used is arbitrary.
    """

    interface: str | None
    leaves_by: str | None
    driver: str | None
    mtu: int | None
    defaults: tuple[str, ...] = ()

    @property
    def is_stand_in(self) -> bool:
        return self.driver is not None and STAND_IN in self.driver


@dataclass(frozen=True, kw_only=True)
class Counters:
    """The counters of one interface at one moment. `device`: the driver's counters from ethtool; empty if there are none."""

    statistics: Mapping[str, int]
    device: Mapping[str, int]
    mtu: int | None = None


DEFAULT_ROUTES_COMMAND = "ip -o -4 route show default 2>/dev/null | sed 's/^/default_route /'"


def probe_command(own_ip: str, peer_ip: str) -> str:
    """A shell command that prints the interface with `own_ip`, the one by which traffic from it to `peer_ip` leaves, and the driver."""
    own, peer = shlex.quote(own_ip), shlex.quote(peer_ip)
    return (
        f"dev=$(ip -o -4 addr show to {own} 2>/dev/null | awk '{{print $2; exit}}'); echo \"interface $dev\"; "
        f'echo "route $(ip -o route get {peer} from {own} 2>/dev/null | head -n 1)"; '
        f"{DEFAULT_ROUTES_COMMAND}; "
        '[ -n "$dev" ] && { echo "mtu $(cat /sys/class/net/$dev/mtu)"; '
        'ethtool -i "$dev" 2>/dev/null | awk \'{print "driver", $0}\'; }; true'
    )


def read_probe(text: str) -> InterfaceProbe:
    """The probe in the output of `probe_command`."""
    lines = [line.partition(" ") for line in text.splitlines()]
    one = {key: value.strip() for key, _, value in lines if key in {"interface", "route", "mtu"}}
    route = re.search(r"\bdev (\S+)", one.get("route", ""))
    interface = one.get("interface") or None
    driver = "; ".join(
        value
        for key, _, value in lines
        if key == "driver" and value.startswith(("driver:", "version:", "firmware-version:"))
    )
    return InterfaceProbe(
        interface=interface,
        leaves_by=route.group(1) if route and interface else None,
        driver=driver or None,
        mtu=whole_number(one.get("mtu")),
        defaults=read_default_routes(text),
    )


def read_default_routes(text: str) -> tuple[str, ...]:
    """The interfaces of the default routes with the lowest metric, from the output of `DEFAULT_ROUTES_COMMAND`."""
    found = re.findall(r"^default_route default\b.*? dev (\S+)(.*)$", text, flags=re.MULTILINE)
    metric_of = [
        (name, int(metric[1]) if (metric := re.search(r" metric ([0-9]{1,10})\b", rest)) else 0) for name, rest in found
    ]
    lowest = min((metric for _, metric in metric_of), default=0)
    return tuple(sorted({name for name, metric in metric_of if metric == lowest}))


def counters_command(interfaces: Iterable[str]) -> str:
    """A shell command that prints the counters of these interfaces for `read_counters`; empty if there are no interfaces."""
    names = " ".join(shlex.quote(name) for name in interfaces)
    if not names:
        return "true"
    files = [*(f"statistics/{name}" for name in STATISTICS), "mtu"]
    read_all = " ".join(f"/sys/class/net/$i/{file}" for file in files)
    return f'for i in {names}; do echo "interface $i"; echo "statistics" $(cat {read_all}); ethtool -S "$i" 2>/dev/null; done; true'


def read_counters(text: str) -> dict[str, Counters]:
    """The counters by interface in the output of `counters_command`."""
    found: dict[str, Counters] = {}
    for block in re.split(r"^interface ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        numbers = re.search(rf"^statistics((?: {DIGITS}){{4,5}})\s*$", rest, flags=re.MULTILINE)
        if numbers is None:
            continue
        *carried, mtu = map(int, f"{numbers.group(1)} 0".split()[:5])
        statistics = dict(zip(STATISTICS, carried, strict=True))
        device = {
            key: int(value)
            for key, value in re.findall(rf"^\s*([\w.\[\]-]+): ({DIGITS})\s*$", rest, flags=re.MULTILINE)
        }
        found[name.strip()] = Counters(statistics=statistics, device=device, mtu=mtu or None)
    return found


@dataclass(frozen=True, kw_only=True)
class HostNetwork:
    """A host's network at one moment. mtus: by interface. leaves_by: by interface, the one by which traffic from its address to the peer
    leaves.

    boot_id: identifies the boot. changes: how often links or routing rules have changed since watching began; None if not watched.
    """

    boot_id: str
    mtus: Mapping[str, int]
    leaves_by: Mapping[str, str]
    changes: int | None
    last_change: str


def network_command(ways: Iterable[tuple[str, str, str]]) -> str:
    """A shell command that prints the network of a host for `read_network`. ways: for each arm, interface, own address and peer's
    address."""
    log = f'"${{ENAXP_ROOT:-}}/tmp/enaxp-bench/{NETWORK_LOG}"'
    parts = [
        'echo "network boot $(cat /proc/sys/kernel/random/boot_id)"',
        f'[ -r {log} ] && echo "network changes $(wc -l < {log})" && echo "network last $(tail -n 1 {log})"',
    ]
    for interface, own, peer in ways:
        name, route = shlex.quote(interface), f"ip -o route get {shlex.quote(peer)} from {shlex.quote(own)} 2>/dev/null"
        parts.append(f'echo network mtu {name} "$(cat /sys/class/net/{name}/mtu)"')
        parts.append(f'echo network route {name} "$({route} | head -n 1)"')
    return "; ".join(parts)


def read_network(text: str) -> HostNetwork | None:
    """The network in the output of `network_command`; None if it is missing."""
    told, mtus, leaves_by = dict[str, str](), dict[str, int](), dict[str, str]()
    for what, rest in re.findall(r"^network (boot|changes|last|mtu|route) (.*)$", text, re.MULTILINE):
        name, _, value = rest.partition(" ")
        if what == "mtu" and (mtu := whole_number(value)) is not None:
            mtus[name] = mtu
        elif what == "route" and (by := re.search(r"\bdev (\S+)", value)):
            leaves_by[name] = by[1]
        else:
            told[what] = rest.strip()
    if "boot" not in told:
        return None
    return HostNetwork(
        boot_id=told["boot"],
        mtus=mtus,
        leaves_by=leaves_by,
        changes=whole_number(told.get("changes")),
        last_change=told.get("last", ""),
    )


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """The increase of each counter. A counter that is lower than before was reset (by a restart): then its current value is the least
    increase."""
    return {
        name: value - before[name] if value >= before[name] else value
        for name, value in after.items()
        if name in before
    }


def allowances_moved(before: Mapping[str, Counters], after: Mapping[str, Counters]) -> dict[str, int] | None:
    """The increase of each `*_allowance_exceeded` counter of a host over all its interfaces; None if there are no such counters.

    Some kinds count per instance, others per interface: the largest increase is reported.
    """
    totals: dict[str, int] = {}
    for interface, now in after.items():
        if interface in before:
            for name, value in moved(before[interface].device, now.device).items():
                if ALLOWANCE.fullmatch(name):
                    totals[name] = max(totals.get(name, 0), value)
    return totals or None
