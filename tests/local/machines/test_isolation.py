"""Which isolation is chosen, and where hosts are reached."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from pathlib import Path

import pytest

from enaxp.errors import LocalTargetError
from enaxp.local.machines import isolation as hosts


def test_a_missing_program_is_named_with_the_command_that_adds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hosts, "_SBIN", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalTargetError, match="sockperf") as caught:
        hosts.choose_isolation("processes")
    assert "install" in caught.value.todo
    assert "openssh-server" in caught.value.todo
    assert {program for program, _ in hosts.missing_programs()} >= {"sockperf", "sshd", "ip", "unshare", "nsenter"}


def test_without_namespaces_auto_takes_processes_and_tells_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_check_programs", lambda _: None)
    monkeypatch.setattr(hosts, "_why_no_namespaces", lambda: "no such resource here")
    chosen = hosts.choose_isolation("auto")
    assert (chosen.name, chosen.reason) == ("processes", "no such resource here")
    with pytest.raises(LocalTargetError, match="no such resource here"):
        hosts.choose_isolation("namespaces")


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(LocalTargetError, match="jails"):
        hosts.choose_isolation("jails")


def test_public_addresses_are_of_loopback_can_be_listened_on_and_differ() -> None:
    port = hosts.ssh_port()
    following = hosts.public_addresses(port)
    addresses = [following() for _ in range(20)]
    assert len(set(addresses)) == 20
    assert all(ipaddress.ip_address(address) in ipaddress.ip_network("127.16.0.0/12") for address in addresses)
    with socket.create_server((addresses[0], port)):
        pass


def test_an_address_that_is_taken_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    port = hosts.ssh_port()
    monkeypatch.setattr(hosts.random, "randrange", lambda _: 4097)
    taken = hosts.public_addresses(port)()
    with socket.create_server((taken, port)):
        assert hosts.public_addresses(port)() != taken


def test_who_logs_in_depends_on_the_isolation() -> None:
    assert hosts.ssh_user("namespaces") == "ec2-user"
    assert hosts.ssh_user("processes") == pwd.getpwuid(os.geteuid()).pw_name
