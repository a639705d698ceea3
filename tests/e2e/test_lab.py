"""A lab that is up: what it is, what programs may rely on, and what a second command does to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.driver import TIMERS, Driver, is_mutating
from tests.support.local_machines import wait_until

pytestmark = pytest.mark.system

STATUS_KEYS = {
    "schema", "owner",
    "lab", "lab_id", "target", "isolation", "endpoint_url", "account", "region", "availability_zone", "resources", "hosts", "urls",
    "created_at", "expires_at", "usd_per_hour", "usd_so_far",
}  # fmt: skip
SOFTWARE = {
    "ListDocuments",
    "ListAssociations",
    "ListTagsForResource",
    "DescribeInstanceAssociationsStatus",
    "DescribeInstanceInformation",
}


def test_a_second_up_changes_nothing_and_asks_little(lab: Driver) -> None:
    calls = lab.calls_of("up")

    assert [action for action in calls if is_mutating(action)] == []
    of_software = sum(count for action, count in calls.items() if action in SOFTWARE)
    assert sum(calls.values()) - of_software <= 16
    # A listing of documents and one of associations, the tags of each association, which no listing tells, which hosts
    # have registered, what each of them says it has.
    assert of_software <= 1 + 1 + 4 + 1 + 2


def test_the_status_lists_what_exists(lab: Driver) -> None:
    status = lab.ok("status", "--json").document

    assert set(status) == STATUS_KEYS
    assert (status["lab"], status["target"], status["isolation"]) == ("dev", "local", lab.isolation)
    assert {resource["state"] for resource in status["resources"]} == {"present"}
    assert all(resource["drift"] == [] and resource["owned"] for resource in status["resources"])
    kinds = sorted(resource["kind"] for resource in status["resources"])
    assert kinds == sorted(
        ["vpc", "subnet", "igw", "route-table", "security-group", "placement-group", "key-pair", "role", "instance-profile"]
        + 4 * ["eni"] + 2 * ["eip"] + 2 * ["instance"] + 4 * ["ssm-document", "ssm-association"]
    )  # fmt: skip
    for role, addresses in {
        "server": ("192.168.3.10", "192.168.3.11"),
        "client": ("192.168.3.20", "192.168.3.21"),
    }.items():
        host = status["hosts"][role]
        assert (host["ena"]["ip"], host["ena_express"]["ip"]) == addresses
        assert (host["ena"]["srd"], host["ena_express"]["srd"], host["ena_express"]["srd_udp"]) == (False, True, True)
        assert set(host) == {
            "role",
            "pair",
            "name",
            "instance_id",
            "public_ip",
            "ssh",
            "ena",
            "ena_express",
            "software",
        }
        assert {piece: result["status"] for piece, result in host["software"].items()} == dict.fromkeys(
            ("tuning", "utilities", "sockperf", "node-exporter"), "Success"
        )


def test_a_plan_of_a_lab_that_is_up_has_nothing_to_do(lab: Driver) -> None:
    document = lab.ok("plan", "--json", "--check").document

    assert {step["action"] for step in document["steps"]} == {"keep"}
    assert {frozenset(step) for step in document["steps"]} == {frozenset({"key", "action", "reason", "changes"})}


def aws(lab: Driver, *arguments: str) -> Any:
    """What a real AWS client answers at the lab's endpoint."""
    program = shutil.which("aws", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("the AWS CLI is not installed")
    environment = {
        **os.environ,
        "AWS_SHARED_CREDENTIALS_FILE": str(lab.folder / "state/local-cloud/credentials"),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [program, "--endpoint-url", lab.endpoint, "--output", "json", *arguments]
    return json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=120).stdout
    )


def test_a_real_aws_client_sees_a_cluster_placement_group(lab: Driver) -> None:
    [group] = aws(lab, "ec2", "describe-placement-groups")["PlacementGroups"]

    assert (group["Strategy"], group["State"]) == ("cluster", "available")


def test_a_real_aws_client_sees_ena_express_on_exactly_the_secondary_attachments(lab: Driver) -> None:
    interfaces = aws(lab, "ec2", "describe-network-interfaces")["NetworkInterfaces"]

    on = {"EnaSrdEnabled": True, "EnaSrdUdpSpecification": {"EnaSrdUdpEnabled": True}}
    with_srd = {
        i["PrivateIpAddress"]: i["Attachment"]["DeviceIndex"]
        for i in interfaces
        if i["Attachment"].get("EnaSrdSpecification") == on
    }
    assert with_srd == {"192.168.3.11": 1, "192.168.3.21": 1}
    assert len(interfaces) == 4


def test_every_resource_carries_the_labs_tags(lab: Driver) -> None:
    lab_id = lab.ok("status", "--json").document["lab_id"]
    wanted = {"enaxp:lab", "enaxp:lab-id", "enaxp:key", "enaxp:created", "enaxp:expires", "enaxp:schema", "Name"}

    ec2, iam = lab.client("ec2"), lab.client("iam")
    described = [
        *ec2.describe_vpcs()["Vpcs"],
        *ec2.describe_subnets()["Subnets"],
        *ec2.describe_internet_gateways()["InternetGateways"],
        *ec2.describe_placement_groups()["PlacementGroups"],
        *ec2.describe_key_pairs()["KeyPairs"],
        *ec2.describe_addresses()["Addresses"],
        *[i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]],
        *[{"Tags": i["TagSet"]} for i in ec2.describe_network_interfaces()["NetworkInterfaces"]],
        iam.get_role(RoleName="enaxp-dev-us-east-1")["Role"],
    ]

    for resource in described:
        tags = {tag["Key"]: tag["Value"] for tag in resource["Tags"]}
        assert wanted <= set(tags)
        assert tags["enaxp:lab-id"] == lab_id


