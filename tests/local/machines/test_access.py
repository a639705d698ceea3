"""Where hosts of the local target are reached, and as whom."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket

import pytest

from enaxp.local.machines import access


def test_public_addresses_are_of_loopback_can_be_listened_on_and_differ() -> None:
    port = access.ssh_port()
    following = access.public_addresses(port)
    addresses = [following() for _ in range(20)]
    assert len(set(addresses)) == 20
    assert all(ipaddress.ip_address(address) in ipaddress.ip_network("127.16.0.0/12") for address in addresses)
    with socket.create_server((addresses[0], port)):
        pass


def test_an_address_that_is_taken_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    port = access.ssh_port()
    monkeypatch.setattr(access.random, "randrange", lambda _: 4097)
    taken = access.public_addresses(port)()
    with socket.create_server((taken, port)):
        assert access.public_addresses(port)() != taken


def test_who_logs_in_depends_on_the_isolation() -> None:
    assert access.ssh_user("namespaces") is None
    assert access.ssh_user("processes") == pwd.getpwuid(os.geteuid()).pw_name
