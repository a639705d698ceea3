"""The manual's commands, run as they stand on the page (only shorter), on a lab that is up."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.driver import COMMAND, Driver
from tests.support.local_machines import wait_until, whole

pytestmark = [pytest.mark.long, pytest.mark.system]

MANUAL = Path(__file__).parents[2] / "docs/manual.md"
SWITCHING = MANUAL.with_name("switching-on.md")
COMMANDS = [line.strip() for line in MANUAL.read_text().splitlines() if line.startswith("    enaxp ssh ")]
SERVERS = [command for command in COMMANDS if "sockperf server" in command]
CLIENTS = [command for command in COMMANDS if "sockperf ping-pong" in command or "sockperf throughput" in command]
LOOKS = [command for command in COMMANDS if "sockperf" not in command]


def arguments(command: str) -> list[str]:
    return shlex.split(command.replace("-t 10", "-t 1"))[1:]


def test_every_client_command_of_the_manual_measures(lab: Driver) -> None:
    servers = [
        subprocess.Popen(
            [*COMMAND, *arguments(server)],
            cwd=lab.folder,
            env=lab.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for server in SERVERS
    ]
    try:
        wait_until(lambda: len(lab.running("sockperf")) >= len(SERVERS), "the servers run")
        for client in CLIENTS:
            output = whole(lambda: lab.ok(*arguments(client)).stdout)  # noqa: B023
            assert output.ok, f"{client}: {output.reason}"
    finally:
        lab.run("ssh", "server", "--", "pkill", "-INT", "-x", "sockperf") if lab.isolation == "namespaces" else None
        for server in servers:
            server.terminate()
            server.wait(timeout=20)


@pytest.mark.namespaces
def test_the_commands_for_hosts_that_switch_ena_express_on_do_what_they_say(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    lines = [line.strip() for line in SWITCHING.read_text().splitlines() if line.startswith("    ")]
    own = [line.replace("device=ens5", "device=ens6") for line in lines if "device=" in line or "$device" in line]
    as_root = 'command -v sudo > /dev/null || sudo() { "$@"; }'
    mtu = "cat /sys/class/net/$device/mtu"
    named, smaller, driver, counters, back = own

    told = lab.on_host("client", "\n".join([as_root, named, driver, counters, back, mtu, smaller, mtu])).stdout

    assert "driver: ena" in told
    assert "ena_srd_mode: 3" in told
    assert told.split()[-2:] == ["9001", "8900"]


@pytest.mark.namespaces
def test_every_look_of_the_manual_shows_something(lab: Driver) -> None:
    if lab.isolation != "namespaces":
        return
    for command in LOOKS:
        assert lab.ok(*arguments(command)).stdout.strip(), command


def test_the_manual_has_commands_of_every_kind() -> None:
    assert (len(SERVERS), len(CLIENTS), len(LOOKS)) >= (4, 5, 2)
