"""Proxy: a program through which SSH reaches a host that is not reachable directly (`hosts.proxy_command`).

    text of the config ─▶ proxy_words(): its words, filled in for one host ─┬─▶ ProxyProcess ─▶ socket ─▶ paramiko
                                                                            └─▶ as_ssh_option() ─▶ the system's ssh
No shell runs the command: it is split into words as a shell would do, and the values are filled in afterwards, so that none of them can
become a separate word. For a shell, write `sh -c '…'`. The command comes only from the config, never from tags or the state.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enaxp.config import PROXY_LETTERS, PROXY_NAMES, PROXY_TOKEN, REGION
from enaxp.errors import HostError, UsageError

END_S = 2.0  # the time for a proxy to end once its connection is closed
_VALUES = {
    "address": re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}"),  # of hosts that exist already perhaps a name
    "port": re.compile(r"\d{1,5}"),
    "user": re.compile(r"[a-z_][a-z0-9_.-]{0,31}"),
    "instance_id": re.compile(r"i-[0-9a-f]{8,17}"),
    "region": re.compile(REGION),
}


@dataclass(frozen=True, kw_only=True)
class ProxyTarget:
    """The host that a proxy connects to."""

    address: str
    port: int
    user: str
    instance_id: str
    region: str

    def values(self) -> Mapping[str, str]:
        """The values of the placeholders, by name. Raises UsageError for a value with an invalid format."""
        found = {name: str(getattr(self, name)) for name in PROXY_NAMES}
        for name, value in found.items():
            if not _VALUES[name].fullmatch(value):
                raise UsageError(f"{value!r} is no {name} that could be put into hosts.proxy_command")
        return found


def proxy_words(command: str | None, target: ProxyTarget) -> tuple[str, ...]:
    """The command for one host; empty where there is none, for a host that is reached directly. `load_config` has found no fault in it.

    Raises UsageError for a value that AWS cannot have told.
    """
    if command is None:
        return ()
    values = target.values()
    return tuple(PROXY_TOKEN.sub(lambda found: _filled(found, values), word) for word in shlex.split(command))


def as_ssh_option(words: Sequence[str]) -> str:
    """The value of ProxyCommand for the system's ssh, quoted for the shell that ssh uses, with percent signs escaped from ssh's tokens."""
    return shlex.join(words).replace("%", "%%")


def _filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    letter, name = found.groups()
    return "%" if letter == "%" else values[name or PROXY_LETTERS[letter]]


class ProxyProcess:
    """A running proxy process. `socket`: the connection through it. The process ends when that is closed, or with `close`.

    It has its own session, so that Ctrl-C at the terminal reaches only enaxp, whose clean-up can still use the connection.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Starts the process. Raises HostError when the program does not exist."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed by `close`
        self.socket, far = socket.socketpair()
        try:
            with far:
                number = far.fileno()
                self._process = subprocess.Popen(
                    words, stdin=number, stdout=number, stderr=self._said, start_new_session=True
                )
        except (OSError, ValueError) as error:
            self.socket.close()
            self._said.close()
            todo = "check hosts.proxy_command: no shell reads it, so a program is looked for on the PATH alone"
            raise HostError(f"starting {words[0]!r} of hosts.proxy_command", said=str(error), todo=todo) from error

    def said(self) -> str:
        """The end of its standard error, and its exit status if it has ended."""
        with contextlib.suppress(OSError, ValueError):
            self._said.seek(0, os.SEEK_END)
            self._said.seek(max(0, self._said.tell() - 500))
            text = self._said.read().decode("utf-8", "replace").strip()
            code = self._process.poll()
            ended = "" if code is None else f"exit {code}"
            return ": ".join(part for part in (ended, text) if part)
        return ""

    def close(self) -> None:
        """Ends the process and its children, and waits for that. Idempotent."""
        self.socket.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
                break
        self._said.close()
