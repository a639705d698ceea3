"""What the doctor judges, from what hosts say: cases in doctor_cases.yaml."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.hosts.doctor import (
    RESTART_NETWORK,
    SrdSetting,
    compare,
    examine,
    examine_lab,
    fixes,
    lasting,
    probe_command,
    read_facts,
    required_and_bad,
    untold_treatment,
    untuned,
    where_srd_is,
)
from enaxp.traffic import Arm

CASES = yaml.safe_load((Path(__file__).parent / "doctor_cases.yaml").read_text())
ON: dict[Arm, SrdSetting] = {
    "ena": SrdSetting(srd=False, srd_udp=False),
    "ena_express": SrdSetting(srd=True, srd_udp=True),
}
ADDRESSES: dict[Arm, str] = {"ena": "192.168.3.20", "ena_express": "192.168.3.21"}


def judged(case: dict[str, Any]) -> dict[str, str]:
    lines = {**CASES["sound host"], **case.get("tells", {})}
    text = "\n".join(f"{key} {value}" for key, value in lines.items() if value is not None)
    attachments = {arm: replace(state, **case.get("attachments", {}).get(arm, {})) for arm, state in ON.items()}
    return {finding.check: finding.outcome for finding in examine("client", read_facts(text), attachments=attachments)}


def test_a_sound_host_has_nothing_wrong() -> None:
    assert set(judged({}).values()) == {"ok"}


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_what_differs_is_found_and_nothing_else(case: dict[str, Any]) -> None:
    sound, found = judged({}), judged(case)

    assert {check: outcome for check, outcome in found.items() if outcome != sound.get(check)} == case["finds"]


def test_what_is_recommended_and_not_so_is_reported_once_for_hosts_that_are_alike() -> None:
    told = {**CASES["sound host"], "host tcp_autocorking": "1"}
    shallow = {**told, "ena now_rx": "1024"}
    findings = [
        finding
        for host, lines in (("server", told), ("client", shallow))
        for finding in examine(
            host, read_facts("\n".join(f"{key} {value}" for key, value in lines.items())), attachments=ON
        )
    ]

    assert untuned(findings) == [
        "server and client: net.ipv4.tcp_autocorking is 1, wanted 0",
        "client: rx ring of ena is 1024, wanted at least 8192",
    ]


def test_only_what_is_required_stops_a_bench_and_only_what_is_bad_is_mended() -> None:
    text = "\n".join(
        f"{key} {value}"
        for key, value in {**CASES["sound host"], "host tcp_autocorking": "1", "ena mtu": "9001"}.items()
    )
    findings = examine("client", read_facts(text), attachments=ON)

    assert [finding.check for finding in required_and_bad(findings)] == ["MTU of ena"]
    assert sorted(fixes(findings)) == ["sysctl -w net.ipv4.tcp_autocorking=0", "systemctl restart enaxp-net.service"]


def test_a_host_that_tells_nothing_is_unknown_never_bad_but_for_sockperf() -> None:
    findings = examine("client", read_facts(""), attachments=ON)

    assert [finding.check for finding in findings if finding.outcome == "bad"] == ["sockperf"]


def test_the_probe_is_sound_shell_and_runs_here() -> None:
    command = probe_command(ADDRESSES, ADDRESSES)
    if shutil.which("shellcheck"):
        checked = subprocess.run(
            ["shellcheck", "-s", "sh", "-S", "warning", "-"], input=command, capture_output=True, text=True, check=False
        )
        assert checked.stdout == ""

    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert read_facts(ran.stdout).host["machine"]


def test_what_is_mended_is_mended_on_the_interfaces_of_both_arms_so_that_they_stay_alike() -> None:
    lines = {**CASES["sound host"], "ena_express now_rx": 1024, "ena now_rx": 16384}
    findings = examine(
        "client", read_facts("\n".join(f"{key} {value}" for key, value in lines.items())), attachments=ON
    )

    assert fixes(findings) == ["ethtool -G ens5 rx 8192; ethtool -G ens6 rx 8192"]


def test_the_network_is_mended_last_since_longer_rings_take_links_down() -> None:
    lines = {**CASES["sound host"], "ena mtu": "9001", "ena_express now_rx": 1024, "host tcp_autocorking": "1"}
    findings = examine(
        "client", read_facts("\n".join(f"{key} {value}" for key, value in lines.items())), attachments=ON
    )

    commands = fixes(findings)

    assert commands[-1] == RESTART_NETWORK
    assert len(commands) == 3


def test_what_was_mended_is_kept_once_and_the_network_has_files_of_its_own(tmp_path: Path) -> None:
    mended = ["sysctl -w net.ipv4.tcp_autocorking=0", 'echo "it\'s" > /dev/null', RESTART_NETWORK]
    text = lasting(mended).replace("/etc/enaxp", str(tmp_path / "etc"))

    for _ in range(2):
        subprocess.run(["sh", "-eu", "-c", text], check=True)

    [kept] = (tmp_path / "etc/tuning.d").iterdir()
    assert kept.read_text().splitlines() == mended[:2]


def test_an_express_device_that_does_not_tell_is_named() -> None:
    silent = {key: value for key, value in CASES["sound host"].items() if "srd_mode" not in key}
    told, untold = (
        examine("client", read_facts("\n".join(f"{key} {value}" for key, value in lines.items())), attachments=ON)
        for lines in (CASES["sound host"], silent)
    )

    assert untold_treatment(told) == []
    assert [finding.check for finding in untold_treatment(untold)] == ["device: ena_srd_mode of ena_express"]


@pytest.mark.parametrize(
    ("versions", "outcome"), [(("3.10", "3.10"), "ok"), (("3.10", "3.7"), "bad"), (("3.10", ""), "unknown")]
)
def test_both_hosts_need_the_same_sockperf(versions: tuple[str, str], outcome: str) -> None:
    hosts = {
        role: read_facts(f"host sockperf {version}")
        for role, version in zip(("server", "client"), versions, strict=True)
    }

    sockperf, driver = compare(hosts)

    assert (sockperf.level, sockperf.outcome, driver.outcome) == ("required", outcome, "unknown")


@pytest.mark.parametrize(
    ("kind", "zones", "bad"),
    [
        ("c6i.8xlarge", ("us-east-1a", "us-east-1a"), []),
        ("c6i.8xlarge", ("us-gov-west-1a", "us-gov-west-1a"), []),
        ("c6i.8xlarge", ("us-east-1a", "us-east-1b"), ["the same zone"]),
        ("c6i.8xlarge", ("us-east-1-bos-1a", "us-east-1-bos-1a"), ["zone", "zone"]),
        ("c6i.4xlarge", ("us-east-1a", "us-east-1a"), ["instance type", "instance type"]),
    ],
)
def test_the_type_and_the_zone_must_have_ena_express(kind: str, zones: tuple[str, str], bad: list[str]) -> None:
    roles = ("server", "client")

    findings = examine_lab(
        dict.fromkeys(roles, kind), dict(zip(roles, zones, strict=True)), supporting=["c6i.8xlarge", "c7gn.4xlarge"]
    )

    assert [finding.check for finding in findings if finding.outcome == "bad"] == bad


def test_only_what_a_crossover_changes_is_reported_by_where_srd_is() -> None:
    findings = examine("client", read_facts("ena srd_mode 0\nena_express srd_mode 3"), attachments=ON)

    assert [finding.check for finding in findings if where_srd_is(finding)] == [
        "ENA Express on the attachment",
        "its UDP flag on the attachment",
        "ENA Express on the ENA attachment",
        "device: ena_srd_mode of ena_express",
        "device: ena_srd_mode of ena",
    ]
