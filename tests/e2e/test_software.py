"""The software of a lab's hosts, kept by State Manager: enaxp works from a copy here, so that its scripts can be edited.

In process mode hosts only check what they are given: tests/local/test_hosts_processes.py and test_lab.py hold what that comes to.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.local.machines.programs import missing_programs
from tests.support.driver import Driver, command_line

pytestmark = [pytest.mark.namespaces, pytest.mark.system]
SOURCE = Path(__file__).parents[2]
ROLES = ("server", "client")
METRICS = "exec 3<> /dev/tcp/127.0.0.1/9100; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A folder with enaxp in it: what is run there is this copy, not what is installed. No lab is up in it."""
    assert missing_programs() == []
    folder = tmp_path_factory.mktemp("copy")
    for name in ("enaxp", "templates", "config", "monitor"):
        shutil.copytree(SOURCE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    driver = Driver(folder, "namespaces")
    try:
        yield driver
    finally:
        driver.end()


@pytest.fixture(scope="module")
def first_up(copy: Driver) -> str:
    """What the first `up` said, which one of the scripts made fail; afterwards that is mended, and the lab is up."""
    edit(copy, "utilities", "echo 'no such mirror' >&2; exit 3")
    failed = copy.run("up")
    assert failed.code == 1, failed.stderr
    edit(copy, "utilities")
    copy.ok("up")
    return failed.stderr


@pytest.fixture
def lab(copy: Driver, first_up: str) -> Iterator[Driver]:
    """A lab whose scripts are as they were, and whose hosts have run them."""
    yield copy
    if [edit(copy, path.stem) for path in (SOURCE / "templates/software").glob("*.sh") if is_edited(copy, path.stem)]:
        copy.ok("up")


def edit(driver: Driver, name: str, more: str = "") -> None:
    """Puts a line at the beginning of a piece's script; without one it is as it was."""
    first, options, rest = (SOURCE / f"templates/software/{name}.sh").read_text().partition("\nset -Eeuo pipefail\n")
    (driver.folder / f"templates/software/{name}.sh").write_text(
        f"{first}{options}{more}\n{rest}" if more else f"{first}{options}{rest}"
    )


def is_edited(driver: Driver, name: str) -> bool:
    path = f"templates/software/{name}.sh"
    return (SOURCE / path).read_text() != (driver.folder / path).read_text()


def on(driver: Driver, role: str, command: str) -> str:
    ran = driver.on_host(role, command)
    assert ran.code == 0, ran
    return ran.stdout


def software(driver: Driver) -> dict[str, dict[str, str]]:
    hosts = driver.ok("status", "--json").document["hosts"]
    return {role: {name: one["status"] for name, one in host["software"].items()} for role, host in hosts.items()}


def test_a_first_up_that_a_script_stops_says_which_and_shows_its_log(first_up: str) -> None:
    assert "first boot could not install utilities" in first_up
    assert "State Manager could not put utilities in place on the " in first_up
    assert "no such mirror" in first_up
    assert "Traceback" not in first_up


def test_once_mended_every_host_has_all_of_it(lab: Driver) -> None:
    for role in ROLES:
        assert "version 3." in on(lab, role, "sockperf --version 2>&1")
        assert "htop" in on(lab, role, "htop --version")
        assert on(lab, role, "systemctl is-active enaxp-tuning enaxp-node-exporter").split() == ["active", "active"]
        metrics = on(lab, role, METRICS)
        assert "node_exporter_build_info{" in metrics
        assert 'collector="ethtool"} 1' in metrics
        assert "node_textfile_scrape_error 0" in metrics


def test_what_lies_in_the_textfile_folder_is_reported(lab: Driver) -> None:
    on(lab, "client", "echo 'enaxp_said 7' > /var/lib/node_exporter/textfile/test.prom")

    assert "\nenaxp_said 7\n" in on(lab, "client", METRICS)


def test_a_node_exporter_that_dies_comes_back(lab: Driver) -> None:
    before = on(lab, "server", "pgrep -f '^[^ ]*prometheus-node-exporter .*web.listen'")
    on(lab, "server", f"sudo kill -9 {before.split()[0]}")

    again = f"for n in $(seq 100); do ({METRICS}) 2>/dev/null | grep -m 1 ^node_exporter_build_info && break; sleep 0.1; done"
    assert "build_info" in on(lab, "server", again)
    assert on(lab, "server", "pgrep -f '^[^ ]*prometheus-node-exporter .*web.listen'") != before


def test_agents_that_sleep_are_started_again_over_ssh_within_the_same_up(lab: Driver) -> None:
    # given agents that started before the permissions of their hosts worked, and an enaxp that waits no three minutes for them
    module = lab.folder / "enaxp/lab/state_manager.py"
    source = module.read_text()
    module.write_text(source.replace("RESTART_AGENT_S = 180.0", "RESTART_AGENT_S = 0.0"))
    lab.cloud("timing", method="POST", body={"ssm_credentials": 1.0})

    # when nothing else is to be done
    try:
        told = lab.ok("up").stderr
        after = software(lab)
    finally:
        lab.cloud("timing", method="POST", body={"ssm_credentials": 0.0})
        module.write_text(source)

    # then State Manager reaches both hosts
    for role in ROLES:
        [line] = [line for line in told.splitlines() if f"{role}: not registered with Systems Manager" in line]
        assert line.endswith("its agent is started again")
        assert set(after[role].values()) == {"Success"}


def test_a_changed_script_is_run_once_by_every_host(lab: Driver) -> None:
    edit(lab, "tuning", "echo ran >> /var/tmp/changed")

    steps = lab.ok("plan", "--json").document["steps"]
    lab.ok("up")
    lab.ok("up")

    changing = {step["key"]: [change["field"] for change in step["changes"]] for step in steps if step["changes"]}
    assert changing == {"ssm-document/tuning": ["content"], "ssm-association/tuning": ["content"]}
    assert [on(lab, role, "cat /var/tmp/changed") for role in ROLES] == ["ran\n", "ran\n"]


def test_a_script_that_breaks_fails_up_and_shows_in_the_status_until_it_is_mended(lab: Driver) -> None:
    edit(lab, "node-exporter", "echo 'disk full' >&2; exit 3")

    failed = lab.run("up")

    assert failed.code == 1
    assert "State Manager could not put node-exporter in place on the " in failed.stderr
    assert "disk full" in failed.stderr
    told = software(lab)
    assert {told[role]["node-exporter"] for role in ROLES} == {"Failed"}
    assert {told[role]["sockperf"] for role in ROLES} == {"Success"}
    assert "node-exporter Failed" in lab.ok("status").stdout
    edit(lab, "node-exporter")
    lab.ok("up")
    assert all(set(one.values()) == {"Success"} for one in software(lab).values())


def test_a_host_that_appears_later_gets_it_and_is_reached_at_the_old_address(lab: Driver) -> None:
    before = lab.ok("status", "--json").document["hosts"]["client"]
    lab.client("ec2").terminate_instances(InstanceIds=[before["instance_id"]])

    after = lab.ok("up", "--json").document["hosts"]["client"]

    assert after["instance_id"] != before["instance_id"]
    assert after["ssh"] == before["ssh"]
    told = lab.client("ssm").describe_instance_associations_status(InstanceId=after["instance_id"])[
        "InstanceAssociationStatusInfos"
    ]
    assert {info["Status"] for info in told} == {"Success"}
    assert len(told) == 4
    assert "node_exporter_build_info{" in on(lab, "client", METRICS)


def test_run_command_runs_on_the_host(lab: Driver) -> None:
    ssm, hosts = lab.client("ssm"), lab.ok("status", "--json").document["hosts"]
    instance = hosts["client"]["instance_id"]

    sent = ssm.send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[instance],
        Parameters={"commands": ["hostname", "ip -o -4 address"]},
    )["Command"]
    ssm.get_waiter("command_executed").wait(
        CommandId=sent["CommandId"], InstanceId=instance, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )

    said = ssm.get_command_invocation(CommandId=sent["CommandId"], InstanceId=instance)["StandardOutputContent"]
    assert hosts["client"]["name"] in said
    assert hosts["client"]["ena_express"]["ip"] in said


