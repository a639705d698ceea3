"""Connection: one persistent SSH connection to a host, used for every command of a bench.

    Host (from the lab's status) ─▶ connect() ─▶ Connection.run("…") ─▶ Answer

The host's key must be one that AWS reported (`hostkeys.py`). If AWS reported none, the key is accepted at the first contact and stored in
the state folder (trust on first use): a different key later is refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enaxp.errors import HostError, HostKeyError, UsageError
from enaxp.hosts.hostkeys import told_keys
from enaxp.hosts.proxy import ProxyProcess, as_ssh_option
from enaxp.traffic import ARMS, Arm

if TYPE_CHECKING:
    import fabric
    import paramiko

CONNECT_TIMEOUT_S = 10
PROXY_TIMEOUT_S = 60  # for the first word of a host behind a proxy, which may have to ask AWS for a session first
KEEPALIVE_S = 15  # also what keeps a session of Session Manager from its idle end
# An sshd refuses at random when more than ten have not logged in yet (MaxStartups), and a bastion is one for all hosts.
_PROXIES_AT_ONCE = threading.BoundedSemaphore(6)
ASK_EVERY_S = 5.0  # whether a host that does not answer comes back at all
HELD_S = 30.0  # for a held command to say that it runs, or to come to its end
MOST_OUTPUT = 1 << 28  # characters of one command: the full log of a trial, packed, is the longest


@dataclass(frozen=True, kw_only=True)
class Host:
    """How to reach a host by SSH, and the addresses of its two interfaces. proxy: the proxy command; empty if none is needed. homes: the
    arms with their own interface on the host: both in a lab; only ENA Express's if both arms share one.
    """

    role: str
    name: str
    address: str
    port: int
    user: str
    private_key: Path
    known_hosts: Path
    ena_ip: str
    ena_express_ip: str
    proxy: tuple[str, ...] = ()
    homes: tuple[Arm, ...] = ARMS

    @property
    def is_given(self) -> bool:
        """Whether it is a given host, not a lab's."""
        return self.homes != ARMS

    def ip_of(self, arm: Arm) -> str:
        """The address of an arm's interface."""
        return self.ena_express_ip if arm == "ena_express" else self.ena_ip


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """The result of a command on a host: output and exit code."""

    stdout: str
    stderr: str
    exit_code: int

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


