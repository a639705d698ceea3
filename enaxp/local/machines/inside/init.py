"""The first process of a machine: `python -m …inside.init KIND SOCKET FOLDER`, started by `namespaces.py` or `processes.py`.

    Born ─▶ (BootOrder) ─▶ root file system, keys, interfaces ─▶ Ready ─▶ SSH answers: Up ─▶ user data runs ─▶ … ─▶ the end

It answers SSH on the sockets it is handed, with one `sshd -i` per connection, and collects the exit codes of processes whose parents
are gone. It ends, and the machine with it, when the stream of orders ends: when its owner closes the socket or dies.
"""

from __future__ import annotations

import array
import contextlib
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from enaxp.local.machines.inside.messages import (
    MESSAGE_BYTES,
    AgentStarted,
    Attach,
    BootInterface,
    BootOrder,
    Born,
    Carries,
    Detach,
    Failed,
    Listen,
    Order,
    PoweredOff,
    PowerOff,
    PowerOn,
    Ready,
    Report,
    RunScript,
    RunUserData,
    ScriptEnded,
    SetSrd,
    ShutDown,
    StopListening,
    Up,
    encode,
    read_order,
)
from enaxp.local.machines.inside.namespaces import Namespaces
from enaxp.local.machines.inside.place import Place, host_keys_shown, spawn, write
from enaxp.local.machines.inside.processes import Processes

SAID_BYTES = 8000  # of each stream of a script: with both the message still fits into a socket's buffer


class MachineKind(Protocol):
    """The operations in which a machine of namespaces differs from one of plain processes."""

    def settle_in(self) -> None:
        """Before any order: what keeps it apart from the rest of the computer."""

    def boot(self, order: BootOrder) -> Place:
        """Sets the machine up; returns its Place."""

    def listen_inside(self, port: int) -> socket.socket | None:
        """Where sshd listens on the machine's own addresses, if it has any: only what is in its VPC comes there."""

    def run_user_data(self, place: Place, text: str) -> int | None:
        """Begins to run it; does not wait. Gives back the pid of what runs it, if anything does."""

    def user_data_has_ended(self) -> None:
        """The first boot is through."""

    def start_script(self, place: Place, script: Path, timeout_s: int, *, output: int, errors: int) -> int:
        """Starts a script for Systems Manager; returns its pid."""

    def set_srd(self, place: Place, interface: str, mode: int, carries: Carries) -> None:
        """Takes over what the control plane says about an attachment."""

    def attach(self, place: Place, interface: BootInterface) -> None:
        """What the system does when it finds this interface while it runs; does not wait."""

    def detach(self, place: Place, interface: str) -> None:
        """Forgets an interface."""

    def power_off(self) -> None:
        """Ends every process of the machine but this one; what is on its disk stays."""

    def power_on(self, place: Place, interfaces: Sequence[BootInterface]) -> None:
        """Begins to start what is enabled, with these interfaces."""

    def leave(self) -> None:
        """Ends every process of the machine but this one."""

    def start_again(self, place: Place) -> None:
        """Ends every process of the machine but this one, and begins to start what is enabled: a boot that is not the first."""


KINDS: Mapping[str, Callable[..., MachineKind]] = {"namespaces": Namespaces, "processes": Processes}


