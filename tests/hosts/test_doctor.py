"""What the doctor judges, from what hosts say: cases in doctor_cases.yaml."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.hosts.doctor import examine, fixes, probe_command, read_facts, required_and_bad

CASES = yaml.safe_load((Path(__file__).parent / "doctor_cases.yaml").read_text())
ON = {"ena": {"srd": False, "srd_udp": False}, "ena_express": {"srd": True, "srd_udp": True}}
ADDRESSES = {"ena": "192.168.3.20", "ena_express": "192.168.3.21"}


def judged(case: dict[str, Any]) -> dict[str, str]:
    lines = {**CASES["sound host"], **case.get("tells", {})}
    text = "\n".join(f"{key} {value}" for key, value in lines.items() if value is not None)
    attachments = {arm: {**state, **case.get("attachments", {}).get(arm, {})} for arm, state in ON.items()}
    return {finding.check: finding.outcome for finding in examine("client", read_facts(text), attachments=attachments)}


def test_a_sound_host_has_nothing_wrong() -> None:
    assert set(judged({}).values()) == {"ok"}


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_what_differs_is_found_and_nothing_else(case: dict[str, Any]) -> None:
    sound, found = judged({}), judged(case)

    assert {check: outcome for check, outcome in found.items() if outcome != sound.get(check)} == case["finds"]


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
