"""Somebody answers at the host's address in its place: nothing is sent to whom AWS does not vouch for."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from enaxp.commands.monitoring import watch_monitoring
from enaxp.errors import HostKeyError
from enaxp.hosts.connection import Connection, Host, ssh_command
from enaxp.hosts.hostkeys import BEGIN, END, keys_on_console, learned_keys, told_keys, write_told
from enaxp.lab import first_contact
from enaxp.local.strict import NoMachines, StrictServer, Timing, serve
from tests.support.strict_lab import Lab

OF_THE_HOST, OF_SOMEBODY = paramiko.RSAKey.generate(2048), paramiko.RSAKey.generate(2048)


def line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def block(*keys: paramiko.PKey) -> str:
    return "\n".join([BEGIN, *(f"{line(key)} root@host" for key in keys), END, ""])


class Consoles(NoMachines):
    """Instances that have no host but show something on their consoles."""

    shown = ""

    def console(self, instance_id: str) -> str:
        return self.shown


@pytest.fixture(scope="module")
def machines() -> Consoles:
    return Consoles()


@pytest.fixture(scope="module")
def server(machines: Consoles) -> Iterator[StrictServer]:
    running = serve(timing=Timing.instant(), machines=machines)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def instance(server: StrictServer) -> str:
    lab = Lab.at(server)
    lab.build()
    return str(lab.ids["server_host"])


@pytest.fixture
def aws(server: StrictServer) -> Any:
    from enaxp.aws import Aws

    return Aws(region="us-east-1", endpoint_url=server.endpoint_url, access_key="x", secret_key="x", poll_s=0.02)


@contextmanager
def ssh_server(key: paramiko.PKey) -> Iterator[tuple[int, list[str]]]:
    """Who answers with this key, and takes whoever comes. Gives back the port and what was asked of it."""

    class Takes(paramiko.ServerInterface):
        def check_auth_publickey(self, username: str, _key: Any) -> int:
            asked.append(f"login of {username}")
            return int(paramiko.AUTH_SUCCESSFUL)

        def get_allowed_auths(self, _username: str) -> str:
            return "publickey"

    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            try:
                transport.start_server(server=Takes())
                transport.join(20)
            except (paramiko.SSHException, EOFError):
                pass
            finally:
                transport.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(30)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    key = paramiko.RSAKey.generate(2048)
    key.write_private_key_file(str(tmp_path / "key"))
    return Host(
        role="server",
        name="server",
        address="127.0.0.1",
        port=22,
        user="ec2-user",
        private_key=tmp_path / "key",
        known_hosts=tmp_path / "state" / "known_hosts",
        ena_ip="192.168.3.10",
        ena_express_ip="192.168.3.11",
    )


def reach(host: Host, port: int) -> None:
    from dataclasses import replace

    connection = Connection(replace(host, port=port))
    try:
        connection.open()
    finally:
        connection.close()


# -- comparing ---------------------------------------------------------------------------------------------------------


def test_who_answers_in_the_host_s_place_is_sent_nothing(
    aws: Any, instance: str, machines: Consoles, host: Host
) -> None:
    machines.shown = "booting\n" + block(OF_THE_HOST)
    assert first_contact.verify(aws, instance, known_hosts=host.known_hosts) == ""

    with ssh_server(OF_SOMEBODY) as (port, asked), pytest.raises(HostKeyError, match="none of those that AWS reports"):
        reach(host, port)

    assert asked == []
    with ssh_server(OF_THE_HOST) as (port, asked):
        reach(host, port)
    assert asked == ["login of ec2-user"]


def test_the_file_says_what_aws_told_and_is_private(aws: Any, instance: str, machines: Consoles, host: Host) -> None:
    machines.shown = block(OF_THE_HOST, OF_SOMEBODY)

    first_contact.verify(aws, instance, known_hosts=host.known_hosts)

    assert told_keys(host.known_hosts) == {line(OF_THE_HOST), line(OF_SOMEBODY)}
    assert host.known_hosts.stat().st_mode & 0o077 == 0
    assert "StrictHostKeyChecking=yes" in ssh_command(host)


def test_without_a_word_of_aws_it_is_unverified_and_that_is_reported(
    aws: Any, instance: str, machines: Consoles, host: Host
) -> None:
    machines.shown = ""

    why = first_contact.verify(aws, instance, known_hosts=host.known_hosts, patience_s=0.1)

    assert "shows no host keys" in why
    assert told_keys(host.known_hosts) == frozenset()
    with ssh_server(OF_SOMEBODY) as (port, _):
        reach(host, port)
    assert learned_keys(host.known_hosts) == {line(OF_SOMEBODY)}


def test_a_key_that_was_learned_wrongly_is_found_out(aws: Any, instance: str, machines: Consoles, host: Host) -> None:
    machines.shown = ""
    with ssh_server(OF_SOMEBODY) as (port, _):
        reach(host, port)

    machines.shown = block(OF_THE_HOST)

    with pytest.raises(HostKeyError, match="is not that host"):
        first_contact.verify(aws, instance, known_hosts=host.known_hosts)


def test_an_instance_that_aws_does_not_tell_of_is_unverified(aws: Any, host: Host) -> None:
    why = first_contact.verify(aws, "i-0123456789abcdef0", known_hosts=host.known_hosts)

    assert "InvalidInstanceID.NotFound" in why


# -- the password -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
def test_monitor_goes_on_only_with_a_host_that_is_vouched_for(
    accepted: bool, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    tunnels: list[Host] = []
    monitoring = SimpleNamespace(monitoring=SimpleNamespace(instance_id="i-0"), urls={"grafana": "x"})
    session = SimpleNamespace(verify_host=lambda role, _host: False)
    monkeypatch.setattr("enaxp.commands.monitoring.current_status", lambda _: monitoring)
    monkeypatch.setattr("enaxp.commands.monitoring.require_monitoring", lambda *_: host)
    monkeypatch.setattr("enaxp.commands.monitoring._require_free", lambda *_: None)

    def tunnel(to: Host, _ports: object) -> object:
        tunnels.append(to)
        raise KeyboardInterrupt

    monkeypatch.setattr("enaxp.commands.monitoring._tunnel", tunnel)

    with pytest.raises(KeyboardInterrupt if accepted else HostKeyError) as ended:
        watch_monitoring(session, ports={"grafana": 1}, open_it=False, accept_host_key=accepted)  # type: ignore[arg-type]

    assert tunnels == ([host] if accepted else [])
    if isinstance(ended.value, HostKeyError):
        assert ended.value.exit_code == 1
        assert "--accept-host-key" in ended.value.todo


# -- reading ----------------------------------------------------------------------------------------------------------------


def test_keys_are_read_between_whatever_a_boot_prints() -> None:
    text = f"[ 0.1] kernel\r\n<14>cloud-init: x\r\n{block(OF_THE_HOST)}".replace("\n", "\r\n") + "login:"
    assert keys_on_console(text) == (line(OF_THE_HOST),)
    assert keys_on_console(text + "\n" + block(OF_THE_HOST)) == (line(OF_THE_HOST),)


def test_two_blocks_that_differ_are_nobody_s_word() -> None:
    with pytest.raises(HostKeyError, match="two sets"):
        keys_on_console(block(OF_THE_HOST) + block(OF_SOMEBODY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        BEGIN,
        f"{BEGIN}\n{END}\n",
        f"{END}\n{line(OF_THE_HOST)}\n{BEGIN}\n",
        f"x{BEGIN}\n{line(OF_THE_HOST)}\n{END}\n",
        f"{BEGIN}\nssh-rsa {base64.b64encode(b'x').decode()}\n{END}\n",
        f"{BEGIN}\n@cert-authority * {line(OF_THE_HOST)}\n{END}\n",
        f"{BEGIN}\n* {line(OF_THE_HOST)}\n{END}\n",
    ],
)
def test_what_is_no_whole_block_is_none(text: str) -> None:
    assert keys_on_console(text) == ()


def test_what_is_no_file_of_keys_tells_none(tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"* {line(OF_THE_HOST)}\n")
    assert told_keys(tmp_path / "known") == told_keys(tmp_path / "nothing") == frozenset()
    write_told(tmp_path / "known", [line(OF_THE_HOST)])
    assert told_keys(tmp_path / "known") == {line(OF_THE_HOST)}
