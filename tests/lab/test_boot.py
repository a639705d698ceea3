"""Waiting for hosts: what was stopped or taken away is told at once, not after the longest time that a boot may take."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from enaxp.errors import HostError
from enaxp.hosts.connection import Host
from enaxp.lab import boot
from enaxp.lab.lifecycle import require_running
from enaxp.lab.resolved import is_bare_metal
from tests.support.crash_harness import Labs
from tests.support.drift_cases import client


def silent_host(tmp_path: Path) -> Host:
    """Nothing listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return Host(
        role="server",
        name="server",
        address="127.0.0.1",
        port=port,
        user="nobody",
        private_key=tmp_path / "key",
        known_hosts=tmp_path / "known_hosts",
        ena_ip="192.168.3.10",
        ena_express_ip="192.168.3.11",
    )


@pytest.mark.parametrize(("call", "said"), [("stop_instances", "stopped"), ("terminate_instances", "terminated")])
def test_a_host_that_cannot_answer_any_more_is_not_waited_for(
    labs: Labs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, said: str
) -> None:
    monkeypatch.setattr(boot, "ASK_S", 0.1)
    labs.up()
    snapshot = labs.snapshot()
    getattr(client(labs, "ec2"), call)(InstanceIds=[labs.file().state.ids()["instance/server"]])
    began = time.monotonic()

    with pytest.raises(HostError, match=r"the server .* cannot be reached any more") as refusal:
        boot.wait_until_ready(
            [silent_host(tmp_path)],
            say=lambda _text: None,
            check=lambda host: require_running(labs.aws(), snapshot, host.role),
            longest_s=lambda: 3600.0,
        )

    assert said in refusal.value.said
    assert time.monotonic() - began < 3600.0


def test_a_host_that_runs_is_waited_for_as_long_as_it_may_take(
    labs: Labs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "ASK_S", 0.1)
    labs.up()
    snapshot = labs.snapshot()
    asked: list[str] = []

    def check(host: Host) -> None:
        asked.append(host.role)
        require_running(labs.aws(), snapshot, host.role)

    with pytest.raises(HostError):
        boot.wait_until_ready([silent_host(tmp_path)], say=lambda _text: None, check=check, longest_s=lambda: 2.0)

    assert len(asked) > 1


@pytest.mark.parametrize(("type", "metal"), [("c6i.metal", True), ("c6i.8xlarge", False), ("no.such", False)])
def test_metal_is_recognised_by_aws_and_not_by_a_name(labs: Labs, type: str, metal: bool) -> None:
    assert is_bare_metal(labs.aws(), type) is metal
