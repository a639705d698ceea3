"""Fleet: the machines of one cloud, from launch to gone. What both kinds (`namespaces.py`, `processes.py`) share.

    launch() ─▶ a thread per machine: start ─▶ wire ─▶ boot ─▶ up ─ … ─▶ its process ends ─▶ tidy ─▶ gone
    owner ◀── one socket, whole JSON messages, listening sockets beside them ──▶ `inside/init.py`

The socket is also the life line: whoever owns the fleet holds the only other end, so a machine sees its owner's death, however
it comes, as the end of the stream, and ends. Nothing but that process and its children holds what a machine is made of.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enaxp.local.strict import MachineInterface, MachineSpec, ScriptResult

END_S = 5.0  # for a machine to end by itself once it is told to
BORN_S = 30.0
MESSAGE_BYTES = 256 * 1024


class MachineError(Exception):
    """A machine did not come up; says why. Becomes `failure()`."""


@dataclass(frozen=True, kw_only=True)
class MachineSrd:
    """The ENA Express setting of an attachment."""

    srd: bool
    udp: bool


@dataclass
class Machine:
    """One machine and how far it has come. Guarded by the fleet's lock."""

    spec: MachineSpec
    folder: Path
    srd: dict[int, MachineSrd]
    public_ips: dict[int, str]
    process: subprocess.Popen[bytes] | None = None
    channel: socket.socket | None = None
    told_srd: dict[str, Any] = field(default_factory=dict)
    booted: bool = False
    up: bool = False
    ending: bool = False
    gone: bool = False
    has_shut_down: bool = False
    failure: str | None = None
    scripts: dict[str, ScriptResult] = field(default_factory=dict)  # those that have ended
    thread: threading.Thread | None = None


