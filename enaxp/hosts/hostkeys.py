"""Host keys: the SSH host keys that AWS reports for a host, and their file in the state folder. Pure except for the file.

    console text ─▶ keys_on_console ─▶ keys ─▶ write_told ─▶ known_hosts of the instance ─▶ told_keys ─▶ connection.py, ssh

A host prints its public keys to the console at first boot, and only AWS and the host write to the console: a machine that answers at its
address with another key is not that host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from enaxp.errors import HostKeyError
from enaxp.files import read_capped, write_whole

BEGIN, END = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"
# A file with this first line has keys that AWS reported; other files have keys accepted at a first contact.
TOLD = "# told by AWS, compared before anything is sent"
MOST_BYTES = 1 << 16
_BLOCK = re.compile(rf"^{BEGIN}$(.*?)^{END}$", re.MULTILINE | re.DOTALL)
_KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}) ([A-Za-z0-9+/]{40,2000}={0,3})(?: [^\n]{0,200})?")


def keys_on_console(text: str) -> tuple[str, ...]:
    """The public keys, each as `TYPE BASE64`, that a host printed at first boot; none if the console has no complete block of them (or no
    longer has it).

    Raises HostKeyError when two blocks differ: then it is unknown which is right.
    """
    blocks = [
        frozenset(" ".join(found.groups()) for line in block.splitlines() if (found := _KEY.fullmatch(line.strip())))
        for block in _BLOCK.findall(text.replace("\r", ""))
    ]
    told = {block for block in blocks if block}
    if len(told) > 1:
        raise HostKeyError(
            "the host's console shows two sets of host keys, which are not the same",
            todo="somebody may have written to it: replace the host (`enaxp down compute`, `enaxp up`)",
        )
    return tuple(sorted(told.pop())) if told else ()


def write_told(path: Path, keys: Iterable[str]) -> None:
    """Replaces the host's stored keys with those that AWS reported. They are valid for every address of the host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{line}\n" for line in (TOLD, *(f"* {key}" for key in keys))).encode())


def told_keys(path: Path) -> frozenset[str]:
    """The keys in this file that AWS reported; none if it reported none."""
    try:
        first, *lines = read_capped(path, most_bytes=MOST_BYTES).decode(errors="replace").splitlines() or [""]
    except (OSError, ValueError):
        return frozenset()
    return frozenset(line.removeprefix("* ") for line in lines) if first == TOLD else frozenset()


def learned_keys(path: Path) -> frozenset[str]:
    """The keys in this file that were accepted at an unverified first contact."""
    try:
        lines = read_capped(path, most_bytes=MOST_BYTES).decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return frozenset()
    if lines[:1] == [TOLD]:
        return frozenset()
    return frozenset(" ".join(words[1:3]) for line in lines if len(words := line.split()) >= 3)
