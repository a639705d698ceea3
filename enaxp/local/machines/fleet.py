"""Fleet: the life cycle of the machines of one cloud. Common code of both kinds (`namespaces.py`, `processes.py`).

    launch() ─▶ a thread per machine: start ─▶ wire ─▶ boot ─▶ up ─ … ─▶ its process ends ─▶ tidy ─▶ gone
                stop() ─▶ stopped, with its disk ─ launch() ─▶ up                attach(), detach() ─▶ interfaces come and go
    fleet ── orders, with listening sockets beside them ──▶ `inside/init.py` ── reports ──▶ fleet        (`inside/messages.py`)

The socket between them also ends a machine: the fleet's process has the only other end, so when that process dies for any reason, the
machine reads end-of-file and ends. All resources of a machine are held by its own processes.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

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
    read_report,
)

if TYPE_CHECKING:
    from enaxp.local.machines.inside.distributions import Distribution
    from enaxp.local.strict import MachineInterface, MachineSpec, ScriptResult

_R = TypeVar("_R", bound=Report)
END_S = 5.0  # for a machine to end by itself once it is told to
BORN_S = 30.0
# Regions whose ENA Express does not work between zones: traffic goes by plain ENA there, and nothing says so.
WITHOUT_SRD_BETWEEN_ZONES = ("sa-east-1", "me-south-1", "me-central-1")


class MachineError(Exception):
    """Why a machine did not start, or ended. `Fleet.failure` returns it."""


@dataclass(frozen=True, kw_only=True)
class MachineSrd:
    """The ENA Express setting of an attachment."""

    srd: bool
    udp: bool


@dataclass
class Machine:
    """One machine and its state. Guarded by the fleet's lock."""

    spec: MachineSpec
    folder: Path
    srd: dict[int, MachineSrd]
    public_ips: dict[int, str]
    process: subprocess.Popen[bytes] | None = None
    channel: socket.socket | None = None
    told_srd: dict[str, SetSrd] = field(default_factory=dict)  # by interface: what the machine was told last
    booted: bool = False
    up: bool = False
    stopped: bool = False
    ending: bool = False
    gone: bool = False
    has_shut_down: bool = False
    console: str = ""
    failure: str | None = None
    agent_starts: int = 1
    scripts: dict[str, ScriptResult] = field(default_factory=dict)  # those that have ended
    thread: threading.Thread | None = None


