"""The doctor on real hosts: nothing wrong on a fresh lab, what is spoilt is found, refused by the bench, and mended."""

from __future__ import annotations

from typing import Any

import pytest
from driver import Driver


def outcomes(findings: list[dict[str, Any]], outcome: str) -> set[tuple[str, str]]:
    return {(finding["host"], finding["check"]) for finding in findings if finding["outcome"] == outcome}


def test_a_fresh_lab_has_nothing_wrong(lab: Driver) -> None:
    findings = lab.ok("doctor", "--json").document

    assert outcomes(findings, "bad") == set()
    assert {finding["level"] for finding in findings} == {"required", "recommended", "info"}
    told = "ok" if lab.isolation == "namespaces" else "unknown"
    assert ("client", "MTU of ena_express") in outcomes(findings, told)


@pytest.mark.namespaces
def test_what_is_spoilt_is_found_refused_and_mended(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    lab.ok("ssh", "client", "--", "ip", "link", "set", "ens6", "mtu", "9001")
    lab.ok("ssh", "server", "--", "sysctl", "-q", "-w", "net.ipv4.conf.ens6.arp_ignore=0")

    found = lab.run("doctor", "--json")
    refused = lab.run("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s")
    forced = lab.ok("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s", "--force")
    mended = lab.ok("doctor", "--fix", "--json")

    assert found.code == 1
    assert outcomes(found.document, "bad") == {
        ("client", "MTU of ena_express"),
        ("server", "ARP of ena_express (ignore/announce)"),
    }
    assert (refused.code, "MTU of ena_express is 9001, wanted at most 8900" in refused.stderr) == (1, True)
    assert "measured in spite of this: client: MTU of ena_express" in forced.stdout
    assert outcomes(mended.document, "bad") == set()
