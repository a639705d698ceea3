"""How hosts of the local target are reached: the public addresses that the cloud hands out, the port, and the user.

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
    """The port on which hosts answer SSH: 22 where it can be had on an address of loopback, else one that is free."""
    if _can_listen(_some_address(), 22):
        return 22
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # free on every address at once; nothing listens on it
        return int(probe.getsockname()[1])


def ssh_user(isolation: str) -> str | None:
    """Who logs in where that does not follow from the image: as a plain process, sshd can only serve whoever runs it.

    Raises LocalTargetError when that one has no name.
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
    """A function that hands out another address of loopback at each call, on which nothing listens on `port`.

    It begins at a random one, so that two clouds on one computer hardly meet. Raises LocalTargetError when there are none left.
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