class Fleet:
    """The machines of one cloud. Calls come from any thread and return at once; `close` waits until all is removed."""

    def __init__(self, run_dir: Path, *, ssh_port: int) -> None:
        self.run_dir = run_dir
        self.ssh_port = ssh_port
        self._machines: dict[str, Machine] = {}
        self._lock = threading.RLock()

    # -- what differs from kind to kind -----------------------------------------------------------------------------------

    def _start(self, machine: Machine, life_line: socket.socket) -> subprocess.Popen[bytes]:
        """Starts `inside/init.py`, which is handed the far end of the life line."""
        raise NotImplementedError

    def _wire(self, machine: Machine) -> None:
        """Joins a machine that was born to its subnets."""
        for one in sorted(machine.spec.interfaces, key=lambda one: one.device_index):
            self._plug(machine, one)

    def _plug(self, machine: Machine, one: MachineInterface) -> None:
        """Gives a machine that was born an interface. Raises MachineError."""

    def _unplug(self, machine: Machine, one: MachineInterface) -> None:
        """Takes an interface away from a machine. Raises MachineError."""

    def _boot_order(self, spec: MachineSpec) -> BootOrder:
        """What a machine of this kind has to know for its boot."""
        raise NotImplementedError

    def _tidy(self, machine: Machine) -> None:
        """Removes what is left outside of a machine that has ended."""

    # -- Machines ------------------------------------------------------------------------------------------------------------

    def launch(self, machine: MachineSpec) -> None:
        """Begins to boot it, for the first time or again. Whether it came up is told by `is_up` and `failure`."""
        with self._lock:
            known = self._machines.get(machine.instance_id)
            if known is not None and known.stopped and not known.ending:
                self._start_again(known, machine)
                return
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
        """The reason why the machine did not start, or ended without being told to; None otherwise."""
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

    def attach(self, instance_id: str, interface: MachineInterface) -> None:
        """Plugs an interface in. A machine that runs configures it when its system does so."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None or machine.ending:
                return
            self._add(machine, interface)
            if machine.booted and machine.channel is not None:
                _tell(machine.channel, Attach(interface=_boot_interface(interface)))
                self._tell_address(machine, interface.device_index)
                self._tell_srd()

    def detach(self, instance_id: str, *, device_index: int) -> None:
        """Takes an interface away."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None or machine.ending:
                return
            for one in [one for one in machine.spec.interfaces if one.device_index == device_index]:
                self._remove(machine, one)
            self._tell_srd()

    def stop(self, instance_id: str) -> None:
        """Begins to stop it, with its disk kept. Done when `is_gone`. One that is not up yet has nothing to keep: it ends."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None or machine.stopped:
                return
            if not machine.up or machine.channel is None:
                self.terminate(instance_id)
                return
            machine.up, machine.booted = False, False
            self._tell_srd()
            _tell(machine.channel, PowerOff())

    def terminate(self, instance_id: str) -> None:
        """Begins to end it. Done when `is_gone`."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is not None:
                machine.ending = True
                _hang_up(machine.channel)

    def is_gone(self, instance_id: str) -> bool:
        """Whether nothing of it is left, except possibly its disk."""
        machine = self._machines.get(instance_id)
        return machine is None or machine.gone or (machine.stopped and not machine.ending)

    def has_shut_down(self, instance_id: str) -> bool:
        """Whether its operating system shut itself down, not the API; False for an unknown id."""
        machine = self._machines.get(instance_id)
        return machine is not None and machine.has_shut_down

    def console(self, instance_id: str) -> str:
        """The text that the machine has printed to its console; empty before it has booted."""
        machine = self._machines.get(instance_id)
        return machine.console if machine else ""

    def agent_starts(self, instance_id: str) -> int:
        """The number of starts of Systems Manager's agent on the machine."""
        machine = self._machines.get(instance_id)
        return machine.agent_starts if machine else 1

    def run_script(self, instance_id: str, script_id: str, *, script: str, timeout_s: int) -> None:
        """Begins to run it in the machine, as its agent of Systems Manager would. One that has ended never answers."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is not None and machine.channel is not None:
                _tell(machine.channel, RunScript(script_id=script_id, script=script, timeout_s=timeout_s))

    def script_result(self, instance_id: str, script_id: str) -> ScriptResult | None:
        """The result of the script; None while it runs."""
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
        """The whole life cycle of one machine, on its own thread."""
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
        self._expect(machine, Born)
        self._wire(machine)
        _tell(near, self._boot_order(machine.spec))
        machine.console = self._expect(machine, Ready).console
        with self._lock:
            self._has_booted(machine)
            _tell(near, RunUserData())
        self._expect(machine, Up)
        machine.up = True

    def _has_booted(self, machine: Machine) -> None:
        machine.booted = True
        for device_index in list(machine.public_ips):
            self._tell_address(machine, device_index)
        machine.told_srd.clear()
        self._tell_srd()

    def _start_again(self, machine: Machine, spec: MachineSpec) -> None:
        """Lets a machine run that has stopped, with the interfaces that it has now."""
        assert machine.channel is not None
        for one in machine.spec.interfaces:
            if one.eni_id not in {other.eni_id for other in spec.interfaces}:
                self._remove(machine, one)
        for one in spec.interfaces:
            if one.eni_id not in {other.eni_id for other in machine.spec.interfaces}:
                self._add(machine, one)
        machine.spec, machine.stopped, machine.console = spec, False, ""
        machine.srd = {one.device_index: MachineSrd(srd=one.srd, udp=one.udp) for one in spec.interfaces}
        machine.public_ips = {one.device_index: one.public_ip for one in spec.interfaces if one.public_ip}
        _tell(machine.channel, PowerOn(interfaces=boot_order(spec, ssh_port=self.ssh_port).interfaces))

    def _add(self, machine: Machine, one: MachineInterface) -> None:
        """Plugs an interface in where there is none yet."""
        try:
            self._plug(machine, one)
        except MachineError as error:
            machine.failure = str(error)
            return
        machine.spec = replace(machine.spec, interfaces=(*machine.spec.interfaces, one))
        machine.srd[one.device_index] = MachineSrd(srd=one.srd, udp=one.udp)
        if one.public_ip is not None:
            machine.public_ips[one.device_index] = one.public_ip

    def _remove(self, machine: Machine, one: MachineInterface) -> None:
        """Takes an interface away, and its address."""
        if machine.public_ips.pop(one.device_index, None) is not None and machine.booted:
            self._tell_address(machine, one.device_index)
        left = tuple(other for other in machine.spec.interfaces if other.device_index != one.device_index)
        machine.spec = replace(machine.spec, interfaces=left)
        machine.srd.pop(one.device_index, None)
        machine.told_srd.pop(interface_name(one), None)
        if machine.channel is not None:
            _tell(machine.channel, Detach(interface=interface_name(one)))
        with contextlib.suppress(MachineError):  # somebody in the machine may have removed it already
            self._unplug(machine, one)

    def _listen_to(self, machine: Machine) -> None:
        """Takes down what becomes of it, until it ends. Raises MachineError when nobody asked for that."""
        assert machine.channel is not None
        machine.channel.settimeout(None)
        while isinstance(report := _hear(machine.channel), ScriptEnded | AgentStarted | PoweredOff | Ready | Up):
            with self._lock:
                self._take_down(machine, report)
        if isinstance(report, ShutDown):
            machine.has_shut_down = True
        elif not machine.ending:
            raise MachineError(f"the machine ended by itself: {_reason(report) or self._log(machine)}")

    def _take_down(self, machine: Machine, report: ScriptEnded | AgentStarted | PoweredOff | Ready | Up) -> None:
        from enaxp.local.strict.machines import ScriptResult

        match report:
            case AgentStarted():
                machine.agent_starts += 1
            case PoweredOff():
                machine.stopped = True
            case Ready():
                self._has_booted(machine)
            case Up():
                machine.up = True
            case ScriptEnded():
                result = ScriptResult(code=report.code, stdout=report.stdout, stderr=report.stderr)
                machine.scripts[report.script_id] = result

    def _expect(self, machine: Machine, wanted: type[_R]) -> _R:
        """Waits for this report and gives it back. Raises MachineError when another one comes, or none."""
        assert machine.channel is not None
        state = wanted.__name__.lower()
        try:
            report = _hear(machine.channel)
        except TimeoutError as error:
            raise MachineError(f"no word after {BORN_S:.0f} s, waiting for {state!r}: {self._log(machine)}") from error
        if not isinstance(report, wanted):
            raise MachineError(_reason(report) or f"the machine ended before it was {state}: {self._log(machine)}")
        return report

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
            _tell(machine.channel, StopListening(device_index=device_index))
            return
        try:
            listener = socket.create_server((address, self.ssh_port), backlog=64)
        except OSError as error:
            machine.failure = f"cannot listen on {address}, port {self.ssh_port}: {error.strerror}"
            return
        with listener:
            _tell(machine.channel, Listen(device_index=device_index), listener)

    def _tell_srd(self) -> None:
        """Tells each machine what has changed for it: its own setting, and whether another machine's interface has SRD on."""
        running = [machine for machine in self._machines.values() if machine.booted and not machine.ending]
        ends = [
            SrdEnd(interface=one, srd=machine.srd[one.device_index], zone=machine.spec.availability_zone)
            for machine in running
            for one in machine.spec.interfaces
        ]
        for machine in running:
            for one in machine.spec.interfaces:
                name, mode = interface_name(one), _mode(machine.srd[one.device_index])
                order = SetSrd(interface=name, mode=mode, carries=_carries(one, ends))
                if machine.told_srd.get(name) != order and machine.channel is not None:
                    machine.told_srd[name] = order
                    _tell(machine.channel, order)


