"""Doctor: checks whether a host meets the requirements of ENA Express, and how to fix it.

    probe_command() ─▶ text ─▶ read_facts() ─▶ Facts ─▶ examine(), compare() ─┬─▶ Findings ─▶ table, or fixes
    settings read from AWS ───────────────────────────▶ examine_lab()        ─┘             (the same for both interfaces)

Requirements and recommendations follow AWS's check script for ENA Express and the best practices for its driver. A value that a host does
not report is *unknown*, never bad: if an interface is not an ENA device, driver settings cannot be judged.

To add a check: one function that yields a `Check` from the `Facts`, named in `examine`; its probe in `_PROBE`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from enaxp.config import REGION
from enaxp.hosts.interrupts import numbers_command
from enaxp.hosts.nic import DEFAULT_ROUTES_COMMAND, read_default_routes
from enaxp.hosts.numbers import whole_number
from enaxp.hosts.sockperf import VERSION_COMMAND
from enaxp.traffic import ARMS, SRD_MTU, Arm

Requirement = Literal["required", "recommended", "info"]
CheckOutcome = Literal["ok", "bad", "unknown"]

# What sets MTU, routes and ARP of a host again, as root there.
RESTART_NETWORK = "systemctl restart enaxp-net.service"
# What the doctor has mended, to be mended again at each start; `templates/software/tuning.sh` runs it.
FIXES = "/etc/enaxp/tuning.d/doctor.sh"

TX_RING, RX_RING = 1024, 8192
TCP_LIMIT_OUTPUT_BYTES = 1048576
DRIVER_FULL_BANDWIDTH, DRIVER_METRICS = (2, 2, 9), (2, 8, 0)
SOCKPERF_LEAST, SOCKPERF_LEAST_ARM = (3, 7), (3, 9)  # below 3.9 there is no clock for aarch64

# What a host is asked for by sysctl: key of the fact → the kernel's name of the setting.
_SETTINGS = {
    "tcp_limit_output_bytes": "net.ipv4.tcp_limit_output_bytes",
    "tcp_autocorking": "net.ipv4.tcp_autocorking",
    "busy_poll": "net.core.busy_poll",
    "busy_read": "net.core.busy_read",
}

# Facts that are shown and never judged → what is advised.
_FOR_INFORMATION = {
    "busy_poll": "50 to 70 for the lowest latency",
    "busy_read": "50 to 70 for the lowest latency",
    "irqbalance": "either, as long as IRQs do not move in a run",
    "large_llq": "0, for long Tx rings",
}
# Local Zones have longer names, us-east-1-bos-1a; ENA Express is not offered there.
_ZONE = re.compile(rf"{REGION}[a-z]")
_DEVICE = "device: ena_srd_mode of {}"
_DEVICE_OF_EXPRESS = _DEVICE.format("ena_express")
_IDLE = "/sys/devices/system/cpu/cpu[0-9]*/cpuidle/state[0-9]*"


@dataclass(frozen=True, kw_only=True)
class HostFinding:
    """The result of one check on one host. `fix`: the command, run as root there, that corrects it; empty if there is no safe one."""

    host: str
    check: str
    level: Requirement
    have: str
    want: str
    outcome: CheckOutcome
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.check} is {self.have}, wanted {self.want}"

    def to_json(self) -> dict[str, str]:
        """The JSON object in the output of `enaxp doctor --json`."""
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """The result of a check, without the host. `have`: None or "" if not reported. `good`: None if it cannot be judged."""

    name: str
    level: Requirement
    have: object
    want: str
    good: bool | None
    fix: str = ""

    def of(self, host: str) -> HostFinding:
        """The finding for this host."""
        is_told = self.have not in (None, "")
        outcome: CheckOutcome = "unknown" if self.good is None or not is_told else "ok" if self.good else "bad"
        shown = str(self.have) if is_told else "not told"
        return HostFinding(
            host=host, check=self.name, level=self.level, have=shown, want=self.want, outcome=outcome, fix=self.fix
        )


@dataclass(frozen=True, kw_only=True)
class SrdSetting:
    """The ENA Express setting of one attachment as read from AWS: on or off, and the same for UDP."""

    srd: bool
    srd_udp: bool


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts that a host reported: `host` about itself, `arms` about each arm's interface. Missing keys were not reported."""

    host: Mapping[str, str]
    arms: Mapping[Arm, Mapping[str, str]]

    @property
    def has_ena(self) -> bool:
        """Whether the ENA Express arm's interface uses the real ENA driver (not a local stand-in); if not, driver settings are not
        judged."""
        return self.arms["ena_express"].get("driver") == "ena" and not self.is_stand_in

    @property
    def is_stand_in(self) -> bool:
        """Whether the device is a stand-in that only answers like an ENA device."""
        return "stand-in" in self.arms["ena_express"].get("firmware", "")


