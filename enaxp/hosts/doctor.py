"""Doctor: whether a host is as ENA Express wants it, and how to mend what is not.

    probe_command() ─▶ text ─▶ read_facts() ─▶ Facts ─▶ examine() ─▶ Findings ─▶ table, or fixes (the same for both interfaces)

What is required and what is recommended follows AWS's own check script for ENA Express and the driver's best practices. What a host
cannot tell is *unknown*, never bad: where the interface is no ENA device there is nothing to judge of a driver.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["required", "recommended", "info"]
Outcome = Literal["ok", "bad", "unknown"]
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
    "idle_states": "C1 at most, where the type lets one choose",
    "irqs": "spread over CPUs",
    "large_llq": "0, for long Tx rings",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check of one host. `fix` is the command, run as root there, that mends it; empty when there is none that is safe."""

    host: str
    check: str
    level: Level
    have: str
    want: str
    outcome: Outcome
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
        driver = self.arms.get("ena_express", {}).get("driver", "")
        return driver == "ena" and "stand-in" not in self.arms["ena_express"].get("firmware", "")


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
echo "host idle_states $(cat /sys/devices/system/cpu/cpu0/cpuidle/state*/name 2>/dev/null | tr '\n' ' ')"
echo "host sockperf $(sockperf --version 2>&1 | tr -dc '[:print:]\n' | grep -o '[0-9][0-9.]*[0-9]' | head -n 1)"
echo "host irqs $(grep -c 'ens6\|eth1' /proc/interrupts 2>/dev/null)"
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


def examine(host: str, facts: Facts, *, attachments: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Every check of one host. attachments: per arm what AWS reads back, `srd` and `srd_udp`."""
    checks = (*_attachments(attachments), *_interfaces(facts), *_software(facts), *_driver(facts), *_settings(facts))
    return [Finding(host=host, **check) for check in checks]


def required_and_bad(findings: Iterable[Finding]) -> list[Finding]:
    """What makes a bench pointless."""
    return [finding for finding in findings if finding.level == "required" and finding.outcome == "bad"]


def fixes(findings: Iterable[Finding]) -> list[str]:
    """The commands that mend what is bad on one host, each once. All of them are safe, and touch both interfaces alike."""
    return list(dict.fromkeys(finding.fix for finding in findings if finding.outcome == "bad" and finding.fix))


def _check(check: str, level: Level, have: object, want: str, good: bool | None, *, fix: str = "") -> dict[str, Any]:
    outcome: Outcome = "unknown" if good is None or have in (None, "") else "ok" if good else "bad"
    shown = "not told" if have in (None, "") else str(have)
    return {"check": check, "level": level, "have": shown, "want": want, "outcome": outcome, "fix": fix}


def _attachments(attachments: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    express, plain = attachments["ena_express"], attachments["ena"]
    yield _check("ENA Express on the attachment", "required", _on(express["srd"]), "on", express["srd"])
    yield _check("its UDP flag", "required", _on(express["srd_udp"]), "on", express["srd_udp"])
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
    mode, plain = _number(facts.arms["ena_express"].get("srd_mode")), _number(facts.arms["ena"].get("srd_mode"))
    yield _check(
        "device: ena_srd_mode of ena_express",
        "required",
        mode,
        "3 (SRD and UDP)",
        None if mode is None else mode & 3 == 3,
    )
    yield _check("device: ena_srd_mode of ena", "required", plain, "0", None if plain is None else plain & 1 == 0)


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
    # The driver inside the kernel shows the kernel's version: it says nothing of its own.
    known = real and version is not None and parsed[0] == 2
    yield _check(
        "ENA driver, full bandwidth",
        "required",
        version,
        "at least 2.2.9",
        parsed >= DRIVER_FULL_BANDWIDTH if known else None,
    )
    yield _check(
        "ENA driver, SRD counters", "recommended", version, "at least 2.8", parsed >= DRIVER_METRICS if known else None
    )
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
            fix = f"ethtool -G {own.get('interface')} {ring} {need}"
            yield _check(
                f"{ring} ring of {arm}",
                "recommended",
                now,
                f"at least {need}",
                now >= need if real and now else None,
                fix=fix,
            )


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
    clock = facts.host.get("clock_source")
    yield _check(
        "clock source",
        "recommended",
        clock,
        "tsc (arch_sys_counter on Arm)",
        clock in {"tsc", "arch_sys_counter"} if real else None,
    )
    for key, want in _FOR_INFORMATION.items():
        yield _check(key.replace("_", " "), "info", facts.host.get(key), want, True)


def _same(told: Mapping[str, str], one: str, other: str) -> bool | None:
    return told[one] == told[other] if one in told and other in told else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d+", text) else None


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text or "0")[:3])


def _on(value: bool) -> str:
    return "on" if value else "off"