class Init:
    """The event loop: orders, connections, signals."""

    def __init__(self, channel: socket.socket, kind: MachineKind) -> None:
        self._channel = channel
        self._kind = kind
        self._place: Place | None = None
        self._listeners: dict[int, socket.socket] = {}
        self._scripts: dict[int, Path] = {}  # pid → folder
        self._user_data_pid: int | None = None
        self._ended = False
        self._events = selectors.DefaultSelector()

    def live(self) -> None:
        """Until the end of the stream, or a shutdown."""
        tell(self._channel, Born())
        self._kind.settle_in()
        self._watch(self._channel, self._take_order)
        self._watch(_signals_as_stream(), self._take_signal)
        while not self._ended:
            for key, _ in self._events.select():
                key.data(key.fileobj)

    def _watch(self, source: socket.socket, act: Callable[[socket.socket], None]) -> None:
        self._events.register(source, selectors.EVENT_READ, act)

    def _take_order(self, channel: socket.socket) -> None:
        data, sockets = _receive(channel)
        if not data:
            self._ended = True
            return
        order = read_order(data)
        if isinstance(order, BootOrder):
            self._user_data = order.user_data
            self._place = self._kind.boot(order)
            inside = self._kind.listen_inside(order.ssh_port)
            if inside is not None:
                self._watch(inside, self._accept)
            tell(self._channel, Ready(console=host_keys_shown(self._place)))
            return
        assert self._place is not None
        self._carry_out(self._place, order, sockets)

    def _carry_out(self, place: Place, order: Order, sockets: Sequence[socket.socket]) -> None:
        match order:
            case Listen():
                self._listen(order.device_index, sockets[0])
            case StopListening():
                self._stop_listening(order.device_index)
            case SetSrd():
                self._kind.set_srd(place, order.interface, order.mode, order.carries)
            case Attach():
                self._kind.attach(place, order.interface)
            case Detach():
                self._kind.detach(place, order.interface)
            case PowerOff():
                for device_index in list(self._listeners):
                    self._stop_listening(device_index)
                self._kind.power_off()
                tell(self._channel, PoweredOff())
            case PowerOn():
                self._kind.power_on(place, order.interfaces)
                tell(self._channel, Ready())
                tell(self._channel, Up())
            case RunUserData():
                tell(self._channel, Up())
                self._user_data_pid = self._kind.run_user_data(place, self._user_data)
            case RunScript():
                self._run(place, order)

    def _run(self, place: Place, order: RunScript) -> None:
        """Runs a script in a folder of its own, as the agent does; what it prints goes into files there."""
        script = write(place.path(f"/var/lib/amazon/ssm/{order.script_id}/_script.sh"), order.script, mode=0o700)
        folder = script.parent
        with (folder / "stdout").open("wb") as output, (folder / "stderr").open("wb") as errors:
            pid = self._kind.start_script(
                place, script, order.timeout_s, output=output.fileno(), errors=errors.fileno()
            )
        self._scripts[pid] = folder

    def _listen(self, device_index: int, listener: socket.socket) -> None:
        self._stop_listening(device_index)
        listener.setblocking(False)
        self._listeners[device_index] = listener
        self._watch(listener, self._accept)

    def _stop_listening(self, device_index: int) -> None:
        old = self._listeners.pop(device_index, None)
        if old is not None:
            self._events.unregister(old)
            old.close()

    def _accept(self, listener: socket.socket) -> None:
        assert self._place is not None
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, self._place.path("/var/log/sshd.log").open("ab") as log:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # The log is not standard output: that is the connection, like standard input.
                spawn(
                    self._place.sshd_command,
                    {"PATH": self._place.search_path},
                    stdin=connection.fileno(),
                    output=connection.fileno(),
                    errors=log.fileno(),
                )

    def _take_signal(self, stream: socket.socket) -> None:
        numbers = stream.recv(4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._take_end(*ended)
        if signal.SIGINT in numbers and self._place is not None:
            self._kind.start_again(self._place)
        if signal.SIGUSR1 in numbers:
            tell(self._channel, AgentStarted())
        if signal.SIGPWR in numbers:
            tell(self._channel, ShutDown())
            self._ended = True
        if signal.SIGTERM in numbers:
            self._ended = True

    def _take_end(self, pid: int, status: int) -> None:
        """A process has ended. If it was a script, the owner is told how; the end of any other is of no interest."""
        if pid == self._user_data_pid:
            self._user_data_pid = None
            self._kind.user_data_has_ended()
        folder = self._scripts.pop(pid, None)
        if folder is not None:
            report = ScriptEnded(
                script_id=folder.name,
                code=os.waitstatus_to_exitcode(status),
                stdout=_beginning(folder / "stdout"),
                stderr=_beginning(folder / "stderr"),
            )
            tell(self._channel, report)


def _beginning(path: Path) -> str:
    return path.read_bytes()[:SAID_BYTES].decode("utf-8", "replace")


def tell(channel: socket.socket, report: Report) -> None:
    """Sends a report to the owner, who may be gone."""
    with contextlib.suppress(OSError):
        channel.send(encode(report), socket.MSG_NOSIGNAL)


def _receive(channel: socket.socket) -> tuple[bytes, list[socket.socket]]:
    """One order, and the sockets that came with it. No data: the end of the stream."""
    numbers = array.array("i")
    try:
        data, ancillary, _, _ = channel.recvmsg(MESSAGE_BYTES, socket.CMSG_SPACE(4 * numbers.itemsize))
    except ConnectionError:
        return b"", []
    for level, what, content in ancillary:
        if (level, what) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
    for number in numbers:
        os.set_inheritable(number, False)
    return data, [socket.socket(fileno=number) for number in numbers]


def _signals_as_stream() -> socket.socket:
    """Each signal that this process gets comes out as a byte."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    signal.set_wakeup_fd(far.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPWR, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    return near


def main(kind_name: str, channel_number: str, folder: str) -> int:
    """Runs the machine until it ends; returns the exit code."""
    channel = socket.socket(fileno=int(channel_number))
    channel.set_inheritable(False)
    kind = KINDS[kind_name](folder=Path(folder))
    os.umask(0o022)
    try:
        Init(channel, kind).live()
    except Exception as error:  # on any error the owner is notified, and the machine ends
        traceback.print_exc()
        said = getattr(error, "stderr", None) or ""
        tell(channel, Failed(reason=f"{type(error).__name__}: {error} {said}".strip()))
        return 1
    finally:
        kind.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