def interface_name(one: MachineInterface) -> str:
    """As Amazon Linux names them: ens5 for the first."""
    return f"ens{5 + one.device_index}"


def gateway(subnet_cidr: str) -> str:
    """The router of a subnet: AWS gives it the first address."""
    return str(ipaddress.IPv4Network(subnet_cidr)[1])


def boot_order(
    spec: MachineSpec, *, ssh_port: int, distribution: Distribution | None = None, slot: int | None = None
) -> BootOrder:
    """The order that boots this machine. `distribution` and `slot` are of one kind of machine each."""
    return BootOrder(
        instance_id=spec.instance_id,
        public_key=spec.public_key,
        user_data=spec.user_data,
        interfaces=tuple(map(_boot_interface, sorted(spec.interfaces, key=lambda one: one.device_index))),
        user=distribution.user if distribution else None,
        distribution=distribution.name if distribution else None,
        ssh_port=ssh_port,
        slot=slot,
    )


def _boot_interface(one: MachineInterface) -> BootInterface:
    return BootInterface(
        name=interface_name(one),
        private_ip=one.private_ip,
        prefix=ipaddress.IPv4Network(one.subnet_cidr).prefixlen,
        gateway=gateway(one.subnet_cidr),
    )


def _mode(own: MachineSrd) -> int:
    """The value of `ena_srd_mode`: bit 0 SRD, bit 1 UDP."""
    return int(own.srd) + 2 * int(own.udp)


