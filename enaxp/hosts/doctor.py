"""Doctor: whether a host is as ENA Express wants it, and how to mend what is not.

    probe_command() ─▶ text ─▶ read_facts() ─▶ Facts ─▶ examine(), compare() ─┬─▶ Findings ─▶ table, or fixes
    what AWS reads back ─────────────────────────────▶ examine_lab()        ─┘             (the same for both interfaces)

What is required and what is recommended follows AWS's own check script for ENA Express and the driver's best practices. What a host
cannot tell is *unknown*, never bad: where the interface is no ENA device there is nothing to judge of a driver.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Requirement = Literal["required", "recommended", "info"]
CheckOutcome = Literal["ok", "bad", "unknown"]
ARMS = ("ena", "ena_express")

MTU_MOST = 8900
TX_RING, RX_RING = 1024, 8192
TCP_LIMIT_OUTPUT_BYTES = 1048576
DRIVER_FULL_BANDWIDTH, DRIVER_METRICS = (2, 2, 9), (2, 8, 0)
SOCKPERF_LEAST, SOCKPERF_LEAST_ARM = (3, 7), (3, 9)  # below 3.9 there is no clock for aarch64

_SETTINGS = {
    "tcp_limit_output_bytes": "net.ipv4.tcp_limit_output_bytes",
    "tcp_autocorking": "net.ipv4.tcp_autocorking",
    "busy_poll": "net.core.busy_poll",
    "busy_read": "net.core.busy_read",
}

_FOR_INFORMATION = {
    "busy_poll": "50 to 70 for the lowest latency",
    "busy_read": "50 to 70 for the lowest latency",
    "irqbalance": "either, as long as IRQs do not move in a run",
    "large_llq": "0, for long Tx rings",
}
# Local Zones have longer names, us-east-1-bos-1a; ENA Express is not offered there.
_ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
_IDLE = "/sys/devices/system/cpu/cpu[0-9]*/cpuidle/state[0-9]*"


@dataclass(frozen=True, kw_only=True)
class HostFinding:
    """One check of one host. `fix` is the command, run as root there, that mends it; empty when there is none that is safe."""

    host: str
    check: str
    level: Requirement
    have: str
    want: str
    outcome: CheckOutcome
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a host told: `host` about itself, `arms` about each arm's interface. Absent keys were not told."""

    host: Mapping[str, str]
    arms: Mapping[str, Mapping[str, str]]

    @property
    def has_ena(self) -> bool:
        """Whether the interfaces are real ENA devices: of others a driver's settings say nothing."""
        return self.arms["ena_express"].get("driver") == "ena" and not self.is_stand_in

    @property
    def is_stand_in(self) -> bool:
        """Whether something only answers as an ENA device would."""
        return "stand-in" in self.arms["ena_express"].get("firmware", "")


def probe_command(addresses: Mapping[str, str], peers: Mapping[str, str]) -> str:
    """Prints every fact as `arm key value`. addresses: the host's own by arm; peers: the other host's."""
    settings = "\n".join(f'echo "host {key} $(sysctl -n {name} 2>/dev/null)"' for key, name in _SETTINGS.items())
    arms = "\n".join(f"look {arm} {shlex.quote(addresses[arm])} {shlex.quote(peers[arm])}" for arm in ARMS)
    return f"{settings}\n{_PROBE}\n{arms}\ntrue"