def test_instances_are_made_as_they_should_be(lab: Driver) -> None:
    ec2 = lab.client("ec2")
    instances = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]

    for instance in instances:
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["Placement"]["GroupName"] == "enaxp-dev-us-east-1"
        behaviour = ec2.describe_instance_attribute(
            InstanceId=instance["InstanceId"], Attribute="instanceInitiatedShutdownBehavior"
        )
        assert behaviour["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    volumes = ec2.describe_volumes()["Volumes"]
    assert [(volume["Encrypted"], volume["VolumeType"]) for volume in volumes] == [(True, "gp3")] * 2
    assert len({instance["ImageId"] for instance in instances}) == 1


def test_a_command_runs_on_a_host(lab: Driver) -> None:
    ran = lab.ok("ssh", "client", "--", "sh", "-c", "'echo from $0; exit 0'", "here")

    assert ran.stdout == "from here\n"
    assert lab.run("ssh", "server", "--", "exit", "7").code == 7


@pytest.mark.namespaces
def test_each_arm_leaves_by_its_own_interface(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    for source, destination, device in (
        ("192.168.3.20", "192.168.3.10", "ens5"),
        ("192.168.3.21", "192.168.3.11", "ens6"),
    ):
        route = lab.on_host("client", f"ip route get {destination} from {source}").stdout
        assert f"dev {device} " in route
    told = lab.on_host("server", "cat /sys/class/net/ens5/mtu /sys/class/net/ens6/mtu; hostname").stdout
    assert told.split() == ["8900", "8900", "sockperf-server"]


@pytest.fixture(scope="module")
def run(lab: Driver) -> dict[str, Any]:
    """The result of a bench."""
    options = ("--iterations", "2", "--repeats", "1", "--duration", "1s", "--seed", "7")
    result: dict[str, Any] = lab.ok("bench", *options, "--json").document
    return result


def test_a_bench_measures_both_arms(lab: Driver, run: dict[str, Any]) -> None:
    result = run
    folder = lab.folder / "results/dev" / result["run_id"]
    scenario = result["scenarios"]["udp-latency"]
    for arm in scenario["arms"].values():
        assert (arm["trials"] >= 2, arm["valid_trials"]) == (True, 2)
        assert 0 < arm["p50_us"] <= arm["p90_us"] <= arm["p99_us"] <= arm["p99_9_us"] <= arm["max_us"]
    assert (result["plan"]["seed"], result["target"], result["isolation"]) == (7, "local", lab.isolation)
    assert scenario["verdict"]["words"].startswith("local, not ENA:")
    proven = {"namespaces": (True, "stand-in"), "processes": (None, "none")}[lab.isolation]
    assert (scenario["treatment"]["proven"], scenario["treatment"]["source"]) == proven
    assert json.loads((folder / "result.json").read_text()) == result
    assert (folder / "summary.txt").read_text().startswith("====")
    assert (folder / "results.csv").read_text().splitlines()[0] == (
        "Test,Interface,Avg_Latency_us,p50_Latency_us,p99_Latency_us,p99.9_Latency_us,Max_Latency_us,Throughput_Gbps"
    )
    trials = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert len({trial["client_port"] for trial in trials}) == len(trials) >= 8
    assert all(
        (folder / trial["raw_file"]).exists() and (folder / trial["histogram_file"]).exists()
        for trial in trials
        if trial["valid"]
    )


def test_a_run_keeps_both_hosts_as_they_were_before_and_after(lab: Driver, run: dict[str, Any]) -> None:
    manifest = lab.folder / "results/dev" / run["run_id"] / "manifest.json"
    environment = json.loads(manifest.read_text())["environment"]

    assert environment["differences"] == []
    assert environment["hashes"]["before"] == environment["hashes"]["after"]
    for role, facts in environment["before"].items():
        assert facts["sockperf_sha256"]
        assert facts["kernel"] == environment["after"][role]["kernel"]
        assert ("ena_express.rings" in facts) is (lab.isolation == "namespaces")


def test_both_arms_can_run_at_once(lab: Driver) -> None:
    result = lab.ok(
        "bench", "--iterations", "1", "--repeats", "2", "--duration", "1s", "--order", "parallel", "--json"
    ).document

    assert result["plan"]["order"] == "parallel"
    assert result["scenarios"]["udp-latency"]["arms"]["ena"]["valid_trials"] == 2


def test_ctrl_c_keeps_what_was_measured_and_stops_the_servers(lab: Driver) -> None:
    process = lab.start("bench", "--iterations", "5", "--repeats", "5", "--duration", "1s")
    assert process.stdout is not None
    for line in process.stdout:
        if "trial   3 of" in line:
            assert lab.running("sockperf") != []
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    process.stdout.close()

    assert process.wait(timeout=60) == 130, rest
    [*_, newest] = sorted((lab.folder / "results/dev").iterdir())
    assert len((newest / "trials.jsonl").read_text().splitlines()) >= 3
    assert (newest / "result.json").exists()
    assert lab.running("sockperf") == []
    for role in ("server", "client") if lab.isolation == "namespaces" else ():
        wait_until(lambda: lab.timers(role) == TIMERS, f"the timers of the {role} run again")  # noqa: B023


def test_a_layer_is_not_taken_from_under_another(lab: Driver) -> None:
    ran = lab.run("down", "network")

    assert ran.code == 1
    assert "compute stands on layer network" in ran.stderr
    assert "enaxp down compute" in ran.stderr
    assert lab.ok("plan", "--check").code == 0


def test_a_target_that_contradicts_the_labs_is_refused(lab: Driver) -> None:
    ran = lab.run("status", "--target", "aws")

    assert ran.code == 2
    assert "lives on target local" in ran.stderr
