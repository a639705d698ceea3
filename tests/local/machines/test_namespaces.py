"""Hosts made of namespaces: real machines with real interfaces, of which nothing is left."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from enaxp.errors import HostError, UsageError
from enaxp.hosts.connection import ssh_command
from enaxp.hosts.nic import counters_command, probe_command, read_counters, read_probe
from enaxp.hosts.sockperf import client_command, parse, server_command
from enaxp.local.strict import ScriptResult
from tests.support import local_machines
from tests.support.local_machines import (
    ADDRESSES,
    Lab,
    lab,
    script,
    traces,
    wait_until,
    wait_until_none,
    whole,
    why_not,
)

pytestmark = [
    pytest.mark.namespaces,  # twins in test_hosts_processes.py
    pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes")),
]

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server and a client whose user data has run. Tests that share it leave it as it was."""
    with lab("namespaces", tmp_path_factory.mktemp("shared")) as machines:
        machines.launch("server")
        machines.launch("client")
        machines.wait_up("server", "client")
        machines.done = {role: machines.wait_booted(role) for role in ADDRESSES}
        yield machines


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Lab]:
    with lab("namespaces", tmp_path) as machines:
        yield machines


def set_srd(machines: Lab, *, on: bool, udp: bool | None = None) -> None:
    """On device 1 of both hosts; waits until both show it."""
    udp = on if udp is None else udp
    for role in ADDRESSES:
        machines.fleet.set_srd(f"i-{role}", device_index=1, srd=on, udp=udp)
    for role in ADDRESSES:
        with machines.ssh(role) as host:
            wait_until(lambda: counters(host, "ens6")["ena_srd_mode"] == on + 2 * udp, "the setting shows")


def counters(host: local_machines.Connection, interface: str) -> dict[str, int]:
    return dict(read_counters(host.check(counters_command([interface])))[interface].device)


def ping_pong(machines: Lab, arm: int, *, protocol: str = "udp") -> str:
    """One short trial between the addresses of device `arm`; what sockperf said."""
    server_ip, client_ip = ADDRESSES["server"][arm], ADDRESSES["client"][arm]
    serve = " ".join(server_command(ip=server_ip, port=11111, protocol=protocol))  # type: ignore[arg-type]
    client = client_command(
        mode="ping-pong",
        server_ip=server_ip,
        port=11111,
        client_ip=client_ip,
        client_port=40000 + arm,
        protocol=protocol,  # type: ignore[arg-type]
        message_size=64,
        duration_s=1,
    )
    with machines.ssh("server") as server, machines.ssh("client") as host:
        server.check(f"nohup timeout -s INT 30 {serve} > /tmp/server.out 2>&1 < /dev/null & echo $! > /tmp/server.pid")
        wait_until(lambda: "to block on socket" in server.run("cat /tmp/server.out").stdout, "the server listens")
        try:
            return host.check(" ".join(client))
        finally:
            server.check("kill -INT $(cat /tmp/server.pid)")


def ran(machines: Lab, script: str, *, timeout_s: int = 60) -> ScriptResult:
    """How a script ended on the server."""
    id = f"script-{next(NUMBERS)}"
    machines.fleet.run_script("i-server", id, script=script, timeout_s=timeout_s)
    wait_until(lambda: machines.fleet.script_result("i-server", id), "the script has ended")
    return cast(ScriptResult, machines.fleet.script_result("i-server", id))


def test_user_data_runs_to_its_end(booted: Lab) -> None:
    assert [booted.done[role]["ok"] for role in ADDRESSES] == [True, True]
    with booted.ssh("server") as host:
        assert host.check("hostname").strip() == "sockperf-server"
        assert "enaxp: network" in host.check("cat /var/log/cloud-init-output.log")


def test_each_address_has_an_interface_of_its_own_that_carries_it(booted: Lab) -> None:
    for role, peer in (("client", "server"), ("server", "client")):
        with booted.ssh(role) as host:
            probes = [read_probe(host.check(probe_command(ADDRESSES[role][i], ADDRESSES[peer][i]))) for i in (0, 1)]
        assert [(probe.interface, probe.leaves_by, probe.mtu) for probe in probes] == [
            ("ens5", "ens5", 8900),
            ("ens6", "ens6", 8900),
        ]
        assert all(probe.is_stand_in for probe in probes)