class Fleet:
    """The machines of one cloud. Calls come from any thread and return at once; `close` waits until all is removed."""

    def __init__(self, run_dir: Path, *, ssh_port: int) -> None:
        self.run_dir = run_dir
        self.ssh_port = ssh_port
        self._machines: dict[str, Machine] = {}
        self._lock = threading.RLock()

    # -- what a kind of machine has of its own ---------------------------------------------------------------------------

    def _start(self, machine: Machine, life_line: socket.socket) -> subprocess.Popen[bytes]:
        """Starts `inside/init.py`, which is handed the far end of the life line."""
        raise NotImplementedError

    def _wire(self, machine: Machine) -> None:
        """Joins a machine that was born to its subnets."""

    def _orders(self, machine: Machine) -> dict[str, Any]:
        """What this kind of machine has to know for its boot, beside what each kind has to."""
        return {}

    def _tidy(self, machine: Machine) -> None:
        """Removes what is left outside of a machine that has ended."""

    # -- Machines ------------------------------------------------------------------------------------------------------------

    def launch(self, machine: MachineSpec) -> None:
        """Begins to boot it. Whether it came up is told by `is_up` and `failure`."""
        record = Machine(
            spec=machine,
            folder=self.run_dir / machine.instance_id,
            srd={one.device_index: MachineSrd(srd=one.srd, udp=one.udp) for one in machine.interfaces},
            public_ips={one.device_index: one.public_ip for one in machine.interfaces if one.public_ip},
        )
        record.thread = threading.Thread(
            target=self._live, args=(record,), name=f"machine {machine.instance_id}", daemon=True
        )
        with self._lock:
            self._machines[machine.instance_id] = record
        record.thread.start()

    def is_up(self, instance_id: str) -> bool:
        """Whether SSH answers."""
        machine = self._machines.get(instance_id)
        return machine is not None and machine.up and not machine.ending

    def failure(self, instance_id: str) -> str | None:
        """Why it did not come up, or ended though nobody told it to."""
        machine = self._machines.get(instance_id)
        return machine.failure if machine else None

    def set_srd(self, instance_id: str, *, device_index: int, srd: bool, udp: bool) -> None:
        """Sets the ENA Express setting of an attachment."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is not None:
                machine.srd[device_index] = MachineSrd(srd=srd, udp=udp)
                self._tell_srd()

    def set_public_ip(self, instance_id: str, *, device_index: int, public_ip: str | None) -> None:
        """Makes SSH answer at this address, or at none."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None or machine.public_ips.get(device_index) == public_ip:
                return
            machine.public_ips.pop(device_index, None)
            if public_ip is not None:
                machine.public_ips[device_index] = public_ip
            if machine.booted:
                self._tell_address(machine, device_index)

    def terminate(self, instance_id: str) -> None:
        """Begins to end it. Done when `is_gone`."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is not None:
                machine.ending = True
                _hang_up(machine.channel)

    def is_gone(self, instance_id: str) -> bool:
        """Whether nothing of it is left."""
        machine = self._machines.get(instance_id)
        return machine is None or machine.gone

    def has_shut_down(self, instance_id: str) -> bool:
        """Whether it was shut down from inside."""
        machine = self._machines.get(instance_id)
        return machine is not None and machine.has_shut_down

    def run_script(self, instance_id: str, script_id: str, *, script: str, timeout_s: int) -> None:
        """Begins to run it in the machine, as its agent of Systems Manager would. One that has ended never answers."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is not None and machine.channel is not None:
                _tell(machine.channel, {"do": "run", "id": script_id, "script": script, "timeout_s": timeout_s})

    def script_result(self, instance_id: str, script_id: str) -> ScriptResult | None:
        """How it ended; None while it runs."""
        machine = self._machines.get(instance_id)
        return machine.scripts.get(script_id) if machine else None

    def close(self) -> None:
        """Ends every machine and waits until nothing is left of them."""
        for instance_id in list(self._machines):
            self.terminate(instance_id)
        for machine in list(self._machines.values()):
            if machine.thread is not None:
                machine.thread.join(BORN_S + 2 * END_S)
        with contextlib.suppress(OSError):
            self.run_dir.rmdir()

    # -- the life of a machine ------------------------------------------------------------------------------------------------

    def _live(self, machine: Machine) -> None:
        """The whole life of one machine, on a thread of its own."""
        try:
            self._bring_up(machine)
            self._listen_to(machine)
        except (MachineError, OSError, subprocess.SubprocessError) as error:
            self._fail(machine, str(error))
        finally:
            self._end(machine)

    def _bring_up(self, machine: Machine) -> None:
        machine.folder.mkdir(parents=True, exist_ok=True)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            machine.process = self._start(machine, far)
        with self._lock:
            machine.channel = near
            if machine.ending:
                raise MachineError("terminated before it was up")
        near.settimeout(BORN_S)
        self._expect(machine, "born")
        self._wire(machine)
        _tell(near, {"do": "boot", **_common_orders(machine.spec), **self._orders(machine)})
        self._expect(machine, "ready")
        with self._lock:
            machine.booted = True
            for device_index in list(machine.public_ips):
                self._tell_address(machine, device_index)
            self._tell_srd()
            _tell(near, {"do": "user-data"})
        self._expect(machine, "up")
        machine.up = True

    def _listen_to(self, machine: Machine) -> None:
        """Takes down how scripts end, until the machine does. Raises MachineError when nobody asked for that."""
        from enaxp.local.strict.machines import ScriptResult

        assert machine.channel is not None
        machine.channel.settimeout(None)
        while (said := _hear(machine.channel)) is not None and said["said"] == "ran":
            machine.scripts[said["id"]] = ScriptResult(code=said["code"], stdout=said["stdout"], stderr=said["stderr"])
        if said is not None and said["said"] == "shut-down":
            machine.has_shut_down = True
        elif not machine.ending:
            raise MachineError(f"the machine ended by itself: {_said(said) or self._log(machine)}")

    def _expect(self, machine: Machine, what: str) -> None:
        assert machine.channel is not None
        try:
            said = _hear(machine.channel)
        except TimeoutError as error:
            raise MachineError(f"no word after {BORN_S:.0f} s, waiting for {what!r}: {self._log(machine)}") from error
        if said is None or said["said"] != what:
            raise MachineError(_said(said) or f"the machine ended before it was {what}: {self._log(machine)}")

    def _fail(self, machine: Machine, why: str) -> None:
        with self._lock:
            if not machine.ending:
                machine.failure = why.strip()

    def _end(self, machine: Machine) -> None:
        with self._lock:
            machine.ending, machine.up = True, False
            channel, machine.channel = machine.channel, None
            self._tell_srd()
        if channel is not None:
            channel.close()
        if machine.process is not None:
            try:
                machine.process.wait(END_S)
            except subprocess.TimeoutExpired:
                machine.process.kill()
                machine.process.wait()
        self._tidy(machine)
        shutil.rmtree(machine.folder, ignore_errors=True)
        machine.gone = True

    def _log(self, machine: Machine) -> str:
        try:
            return (machine.folder / "log").read_text(errors="replace").strip()[-1000:]
        except OSError:
            return ""

    # -- what a running machine is told ---------------------------------------------------------------------------------------

    def _tell_address(self, machine: Machine, device_index: int) -> None:
        """Hands over a socket that listens on the public address of this interface, or has the old one closed."""
        address = machine.public_ips.get(device_index)
        if machine.channel is None:
            return
        if address is None:
            _tell(machine.channel, {"do": "deafen", "device_index": device_index})
            return
        try:
            listener = socket.create_server((address, self.ssh_port), backlog=64)
        except OSError as error:
            machine.failure = f"cannot listen on {address}, port {self.ssh_port}: {error.strerror}"
            return
        with listener:
            _tell(machine.channel, {"do": "listen", "device_index": device_index}, listener)

    def _tell_srd(self) -> None:
        """Tells each machine what has changed for it: its own setting, and whether some other end takes part."""
        running = [machine for machine in self._machines.values() if machine.booted and not machine.ending]
        ends = [(one, machine.srd[one.device_index]) for machine in running for one in machine.spec.interfaces]
        for machine in running:
            for one in machine.spec.interfaces:
                name = interface_name(one)
                now = {"mode": _mode(machine.srd[one.device_index]), "carries": _carries(one, ends)}
                if machine.told_srd.get(name) != now and machine.channel is not None:
                    machine.told_srd[name] = now
                    _tell(machine.channel, {"do": "srd", "interface": name, **now})


