"""Whether hosts can be reached is asked before they are paid for; and what is refused beforehand can be built all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from enaxp.commands.lab import bring_up
from enaxp.config import load_config
from enaxp.errors import LabError
from enaxp.lab.checks import given
from enaxp.local.strict import Fault, FaultPlan, Timing
from tests.lab.checks.test_preflight import flight, texts
from tests.lab.test_ls import session
from tests.support.crash_harness import Labs
from tests.support.drift_cases import client


def test_private_hosts_need_an_explicit_network_and_a_way_in(labs: Labs) -> None:
    said = texts(flight(labs, load_config(overrides={"hosts.address": "private"})), "failure")

    assert "network.ssh_cidr: auto would let in this machine's public address alone" in said
    assert "nothing leads into a VPC that the lab makes itself" in said


def test_private_hosts_in_a_vpc_that_is_reached_are_fine(labs: Labs) -> None:
    vpc = client(labs, "ec2").create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    config = load_config(
        overrides={"hosts.address": "private", "network.ssh_cidr": "10.0.0.0/8", "network.vpc_id": vpc}
    )

    assert "reach" not in texts(flight(labs, config), "failure")


@pytest.mark.parametrize(
    ("overrides", "level", "said"),
    [
        ({"hosts.proxy_command": "sh -c x", "hosts.address": "private"}, "failure", ""),
        ({"hosts.proxy_command": "sh -c x", "network.ssh_cidr": "none"}, "failure", ""),
        ({"hosts.proxy_command": "enaxp-no-such-program %h"}, "failure", "there is no program 'enaxp-no-such-program'"),
        ({"network.ssh_cidr": "none"}, "failure", "no hosts.proxy_command leads to the hosts"),
    ],
)
def test_a_program_that_leads_to_the_hosts_takes_the_place_of_an_open_port(
    labs: Labs, overrides: dict[str, object], level: Literal["failure"], said: str
) -> None:
    told = texts(flight(labs, load_config(overrides=overrides)), level)

    assert said in told if said else "reach" not in told


@pytest.mark.parametrize("mode", ["block-bidirectional", "block-ingress"])
def test_block_public_access_is_a_failure_for_a_vpc_of_the_labs_own_and_a_warning_for_a_given_one(
    labs: Labs, mode: str
) -> None:
    labs.cloud.server._world.block_public_access = mode
    vpc = client(labs, "ec2").create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]

    assert f"reach: VPC Block Public Access is on in us-east-1 ({mode})" in texts(flight(labs), "failure")
    theirs = flight(labs, load_config(overrides={"network.vpc_id": vpc}))
    assert f"unless {vpc} is excluded from it" in texts(theirs, "warning")
    assert "reach" not in texts(theirs, "failure")


def test_what_preflight_refuses_can_be_built_anyway(labs: Labs, tmp_path: Path) -> None:
    labs.cloud.server._world.block_public_access = "block-ingress"
    mine = session(labs, tmp_path / "mine")

    with pytest.raises(LabError, match="Block Public Access") as refusal:
        bring_up(mine, layers=("network", "compute"), assume_yes=True)
    assert "--skip-preflight" in refusal.value.todo
    assert labs.cloud.server.resources() == []

    bring_up(mine, layers=("network", "compute"), assume_yes=True, skip_preflight=True)
    assert "instance/server" in mine.file.state.resources
    Labs(labs.cloud, tmp_path / "mine").down()


def test_a_launch_is_asked_about_with_the_subnet_and_the_group_that_are_there(labs: Labs) -> None:
    labs.up(layers=("network",))
    ids = labs.file().state.ids()
    asked: list[dict[str, object]] = []
    client_of = labs.aws().once("ec2")
    client_of.meta.events.register(
        "before-parameter-build.ec2.RunInstances", lambda params, **_: asked.append(dict(params))
    )

    flight(labs)

    [request] = asked
    assert request["NetworkInterfaces"] == [
        {"DeviceIndex": 0, "SubnetId": ids["subnet"], "Groups": [ids["security-group"]]}
    ]
    assert request["DryRun"] is True
    labs.down()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n…", ""),
        ("-----BEGIN RSA PRIVATE KEY-----\n…", ""),
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "is no private key in OpenSSH's or PEM form"),
        ("ssh-ed25519 AAAA me\n", "is no private key in OpenSSH's or PEM form"),
    ],
)
def test_a_given_key_must_be_one(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)

    assert given._fault_of_key(path) == fault


def test_a_given_key_that_is_a_folder_or_missing_is_reported(tmp_path: Path) -> None:
    assert given._fault_of_key(tmp_path) == "cannot be read (Is a directory)"
    assert given._fault_of_key(tmp_path / "missing") == "is not there"


def test_a_key_of_the_disks_that_ec2_may_not_use_is_named_as_such(labs: Labs) -> None:
    late = Fault(action="RunInstances", phase="later", code="Client.InternalError", message="Client error", nth=1)
    labs.cloud.server.set_timing(replace(Timing.instant(), instance_running=0.3))
    labs.cloud.server.set_faults(FaultPlan([late]))

    with pytest.raises(LabError, match="came to an end") as told:
        labs.up()

    assert "kms:CreateGrant" in told.value.todo
    labs.cloud.server.set_faults(FaultPlan())
    labs.down()