def probe_command(addresses: Mapping[Arm, str], peers: Mapping[Arm, str]) -> str:
    """A shell command that prints every fact as `arm key value`. addresses: the host's own by arm; peers: the other host's."""
    settings = "\n".join(f'echo "host {key} $(sysctl -n {name} 2>/dev/null)"' for key, name in _SETTINGS.items())
    arms = "\n".join(f"look {arm} {shlex.quote(addresses[arm])} {shlex.quote(peers[arm])}" for arm in ARMS)
    version = f'echo "host sockperf $({VERSION_COMMAND})"'
    probe = _PROBE.replace("IRQS", numbers_command('"$dev"')).replace("DEFAULTS", DEFAULT_ROUTES_COMMAND)
    return f"{settings}\n{version}\n{probe}\n{arms}\ntrue"


_PROBE = r"""
echo "host machine $(uname -m)"
echo "host clock_source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null)"
echo "host enable_bql $(cat /sys/module/ena/parameters/enable_bql 2>/dev/null)"
echo "host large_llq $(cat /sys/module/ena/parameters/force_large_llq_header 2>/dev/null)"
echo "host clock_sources $(cat /sys/devices/system/clocksource/clocksource0/available_clocksource 2>/dev/null)"
echo "host default_routes $(DEFAULTS | tr '\n' ';')"
echo "host irqbalance $(systemctl is-active irqbalance 2>/dev/null)"
echo "host idle_states $(for s in /sys/devices/system/cpu/cpu0/cpuidle/state*; do
  [ "$(cat "$s/disable" 2>/dev/null)" = 0 ] && cat "$s/name"; done | tr '\n' ' ')"
look() { # look ARM ADDRESS PEER
  dev=$(ip -o -4 addr show to "$2" 2>/dev/null | awk '{ print $2; exit }')
  [ -n "$dev" ] || return 0
  echo "$1 interface $dev"
  echo "$1 leaves_by $(ip -o route get "$3" from "$2" 2>/dev/null | grep -o 'dev [^ ]*' | cut -d' ' -f2)"
  echo "$1 mtu $(cat "/sys/class/net/$dev/mtu")"
  for s in arp_ignore arp_announce; do echo "$1 $s $(cat "/proc/sys/net/ipv4/conf/$dev/$s")"; done
  ethtool -i "$dev" 2>/dev/null | sed -n "s/^driver: /$1 driver /p; s/^version: /$1 version /p; s/^firmware-version: /$1 firmware /p"
  ethtool -g "$dev" 2>/dev/null | awk -v arm="$1" '/^Pre-set/ { p = "max_" } /^Current/ { p = "now_" }
    /^(RX|TX):/ { sub(":", "", $1); print arm, p tolower($1), $2 }'
  ethtool -c "$dev" 2>/dev/null | awk -v arm="$1" '/^Adaptive RX:/ { print arm, "adaptive", $3 }
    /^(rx|tx)-usecs:/ { sub("-usecs:", "_usecs"); print arm, $1, $2 }'
  echo "$1 irqs $(for n in $(IRQS); do
    cat "/proc/irq/$n/smp_affinity_list"; done 2>/dev/null | tr '\n' ' ')"
  ethtool -S "$dev" 2>/dev/null | awk -v arm="$1" '/ena_srd_mode:/ { print arm, "srd_mode", $2 }'
  echo "$1 limit_min $(cat "/sys/class/net/$dev"/queues/tx-*/byte_queue_limits/limit_min 2>/dev/null | sort -n | head -n 1)"
}"""


def read_facts(text: str) -> Facts:
    """The facts in the output of `probe_command`; empty values, and lines that begin with neither `host` nor an arm, are left out."""
    found: dict[str, dict[str, str]] = {"host": {}, **{arm: {} for arm in ARMS}}
    for line in text.splitlines():
        where, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        if where in found and key and value.strip():
            found[where][key] = value.strip()
    return Facts(host=found["host"], arms={arm: found[arm] for arm in ARMS})


