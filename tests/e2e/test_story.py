"""Whole stories: from nothing to nothing, with accidents on the way."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.driver import Driver, machine

pytestmark = pytest.mark.system

SINGLE = {
    "VPC": "vpc-",
    "subnet": "subnet-",
    "gateway": "igw-",
    "route table": "rtb-",
    "group": "sg-",
    "placement group": "pg-",
}


def assert_exactly_one_of_each(driver: Driver) -> None:
    resources = driver.cloud("resources")["resources"]
    for what, prefix in SINGLE.items():
        assert len([resource for resource in resources if resource.startswith(prefix)]) == 1, f"{what}: {resources}"
    for prefix, count in {"eni-": 4, "eipalloc-": 2, "i-": 2}.items():
        assert len([resource for resource in resources if resource.startswith(prefix)]) == count, resources
    assert resources.count("enaxp-dev-us-east-1") == 3  # role, instance profile, key pair


def test_a_lab_comes_up_and_goes_down_layer_by_layer(driver: Driver) -> None:
    before = machine()

    driver.ok("up", "network")
    assert {resource["kind"] for resource in driver.ok("status", "--json").document["resources"] if resource["state"] == "present"} == {
        "vpc", "subnet", "igw", "route-table", "security-group",
    }  # fmt: skip
    driver.ok("up", "compute")
    assert_exactly_one_of_each(driver)
    removed = driver.ok("down", "compute", "--json").document
    assert (len(removed["removed"]), removed["leftovers"]) == (20, [])
    family = driver.family()
    driver.ok("down")

    assert driver.living(family) == []
    status = driver.ok("status", "--json").document
    assert (status["lab_id"], status["resources"], status["hosts"]) == (None, [], {})
    assert not (driver.folder / "state/dev.json").exists()
    assert not (driver.folder / "state/dev.pem").exists()
    assert machine() == before


# Killed at each call and each save: tests/lab/test_crash.py. Here with a cloud that has just started, and with real hosts.
@pytest.mark.parametrize(
    ("driver", "moment"),
    [
        pytest.param("namespaces", "vpc", marks=pytest.mark.namespaces),
        pytest.param("namespaces", "instance/client", marks=pytest.mark.namespaces),
        ("processes", "instance/server"),
    ],
    indirect=["driver"],
)
def test_a_kill_during_up_is_made_good_by_the_next_up(driver: Driver, moment: str) -> None:
    process = driver.start("up")
    assert process.stdout is not None
    for line in process.stdout:
        if line.rstrip().endswith(f"creating   {moment}"):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()

    driver.ok("up")

    assert_exactly_one_of_each(driver)
    driver.ok("down")
    assert not (driver.folder / "state/local-cloud/cloud.json").exists()


@pytest.mark.long
def test_a_lab_whose_state_file_is_lost_is_found_by_its_tags(driver: Driver) -> None:
    driver.ok("up", "network")
    for name in ("dev.json", "dev.json.bak"):
        (driver.folder / "state" / name).unlink(missing_ok=True)

    found = driver.ok("up", "network")
    assert "adopted by its tags" in found.stderr
    assert len([resource for resource in driver.cloud("resources")["resources"] if resource.startswith("vpc-")]) == 1
    for name in ("dev.json", "dev.json.bak"):
        (driver.folder / "state" / name).unlink(missing_ok=True)
    gone = driver.ok("down", "--json").document

    assert (len(gone["removed"]), gone["leftovers"]) == (5, [])


@pytest.mark.long
@pytest.mark.parametrize("driver", ["processes"], indirect=True)  # with namespaces: test_software.py
def test_a_host_that_somebody_terminated_is_recreated_and_reached_at_its_old_address(driver: Driver) -> None:
    before = driver.ok("up", "--json").document["hosts"]["client"]
    driver.client("ec2").terminate_instances(InstanceIds=[before["instance_id"]])

    after = driver.ok("up", "--json").document["hosts"]["client"]

    assert after["instance_id"] != before["instance_id"]
    assert after["ssh"] == before["ssh"]
    assert driver.ok("ssh", "client", "--", "echo", "reached").stdout == "reached\n"


@pytest.mark.long
def test_two_labs_live_side_by_side_and_the_cloud_ends_with_the_last(driver: Driver) -> None:
    driver.ok("up", "network", "--lab", "one")
    driver.ok("up", "network", "--lab", "two")
    driver.ok("down", "--lab", "one")

    assert driver.ok("plan", "network", "--lab", "two", "--check").code == 0
    driver.ok("down", "--lab", "two")
    assert not (driver.folder / "state/local-cloud/cloud.json").exists()


@pytest.mark.long
def test_the_demo_leaves_nothing_but_its_run(driver: Driver) -> None:
    before = machine()

    # Other tests measure beside it.
    ran = driver.ok("demo", "--iterations", "1", "--repeats", "1", "--nice", "0")

    assert "ENA vs ENA Express Performance Summary" in ran.stdout
    assert "page: results/demo/" in ran.stdout
    assert "not tuned as AWS recommends" not in ran.stdout + ran.stderr
    assert [path.name for path in driver.folder.iterdir()] == ["results"]
    [run] = driver.folder.glob("results/demo/*")
    for name in ("report.html", "summary.txt", "result.json"):
        assert "emulated, not ENA" in (run / name).read_text()
    for name in ("manifest.json", "truth.json"):
        assert "a relay holds every message of ENA Express back by 20" in (run / name).read_text()
    truth = json.loads((run / "truth.json").read_text())["figures"]
    assert {metric: figure["planned_us"] for metric, figure in truth.items()} == {"p50": 20, "p99": -1480}
    assert None not in [figure["recorded_us"] for figure in truth.values()], "each trial is in the relay's record"
    assert [figure["held"] for figure in truth.values()] == [None, None], "one iteration has no interval"
    assert "true value within the intervals: not known at P50 and P99" in ran.stdout
    assert machine() == before


@pytest.mark.acceptance
def test_acceptance_ten_by_ten(driver: Driver) -> None:
    driver.ok("up")
    result = driver.ok(
        "bench", "--iterations", "10", "--repeats", "10", "--duration", "1s", "--json", timeout_s=1800
    ).document
    assert {arm: figures["valid_trials"] for arm, figures in result["scenarios"]["udp-latency"]["arms"].items()} == {
        "ena": 100,
        "ena_express": 100,
    }
    assert "null" not in json.dumps(result["scenarios"]["udp-latency"]["effects"])
    driver.ok("down")
