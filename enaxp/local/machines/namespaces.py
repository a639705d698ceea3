"""Namespaces: a machine made of Linux namespaces for each EC2 instance, where this computer allows them.

    VPC     = a process in a network namespace with a bridge for each subnet: it routes between these, and there is no other way out
    machine = unshare(mount, net, pid, uts, ipc) ─▶ `inside/init.py` as pid 1, with one veth pair per ENI into that bridge

No namespace has a name and no link is made outside of them: all of it is held by processes alone, and ends with them.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.local.machines.fleet import Fleet, Machine, MachineError, boot_order, gateway, interface_name
from enaxp.local.machines.inside.distributions import distribution_of
from enaxp.local.machines.inside.messages import BootOrder

if TYPE_CHECKING:
    from enaxp.local.strict import MachineInterface, MachineSpec

MTU = 9001  # as Amazon Linux finds it in a VPC
COMMAND_S = 20.0

# Lives until its standard input ends, which is when the owner closes it or dies.
_VPC = """set -e
mount -t proc proc /proc
for knob in all default; do
  ipv6=/proc/sys/net/ipv6/conf/$knob/disable_ipv6
  [ ! -e $ipv6 ] || echo 1 > $ipv6
done
echo 1 > /proc/sys/net/ipv4/ip_forward
echo ready
read -r _ || true
"""


@dataclass
class _Vpc:
    """A running network namespace, and the machines on each of its subnets."""

    process: subprocess.Popen[str]
    subnets: dict[str, _Subnet] = field(default_factory=dict)


@dataclass
class _Subnet:
    """A bridge, and who is on it."""

    bridge: str
    users: set[str] = field(default_factory=set)


class NamespaceMachines(Fleet):
    """Each machine has network, mount, pid, uts and ipc namespaces of its own, and the real file system under an overlay."""

    def __init__(self, run_dir: Path, *, ssh_port: int) -> None:
        super().__init__(run_dir, ssh_port=ssh_port)
        self._vpcs: dict[str, _Vpc] = {}
        self._ports: dict[str, str] = {}  # interface → the end of its pair in the VPC
        self._numbers = itertools.count()

    def _start(self, machine: Machine, life_line: socket.socket) -> subprocess.Popen[bytes]:
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private"]
        program = [sys.executable, "-m", "enaxp.local.machines.inside.init", "namespaces", str(life_line.fileno())]
        with (machine.folder / "log").open("wb") as log:
            return subprocess.Popen(
                ["unshare", *spaces, *program, str(machine.folder.resolve())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[life_line.fileno()],
                start_new_session=True,
            )

    def _plug(self, machine: Machine, one: MachineInterface) -> None:
        assert machine.process is not None
        vpc, bridge = self._subnet(one, machine.spec.instance_id)
        # The pair is born with one end in the machine: nothing of it is ever seen on the computer itself.
        name = f"port{next(self._numbers)}"
        far = f"peer name {interface_name(one)} address {one.mac} mtu {MTU} netns {machine.process.pid}"
        lines = [f"link add {name} mtu {MTU} type veth {far}", f"link set {name} master {bridge} up"]
        _ip(vpc, lines, f"joining {interface_name(one)} ({one.mac}, {one.private_ip}) to {one.subnet_cidr}")
        self._ports[one.eni_id] = name

    def _unplug(self, machine: Machine, one: MachineInterface) -> None:
        vpc, name = self._vpcs.get(one.vpc_id), self._ports.pop(one.eni_id, None)
        if vpc is not None and name is not None:
            _ip(vpc, [f"link delete {name}"], f"taking {interface_name(one)} away")

    def _boot_order(self, spec: MachineSpec) -> BootOrder:
        return boot_order(spec, ssh_port=self.ssh_port, distribution=distribution_of(spec.image_name))

    def _tidy(self, machine: Machine) -> None:
        with self._lock:
            for vpc_id, vpc in list(self._vpcs.items()):
                for subnet_id, subnet in list(vpc.subnets.items()):
                    subnet.users.discard(machine.spec.instance_id)
                    if not subnet.users:
                        del vpc.subnets[subnet_id]
                        if vpc.subnets:  # the addresses may come again, in another subnet
                            with contextlib.suppress(MachineError):
                                _ip(vpc, [f"link delete {subnet.bridge}"], f"removing {subnet.bridge}")
                if not vpc.subnets:
                    _end(self._vpcs.pop(vpc_id))

    def _subnet(self, one: MachineInterface, instance_id: str) -> tuple[_Vpc, str]:
        """The VPC of an interface and the bridge of its subnet; made for the first machine in it."""
        with self._lock:
            vpc = self._vpcs.get(one.vpc_id)
            if vpc is None:
                vpc = self._vpcs[one.vpc_id] = _Vpc(process=_start_vpc(one.vpc_id))
            subnet = vpc.subnets.get(one.subnet_id)
            if subnet is None:
                subnet = vpc.subnets[one.subnet_id] = _Subnet(bridge=f"subnet{next(self._numbers)}")
                subnet.users.add(instance_id)
                prefix = one.subnet_cidr.partition("/")[2]
                lines = [
                    f"link add {subnet.bridge} mtu {MTU} type bridge forward_delay 0 stp_state 0",
                    f"address add {gateway(one.subnet_cidr)}/{prefix} dev {subnet.bridge}",
                    f"link set {subnet.bridge} up",
                ]
                _ip(vpc, lines, f"making the subnet {one.subnet_cidr}")
            subnet.users.add(instance_id)
            return vpc, subnet.bridge


def _start_vpc(vpc_id: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        ["unshare", "--mount", "--net", "sh", "-c", _VPC],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    if said != "ready\n":
        process.kill()
        process.wait()
        raise MachineError(f"the network of {vpc_id} did not start: {said.strip()}")
    return process


def _end(vpc: _Vpc) -> None:
    vpc.process.kill()
    vpc.process.communicate()


def _ip(vpc: _Vpc, lines: Sequence[str], what: str) -> None:
    """Has `ip` carry out these lines in the VPC. Raises MachineError with what it said."""
    command = ["nsenter", "--net", "--target", str(vpc.process.pid), "ip", "-batch", "-"]
    given = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if done.returncode != 0:
        raise MachineError(f"{what} failed: {done.stderr.strip()}")