def test_what_the_host_sees_is_its_own(booted: Lab) -> None:
    with booted.ssh("client") as host:
        links = set(host.check("ls /sys/class/net").split())
        macs = host.check("cat /sys/class/net/ens5/address /sys/class/net/ens6/address").split()
        commands = host.check("ps -e -o comm=")
    assert {"lo", "ens5", "ens6"} <= links
    assert "eth0" not in links
    assert macs == ["02:00:00:00:01:00", "02:00:00:00:01:01"]
    assert len(commands.splitlines()) < 20


def test_what_the_host_writes_does_not_reach_the_computer(booted: Lab) -> None:
    name = f"enaxp-test-{os.getpid()}"
    places = [f"/etc/{name}", f"/usr/bin/{name}", f"/var/lib/{name}", f"/root/{name}", f"/tmp/{name}", f"/{name}"]
    with booted.ssh("server") as host:
        for place in places:
            host.check(f"sudo -n sh -c 'echo here > {place} && cat {place} && rm {place} && echo again > {place}'")
        written = host.run("sudo -n sh -c 'echo 1 > /proc/sys/kernel/panic'")
    assert [place for place in places if Path(place).exists()] == []
    assert not written.ok
    assert "ec2-user" not in Path("/etc/passwd").read_text()


def test_an_ordinary_user_logs_in_who_needs_sudo_for_what_is_the_systems(booted: Lab) -> None:
    with booted.ssh("client") as host:
        assert host.check("id -un").strip() == "ec2-user"
        assert int(host.check("id -u")) >= 1000
        forbidden = (
            "echo x > /etc/x",
            "systemctl restart enaxp-net.service",
            "reboot",
            "hostnamectl set-hostname x",
            "dnf install htop",
        )
        assert {command for command in forbidden if host.run(command).ok} == set()
        assert host.check("sudo -n id -u").strip() == "0"
        host.check("sudo -n systemctl restart enaxp-net.service")
        # Systems that take sudo's path from Amazon Linux find nothing of /usr/local by its name.
        assert "/usr/local" not in host.check("sudo -n printenv PATH")
        assert "enaxp: network" in host.check("cat /var/log/cloud-init-output.log")