def examine(host: str, facts: Facts, *, attachments: Mapping[Arm, SrdSetting]) -> list[HostFinding]:
    """The results of every check on one host. attachments: the setting of each arm's interface as read from AWS."""
    checks = (
        *_attachments(attachments),
        *_interfaces(facts),
        *_srd_modes(facts),
        *_software(facts),
        *_driver(facts),
        *_byte_queues(facts),
        *_rings(facts),
        *_interrupts(facts),
        *_settings(facts),
        *_cpus(facts),
    )
    return [check.of(host) for check in checks]


def compare(hosts: Mapping[str, Facts]) -> list[HostFinding]:
    """The results of the checks that both hosts are the same."""
    sockperf = [facts.host.get("sockperf") for facts in hosts.values()]
    driver = [facts.arms["ena_express"].get("version") for facts in hosts.values()]
    return [
        _one_version("sockperf, the same on both", "required", sockperf).of("both"),
        _one_version("ENA driver, the same on both", "recommended", driver).of("both"),
    ]


def examine_lab(
    types: Mapping[str, str], zones: Mapping[str, str], *, supporting: Collection[str]
) -> list[HostFinding]:
    """The results of the checks that the hosts' instance types and zones support ENA Express. supporting: the types that do, according to
    AWS."""
    findings = []
    for role, kind in types.items():
        has_it, zone = kind in supporting, zones[role]
        findings.append(Check("instance type", "required", kind, "one with ENA Express", has_it).of(role))
        findings.append(Check("zone", "required", zone, "no Local Zone", _ZONE.fullmatch(zone) is not None).of(role))
    both, alike = " and ".join(dict.fromkeys(zones.values())), _alike(list(zones.values()))
    return [*findings, Check("the same zone", "recommended", both, "one zone", alike).of("both")]


def required_and_bad(findings: Iterable[HostFinding]) -> list[HostFinding]:
    """The failed requirements, without which a bench says nothing about ENA Express."""
    return [finding for finding in findings if finding.level == "required" and finding.outcome == "bad"]


def untuned(findings: Iterable[HostFinding]) -> list[str]:
    """The recommendations that are not met, in words; hosts with the same finding are listed together."""
    hosts: dict[str, list[str]] = {}
    for finding in findings:
        if finding.level == "recommended" and finding.outcome == "bad":
            hosts.setdefault(str(finding), []).append(finding.host)
    return [f"{' and '.join(names)}: {what}" for what, names in hosts.items()]


def untold_treatment(findings: Iterable[HostFinding]) -> list[HostFinding]:
    """The hosts whose device does not report whether SRD is on: there is no proof there that SRD carried the packets."""
    return [finding for finding in findings if finding.check == _DEVICE_OF_EXPRESS and finding.outcome == "unknown"]


def where_srd_is(finding: HostFinding) -> bool:
    """Whether the finding is about which interface has ENA Express, which a crossover or control changes temporarily."""
    return "attachment" in finding.check or "srd_mode" in finding.check


def fixes(findings: Iterable[HostFinding]) -> list[str]:
    """The commands that correct the failed checks, each once. All are safe, and change both interfaces alike.

    The network command comes last: a change of ring sizes resets the link, after which the distribution reconfigures it.
    """
    wanted = dict.fromkeys(finding.fix for finding in findings if finding.outcome == "bad" and finding.fix)
    return sorted(wanted, key=lambda command: command == RESTART_NETWORK)


def lasting(commands: Iterable[str]) -> str:
    """A shell command, run as root on a host, that makes these commands run at each boot too, before the network is set up.

    The unit of the software piece `tuning` runs the files in that folder. The network's own setting is persistent anyway.
    """
    lines = [
        f"grep -qsxF {quoted} {FIXES} || echo {quoted} >> {FIXES}"
        for quoted in (shlex.quote(command) for command in commands if command != RESTART_NETWORK)
    ]
    return "\n".join([f"mkdir -p {FIXES.rpartition('/')[0]}", *lines, "true"])


def _one_version(name: str, level: Requirement, versions: Sequence[str | None]) -> Check:
    shown = " and ".join(version or "none" for version in versions)
    return Check(name, level, shown, "one version", _alike(versions))


def _alike(values: Sequence[str | None]) -> bool | None:
    """Whether all values are equal; None if one is unknown."""
    return None if None in values else len(set(values)) == 1


