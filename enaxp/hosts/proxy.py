"""Proxy: a program through which SSH goes to a host that nothing else leads to (`hosts.proxy_command`).

    text of the config ─▶ proxy_words(): its words, filled in for one host ─┬─▶ ProxyProcess ─▶ socket ─▶ paramiko
                                                                            └─▶ as_ssh_option() ─▶ the system's ssh
No shell reads the command: it is split into words as a shell would, and only then are the values put in, so that none of them can become a
word of its own. Whoever wants a shell writes `sh -c '…'`. Only the config says what is run; nothing of it comes from tags or the state.
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

END_S = 2.0  # for a proxy to end by itself once nobody speaks to it any more
_VALUES = {
    "address": re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}"),  # of hosts that exist already perhaps a name
    "port": re.compile(r"\d{1,5}"),
    "user": re.compile(r"[a-z_][a-z0-9_.-]{0,31}"),
    "instance_id": re.compile(r"i-[0-9a-f]{8,17}"),
    "region": re.compile(REGION),
}


@dataclass(frozen=True, kw_only=True)
class ProxyTarget:
    """The host that a proxy is to lead to."""

    address: str
    port: int
    user: str
    instance_id: str
    region: str

    def values(self) -> Mapping[str, str]:
        """What is filled into a placeholder, by its name. Raises UsageError where a value does not have the form that it must have."""
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
    """The value of ProxyCommand for the system's ssh, which gives it to a shell and takes a percent sign for a token of its own."""
    return shlex.join(words).replace("%", "%%")


def _filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    letter, name = found.groups()
    return "%" if letter == "%" else values[name or PROXY_LETTERS[letter]]


class ProxyProcess:
    """A proxy that runs. `socket` is the way through it; it ends when that is closed, or with `close`.

    It has a session of its own, so that Ctrl-C at the terminal is the program's alone: what it does last still reaches the hosts.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Starts it. Raises HostError when there is no such program."""
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
        """The end of what it has said on its standard error, and how it ended if it did."""
        with contextlib.suppress(OSError, ValueError):
            self._said.seek(0, os.SEEK_END)
            self._said.seek(max(0, self._said.tell() - 500))
            text = self._said.read().decode("utf-8", "replace").strip()
            code = self._process.poll()
            ended = "" if code is None else f"exit {code}"
            return ": ".join(part for part in (ended, text) if part)
        return ""

    def close(self) -> None:
        """Ends it, and what it has started, and waits for that. Once more does nothing."""
        self.socket.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
                break
        self._said.close()