def test_no_key_is_in_a_log_a_process_list_user_data_a_document_or_the_state(lab: Driver) -> None:
    keys = [path for path in (lab.folder / "state").iterdir() if path.is_file() and "PRIVATE KEY" in path.read_text()]
    secrets = {line for key in keys for line in key.read_text().splitlines() if len(line) > 60}
    assert secrets
    assert {key.stat().st_mode & 0o077 for key in keys} == {0}

    told = lab.ok("up", "--debug").stderr + lab.ok("status", "--json").stdout
    told += "".join(path.read_text() for path in (lab.folder / "state").glob("*.json*"))
    told += "".join(path.read_text(errors="replace") for path in (lab.folder / "state/local-cloud").glob("*log*"))
    for pid, _ in lab.family() | {(str(os.getpid()), "")}:
        told += " ".join(command_line(pid))
    for role in ROLES:
        told += on(
            lab,
            role,
            "cat /var/log/cloud-init-output.log /var/log/enaxp-*.log; cat /proc/[0-9]*/cmdline 2> /dev/null; true",
        )
    told += json.dumps(user_data_of(lab)) + json.dumps(documents_of(lab))

    assert not [secret for secret in secrets if secret in told]


def user_data_of(driver: Driver) -> list[str]:
    ec2, hosts = driver.client("ec2"), driver.ok("status", "--json").document["hosts"]
    answers = [
        ec2.describe_instance_attribute(InstanceId=host["instance_id"], Attribute="userData")["UserData"]
        for host in hosts.values()
    ]
    packed = [base64.b64decode(answer["Value"]) for answer in answers]
    return [(gzip.decompress(one) if one.startswith(b"\x1f\x8b") else one).decode() for one in packed]


def documents_of(driver: Driver) -> list[str]:
    ssm = driver.client("ssm")
    names = [
        item["Name"]
        for item in ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]
    ]
    assert names
    return [str(ssm.get_document(Name=name)["Content"]) for name in names]