def _attachments(attachments: Mapping[Arm, SrdSetting]) -> Iterator[Check]:
    express, plain = attachments["ena_express"], attachments["ena"]
    yield Check("ENA Express on the attachment", "required", _on(express.srd), "on", express.srd)
    yield Check("its UDP flag on the attachment", "required", _on(express.srd_udp), "on", express.srd_udp)
    yield Check("ENA Express on the ENA attachment", "required", _on(plain.srd), "off", not plain.srd)


def _interfaces(facts: Facts) -> Iterator[Check]:
    """Checks that each arm's traffic leaves by its own interface, and that each interface answers ARP for its own address only."""
    again = RESTART_NETWORK
    tells = any("interface" in told for told in facts.arms.values())
    defaults = read_default_routes(facts.host.get("default_routes", "").replace(";", "\n"))
    by_one, shown = len(defaults) == 1 if defaults else None, " and ".join(defaults)
    yield Check("default route", "recommended", shown, "by one interface", by_one, fix=again)
    for arm, told in facts.arms.items():
        name = told.get("interface")
        has_one = name is not None if tells else None
        yield Check(f"interface of {arm}", "required", name or (tells and "none") or None, "one", has_one, fix=again)
        by, leaves_by = f"by {told.get('interface') or 'its own interface'}", told.get("leaves_by")
        yield Check(f"route of {arm}", "required", leaves_by, by, _same(told, "leaves_by", "interface"), fix=again)
        mtu = whole_number(told.get("mtu"))
        fits = mtu <= SRD_MTU if mtu else None
        yield Check(f"MTU of {arm}", "required", told.get("mtu"), f"at most {SRD_MTU}", fits, fix=again)
        arp = f"{told['arp_ignore']}/{told['arp_announce']}" if {"arp_ignore", "arp_announce"} <= told.keys() else None
        yield Check(f"ARP of {arm} (ignore/announce)", "recommended", arp, "1/2", arp == "1/2", fix=again)


def _srd_modes(facts: Facts) -> Iterator[Check]:
    """Checks of SRD as the device reports it: in `ena_srd_mode` bit 0 is SRD, bit 1 its use for UDP."""
    for arm in ("ena_express", "ena"):
        mode = whole_number(facts.arms[arm].get("srd_mode"))
        want, bits, wanted = ("3 (SRD and UDP)", 3, 3) if arm == "ena_express" else ("0", 1, 0)
        shown = f"{mode} (stand-in)" if mode is not None and facts.is_stand_in else mode
        good = None if mode is None else mode & bits == wanted
        yield Check(_DEVICE.format(arm), "required", shown, want, good)


def is_recent_sockperf(version: str | None, *, machine: str | None) -> bool:
    """Whether this version of sockperf works on this architecture (as printed by `uname -m`); False without a version."""
    return bool(version) and _version(version) >= _sockperf_least(machine)


def _sockperf_least(machine: str | None) -> tuple[int, int]:
    return SOCKPERF_LEAST_ARM if machine == "aarch64" else SOCKPERF_LEAST


def _software(facts: Facts) -> Iterator[Check]:
    version, machine = facts.host.get("sockperf"), facts.host.get("machine")
    want = "at least " + ".".join(map(str, _sockperf_least(machine)))
    yield Check("sockperf", "required", version or "none", want, is_recent_sockperf(version, machine=machine))


def _driver(facts: Facts) -> Iterator[Check]:
    version = facts.arms["ena_express"].get("version")
    parsed = _version(version)
    shown = f"{version} (stand-in)" if facts.is_stand_in else version
    # The driver that comes with the kernel shows the kernel's version, which does not tell the driver's.
    is_known = facts.has_ena and version is not None and parsed[:1] == (2,)
    full, counters = parsed >= DRIVER_FULL_BANDWIDTH, parsed >= DRIVER_METRICS
    yield Check("ENA driver, full bandwidth", "required", shown, "at least 2.2.9", full if is_known else None)
    yield Check("ENA driver, SRD counters", "recommended", shown, "at least 2.8", counters if is_known else None)


def _byte_queues(facts: Facts) -> Iterator[Check]:
    """Checks that byte queue limits are off: in the driver, or in effect, because the minimum limit of each queue is not 0."""
    is_off = facts.host.get("enable_bql") in {"0", "N"}
    limits = [whole_number(arm.get("limit_min")) for arm in facts.arms.values()]
    is_unknown = not facts.has_ena or (None in limits and not is_off)
    good = None if is_unknown else is_off or all(limits)
    have = f"enable_bql {facts.host.get('enable_bql', '?')}, least limit_min {limits}"
    unlimited = "for f in /sys/class/net/*/queues/tx-*/byte_queue_limits/limit_min; do echo max > $f; done"
    yield Check("byte queue limits", "required", have, "off", good, fix=unlimited)


