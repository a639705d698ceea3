"""Messages: the protocol between the fleet and the first process of a machine: JSON over a message socket.

    fleet (owner) ── Order ──▶ inside/init.py         fleet ◀── Report ── inside/init.py

A message is a frozen msgspec Struct: unlike a dataclass it carries its own tag, so that one decoder reads all of a direction. Every
machine imports this module at its start, so it holds nothing else.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MESSAGE_BYTES = 256 * 1024  # the longest message

# Which of the packets of an interface SRD carries.
Carries = Literal["nothing", "tcp", "all"]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Its JSON has the name of its class in `kind`."""


# -- orders ----------------------------------------------------------------------------------------------------------------


class BootInterface(msgspec.Struct, frozen=True, kw_only=True):
    """An interface of the machine. `prefix`: the length of its subnet's; `gateway`: the subnet's router."""

    name: str
    private_ip: str
    prefix: int
    gateway: str


class BootOrder(_Message, frozen=True, kw_only=True):
    """Set the machine up. The interfaces are in the order of their device index."""

    instance_id: str
    public_key: str
    user_data: str
    interfaces: tuple[BootInterface, ...]
    user: str | None  # who logs in; None where only the owner of the process can
    distribution: str | None  # one of `distributions.py`; None where a machine shares this computer's files
    ssh_port: int
    slot: int | None  # the second number of the machine's addresses on this computer; None where it has interfaces


class RunUserData(_Message, frozen=True, kw_only=True):
    """Begin to run what `BootOrder` brought."""


class Listen(_Message, frozen=True, kw_only=True):
    """Answer SSH on the socket that comes with this message, for the public address of an interface."""

    device_index: int


class StopListening(_Message, frozen=True, kw_only=True):
    """The interface has no public address any more."""

    device_index: int


class SetSrd(_Message, frozen=True, kw_only=True):
    """ENA Express of an interface. `mode` as in `ena_srd_mode`: bit 0 SRD, bit 1 its use for UDP."""

    interface: str
    mode: int
    carries: Carries


class Attach(_Message, frozen=True, kw_only=True):
    """An interface has been plugged in while the machine runs: what its system does then begins."""

    interface: BootInterface


class Detach(_Message, frozen=True, kw_only=True):
    """This interface is about to be taken away."""

    interface: str


class PowerOff(_Message, frozen=True, kw_only=True):
    """End everything in the machine but keep its disk, until `PowerOn`. Answered by `PoweredOff`."""


class PowerOn(_Message, frozen=True, kw_only=True):
    """Start again with these interfaces. Answered by `Ready` and `Up`."""

    interfaces: tuple[BootInterface, ...]


class RunScript(_Message, frozen=True, kw_only=True):
    """Run a script, as the agent of Systems Manager does. Answered by `ScriptEnded`."""

    script_id: str
    script: str
    timeout_s: int


Order = BootOrder | RunUserData | Listen | StopListening | SetSrd | Attach | Detach | PowerOff | PowerOn | RunScript


# -- reports ---------------------------------------------------------------------------------------------------------------


class Born(_Message, frozen=True, kw_only=True):
    """The first process runs, and its namespaces are there."""


class Ready(_Message, frozen=True, kw_only=True):
    """What `BootOrder` asked for is done. console: what the host prints to its console."""

    console: str = ""


class Up(_Message, frozen=True, kw_only=True):
    """SSH answers."""


class ScriptEnded(_Message, frozen=True, kw_only=True):
    """The result of a script: its exit code, and the beginning of its output."""

    script_id: str
    code: int
    stdout: str
    stderr: str


class AgentStarted(_Message, frozen=True, kw_only=True):
    """The agent of Systems Manager was started once more."""


class PoweredOff(_Message, frozen=True, kw_only=True):
    """Nothing runs in the machine any more; its disk is kept."""


class ShutDown(_Message, frozen=True, kw_only=True):
    """The machine was shut down from inside, and ends."""


class Failed(_Message, frozen=True, kw_only=True):
    """The machine ends because of this."""

    reason: str


Report = Born | Ready | Up | ScriptEnded | AgentStarted | PoweredOff | ShutDown | Failed

encode = msgspec.json.encode
# Made here, once: later on a machine may no longer see the folder that msgspec would import something from.
_orders, _reports = msgspec.json.Decoder(Order), msgspec.json.Decoder(Report)


def read_order(data: bytes) -> Order:
    """Raises msgspec.ValidationError for what is none."""
    order: Order = _orders.decode(data)
    return order


def read_report(data: bytes) -> Report:
    """Raises msgspec.ValidationError for what is none."""
    report: Report = _reports.decode(data)
    return report