@pytest.mark.parametrize("name", ["plain", "a blank", "100%", "%h", 'a"b', "a\\b"])
def test_the_systems_ssh_keeps_to_the_pinned_key_whatever_its_folder_is_called(
    booted: Lab, tmp_path: Path, name: str
) -> None:
    # given a folder with the key and what is known of the host
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(booted.key, folder / "key")
    with booted.ssh("client") as connection:
        known, *_ = [
            line
            for line in booted.folder.joinpath("known_hosts").read_text().splitlines()
            if connection.host.address in line
        ]
        host = replace(connection.host, private_key=folder / "key", known_hosts=folder / "known")
    host.known_hosts.write_text(known + "\n")

    # when the system's ssh goes there, then it gets in with the key that is known, and with no other
    command = [*ssh_command(host), "echo reached"]
    assert subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout == "reached\n"
    other = subprocess.run(["ssh-keygen", "-y", "-f", str(folder / "key")], capture_output=True, text=True, check=True)
    host.known_hosts.write_text(f"{known.split()[0]} {other.stdout}")
    assert subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).returncode == 255
    assert sorted(path.name for path in folder.iterdir()) == ["key", "known"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_ssh_cannot_be_told_is_refused(booted: Lab) -> None:
    with booted.ssh("client") as connection, pytest.raises(UsageError, match="takes the"):
        ssh_command(replace(connection.host, known_hosts=Path("/tmp/${HOME}/known")))


def test_an_image_of_ubuntu_has_a_user_of_that_name(fresh: Lab) -> None:
    fresh.image_name = local_machines.UBUNTU
    fresh.launch("server", user_data="")
    fresh.wait_up("server")
    with fresh.ssh("server") as host:
        assert host.check("id -un && sudo -n id -un").split() == ["ubuntu", "root"]


def test_the_router_of_the_subnet_answers_and_forwards_nothing(booted: Lab) -> None:
    with booted.ssh("client") as host:
        host.run("exec 3<>/dev/tcp/192.168.3.1/9")  # refused, after ARP
        assert re.search(r"192\.168\.3\.1 dev ens\d lladdr", host.check("ip neigh"))
        assert "default via 192.168.3.1 dev ens5" in host.check("ip route show default")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reach = f"timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{listener.getsockname()[1]}'"
            assert not host.run(reach).ok, "the computer's own loopback"


def test_sockperf_runs_between_the_hosts_and_srd_counters_follow_the_setting(booted: Lab) -> None:
    # given SRD on device 1 of both hosts
    set_srd(booted, on=True)
    with booted.ssh("client") as host:
        before = {name: counters(host, name) for name in ("ens5", "ens6")}

        # when a trial runs on each arm
        outputs = [whole(lambda: ping_pong(booted, arm)) for arm in (0, 1)]  # noqa: B023

        # then only the packets of the one with SRD are counted
        after = {name: counters(host, name) for name in ("ens5", "ens6")}
        moved = {name: after[name]["ena_srd_tx_pkts"] - before[name]["ena_srd_tx_pkts"] for name in ("ens5", "ens6")}
        assert all(output.ok for output in outputs), [output.reason for output in outputs]
        assert outputs[1].sent is not None
        assert moved["ens6"] >= outputs[1].sent
        assert moved["ens5"] == 0

        # and they stand still, but stay, once it is off
        set_srd(booted, on=False)
        kept = counters(host, "ens6")
        ping_pong(booted, 1)
        assert counters(host, "ens6")["ena_srd_tx_pkts"] == kept["ena_srd_tx_pkts"] >= after["ens6"]["ena_srd_tx_pkts"]


def test_udp_stays_outside_of_srd_without_its_own_switch_and_tcp_does_not(booted: Lab) -> None:
    set_srd(booted, on=True, udp=False)
    with booted.ssh("client") as host:
        start = counters(host, "ens6")["ena_srd_tx_pkts"]
        ping_pong(booted, 1)
        after_udp = counters(host, "ens6")["ena_srd_tx_pkts"]
        tcp = parse(ping_pong(booted, 1, protocol="tcp"))
        after_tcp = counters(host, "ens6")["ena_srd_tx_pkts"]
    set_srd(booted, on=False)
    assert tcp.sent is not None
    assert after_udp - start < 100
    assert after_tcp - after_udp >= tcp.sent


def test_srd_at_one_end_alone_carries_nothing(booted: Lab) -> None:
    booted.fleet.set_srd("i-client", device_index=1, srd=True, udp=True)
    with booted.ssh("client") as host:
        wait_until(lambda: counters(host, "ens6")["ena_srd_mode"] == 3, "the setting shows")
        before = counters(host, "ens6")
        ping_pong(booted, 1)
        after = counters(host, "ens6")
    booted.fleet.set_srd("i-client", device_index=1, srd=False, udp=False)
    assert after["ena_srd_tx_pkts"] == before["ena_srd_tx_pkts"]
    assert after["queue_0_tx_cnt"] > before["queue_0_tx_cnt"]


def test_another_key_is_refused(booted: Lab, tmp_path: Path) -> None:
    stranger = Lab(fleet=booted.fleet, folder=tmp_path, kind="namespaces", port=booted.port)
    with pytest.raises(HostError, match="key was refused"), stranger.ssh("server", address=booted.public_ips["server"]):
        pass


def test_a_script_of_systems_manager_is_run_in_the_host_alone(booted: Lab) -> None:
    ended = ran(booted, "#!/bin/bash\nhostname\nid -u\ntouch /etc/made-here\necho no >&2\nexit 3\n")

    assert (ended.code, ended.stdout, ended.stderr) == (3, "sockperf-server\n0\n", "no\n")
    assert not Path("/etc/made-here").exists()


def test_a_script_without_an_interpreter_is_the_shells(booted: Lab) -> None:
    assert ran(booted, "echo $((1 + 1))\n").stdout == "2\n"


def test_a_script_whose_time_is_over_ends_with_all_it_began(booted: Lab) -> None:
    ended = ran(booted, "#!/bin/bash\nsleep 4711 &\nsleep 4712\n", timeout_s=1)

    assert ended.code == 124
    with booted.ssh("server") as host:
        wait_until(
            lambda: "471" not in host.run("ps -eo args | grep '^sleep'").stdout, "the script's processes are gone"
        )


def test_a_script_that_says_more_than_is_kept_is_cut(booted: Lab) -> None:
    ended = ran(booted, "#!/bin/bash\nprintf 'x%.0s' {1..200000}\nprintf '\\x01%.0s' {1..200000} >&2\n")

    assert ended.code == 0
    assert (set(ended.stdout), set(ended.stderr)) == ({"x"}, {"\x01"})
    assert 1000 < len(ended.stdout) < 200_000


def test_the_agent_of_systems_manager_can_be_started_again(booted: Lab) -> None:
    before = booted.fleet.agent_starts("i-server")
    with booted.ssh("server") as host:
        host.check("sudo systemctl restart amazon-ssm-agent.service")
    wait_until(lambda: booted.fleet.agent_starts("i-server") == before + 1, "its start is told")
    assert booted.fleet.agent_starts("i-client") == 1


def test_an_address_can_be_moved_while_the_host_runs(fresh: Lab) -> None:
    # given a host with an address
    fresh.launch("server", user_data="")
    fresh.wait_up("server")
    old, new = fresh.public_ips["server"], fresh.next_address()

    # when it gets another one
    fresh.fleet.set_public_ip("i-server", device_index=0, public_ip=None)
    fresh.fleet.set_public_ip("i-server", device_index=0, public_ip=new)

    # then it answers there, and at the old one no more
    wait_until(lambda: answers(new, fresh.port), "the new address answers")
    wait_until(lambda: not answers(old, fresh.port), "the old one does not")
    with fresh.ssh("server", address=new) as host:
        assert host.run("true").ok


def answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def test_the_timer_ends_the_host_at_its_time(fresh: Lab) -> None:
    # given user data whose last moment is near
    soon = datetime.now(UTC) + timedelta(seconds=3)
    unit = "[Service]\nType=oneshot\nExecStart=/sbin/shutdown -h now\n"
    timer = f"[Timer]\nOnCalendar={soon:%Y-%m-%d %H:%M:%S} UTC\nPersistent=true\n[Install]\nWantedBy=timers.target\n"
    folder = "/etc/systemd/system"
    text = f"#!/bin/bash\nprintf '{unit}' > {folder}/end.service\nprintf '{timer}' > {folder}/end.timer\n"
    fresh.launch("server", user_data=text.replace("\n[", "\\n[") + "systemctl enable --now end.timer\n")

    # when it is up, then it ends by itself, and that is told
    fresh.wait_up("server")
    with fresh.ssh("server") as host:
        wait_until(lambda: host.run("systemctl is-active end.timer").stdout.strip() == "active", "the timer is set")
        assert host.run("systemctl is-enabled end.timer").stdout.strip() == "enabled"
    wait_until(lambda: fresh.fleet.has_shut_down("i-server"), "it has shut down")
    wait_until(lambda: fresh.fleet.is_gone("i-server"), "nothing is left")
    assert fresh.fleet.failure("i-server") is None
    assert not fresh.fleet.is_up("i-server")


def test_user_data_that_fails_says_where(fresh: Lab) -> None:
    fresh.launch("server", user_data=script("server").replace("begin network\n", "begin network\nfalse\n"))
    fresh.wait_up("server")
    done = fresh.wait_booted("server")
    assert (done["ok"], done["failed_step"]) == (False, "network")


def test_a_host_that_cannot_boot_tells_why(fresh: Lab) -> None:
    spec = fresh.spec("server", "")
    fresh.fleet.launch(replace(spec, interfaces=(replace(spec.interfaces[0], mac="02:00:00:00:00"),)))
    wait_until(lambda: fresh.fleet.failure("i-server"), "it failed")
    assert "02:00:00:00:00" in str(fresh.fleet.failure("i-server"))
    wait_until(lambda: fresh.fleet.is_gone("i-server"), "nothing is left")


def test_nothing_is_left_of_a_terminated_host(fresh: Lab) -> None:
    # given two hosts, one with a process that left its session
    others = traces(os.getpid())
    fresh.launch("server")
    fresh.launch("client")
    fresh.wait_up("server", "client")
    with fresh.ssh("server") as host:
        host.check("setsid sleep 1000 > /dev/null 2>&1 < /dev/null & true")
        before = traces(os.getpid()).without(others)
        assert len(before.spaces) >= 10

        # when they are terminated while somebody is logged in
        fresh.terminate("server", "client")

    # then neither process nor namespace of them is there, nor a mount or folder
    wait_until_none(before.left, "of the host")
    assert str(fresh.folder) not in Path("/proc/self/mountinfo").read_text()
    assert not any((fresh.folder / "machines").iterdir())


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    program = [sys.executable, local_machines.__file__, "namespaces", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        told = json.loads(owner.stdout.readline())
        before = traces(owner.pid)
        assert len(before.spaces) >= 10
        owner.kill()
    wait_until_none(before.left, "of the owner's")
    assert not any(answers(address, told["port"]) for address in told["public_ips"].values())
