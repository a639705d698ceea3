"""Access: the public addresses, SSH port and user of the local target's hosts.

public_addresses() ─▶ 127.x.y.z, one for each Elastic IP, where ssh_port() can be listened on
"""

from __future__ import annotations

import os
import pwd
import random
import socket
from collections.abc import Callable, Iterator

from enaxp.errors import LocalTargetError


def ssh_port() -> int:
    """The SSH port of the hosts: 22 if it can be bound on a loopback address, else a free port."""
    if _can_listen(_some_address(), 22):
        return 22
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # free on every address at once; nothing listens on it
        return int(probe.getsockname()[1])


def ssh_user(isolation: str) -> str | None:
    """The login user where it does not follow from the image: in a plain process, sshd can only serve the user who runs it.

    Raises LocalTargetError if that user has no name.
    """
    if isolation == "namespaces":
        return None
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        todo = "add an entry to /etc/passwd, or run it as a user who has one"
        raise LocalTargetError(
            f"user {os.geteuid()} has no entry in /etc/passwd, and sshd needs one", todo=todo
        ) from None


def public_addresses(port: int) -> Callable[[], str]:
    """A function that returns a new loopback address at each call, on which nothing listens on `port`.

    It begins at a random one, so that two clouds on one computer are unlikely to collide. Raises LocalTargetError when none is left.
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
    """The address of this number (below 2²⁰) in 127.16.0.0/12: above what people use by hand, below what `processes.py` uses."""
    return f"127.{16 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"


def _can_listen(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return False
    return True
