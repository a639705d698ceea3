"""How to switch ENA Express on: the very commands, run by a shell and the AWS CLI against the strict AWS, switch it on and back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from enaxp.bench.run_folder.records import Manifest
from enaxp.report.switching import Step, steps, steps_in_short
from tests.support.factories import TCP_RATE, UDP, a_manifest, a_plan
from tests.support.on_aws import OnAws, strict_aws

DOC = Path(__file__).parents[2] / "docs/switching-on.md"


def manifest(*, protocol: str = "udp", region: str | None = None) -> Manifest:
    scenario = UDP if protocol == "udp" else TCP_RATE
    return replace(a_manifest(plan=a_plan(scenarios=(scenario,))), place={"region": region} if region else {})


def of_aws(step: Step) -> list[str]:
    """The commands that go to AWS, not to a host."""
    return [command for command in step.commands if "$device" not in command]


class Ends:
    """A lab whose hosts' first interfaces, which are plain ENA, stand for those of somebody's own instances."""

    def __init__(self, aws: OnAws) -> None:
        self.aws = aws
        names = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        self.ec2: Any = boto3.client("ec2", endpoint_url=aws.server.endpoint_url, **names)
        found = [instance for one in self.ec2.describe_instances()["Reservations"] for instance in one["Instances"]]
        self.instances = [instance["InstanceId"] for instance in found]
        self.interfaces = [
            nic["NetworkInterfaceId"]
            for instance in found
            for nic in instance["NetworkInterfaces"]
            if nic["Attachment"]["DeviceIndex"] == 0
        ]

    def shell(self, *commands: str) -> str:
        """What the commands print, once the placeholders of the first are these ends. Everything must succeed."""
        script = "\n".join(commands)
        for placeholder, ids in (("i-…", self.instances), ("eni-…", self.interfaces)):
            for one in ids:
                script = script.replace(f"={placeholder}", f"={one}", 1)
        path = f"{Path(sys.executable).parent}:{self.aws.environment['PATH']}"
        environment = {**self.aws.environment, "PATH": path, "AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(
            ["bash", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settings(self) -> list[tuple[bool, bool]]:
        """Whether SRD is on, and its flag of UDP, at each end."""
        found = self.ec2.describe_network_interfaces(NetworkInterfaceIds=self.interfaces)["NetworkInterfaces"]
        told = [one["Attachment"].get("EnaSrdSpecification", {}) for one in found]
        return [
            (one.get("EnaSrdEnabled", False), one.get("EnaSrdUdpSpecification", {}).get("EnaSrdUdpEnabled", False))
            for one in told
        ]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with strict_aws() as server:
        aws = OnAws(server, tmp_path_factory.mktemp("switching"))
        up = aws.run("up", "--yes", "--no-wait", "--region", "us-east-1")
        assert up.code == 0, up.stderr
        yield Ends(aws)


@pytest.mark.thorough
@pytest.mark.parametrize(("protocol", "on"), [("udp", (True, True)), ("tcp", (True, False))])
def test_the_commands_switch_both_ends_on_and_back(ends: Ends, protocol: str, on: tuple[bool, bool]) -> None:
    named, _, switched, used, back = steps(manifest(protocol=protocol, region="us-east-1"))
    names = named.commands[:2]
    assert ends.settings() == [(False, False)] * 2

    assert ends.shell(*named.commands).split() == ["true", "true"]
    ends.shell(*names, *of_aws(switched))
    assert ends.settings() == [on] * 2
    assert ends.shell(*names, *of_aws(used)).count('"EnaSrdEnabled": true') == 2

    ends.shell(*names, *of_aws(back))
    assert ends.settings() == [(False, False)] * 2


def test_the_page_of_the_docs_has_the_same_commands() -> None:
    written = [line[4:] for line in DOC.read_text().splitlines() if line.startswith("    ")]

    assert written == [command for step in steps(manifest()) for command in step.commands]


def test_the_short_form_has_the_commands_that_switch() -> None:
    told = "\n".join(steps_in_short(manifest(region="eu-west-1")))

    assert told.count("aws ec2 modify-network-interface-attribute --region eu-west-1") == 4
    assert told.count("EnaSrdUdpEnabled=true") == told.count("EnaSrdUdpEnabled=false") == 2
    assert "MTU of 8900" in told


@pytest.mark.parametrize("region", ["us-east-1; reboot", "$(reboot)", "us-east-1\nreboot", "--help"])
def test_what_a_file_calls_a_region_gets_into_no_command(region: str) -> None:
    commands = "\n".join(command for step in steps(manifest(region=region)) for command in step.commands)

    assert "reboot" not in commands
    assert "--region" not in commands
