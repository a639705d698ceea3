"""A fleet on this machine: two pairs of real hosts with hot interfaces, one host stopped by somebody and brought back, all removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import require_programs
from tests.support.driver import Driver, machine

pytestmark = [pytest.mark.long, pytest.mark.system]


@pytest.mark.namespaces
def test_a_fleet_comes_up_survives_a_stopped_host_and_goes(tmp_path: Path) -> None:
    require_programs()
    before, fleet = machine(), Driver(tmp_path, "namespaces")
    try:
        # given a fleet of two pairs
        status = fleet.ok("up", "--pairs", "2", "--json").document
        names = [pair["name"] for pair in status["pairs"]]
        assert names == ["main-1", "main-2"]
        assert status["hosts"] == status["pairs"][0]["hosts"]

        # then each host has its own address on both interfaces, and can be reached
        client = status["pairs"][1]["hosts"]["client"]
        assert (client["ena"]["ip"], client["ena_express"]["ip"]) == ("192.168.3.24", "192.168.3.25")
        assert (client["ena"]["srd"], client["ena_express"]["srd"]) == (False, True)
        shown = fleet.ok("ssh", "client", "--pair", "main-2", "--", "hostname; ip -o -4 addr show to 192.168.3.25")
        assert shown.stdout.startswith("sockperf-client-main-2")
        assert "192.168.3.25" in shown.stdout

        # when somebody stops a host, then the next up starts it with another public address and both its interfaces
        ec2 = fleet.client("ec2")
        ec2.stop_instances(InstanceIds=[client["instance_id"]])
        ec2.get_waiter("instance_stopped").wait(InstanceIds=[client["instance_id"]], WaiterConfig={"Delay": 1})
        again = fleet.ok("up", "--json").document["pairs"][1]["hosts"]["client"]
        assert again["instance_id"] == client["instance_id"]
        assert again["public_ip"]
        assert again["ena_express"]["srd"]

        # and down leaves nothing
        family = fleet.family()
        assert fleet.ok("down", "--json").document["leftovers"] == []
    finally:
        fleet.end()
    assert fleet.living(family) == []
    assert machine() == before
