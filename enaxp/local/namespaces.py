"""Machines made of namespaces: what an EC2 instance becomes where this computer allows it.

    subnet  = a process in a network namespace with a bridge: its router's address answers ARP, nothing is forwarded
    machine = unshare(mount, net, pid, uts, ipc) ─▶ `machine.py` as pid 1, with one veth pair per ENI into that bridge

No namespace has a name and no link is made outside of them: all of it is held by processes alone, and ends with them.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enaxp.local.fleet import Fleet, Machine, MachineError, gateway, interface_name

if TYPE_CHECKING:
    from enaxp.local.strict import MachineInterface

SSH_USER = "ec2-user"
MTU = 9001  # as Amazon Linux finds it in a VPC
COMMAND_S = 20.0

# Lives until its standard input ends, which is when the owner closes it or dies.
_SUBNET = """set -e
for knob in all default; do
  ipv6=/proc/sys/net/ipv6/conf/$knob/disable_ipv6
  [ ! -e $ipv6 ] || echo 1 > $ipv6
done
echo 0 > /proc/sys/net/ipv4/ip_forward
ip link add subnet mtu {mtu} type bridge forward_delay 0 stp_state 0
ip address add {gateway}/{prefix} dev subnet
ip link set subnet up
echo ready
read -r _ || true
"""


@dataclass
class _Subnet:
    """A running bridge, and who is on it."""

    process: subprocess.Popen[str]
    users: set[str] = field(default_factory=set)


class NamespaceMachines(Fleet):
    """Each machine has network, mount, pid, uts and ipc namespaces of its own, and the real file system under an overlay."""

    def __init__(self, run_dir: Path, *, ssh_port: int) -> None:
        super().__init__(run_dir, ssh_port=ssh_port)
        self._subnets: dict[str, _Subnet] = {}
        self._ports = itertools.count()

    def _start(self, machine: Machine, life_line: socket.socket) -> subprocess.Popen[bytes]:
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private"]
        program = [sys.executable, "-m", "enaxp.local.machine", "namespaces", str(life_line.fileno())]
        with (machine.folder / "log").open("wb") as log:
            return subprocess.Popen(
                ["unshare", *spaces, *program, str(machine.folder.resolve())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[life_line.fileno()],
                start_new_session=True,
            )

    def _wire(self, machine: Machine) -> None:
        assert machine.process is not None
        for one in sorted(machine.spec.interfaces, key=lambda one: one.device_index):
            subnet = self._subnet(one, machine.spec.instance_id)
            # The pair is born with one end in the machine: nothing of it is ever seen on the computer itself.
            name = f"port{next(self._ports)}"
            far = f"peer name {interface_name(one)} address {one.mac} mtu {MTU} netns {machine.process.pid}"
            batch = f"link add {name} mtu {MTU} type veth {far}\nlink set {name} master subnet up\n"
            command = ["nsenter", "--net", "--target", str(subnet.process.pid), "ip", "-batch", "-"]
            _run(command, batch, f"joining {interface_name(one)} ({one.mac}, {one.private_ip}) to {one.subnet_cidr}")

    def _orders(self, machine: Machine) -> dict[str, Any]:
        return {"user": SSH_USER}

    def _tidy(self, machine: Machine) -> None:
        with self._lock:
            for key, subnet in list(self._subnets.items()):
                subnet.users.discard(machine.spec.instance_id)
                if not subnet.users:
                    _end(self._subnets.pop(key))

    def _subnet(self, one: MachineInterface, instance_id: str) -> _Subnet:
        """The running subnet of an interface; started for the first machine in it."""
        with self._lock:
            subnet = self._subnets.get(one.subnet_id)
            if subnet is None:
                subnet = self._subnets[one.subnet_id] = _Subnet(process=_start_subnet(one.subnet_cidr))
            subnet.users.add(instance_id)
            return subnet


def _start_subnet(cidr: str) -> subprocess.Popen[str]:
    script = _SUBNET.format(mtu=MTU, gateway=gateway(cidr), prefix=cidr.partition("/")[2])
    process = subprocess.Popen(
        ["unshare", "--mount", "--net", "sh", "-c", f"mount -t proc proc /proc\n{script}"],
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
        raise MachineError(f"the subnet {cidr} did not start: {said.strip()}")
    return process


def _end(subnet: _Subnet) -> None:
    subnet.process.kill()
    subnet.process.communicate()


def _run(command: list[str], given: str, what: str) -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    if done.returncode != 0:
        raise MachineError(f"{what} failed: {done.stderr.strip()}")