class Connection:
    """One SSH connection. Threads may run commands over it in parallel."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._proxy: ProxyProcess | None = None
        self._fabric = _new_fabric(host)

    def open(self) -> None:
        """Opens the connection. Raises HostError when the host cannot be reached, refuses the key, or presents another host key."""
        import paramiko

        where = f"connecting to the {self.host.role} ({self.host.user}@{self.host.address}, port {self.host.port})"
        try:
            with _PROXIES_AT_ONCE if self.host.proxy else contextlib.nullcontext():
                self._open_through_proxy()
                self._fabric.open()
        except (paramiko.BadHostKeyException, UnknownHostKeyError) as error:
            todo = f"if somebody has renewed the host's keys, remove {self.host.known_hosts}; if not, somebody is in between"
            raise HostKeyError(where, said=str(error), todo=todo) from error
        except paramiko.AuthenticationException as error:
            raise HostError(
                where,
                said=f"the key was refused: {error}",
                todo=f"check {self.host.private_key} and {'given' if self.host.is_given else 'hosts'}.ssh_user",
            ) from error
        except (OSError, paramiko.SSHException, EOFError) as error:
            said, todo = f"{type(error).__name__}: {error}", _todo(self.host)
            if self._proxy is not None:
                said = f"{self.host.proxy[0]} of hosts.proxy_command: {self._proxy.said() or said}"
            raise HostError(where, said=said, todo=todo) from error
        transport = self._fabric.transport
        if self._proxy is None:
            # paramiko leaves Nagle's algorithm on: it costs each command about 35 ms.
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_keepalive(KEEPALIVE_S)

    def _open_through_proxy(self) -> None:
        if self.host.proxy:
            self._proxy = ProxyProcess(self.host.proxy)
            self._fabric.connect_kwargs["sock"] = self._proxy.socket

    def run(self, command: str, *, timeout_s: float = 30.0) -> CommandResult:
        """The output and exit code of a command. Raises HostError when the connection is lost or the time limit is reached."""
        import invoke
        import paramiko

        where = f"running on the {self.host.role}: {_shortened(command)}"
        try:
            result = self._fabric.run(
                command,
                hide=False,
                out_stream=_Counted(),
                err_stream=_Counted(),
                warn=True,
                in_stream=False,
                pty=False,
                timeout=timeout_s,
            )
        except invoke.exceptions.CommandTimedOut as error:
            raise HostError(
                where, said=f"no end after {timeout_s:.0f} s", todo="log in and look: `enaxp ssh`"
            ) from error
        except invoke.exceptions.ThreadException as error:
            too_much = any(isinstance(one.value, _TooMuchError) for one in error.exceptions)
            said = f"it printed more than {MOST_OUTPUT} characters" if too_much else f"the connection was lost: {error}"
            raise HostError(where, said=said, todo="log in and look: `enaxp ssh`") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise HostError(
                where,
                said=f"the connection was lost: {error or type(error).__name__}",
                todo="check that the host is up",
            ) from error
        if result.exited == -1:
            raise HostError(
                where, said="the connection was lost before the command ended", todo="check that the host is up"
            )
        return CommandResult(stdout=result.stdout, stderr=result.stderr, exit_code=result.exited)

    def check(self, command: str, *, timeout_s: float = 30.0) -> str:
        """The standard output of a command that must succeed. Raises HostError with its output when it fails."""
        answer = self.run(command, timeout_s=timeout_s)
        if not answer.ok:
            said = (answer.stderr or answer.stdout).strip()[-500:]
            raise HostError(
                f"running on the {self.host.role}: {_shortened(command)}", said=f"exit {answer.exit_code}: {said}"
            )
        return answer.stdout

    def hold(self, command: str) -> HeldCommand:
        """Starts a command that runs until it is released or the connection ends: its standard input is closed then.

        Raises HostError.
        """
        import paramiko

        try:
            channel = self._fabric.transport.open_session()
            channel.exec_command(command)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise HostError(f"running on the {self.host.role}: {_shortened(command)}", said=str(error)) from error
        return HeldCommand(channel, where=f"on the {self.host.role}")

    def put(self, content: bytes, path: str) -> None:
        """Writes a file that only the logged-in user may read. Unlike a command's arguments, its content does not appear in a process
        list.

        Raises HostError.
        """
        import paramiko

        try:
            sftp = self._fabric.sftp()
            with sftp.open(path, "wb") as file:
                file.chmod(0o600)  # before anything is in it
                file.write(content)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise HostError(f"writing {path} on the {self.host.role}", said=str(error)) from error

    def close(self) -> None:
        self._fabric.close()
        if self._proxy is not None:
            self._proxy.close()


class HeldCommand:
    """A command on a host that runs until it is released."""

    def __init__(self, channel: paramiko.Channel, *, where: str) -> None:
        self._channel = channel
        self._where = where
        channel.settimeout(HELD_S)
        self._output = channel.makefile("r")

    @property
    def runs(self) -> bool:
        transport = self._channel.get_transport()
        return not self._channel.exit_status_ready() and transport is not None and transport.is_active()

    def read_line(self) -> str:
        """The next line of its output; empty when it has ended. Raises HostError when none comes in time."""
        try:
            return str(self._output.readline()).rstrip("\n")
        except OSError as error:
            raise HostError(
                f"waiting for what was started {self._where}", said=f"no word after {HELD_S:.0f} s"
            ) from error

    def release(self) -> None:
        """Closes its standard input and waits until it ends. Raises HostError when it fails, or the connection is lost."""
        try:
            self._channel.shutdown_write()
            if not self._channel.status_event.wait(HELD_S):
                raise HostError(f"ending what was started {self._where}", said=f"no end after {HELD_S:.0f} s")
            code = self._channel.recv_exit_status()
        except (OSError, EOFError) as error:
            raise HostError(f"ending what was started {self._where}", said=str(error) or "connection lost") from error
        finally:
            self._channel.close()
        if code != 0:
            raise HostError(f"ending what was started {self._where}", said=f"exit {code}")


def connect(host: Host, *, patience_s: float = 0.0, still_there: Callable[[str], None] | None = None) -> Connection:
    """An open connection; retried for patience_s seconds while the host does not answer (it may be booting).

    A refused key is retried too: a booting host installs the key a moment after SSH answers. Raises HostError. still_there: called from
    time to time with the host's role; raises HostError when the host will not come back.
    """
    deadline = time.monotonic() + patience_s
    ask_again = time.monotonic()
    while True:
        connection = Connection(host)
        try:
            connection.open()
        except HostError as error:
            connection.close()
            if time.monotonic() >= deadline or isinstance(error, HostKeyError):
                raise
            if still_there is not None and time.monotonic() >= ask_again:
                still_there(host.role)
                ask_again = time.monotonic() + ASK_EVERY_S
            time.sleep(0.5)
            continue
        return connection


def _todo(host: Host) -> str:
    if host.is_given:
        return "check that the host is up, its address, port and proxy_command, and that its security group lets this machine in"
    if host.proxy:
        return "check that the host is up (`enaxp status`), and hosts.proxy_command by running it in a terminal: it must say SSH-2.0"
    return "check that the host is up (`enaxp status`) and that network.ssh_cidr contains this machine"


def login(place: str) -> str:
    """The command that logs in to a host: `enaxp ssh server`, or in a fleet with the pair's name."""
    pair, _, role = place.rpartition("/")
    return f"enaxp ssh {role} --pair {pair}" if pair else f"enaxp ssh {role}"