_PROBE = r"""
echo "host machine $(uname -m)"
echo "host clock_source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource 2>/dev/null)"
echo "host enable_bql $(cat /sys/module/ena/parameters/enable_bql 2>/dev/null)"
echo "host large_llq $(cat /sys/module/ena/parameters/force_large_llq_header 2>/dev/null)"
echo "host clock_sources $(cat /sys/devices/system/clocksource/clocksource0/available_clocksource 2>/dev/null)"
echo "host irqbalance $(systemctl is-active irqbalance 2>/dev/null)"
echo "host idle_states $(for s in /sys/devices/system/cpu/cpu0/cpuidle/state*; do
  [ "$(cat "$s/disable" 2>/dev/null)" = 0 ] && cat "$s/name"; done | tr '\n' ' ')"
echo "host sockperf $(sockperf --version 2>&1 | tr -dc '[:print:]\n' | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)"
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
  echo "$1 irqs $(for n in $(awk -v dev="$dev" 'index($0, dev) { sub(":", "", $1); print $1 }' /proc/interrupts 2>/dev/null); do
    cat "/proc/irq/$n/smp_affinity_list"; done 2>/dev/null | tr '\n' ' ')"
  ethtool -S "$dev" 2>/dev/null | awk -v arm="$1" '/ena_srd_mode:/ { print arm, "srd_mode", $2 }'
  echo "$1 limit_min $(cat "/sys/class/net/$dev"/queues/tx-*/byte_queue_limits/limit_min 2>/dev/null | sort -n | head -n 1)"
}"""


def read_facts(text: str) -> Facts:
    """What `probe_command` printed; empty values are left out."""
    found: dict[str, dict[str, str]] = {"host": {}, **{arm: {} for arm in ARMS}}
    for line in text.splitlines():
        where, _, rest = line.partition(" ")
        key, _, value = rest.partition(" ")
        if where in found and key and value.strip():
            found[where][key] = value.strip()
    return Facts(host=found["host"], arms={arm: found[arm] for arm in ARMS})


def examine(host: str, facts: Facts, *, attachments: Mapping[str, Mapping[str, Any]]) -> list[HostFinding]:
    """Every check of one host. attachments: per arm what AWS reads back, `srd` and `srd_udp`."""
    checks = (
        *_attachments(attachments),
        *_interfaces(facts),
        *_software(facts),
        *_driver(facts),
        *_queues(facts),
        *_settings(facts),
        *_cpus(facts),
    )
    return [HostFinding(host=host, **check) for check in checks]


def compare(hosts: Mapping[str, Facts]) -> list[HostFinding]:
    """What must be the same on both hosts."""
    shown: dict[tuple[str, Requirement], list[str | None]] = {
        ("sockperf, the same on both", "required"): [facts.host.get("sockperf") for facts in hosts.values()],
        ("ENA driver, the same on both", "recommended"): [
            facts.arms["ena_express"].get("version") for facts in hosts.values()
        ],
    }
    return [
        HostFinding(
            host="both",
            **_check(check, level, " and ".join(v or "none" for v in versions), "one version", _alike(versions)),
        )
        for (check, level), versions in shown.items()
    ]


def examine_lab(
    types: Mapping[str, str], zones: Mapping[str, str], *, supporting: Collection[str]
) -> list[HostFinding]:
    """Whether the hosts' instance types and zones have ENA Express. supporting: the types of which AWS says so."""
    findings = []
    for role, kind in types.items():
        findings.append(_finding(role, "instance type", "required", kind, "one with ENA Express", kind in supporting))
        is_zone = _ZONE.fullmatch(zones[role]) is not None
        findings.append(_finding(role, "zone", "required", zones[role], "no Local Zone", is_zone))
    both = " and ".join(dict.fromkeys(zones.values()))
    return [*findings, _finding("both", "the same zone", "recommended", both, "one zone", _alike(list(zones.values())))]


def required_and_bad(findings: Iterable[HostFinding]) -> list[HostFinding]:
    """What makes a bench pointless."""
    return [finding for finding in findings if finding.level == "required" and finding.outcome == "bad"]


def where_srd_is(finding: HostFinding) -> bool:
    """Whether it is about which interface has ENA Express, which a crossover changes for a while."""
    return "attachment" in finding.check or "srd_mode" in finding.check


def fixes(findings: Iterable[HostFinding]) -> list[str]:
    """The commands that mend what is bad on one host, each once. All of them are safe, and touch both interfaces alike."""
    return list(dict.fromkeys(finding.fix for finding in findings if finding.outcome == "bad" and finding.fix))


