"""A program that leads SSH to a host: what it is told, a real `ssh -W` through a second sshd, and that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.measuring.pair import Pair
from enaxp.errors import HostError, UsageError
from enaxp.hosts.connection import Host, connect, ssh_command
from enaxp.hosts.proxy import ProxyProcess, ProxyTarget, as_ssh_option, proxy_words
from enaxp.local.machines.inside.processes import descendants
from tests.support.local_machines import Lab, lab, wait_until_none, why_not

TARGET = ProxyTarget(
    address="192.168.3.10", port=2222, user="ec2-user", instance_id="i-0123456789abcdef0", region="eu-west-1"
)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ssh -W %h:%p bastion", ("ssh", "-W", "192.168.3.10:2222", "bastion")),
        ("nc -X 5 {address} {port}", ("nc", "-X", "5", "192.168.3.10", "2222")),
        (
            "aws ssm start-session --target {instance_id} --region {region}",
            ("aws", "ssm", "start-session", "--target", "i-0123456789abcdef0", "--region", "eu-west-1"),
        ),
        ("""aws --parameters '{"portNumber":["%p"]}'""", ("aws", "--parameters", '{"portNumber":["2222"]}')),
        ("sh -c 'exec nc %h %p; # 100%%'", ("sh", "-c", "exec nc 192.168.3.10 2222; # 100%")),
        ("x $HOME `id` ; y", ("x", "$HOME", "`id`", ";", "y")),
    ],
)
def test_words_are_split_before_values_are_filled_in_and_no_shell_reads_them(
    command: str, words: tuple[str, ...]
) -> None:
    assert proxy_words(command, TARGET) == words


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "192.168.3.10; reboot"},
        {"address": "-oProxyCommand=x"},
        {"instance_id": "i-1 --document-name x"},
        {"user": "-l"},
        {"region": "$(id)"},
    ],
)
def test_what_aws_cannot_have_told_is_not_filled_in(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"that could be put into hosts\.proxy_command"):
        proxy_words("ssh -W %h:%p -l %r {instance_id} {region}", replace(TARGET, **wrong))  # type: ignore[arg-type]


def test_the_systems_ssh_gives_the_words_to_a_shell_that_finds_nothing_in_them() -> None:
    words = ("echo", "a b", "100%", "$(id)", "'")
    option = as_ssh_option(words)
    assert option.replace("%%", "") == option.replace("%", "")  # no token of ssh's own
    ran = subprocess.run(["sh", "-c", option.replace("%%", "%")], capture_output=True, text=True, check=True)
    assert ran.stdout == "a b 100% $(id) '\n"


def test_a_proxy_ends_with_all_that_it_has_started() -> None:
    # given a proxy that does not end when nobody speaks to it any more, and has started another program
    before = set(descendants(os.getpid()))
    proxy = ProxyProcess(["sh", "-c", "trap '' HUP; sleep 4713 & echo ready; wait"])
    assert proxy.socket.recv(100) == b"ready\n"

    # when it is closed, then none of it is left
    proxy.close()
    wait_until_none(lambda: set(descendants(os.getpid())) - before, "what the proxy has started")
    proxy.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("enaxp-no-such-program",), "starting 'enaxp-no-such-program' of hosts.proxy_command"),
        (
            ("sh", "-c", "echo TargetNotConnected >&2; exit 254"),
            "sh of hosts.proxy_command: exit 254: TargetNotConnected",
        ),
    ],
)
def test_a_proxy_that_leads_nowhere_is_reported_with_what_it_said(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(HostError) as raised:
        connect(host_behind(words, tmp_path))
    assert said in str(raised.value)


def host_behind(proxy: tuple[str, ...], folder: Path) -> Host:
    return Host(
        role="server",
        name="server",
        address="192.168.3.10",
        port=22,
        user="ec2-user",
        private_key=folder / "key",
        known_hosts=folder / "known_hosts",
        ena_ip="192.168.3.10",
        ena_express_ip="192.168.3.11",
        proxy=proxy,
    )


@pytest.fixture
def bastion(tmp_path: Path) -> Iterator[Lab]:
    """Two real sshds: the client's is the host, the server's the bastion that leads to it."""
    with lab("processes", tmp_path) as machines:
        machines.launch("server", user_data="#!/bin/sh\n")
        machines.launch("client", user_data="#!/bin/sh\n")
        machines.wait_up("server", "client")
        yield machines


@pytest.mark.skipif(bool(why_not("processes")), reason=why_not("processes"))
def test_a_bastion_leads_to_a_host_for_every_connection_and_ends_with_it(bastion: Lab, tmp_path: Path) -> None:
    # given the recipe for a bastion
    with bastion.ssh("client") as direct:
        host = direct.host
    recipe = (
        f"ssh -F none -i {bastion.key} -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={tmp_path}/bastion "
        f"-p {bastion.port} -W %h:%p %r@{bastion.public_ips['server']}"
    )
    target = replace(TARGET, address=host.address, port=host.port, user=host.user)
    through = replace(host, proxy=proxy_words(recipe, target))
    before = set(descendants(os.getpid()))

    # when connections are opened, then each reaches the host, by commands and by files
    connections = [connect(through) for _ in range(3)]
    try:
        reached = [connection.check("echo $SSH_CONNECTION").split() for connection in connections]
        assert {words[2] for words in reached} == {host.address}
        connections[0].put(b"content", str(tmp_path / "put"))
        assert (tmp_path / "put").read_bytes() == b"content"
        proxies = set(descendants(os.getpid())) - before
        assert len(proxies) >= len(connections)

        # and when a proxy is cut off, as tunnels are after a time, then that is told, and the next connection is made by another
        pair = Pair(server=connections[0], client=connections[1])
        connections[1]._proxy._process.kill()  # type: ignore[union-attr]
        for _ in range(2):
            with pytest.raises(HostError):
                connections[1].run("true", timeout_s=10)
        pair.reconnect(patience_s=10)
        connections[1] = pair.client
        assert pair.client.check("echo again") == "again\n"
        proxies |= set(descendants(os.getpid())) - before
    finally:
        for connection in connections:
            connection.close()
    wait_until_none(lambda: proxies & set(descendants(os.getpid())), "the proxies")

    # and so does the system's ssh
    command = [*ssh_command(through), "echo reached"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert (ran.stdout, ran.stderr) == ("reached\n", "")