def _rings(facts: Facts) -> Iterator[Check]:
    """Checks that the ring sizes are as AWS recommends, or the device's maximum."""
    for ring, advised in (("tx", TX_RING), ("rx", RX_RING)):
        for arm, told in facts.arms.items():
            now, most = whole_number(told.get(f"now_{ring}")), whole_number(told.get(f"max_{ring}"))
            need = min(advised, most) if most else advised
            good = now >= need if (facts.has_ena or facts.is_stand_in) and now else None
            fix = _on_both(facts, f"ethtool -G {{}} {ring} {need}")
            yield Check(f"{ring} ring of {arm}", "recommended", now, f"at least {need}", good, fix=fix)


def _interrupts(facts: Facts) -> Iterator[Check]:
    """Checks that interrupt moderation is off: adaptive or timed, it adds latency."""
    fix = _on_both(facts, "ethtool -C {} adaptive-rx off rx-usecs 0 tx-usecs 0")
    for arm, told in facts.arms.items():
        parts = [told.get(name) for name in ("adaptive", "rx_usecs", "tx_usecs")]
        have = None if None in parts else "/".join(map(str, parts))
        good = None if not facts.has_ena or have is None else have in {"off/0/0", "n/a/0/0"}
        name = f"interrupt moderation of {arm} (adaptive/rx/tx)"
        yield Check(name, "recommended", have, "off/0/0", good, fix=fix)
        yield Check(f"CPUs of the IRQs of {arm}", "info", told.get("irqs"), "spread, away from sockperf", True)


def _settings(facts: Facts) -> Iterator[Check]:
    """Checks of kernel settings."""
    limit = whole_number(facts.host.get("tcp_limit_output_bytes"))
    yield Check(
        "net.ipv4.tcp_limit_output_bytes",
        "required",
        limit,
        f"at least {TCP_LIMIT_OUTPUT_BYTES}",
        limit >= TCP_LIMIT_OUTPUT_BYTES if facts.has_ena and limit is not None else None,
        fix=f"sysctl -w net.ipv4.tcp_limit_output_bytes={TCP_LIMIT_OUTPUT_BYTES}",
    )
    corking = facts.host.get("tcp_autocorking")
    yield Check(
        "net.ipv4.tcp_autocorking",
        "recommended",
        corking,
        "0",
        corking == "0" if facts.has_ena else None,
        fix="sysctl -w net.ipv4.tcp_autocorking=0",
    )
    clock, has_tsc = facts.host.get("clock_source"), "tsc" in facts.host.get("clock_sources", "").split()
    yield Check(
        "clock source",
        "recommended",
        clock,
        "tsc (arch_sys_counter on Arm)",
        clock in {"tsc", "arch_sys_counter"} if facts.has_ena else None,
        fix="echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource" if has_tsc else "",
    )
    for key, advised in _FOR_INFORMATION.items():
        yield Check(key.replace("_", " "), "info", facts.host.get(key), advised, True)


def _cpus(facts: Facts) -> Iterator[Check]:
    """Checks of the CPUs: waking from idle states deeper than C1 takes microseconds. Most instance types do not let the guest choose;
    they report none."""
    states = facts.host.get("idle_states")
    deep = re.findall(r"\bC(?:1E|[2-9]\S*)", states or "")
    mend = f'for s in {_IDLE}; do case $(cat "$s/name") in C1E* | C[2-9]*) echo 1 > "$s/disable";; esac; done'
    good = not deep if facts.has_ena and states else None
    yield Check("idle states", "recommended", states, "none deeper than C1", good, fix=mend)


def _on_both(facts: Facts, command: str) -> str:
    """The command for the interfaces of both arms, so that they stay equal."""
    return "; ".join(command.format(arm["interface"]) for arm in facts.arms.values() if "interface" in arm)


def _same(told: Mapping[str, str], one: str, other: str) -> bool | None:
    return told[one] == told[other] if one in told and other in told else None


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]{1,9}", text or "0")[:3])


def _on(value: bool) -> str:
    return "on" if value else "off"
