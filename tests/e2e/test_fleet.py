"""A fleet on this machine: two pairs of real hosts with hot interfaces, hosts stopped and taken away by somebody, a bench of both pairs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import require_programs
from tests.support.driver import Driver, machine

AT_ONCE = "bench: {at_once: 2}\n"

pytestmark = [pytest.mark.long, pytest.mark.system, pytest.mark.namespaces]
QUICK = ("bench", "--iterations", "1", "--repeats", "1", "--duration", "1s")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A fleet of two pairs; taken down afterwards, which must leave nothing on this machine."""
    require_programs()
    before, driver = machine(), Driver(tmp_path_factory.mktemp("fleet"), "namespaces")
    try:
        driver.ok("up", "--pairs", "2")
        yield driver
        family = driver.family()
        assert driver.ok("down", "--json").document["leftovers"] == []
    finally:
        driver.end()
    assert driver.living(family) == []
    assert machine() == before


def test_a_fleet_survives_a_stopped_host(fleet: Driver) -> None:
    # given a fleet of two pairs
    status = fleet.ok("status", "--json").document
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


def test_a_pair_that_is_taken_away_in_the_midst_of_a_bench_is_named_and_measured_again_later(fleet: Driver) -> None:
    server = fleet.ok("status", "--json").document["pairs"][0]["hosts"]["server"]["instance_id"]

    # when the first pair loses its server once a trial of it has ended
    with fleet.start(*QUICK, "--seed", "7") as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "main-1: trial   1 of" in line:
                fleet.client("ec2").terminate_instances(InstanceIds=[server])
        code = process.wait(timeout=120)

    # then it is named, and the other one is measured to its end
    [*_, run] = sorted((fleet.folder / "results/dev").iterdir())
    told = json.loads((run / "fleet.json").read_text())["variants"]["main"]
    assert code == 0, said
    assert (told["pairs"], told["valid_pairs"]) == (2, 1)
    assert "2 pairs of hosts, one after the other: main-1, main-2" in said
    assert f"pair main-1 was lost: the server ({server}) cannot be reached any more" in said
    assert "main-2: trial   4 of 4" in said
    assert fleet.run("check", "latest").code == 5

    # and once it was made anew the bench goes on with it alone, unless another bench has one of its hosts
    status = fleet.ok("up", "--json").document
    other = (run / "pairs/main-2/trials.jsonl").read_text()
    lock = f"/tmp/enaxp-bench/{status['hosts']['client']['ena']['eni']}.lock"
    hold = f"umask 077; mkdir -p /tmp/enaxp-bench; nohup flock {lock} sleep 300 > /dev/null 2>&1 < /dev/null & echo $!"
    holder = fleet.ok("ssh", "client", "--", hold).stdout.strip()
    refused = fleet.run("bench", "--resume", "latest")
    fleet.ok("ssh", "client", "--", f"pkill -P {holder}")
    assert "pair main-1 was lost: the client is measured by another bench" in refused.stderr
    again = fleet.ok("bench", "--resume", "latest", "--json")
    assert again.document["variants"]["main"]["valid_pairs"] == 2
    assert (run / "pairs/main-2/trials.jsonl").read_text() == other
    results = [json.loads((run / f"pairs/main-{n}/result.json").read_text()) for n in (1, 2)]
    assert [(one["run_id"], one["pair_name"]) for one in results] == [(run.name, "main-1"), (run.name, "main-2")]
    assert results[0]["plan"]["seed"] != results[1]["plan"]["seed"]


def test_a_fleets_crossover_that_is_terminated_ends_all_pairs_and_goes_on_later(fleet: Driver) -> None:
    fleet.ok("up")
    (fleet.folder / "two.yaml").write_text(AT_ONCE)
    crossed = ("--config", "two.yaml", "--crossover", "-i", "4", "-r", "1", "-d", "1s")

    # when both pairs are measured at once, and it is terminated while their interfaces are swapped
    with fleet.start("bench", *crossed) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "iteration 3" in line:
                process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=120)
    [*_, run] = sorted((fleet.folder / "results/dev").iterdir())
    manifest = json.loads((run / "pairs.json").read_text())

    # then all pairs have ended, none as lost, the interfaces are back, and nothing is left on the hosts
    assert code == 130, said
    assert f"`enaxp bench --resume {run.name}`" in said
    assert [pair.get("lost", "") for pair in manifest["pairs"]] == ["", ""]
    assert fleet.ok("plan", "--check").code == 0
    assert fleet.running("sockperf") == []

    # and it goes on with both where they were
    kept = [(run / f"pairs/main-{n}/trials.jsonl").read_text() for n in (1, 2)]
    again = fleet.ok("bench", "--resume", run.name, "--json")
    assert again.document["variants"]["main"]["valid_pairs"] == 2
    for n, before in enumerate(kept, 1):
        assert (run / f"pairs/main-{n}/trials.jsonl").read_text().startswith(before)