def _finding(host: str, check: str, level: Requirement, have: str, want: str, good: bool | None) -> HostFinding:
    return HostFinding(host=host, **_check(check, level, have, want, good))


def _alike(values: Sequence[str | None]) -> bool | None:
    """Whether all are the same; None when one is not known."""
    return None if None in values else len(set(values)) == 1


def _check(
    check: str, level: Requirement, have: object, want: str, good: bool | None, *, fix: str = ""
) -> dict[str, Any]:
    outcome: CheckOutcome = "unknown" if good is None or have in (None, "") else "ok" if good else "bad"
    shown = "not told" if have in (None, "") else str(have)
    return {"check": check, "level": level, "have": shown, "want": want, "outcome": outcome, "fix": fix}


def _attachments(attachments: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    express, plain = attachments["ena_express"], attachments["ena"]
    yield _check("ENA Express on the attachment", "required", _on(express["srd"]), "on", express["srd"])
    yield _check("its UDP flag on the attachment", "required", _on(express["srd_udp"]), "on", express["srd_udp"])
    yield _check("ENA Express on the ENA attachment", "required", _on(plain["srd"]), "off", not plain["srd"])


def _interfaces(facts: Facts) -> Iterator[dict[str, Any]]:
    again = "systemctl restart enaxp-net.service"
    for arm, told in facts.arms.items():
        name, mtu = told.get("interface"), _number(told.get("mtu"))
        yield _check(
            f"route of {arm}",
            "required",
            told.get("leaves_by"),
            f"by {name or 'its own interface'}",
            _same(told, "leaves_by", "interface"),
            fix=again,
        )
        yield _check(
            f"MTU of {arm}",
            "required",
            told.get("mtu"),
            f"at most {MTU_MOST}",
            mtu <= MTU_MOST if mtu else None,
            fix=again,
        )
        arp = f"{told['arp_ignore']}/{told['arp_announce']}" if "arp_ignore" in told else None
        yield _check(f"ARP of {arm} (ignore/announce)", "recommended", arp, "1/2", arp == "1/2", fix=again)
    for arm, want in (("ena_express", "3 (SRD and UDP)"), ("ena", "0")):
        mode = _number(facts.arms[arm].get("srd_mode"))
        wrong = mode is not None and (mode & 3 != 3 if arm == "ena_express" else mode & 1 != 0)
        shown = f"{mode} (stand-in)" if mode is not None and facts.is_stand_in else mode
        yield _check(f"device: ena_srd_mode of {arm}", "required", shown, want, None if mode is None else not wrong)


def _software(facts: Facts) -> Iterator[dict[str, Any]]:
    version = facts.host.get("sockperf")
    least = SOCKPERF_LEAST_ARM if facts.host.get("machine") == "aarch64" else SOCKPERF_LEAST
    want = "at least " + ".".join(map(str, least))
    good = _version(version) >= least if version else False
    yield {**_check("sockperf", "required", version or "none", want, good)}


def _driver(facts: Facts) -> Iterator[dict[str, Any]]:
    told, real = facts.arms["ena_express"], facts.has_ena
    version = told.get("version")
    parsed = _version(version)
    shown = f"{version} (stand-in)" if facts.is_stand_in else version
    # The driver inside the kernel shows the kernel's version: it says nothing of its own.
    known = real and version is not None and parsed[0] == 2
    yield _check(
        "ENA driver, full bandwidth",
        "required",
        shown,
        "at least 2.2.9",
        parsed >= DRIVER_FULL_BANDWIDTH if known else None,
    )
    yield _check(
        "ENA driver, SRD counters", "recommended", shown, "at least 2.8", parsed >= DRIVER_METRICS if known else None
    )


def _queues(facts: Facts) -> Iterator[dict[str, Any]]:
    real = facts.has_ena
    bql_off = facts.host.get("enable_bql") in {"0", "N"}
    limits = [_number(arm.get("limit_min")) for arm in facts.arms.values()]
    good = None if not real or (None in limits and not bql_off) else bql_off or all(limits)
    have = f"enable_bql {facts.host.get('enable_bql', '?')}, least limit_min {limits}"
    unlimited = "for f in /sys/class/net/*/queues/tx-*/byte_queue_limits/limit_min; do echo max > $f; done"
    yield _check("byte queue limits", "required", have, "off", good, fix=unlimited)
    for ring, least in (("tx", TX_RING), ("rx", RX_RING)):
        for arm, own in facts.arms.items():
            now, most = _number(own.get(f"now_{ring}")), _number(own.get(f"max_{ring}"))
            need = min(least, most) if most else least
            fix = _on_both(facts, f"ethtool -G {{}} {ring} {need}")
            yield _check(
                f"{ring} ring of {arm}",
                "recommended",
                now,
                f"at least {need}",
                now >= need if real and now else None,
                fix=fix,
            )

    for arm, own in facts.arms.items():
        told = [own.get(name) for name in ("adaptive", "rx_usecs", "tx_usecs")]
        calm = None if not real or None in told else told in (["off", "0", "0"], ["n/a", "0", "0"])
        yield _check(
            f"interrupt moderation of {arm} (adaptive/rx/tx)",
            "recommended",
            None if None in told else "/".join(map(str, told)),
            "off/0/0",
            calm,
            fix=_on_both(facts, "ethtool -C {} adaptive-rx off rx-usecs 0 tx-usecs 0"),
        )
        irqs = own.get("irqs")
        yield _check(f"CPUs of the IRQs of {arm}", "info", irqs, "spread, away from sockperf", True)


def _settings(facts: Facts) -> Iterator[dict[str, Any]]:
    real = facts.has_ena
    limit, corking = _number(facts.host.get("tcp_limit_output_bytes")), facts.host.get("tcp_autocorking")
    yield _check(
        "net.ipv4.tcp_limit_output_bytes",
        "required",
        limit,
        f"at least {TCP_LIMIT_OUTPUT_BYTES}",
        limit >= TCP_LIMIT_OUTPUT_BYTES if real and limit is not None else None,
        fix=f"sysctl -w net.ipv4.tcp_limit_output_bytes={TCP_LIMIT_OUTPUT_BYTES}",
    )
    yield _check(
        "net.ipv4.tcp_autocorking",
        "recommended",
        corking,
        "0",
        corking == "0" if real else None,
        fix="sysctl -w net.ipv4.tcp_autocorking=0",
    )
    clock, has_tsc = facts.host.get("clock_source"), "tsc" in facts.host.get("clock_sources", "").split()
    yield _check(
        "clock source",
        "recommended",
        clock,
        "tsc (arch_sys_counter on Arm)",
        clock in {"tsc", "arch_sys_counter"} if real else None,
        fix="echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource" if has_tsc else "",
    )
    for key, want in _FOR_INFORMATION.items():
        yield _check(key.replace("_", " "), "info", facts.host.get(key), want, True)


def _cpus(facts: Facts) -> Iterator[dict[str, Any]]:
    """Idle states deeper than C1 cost microseconds to wake from. Most types do not let the guest choose: then none are told."""
    states = facts.host.get("idle_states")
    deep = re.findall(r"\bC[2-9]\S*", states or "")
    mend = f'for s in {_IDLE}; do case $(cat "$s/name") in C[2-9]*) echo 1 > "$s/disable";; esac; done'
    good = not deep if facts.has_ena and states else None
    yield _check("idle states", "recommended", states, "none deeper than C1", good, fix=mend)


def _on_both(facts: Facts, command: str) -> str:
    """The command for the interfaces of both arms, so that they stay alike."""
    return "; ".join(command.format(arm["interface"]) for arm in facts.arms.values() if "interface" in arm)


def _same(told: Mapping[str, str], one: str, other: str) -> bool | None:
    return told[one] == told[other] if one in told and other in told else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d+", text) else None


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text or "0")[:3])


def _on(value: bool) -> str:
    return "on" if value else "off"
