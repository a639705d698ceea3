"""Hosts made of plain processes: sshd on the address, mapped private addresses, and nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enaxp.errors import HostError
from enaxp.hosts.nic import counters_command, probe_command, read_probe
from enaxp.hosts.sockperf import client_command, server_command
from enaxp.local.machines import processes
from enaxp.local.machines.inside.processes import marked
from tests.support import local_machines
from tests.support.local_machines import (
    ADDRESSES,
    Lab,
    lab,
    started,
    traces,
    wait_until,
    wait_until_none,
    whole,
    why_not,
)

pytestmark = pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes"))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Lab]:
    """A server and a client that are up."""
    with lab("processes", tmp_path) as owned:
        owned.launch("server")
        owned.launch("client")
        owned.wait_up("server", "client")
        yield owned


def test_user_data_is_checked_and_not_run(machines: Lab) -> None:
    done = machines.wait_booted("server")
    assert (done["ok"], done["failed_step"]) == (True, None)
    assert "not run" in str(done["note"])


def test_user_data_with_a_fault_is_reported(tmp_path: Path) -> None:
    with lab("processes", tmp_path) as owned:
        owned.launch("server", user_data="#!/bin/bash\nif true; then\n")
        owned.wait_up("server")
        done = owned.wait_booted("server")
    assert (done["ok"], done["failed_step"]) == (False, "syntax")
    assert "syntax error" in str(done["log_tail"])


def test_a_script_of_systems_manager_is_checked_and_not_run(machines: Lab, tmp_path: Path) -> None:
    scripts = {"sound": f"touch {tmp_path}/made\nexit 3\n", "faulty": "if true; then\n"}
    for id, script in scripts.items():
        machines.fleet.run_script("i-server", id, script=script, timeout_s=60)
    wait_until(lambda: all(machines.fleet.script_result("i-server", id) for id in scripts), "both have ended")

    sound, faulty = (machines.fleet.script_result("i-server", id) for id in scripts)
    assert sound is not None
    assert faulty is not None
    assert (sound.code, "not run" in sound.stdout, (tmp_path / "made").exists()) == (0, True, False)
    assert faulty.code != 0
    assert "syntax error" in faulty.stderr


def test_sockperf_runs_between_private_addresses_that_are_mapped(machines: Lab) -> None:
    server_ip, client_ip = ADDRESSES["server"][1], ADDRESSES["client"][1]
    serve = " ".join(server_command(ip=server_ip, port=21111, protocol="udp"))
    client = client_command(
        mode="ping-pong",
        server_ip=server_ip,
        port=21111,
        client_ip=client_ip,
        client_port=41111,
        protocol="udp",
        message_size=64,
        duration_s=1,
    )
    with machines.ssh("server") as server, machines.ssh("client") as host:
        server.check(f"nohup timeout -s INT 30 {serve} > $HOME/server.out 2>&1 < /dev/null & echo $!")
        wait_until(lambda: "to block on socket" in server.run("cat $HOME/server.out").stdout, "the server listens")
        printed = []
        output = whole(lambda: printed.append(host.check(" ".join(client))) or printed[-1])
    assert output.ok, output.reason
    assert ".3.11 " in printed[-1]
    assert "192.168." not in printed[-1]


def test_sockperf_has_the_address_of_an_interface_only_while_that_is_attached(tmp_path: Path) -> None:
    use = "sockperf server -i 192.168.3.21 -p 21112"
    cannot = "Cannot assign requested address"
    with lab("processes", tmp_path) as owned:
        owned.launch("client", interfaces=1)
        owned.wait_up("client")
        with owned.ssh("client") as host:
            assert cannot in host.run(use).stdout
            owned.fleet.attach("i-client", owned.interface("client", 1))
            serve = f"timeout -s INT 1 {use}; true"
            wait_until(lambda: "to block on socket" in host.run(serve).stdout, "the server listens")
            owned.fleet.detach("i-client", device_index=1)
            wait_until(lambda: cannot in host.run(serve).stdout, "the address is gone")


def test_a_host_that_was_stopped_has_its_files_and_host_key_and_another_address(tmp_path: Path) -> None:
    with lab("processes", tmp_path) as owned:
        owned.launch("client")
        owned.wait_up("client")
        with owned.ssh("client") as host:
            key = host.check("cat $ENAXP_ROOT/run/enaxp/host_key.pub; echo kept > $ENAXP_ROOT/kept")
            host.check("nohup sleep 4714 > /dev/null 2>&1 < /dev/null &")

        owned.fleet.stop("i-client")
        wait_until(lambda: owned.fleet.is_gone("i-client"), "it has stopped")
        with socket.socket() as probe:
            assert probe.connect_ex((owned.public_ips["client"], owned.port)) != 0

        owned.public_ips["client"] = owned.next_address()
        owned.fleet.launch(owned.spec("client", "", interfaces=1))
        owned.wait_up("client")
        with owned.ssh("client") as host:
            assert host.check("cat $ENAXP_ROOT/run/enaxp/host_key.pub $ENAXP_ROOT/kept") == f"{key}kept\n"
            assert "4714" not in host.check("ps -eo args | grep '[s]leep 4714' || true")


def test_what_an_interface_would_tell_is_unknown(machines: Lab) -> None:
    with machines.ssh("client") as host:
        probe = read_probe(host.check(probe_command(ADDRESSES["client"][1], ADDRESSES["server"][1])))
        assert (probe.interface, probe.leaves_by, probe.driver) == (None, None, None)
        assert host.check(counters_command([])) == ""
        assert not host.run("ethtool -S ens6").ok


def test_a_shutdown_ends_the_host_alone(machines: Lab) -> None:
    with machines.ssh("server") as host, contextlib.suppress(HostError):  # the answer may not arrive any more
        host.run("sudo shutdown -h now")
    wait_until(lambda: machines.fleet.is_gone("i-server"), "the server is gone")
    assert machines.fleet.has_shut_down("i-server")
    assert machines.fleet.is_up("i-client")


def test_nothing_is_left_of_a_terminated_host(machines: Lab) -> None:
    # given processes that left their session and their parent
    with machines.ssh("server") as host:
        host.check("(setsid sleep 1000 > /dev/null 2>&1 < /dev/null &) ; true")
        before = traces(os.getpid())
        machines.terminate("server", "client")
    wait_until_none(before.left, "of the host")
    assert not any((machines.folder / "machines").iterdir())


def test_stragglers_are_found_though_the_first_process_was_killed(machines: Lab) -> None:
    # given a process in the host
    folder = machines.folder / "machines" / "i-server"
    with machines.ssh("server") as host:
        host.check("setsid sleep 1000 > /dev/null 2>&1 < /dev/null & true")
    first = next(pid for pid in marked(folder) if "enaxp.local.machines.inside.init" in command_line(pid))
    before = {(pid, started(pid)) for pid in marked(folder)}
    assert len(before) > 1

    # when the first process is killed, which could have ended it
    os.kill(first, signal.SIGKILL)

    # then the host is gone, and so is that
    wait_until(lambda: machines.fleet.is_gone("i-server"), "the server is gone")
    assert machines.fleet.failure("i-server")
    wait_until(lambda: not any(started(pid) == when for pid, when in before), "nothing is left")


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    program = [sys.executable, local_machines.__file__, "processes", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        told = json.loads(owner.stdout.readline())
        before = traces(owner.pid)
        assert before.processes
        owner.kill()
    wait_until_none(before.left, "of the owner's")
    with socket.socket() as probe:
        assert probe.connect_ex((told["public_ips"]["server"], told["port"])) != 0


def test_two_clouds_do_not_share_a_slot(tmp_path: Path) -> None:
    one = processes.ProcessMachines(tmp_path / "one", ssh_port=22)
    two = processes.ProcessMachines(tmp_path / "two", ssh_port=22)
    try:
        assert one.slot != two.slot
    finally:
        one.close()
        two.close()