def interface_name(one: MachineInterface) -> str:
    """As Amazon Linux names them: ens5 for the first."""
    return f"ens{5 + one.device_index}"


def gateway(subnet_cidr: str) -> str:
    """The router of a subnet: AWS gives it the first address."""
    return str(ipaddress.IPv4Network(subnet_cidr)[1])


def _common_orders(spec: MachineSpec) -> dict[str, Any]:
    return {
        "instance_id": spec.instance_id,
        "public_key": spec.public_key,
        "user_data": spec.user_data,
        "interfaces": [
            {
                "name": interface_name(one),
                "private_ip": one.private_ip,
                "prefix": ipaddress.IPv4Network(one.subnet_cidr).prefixlen,
                "gateway": gateway(one.subnet_cidr),
            }
            for one in sorted(spec.interfaces, key=lambda one: one.device_index)
        ],
    }


def _mode(own: MachineSrd) -> int:
    """As the driver tells it in `ena_srd_mode`: bit 0 SRD, bit 1 UDP."""
    return int(own.srd) + 2 * int(own.udp)


def _carries(one: MachineInterface, ends: list[tuple[MachineInterface, MachineSrd]]) -> str:
    """What goes by SRD: it takes two ends that have it switched on, and for UDP two that have that switched on as well."""
    own = next(srd for interface, srd in ends if interface.eni_id == one.eni_id)
    others = [srd for other, srd in ends if other.eni_id != one.eni_id and other.subnet_id == one.subnet_id and srd.srd]
    if not own.srd or not others:
        return "nothing"
    return "all" if own.udp and any(srd.udp for srd in others) else "tcp"


def _tell(channel: socket.socket, message: Mapping[str, Any], *sockets: socket.socket) -> None:
    """Whoever does not hear it has ended, or will be: its thread sees to that."""
    with contextlib.suppress(OSError):
        data = json.dumps(message).encode()
        socket.send_fds(channel, [data], [one.fileno() for one in sockets], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _hear(channel: socket.socket) -> dict[str, Any] | None:
    """The next message; None at the end of the stream. Raises TimeoutError."""
    try:
        data = channel.recv(MESSAGE_BYTES)
    except ConnectionError:
        return None
    return dict(json.loads(data)) if data else None


def _said(message: dict[str, Any] | None) -> str:
    return str(message.get("why", "")) if message else ""


def _hang_up(channel: socket.socket | None) -> None:
    if channel is not None:
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)
