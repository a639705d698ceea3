"""The doctor on real hosts: nothing wrong on a fresh lab, what is spoilt is found, refused by the bench, and mended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import TIMERS, Driver, command_line
from tests.support.local_machines import wait_until

pytestmark = [pytest.mark.long, pytest.mark.system]

# As long as an ENA has them at first.
RINGS = {(role, f"rx ring of {arm}") for role in ("server", "client") for arm in ("ena", "ena_express")}


def outcomes(findings: list[dict[str, Any]], outcome: str) -> set[tuple[str, str]]:
    return {(finding["host"], finding["check"]) for finding in findings if finding["outcome"] == outcome}


def test_a_fresh_lab_has_nothing_wrong(lab: Driver) -> None:
    findings = lab.ok("doctor", "--json").document

    assert outcomes(findings, "bad") == (RINGS if lab.isolation == "namespaces" else set())
    assert {finding["level"] for finding in findings} == {"required", "recommended", "info"}
    told = "ok" if lab.isolation == "namespaces" else "unknown"
    assert ("client", "MTU of ena_express") in outcomes(findings, told)
    assert ("server", "device: ena_srd_mode of ena_express") in outcomes(findings, told)
    assert {("server", "instance type"), ("client", "zone"), ("both", "sockperf, the same on both")} <= outcomes(
        findings, "ok"
    )
    assert ("client", "ENA driver, full bandwidth") in outcomes(findings, "unknown")


@pytest.mark.namespaces
def test_what_is_spoilt_is_found_refused_and_mended(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    # Without them: they would soon set the MTU again.
    for role, spoil in {
        "client": f"sudo systemctl stop {' '.join(TIMERS)} && sudo ip link set ens6 mtu 9001",
        "server": "sudo sysctl -q -w net.ipv4.conf.ens6.arp_ignore=0",
    }.items():
        assert lab.on_host(role, spoil).code == 0

    found = lab.run("doctor", "--json")
    refused = lab.run("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s")
    forced = lab.ok("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s", "--force")
    mended = lab.ok("doctor", "--fix", "--json")

    assert found.code == 1
    assert (
        outcomes(found.document, "bad")
        == {
            ("client", "MTU of ena_express"),
            ("server", "ARP of ena_express (ignore/announce)"),
        }
        | RINGS
    )
    assert (refused.code, "MTU of ena_express is 9001, wanted at most 8900" in refused.stderr) == (1, True)
    assert "measured in spite of this: client: MTU of ena_express" in forced.stdout
    assert "not tuned as AWS recommends: server: ARP of ena_express" in forced.stdout
    assert "server and client: rx ring of ena is 1024, wanted at least 8192" in forced.stdout
    assert outcomes(mended.document, "bad") == set()

    # and it is still mended after a restart, the network with it, though longer rings take the links down
    lab.on_host("client", "sudo reboot")
    wait_until(
        lambda: lab.on_host("client", "systemctl is-active enaxp-tuning enaxp-net").stdout.split() == ["active"] * 2,
        "the host has started",
    )
    wait_until(lambda: outcomes(lab.run("doctor", "--json").document, "bad") == set(), "all is as it was mended")


@pytest.mark.namespaces
def test_private_addresses_are_reached_through_a_bastion_for_every_command(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    # given a config by which nothing but the server's public address is reached, and that as a bastion
    ssh = lab.ok("status", "--json").document["hosts"]["server"]["ssh"]
    config = lab.folder / "bastion.yaml"
    bastion = (
        f"ssh -F none -i {lab.folder}/state/dev.pem -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR "
        f"-o UserKnownHostsFile={lab.folder}/bastion -p {ssh['port']} -W %h:%p {ssh['user']}@{ssh['host']}"
    )
    config.write_text(json.dumps({"hosts": {"address": "private", "proxy_command": bastion}}))

    # when each command that logs in does so, then it reaches the private addresses, and leaves no process of the bastion's
    with_bastion = ("--config", str(config))
    came = lab.ok("ssh", "client", *with_bastion, "--", "echo", "$SSH_CONNECTION").stdout.split()
    assert (came[0], came[2]) == ("192.168.3.10", "192.168.3.20")
    assert lab.ok("doctor", *with_bastion, "--json").document
    assert f"goes through hosts.proxy_command: {bastion}" in lab.ok("status", *with_bastion).stdout
    bench = ("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s")
    assert "run folder: " in lab.ok(*bench, *with_bastion).stdout
    lines = [command_line(path.name) for path in Path("/proc").glob("[0-9]*")]
    assert [line for line in lines if f"UserKnownHostsFile={lab.folder}/bastion" in line] == []
