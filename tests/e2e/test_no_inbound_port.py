"""A lab that lets nobody in: built, measured and removed by a program that leads to its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import require_programs
from tests.support.driver import Driver, machine

pytestmark = [pytest.mark.long, pytest.mark.system]

# Leads to an address and port as `ssh -W` does, and writes down for whom.
WAY = """#!/bin/bash
echo "$1" "$2" >> "${0%/*}/led"
exec 3<> "/dev/tcp/$2/$3" && { cat <&3 & cat >&3; kill $!; }
"""


def test_a_lab_without_an_inbound_port_is_built_measured_and_removed(tmp_path: Path) -> None:
    # given a way to the hosts, and a config that lets nobody in
    require_programs()
    before, lab = machine(), Driver(tmp_path, "processes")
    way = tmp_path / "way"
    way.write_text(WAY)
    way.chmod(0o755)
    hosts = f'hosts: {{proxy_command: "{way} {{instance_id}} %h %p"}}'
    (tmp_path / "closed.yaml").write_text(f"network: {{ssh_cidr: none}}\n{hosts}\n")
    config = ("--config", "closed.yaml")
    try:
        # when it is built and measured
        status = lab.ok("up", *config, "--json").document
        groups = lab.client("ec2").describe_security_groups(Filters=[{"Name": "tag-key", "Values": ["enaxp:lab"]}])
        told = lab.ok("ssh", "client", *config, "--", "echo here").stdout
        result = lab.ok("bench", *config, "-i", "1", "-r", "1", "-d", "1s", "--json").document

        # then its group lets in nobody from outside of it, and every connection has gone that way
        [group] = groups["SecurityGroups"]
        assert [rule["IpRanges"] for rule in group["IpPermissions"] if rule["IpRanges"]] == []
        ids = {host["instance_id"] for host in status["hosts"].values()}
        assert {line.split()[0] for line in (tmp_path / "led").read_text().splitlines()} == ids
        assert told == "here\n"
        assert result["scenarios"]["udp-latency"]["arms"]["ena_express"]["valid_trials"] == 1
        assert lab.ok("plan", *config, "--check").code == 0
        assert lab.ok("down", *config, "--json").document["leftovers"] == []
    finally:
        lab.end()
    assert machine() == before
