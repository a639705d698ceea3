"""Hosts of the local target: which kind of machine this computer allows, and the addresses at which they are reached.

    choose_isolation() ─▶ Isolation ─▶ NamespaceMachines (real small machines) or ProcessMachines (process groups with folders)
    public_addresses() ─▶ 127.x.y.z, one for each Elastic IP, where ssh_port() can be listened on

The two kinds of `Machines` live in `namespaces.py` and `processes.py`; what runs inside of a machine is in `inside/`.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from enaxp.errors import LocalTargetError
from enaxp.local.machines.namespaces import SSH_USER, NamespaceMachines
from enaxp.local.machines.processes import ProcessMachines

__all__ = [
    "Isolation",
    "NamespaceMachines",
    "ProcessMachines",
    "choose_isolation",
    "missing_programs",
    "probe_isolation",
    "public_addresses",
    "ssh_port",
    "ssh_user",
]

# program → the package of Debian and Ubuntu, and that of Amazon Linux and Fedora
_FOR_ALL = {
    "sockperf": ("sockperf", "sockperf"),
    "sshd": ("openssh-server", "openssh-server"),
    "bash": ("bash", "bash"),
}
_FOR_NAMESPACES = {
    "ip": ("iproute2", "iproute"),
    "unshare": ("util-linux", "util-linux"),
    "nsenter": ("util-linux", "util-linux"),
    "pivot_root": ("util-linux", "util-linux"),
    "sysctl": ("procps", "procps-ng"),
}
# What the scripts of `templates/software/` install on a real host: a small machine reaches no repository.
_SOFTWARE = {
    "ethtool": ("ethtool", "ethtool"),
    "htop": ("htop", "htop"),
    "prometheus-node-exporter": ("prometheus-node-exporter", "node-exporter"),
}
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

# Does once, in namespaces that end with it, everything that a machine and its subnet need.
_PROBE = """set -e
ip link add probe-br type bridge
ip link add probe-a mtu 9001 type veth peer name probe-b
mount -t tmpfs probe "$1"
cd "$1"
mkdir upper work root
mount -t overlay probe -o lowerdir=/,upperdir=upper,workdir=work root
mount -t proc proc root/proc
mount -t sysfs sysfs root/sys
mount -t devpts -o newinstance devpts root/mnt
test -w root/proc/sys/net/ipv4/ip_forward
"""


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """How far hosts are kept apart here, and why so, in words for a person."""

    name: Literal["namespaces", "processes"]
    reason: str


def probe_isolation() -> Isolation:
    """The best that this computer allows, by trying it. Changes nothing on it."""
    lacking = _why_no_namespaces()
    if lacking:
        return Isolation(name="processes", reason=lacking)
    return Isolation(name="namespaces", reason="this computer allows network and mount namespaces")


def choose_isolation(asked: str) -> Isolation:
    """What was asked for, or the best there is for `auto`.

    Raises LocalTargetError when a program is missing, with the command that adds it, or when what was asked for does not work here.
    """
    if asked not in {"auto", "namespaces", "processes"}:
        raise LocalTargetError(f"no such isolation: {asked}", todo="use auto, namespaces or processes")
    if sys.platform != "linux":
        raise LocalTargetError("the local target needs Linux", said=f"this is {sys.platform}", todo="use --target aws")
    _check_programs(_FOR_ALL)
    found = Isolation(name="processes", reason="asked for") if asked == "processes" else probe_isolation()
    if asked == "namespaces":
        _check_programs(_FOR_NAMESPACES)
        if found.name != "namespaces":
            raise LocalTargetError(
                "hosts in namespaces do not work here",
                said=found.reason,
                todo="run it as root (sudo), in a container with --privileged, or use --isolation processes",
            )
    if found.name == "namespaces":
        _check_programs(_SOFTWARE)
    ssh_user(found.name)
    return found


def missing_programs() -> list[tuple[str, str]]:
    """Programs that the local target uses and that are not here, each with the package that has it."""
    return _missing({**_FOR_ALL, **_FOR_NAMESPACES, **_SOFTWARE})


def ssh_port() -> int:
    """The port on which hosts answer SSH: 22 where it can be had on an address of loopback, else one that is free."""
    if _can_listen(_some_address(), 22):
        return 22
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # free on every address at once; nothing listens on it
        return int(probe.getsockname()[1])


def ssh_user(isolation: str) -> str:
    """Who logs in: the user of Amazon Linux in namespaces; as a plain process, sshd can only serve whoever runs it.

    Raises LocalTargetError when that one has no name.
    """
    if isolation == "namespaces":
        return SSH_USER
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        todo = "add an entry to /etc/passwd, or run it as a user who has one"
        raise LocalTargetError(
            f"user {os.geteuid()} has no name here, and sshd serves only who has", todo=todo
        ) from None


def public_addresses(port: int) -> Callable[[], str]:
    """Hands out an address of loopback at each call, on which `port` can be listened on right now.

    It begins anywhere, so that two clouds on one computer do not meet. Raises LocalTargetError when there are none left.
    """
    addresses = _free_addresses(port)

    def next_address() -> str:
        return next(addresses)

    return next_address


def _free_addresses(port: int) -> Iterator[str]:
    first = random.randrange(1 << 20)
    for step in range(1 << 16):
        address = _address((first + step) % (1 << 20))
        if not address.endswith((".0", ".255")) and _can_listen(address, port):
            yield address
    raise LocalTargetError(f"no address of 127.16.0.0/12 is left on which port {port} can be listened on")


def _some_address() -> str:
    return _address(random.randrange(1 << 20) | 1)


def _address(number: int) -> str:
    """Of 127.16.0.0/12: above what people use by hand, below what stands for private addresses in process mode."""
    return f"127.{16 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"


def _can_listen(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _why_no_namespaces() -> str | None:
    if os.geteuid() != 0:
        return "namespaces need root (run it with sudo)"
    missing = _missing(_FOR_NAMESPACES)
    if missing:
        return f"namespaces need {', '.join(program for program, _ in missing)}"
    command = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "sh", "-c", _PROBE]
    try:
        done = subprocess.run(
            [*command, "probe", tempfile.gettempdir()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"namespaces cannot be made: {error}"
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return f"namespaces cannot be made: {said[-1] if said else f'exit {done.returncode}'}"


def _check_programs(programs: dict[str, tuple[str, str]]) -> None:
    missing = _missing(programs)
    if missing:
        packages = " ".join(sorted({package for _, package in missing}))
        installer = "dnf install" if shutil.which("dnf") and not shutil.which("apt-get") else "apt-get install"
        raise LocalTargetError(
            f"the local target needs {', '.join(program for program, _ in missing)}, not found on this computer",
            todo=f"{'' if os.geteuid() == 0 else 'sudo '}{installer} {packages}",
        )


def _missing(programs: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    which_package = 1 if shutil.which("dnf") and not shutil.which("apt-get") else 0
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    return [
        (program, packages[which_package])
        for program, packages in programs.items()
        if shutil.which(program, path=path) is None
    ]