def as_root(command: str) -> str:
    """A shell command that runs a command as root, for any login user."""
    quoted = f"sh -c {shlex.quote(command)}"
    return f'if [ "$(id -u)" -eq 0 ]; then {quoted}; else sudo -n {quoted}; fi'


def ssh_command(host: Host, *options: str) -> list[str]:
    """The argv of the system's ssh to a host of a lab, with these additional options; a remote command may be appended.

    Raises UsageError when ssh is not installed, or a path cannot be expressed in its options.
    """
    program = shutil.which("ssh")
    if program is None:
        raise UsageError(
            "there is no ssh program on this machine", todo="install OpenSSH's client (apt-get install openssh-client)"
        )
    settings = {
        "IdentitiesOnly": "yes",
        # In quotes: they would be split at blanks. The option -i takes no path with a percent sign at all.
        "IdentityFile": f'"{_escaped(host.private_key)}"',
        "UserKnownHostsFile": f'"{_escaped(host.known_hosts)}"',
        "StrictHostKeyChecking": "yes" if told_keys(host.known_hosts) else "accept-new",
        "LogLevel": "ERROR",
    }
    if host.proxy:
        settings |= {"ProxyCommand": as_ssh_option(host.proxy), "ServerAliveInterval": str(KEEPALIVE_S)}
    arguments = [program, "-F", os.devnull, "-p", str(host.port)]
    for name, value in settings.items():
        arguments += ["-o", f"{name}={value}"]
    # Behind `--` ssh takes nothing for an option any more, not even in the command that follows.
    return [*arguments, *options, "--", f"{host.user}@{host.address}"]


def _told_by_aws(keys: frozenset[str]) -> Any:
    """A policy that accepts a host only with one of these keys."""
    import paramiko

    class ToldByAws(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko has no types
        def missing_host_key(self, _client: Any, hostname: str, key: Any) -> None:
            if f"{key.get_name()} {key.get_base64()}" not in keys:
                raise UnknownHostKeyError(f"{hostname} has a key that is none of those that AWS reports")

    return ToldByAws()


class UnknownHostKeyError(Exception):
    """The host that answers has an unknown or wrong key."""


class _TooMuchError(Exception):
    """A command's output exceeds the limit."""


class _Counted(io.TextIOBase):
    """A stream that collects a host's output without showing it. Raises _TooMuchError beyond MOST_OUTPUT, because it is kept in memory."""

    def __init__(self) -> None:
        self._length = 0

    def write(self, text: str) -> int:
        self._length += len(text)
        if self._length > MOST_OUTPUT:
            raise _TooMuchError
        return len(text)


def _escaped(path: Path) -> str:
    """A path as a quoted value of ssh_config, escaped so that ssh expands no token in it.

    Raises UsageError for a `${`, which cannot be escaped.
    """
    text = str(path.absolute())
    if "${" in text:
        raise UsageError(f"ssh takes the ${{ in {text} for a variable", todo="choose another --state-dir")
    return text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')


def _new_fabric(host: Host) -> fabric.Connection:
    import fabric
    import paramiko

    connection = fabric.Connection(
        host.address,
        user=host.user,
        port=host.port,
        connect_timeout=CONNECT_TIMEOUT_S,
        config=fabric.Config(overrides={"load_ssh_configs": False}, lazy=True),
        connect_kwargs={
            "key_filename": str(host.private_key),
            "look_for_keys": False,
            "allow_agent": False,
            "banner_timeout": PROXY_TIMEOUT_S if host.proxy else 15,
        },
    )
    # Knows the hosts of this lab alone, and keeps what it learns in the state folder.
    client: Any = paramiko.SSHClient()
    host.known_hosts.parent.mkdir(parents=True, exist_ok=True)
    host.known_hosts.touch(mode=0o600)
    told = told_keys(host.known_hosts)
    if told:
        client.set_missing_host_key_policy(_told_by_aws(told))
    else:
        client.load_host_keys(str(host.known_hosts))
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    connection.client = client
    return connection


def _shortened(command: str) -> str:
    first = command.strip().splitlines()[0] if command.strip() else ""
    return first if len(first) <= 100 else first[:97] + "..."
