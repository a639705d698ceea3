"""Isolation: which isolation of hosts this computer supports.

    choose_isolation() ─▶ Isolation ─▶ NamespaceMachines (real small machines) or ProcessMachines (process groups with folders)

The two kinds of `Machines` live in `namespaces.py` and `processes.py`; what runs inside of a machine is in `inside/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from enaxp.errors import LocalTargetError
from enaxp.local.machines import IsolationName
from enaxp.local.machines.access import ssh_user
from enaxp.local.machines.programs import FOR_ALL, FOR_NAMESPACES, SOFTWARE, missing_programs, require_programs

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
    """The isolation of hosts on this computer, and the reason in words."""

    name: IsolationName
    reason: str


def probe_isolation() -> Isolation:
    """The strongest isolation that this computer supports, determined by trying. Changes nothing on it."""
    lacking = _why_no_namespaces()
    if lacking:
        return Isolation(name="processes", reason=lacking)
    return Isolation(name="namespaces", reason="this computer allows network and mount namespaces")


def choose_isolation(asked: str) -> Isolation:
    """The requested isolation, or for `auto` the best that is supported.

    Raises LocalTargetError when a program is missing, with the command that adds it, or when what was asked for does not work here.
    """
    if asked not in {"auto", "namespaces", "processes"}:
        raise LocalTargetError(f"no such isolation: {asked}", todo="use auto, namespaces or processes")
    if sys.platform != "linux":
        raise LocalTargetError("the local target needs Linux", said=f"this is {sys.platform}", todo="use --target aws")
    require_programs(FOR_ALL)
    found = Isolation(name="processes", reason="asked for") if asked == "processes" else probe_isolation()
    if asked == "namespaces":
        require_programs(FOR_NAMESPACES)
        if found.name != "namespaces":
            raise LocalTargetError(
                "hosts in namespaces do not work here",
                said=found.reason,
                todo="run it as root (sudo), in a container with --privileged, or use --isolation processes",
            )
    if found.name == "namespaces":
        require_programs(SOFTWARE)
    ssh_user(found.name)  # raises if no user could log in
    return found


def _why_no_namespaces() -> str | None:
    if os.geteuid() != 0:
        return "namespaces need root (run it with sudo)"
    missing = missing_programs(FOR_NAMESPACES)
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
