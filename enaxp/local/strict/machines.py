"""What instances become: the protocol between the strict AWS and whoever makes hosts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class MachineInterface:
    """One interface of a machine. public_ip: the Elastic IP that is associated with it, or the address that AWS assigned to it."""

    device_index: int
    eni_id: str
    mac: str
    private_ip: str
    subnet_id: str
    subnet_cidr: str
    vpc_id: str
    public_ip: str | None
    srd: bool
    udp: bool


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """The machine that RunInstances requested. public_key is the key pair's OpenSSH line; user_data is decoded.

    image_name: tells the distribution, and so who logs in.
    """

    instance_id: str
    image_id: str
    image_name: str
    instance_type: str
    user_data: str
    key_name: str
    public_key: str
    interfaces: tuple[MachineInterface, ...]
    availability_zone: str


@dataclass(frozen=True, kw_only=True)
class ScriptResult:
    """The result of a script: its exit code (124: it exceeded its time limit), and the beginning of its output."""

    code: int
    stdout: str
    stderr: str


class Machines(Protocol):
    """Calls may come from any thread and return at once."""

    def launch(self, machine: MachineSpec) -> None:
        """RunInstances accepted it, or StartInstances one that had stopped: it then has the interfaces and addresses of this spec, and
        the disk that it had."""

    def is_up(self, instance_id: str) -> bool:
        """Whether the machine has started; only then does the instance become `running`."""

    def failure(self, instance_id: str) -> str | None:
        """Why the machine cannot start, upon which the instance is terminated; None if it has not failed."""

    def set_srd(self, instance_id: str, *, device_index: int, srd: bool, udp: bool) -> None:
        """Called when ENA Express (`srd`), or ENA Express for UDP (`udp`), was set on an attachment."""

    def set_public_ip(self, instance_id: str, *, device_index: int, public_ip: str | None) -> None:
        """Called when an Elastic IP was associated with the interface (`public_ip`) or disassociated (None) after launch."""

    def attach(self, instance_id: str, interface: MachineInterface) -> None:
        """Called when an interface was attached: to an instance that runs, whose system then finds it, or to one that has stopped."""

    def detach(self, instance_id: str, *, device_index: int) -> None:
        """Called when an interface was detached."""

    def stop(self, instance_id: str) -> None:
        """Begins to stop the machine. What is on its disk stays until `terminate`; `launch` lets it run again."""

    def terminate(self, instance_id: str) -> None:
        """Begins to terminate the machine."""

    def is_gone(self, instance_id: str) -> bool:
        """Whether the machine has ended; only then does the instance become `terminated`, or `stopped`."""

    def has_shut_down(self, instance_id: str) -> bool:
        """Whether its operating system shut itself down, not the API."""

    def console(self, instance_id: str) -> str:
        """The text that it has printed to its console; empty at first."""

    def agent_starts(self, instance_id: str) -> int:
        """The number of starts of Systems Manager's agent there; 1 if it started with its host only."""

    def run_script(self, instance_id: str, script_id: str, *, script: str, timeout_s: int) -> None:
        """Begins to run a script as root, as Systems Manager's agent does; it is killed after `timeout_s` seconds."""

    def script_result(self, instance_id: str, script_id: str) -> ScriptResult | None:
        """The result of a script; None while it runs."""


class NoMachines:
    """Instances without hosts, for tests of the API alone: up and gone at once."""

    def launch(self, machine: MachineSpec) -> None:
        """Does nothing: these instances have no machine behind them."""

    def is_up(self, instance_id: str) -> bool:
        return True

    def failure(self, instance_id: str) -> str | None:
        return None

    def set_srd(self, instance_id: str, *, device_index: int, srd: bool, udp: bool) -> None:
        """Does nothing: these instances have no machine behind them."""

    def set_public_ip(self, instance_id: str, *, device_index: int, public_ip: str | None) -> None:
        """Does nothing: these instances have no machine behind them."""

    def attach(self, instance_id: str, interface: MachineInterface) -> None:
        """Does nothing: these instances have no machine behind them."""

    def detach(self, instance_id: str, *, device_index: int) -> None:
        """Does nothing: these instances have no machine behind them."""

    def stop(self, instance_id: str) -> None:
        """Does nothing: these instances have no machine behind them."""

    def terminate(self, instance_id: str) -> None:
        """Does nothing: these instances have no machine behind them."""

    def is_gone(self, instance_id: str) -> bool:
        return True

    def has_shut_down(self, instance_id: str) -> bool:
        return False

    def console(self, instance_id: str) -> str:
        return ""

    def agent_starts(self, instance_id: str) -> int:
        return 1

    def run_script(self, instance_id: str, script_id: str, *, script: str, timeout_s: int) -> None:
        """Does nothing: these instances have no machine behind them."""

    def script_result(self, instance_id: str, script_id: str) -> ScriptResult | None:
        return ScriptResult(code=0, stdout="", stderr="")
