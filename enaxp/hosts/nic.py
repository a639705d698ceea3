"""Nic: what a host's interfaces are and what they carried. Text of standard tools in, plain data out.

    probe_command()    ─▶ read_probe()    ─▶ which interface has which address, and by which one each arm leaves
    counters_command() ─▶ read_counters() ─▶ packets, bytes, `ena_srd_*` and allowance counters, per interface

Only coreutils, awk, iproute2 and ethtool are assumed on a host. What a host cannot tell is None: unknown, never off.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STATISTICS = ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes")
ALLOWANCE = re.compile(r"\w+_allowance_exceeded")
STAND_IN = "stand-in"


@dataclass(frozen=True, kw_only=True)
class InterfaceProbe:
    """One address of a host: its interface, the interface by which traffic from it to the other host leaves, and the driver.

    None where the host does not tell (in a plain process there is no interface with the lab's addresses).
    """

    interface: str | None
    leaves_by: str | None
    driver: str | None
    mtu: int | None

    @property
    def is_stand_in(self) -> bool:
        return self.driver is not None and STAND_IN in self.driver


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Counters of one interface at one moment. `device` holds what the driver tells by ethtool; empty when it tells nothing."""

    statistics: Mapping[str, int]
    device: Mapping[str, int]


def probe_command(own_ip: str, peer_ip: str) -> str:
    """Tells which interface has `own_ip`, by which one traffic from it to `peer_ip` leaves, and the interface's driver."""
    own, peer = shlex.quote(own_ip), shlex.quote(peer_ip)
    return (
        f"dev=$(ip -o -4 addr show to {own} 2>/dev/null | awk '{{print $2; exit}}'); echo \"interface $dev\"; "
        f'echo "route $(ip -o route get {peer} from {own} 2>/dev/null | head -n 1)"; '
        '[ -n "$dev" ] && { echo "mtu $(cat /sys/class/net/$dev/mtu)"; '
        'ethtool -i "$dev" 2>/dev/null | awk \'{print "driver", $0}\'; }; true'
    )


def read_probe(text: str) -> InterfaceProbe:
    """What `probe_command` printed."""
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
        mtu=int(one["mtu"]) if one.get("mtu", "").isdigit() else None,
    )


def counters_command(interfaces: Iterable[str]) -> str:
    """Prints the counters of these interfaces for `read_counters`; nothing when there are none."""
    names = " ".join(shlex.quote(name) for name in interfaces)
    if not names:
        return "true"
    read_all = " ".join(f"/sys/class/net/$i/statistics/{name}" for name in STATISTICS)
    return f'for i in {names}; do echo "interface $i"; echo "statistics" $(cat {read_all}); ethtool -S "$i" 2>/dev/null; done; true'


def read_counters(text: str) -> dict[str, Counters]:
    """Counters per interface out of what `counters_command` printed."""
    found: dict[str, Counters] = {}
    for block in re.split(r"^interface ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        numbers = re.search(r"^statistics((?: \d+){4})\s*$", rest, flags=re.MULTILINE)
        if numbers is None:
            continue
        statistics = dict(zip(STATISTICS, map(int, numbers.group(1).split()), strict=True))
        device = {
            key: int(value) for key, value in re.findall(r"^\s*([\w.\[\]-]+): (\d+)\s*$", rest, flags=re.MULTILINE)
        }
        found[name.strip()] = Counters(statistics=statistics, device=device)
    return found


def moved(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """How far each counter went. One that is lower than before was reset (by a restart): it moved by what it shows now, at least."""
    return {
        name: value - before[name] if value >= before[name] else value
        for name, value in after.items()
        if name in before
    }


def allowances_moved(before: Mapping[str, Counters], after: Mapping[str, Counters]) -> dict[str, int] | None:
    """How far each `*_allowance_exceeded` counter of a host moved, all interfaces together; None when there are no such counters.

    They count for the whole instance or per interface, by kind: the largest movement is the one to report.
    """
    totals: dict[str, int] = {}
    for interface, now in after.items():
        if interface in before:
            for name, value in moved(before[interface].device, now.device).items():
                if ALLOWANCE.fullmatch(name):
                    totals[name] = max(totals.get(name, 0), value)
    return totals or None