@dataclass(frozen=True, kw_only=True)
class SrdEnd:
    """An interface of a machine that runs, in a zone."""

    interface: MachineInterface
    srd: MachineSrd
    zone: str

    def reaches_by_srd(self, other: SrdEnd) -> bool:
        """Whether SRD could carry what goes from the one to the other: within a VPC, and between zones where the region has that."""
        if self.interface.eni_id == other.interface.eni_id or self.interface.vpc_id != other.interface.vpc_id:
            return False
        return self.zone == other.zone or not self.zone.startswith(WITHOUT_SRD_BETWEEN_ZONES)


def _carries(one: MachineInterface, ends: list[SrdEnd]) -> Carries:
    """The protocols that SRD carries between two interfaces: none unless both have it on, and UDP only if both have the UDP flag."""
    own = next(end for end in ends if end.interface.eni_id == one.eni_id)
    others = [other.srd for other in ends if own.reaches_by_srd(other) and other.srd.srd]
    if not own.srd.srd or not others:
        return "nothing"
    return "all" if own.srd.udp and any(srd.udp for srd in others) else "tcp"


def _tell(channel: socket.socket, order: Order, *sockets: socket.socket) -> None:
    """Sends an order. A machine that does not take it has ended, or will be: the thread of that machine deals with it."""
    with contextlib.suppress(OSError):
        numbers = [one.fileno() for one in sockets]
        socket.send_fds(channel, [encode(order)], numbers, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def _hear(channel: socket.socket) -> Report | None:
    """The next report; None at the end of the stream. Raises TimeoutError."""
    try:
        data = channel.recv(MESSAGE_BYTES)
    except ConnectionError:
        return None
    return read_report(data) if data else None


def _reason(report: Report | None) -> str:
    return report.reason if isinstance(report, Failed) else ""


def _hang_up(channel: socket.socket | None) -> None:
    if channel is not None:
        with contextlib.suppress(OSError):
            channel.shutdown(socket.SHUT_RDWR)
