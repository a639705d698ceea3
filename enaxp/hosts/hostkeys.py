"""Host keys: which ones AWS tells of a host, and what of that lies in the state folder. Pure but for the file.

    console text ─▶ keys_on_console ─▶ keys ─▶ write_told ─▶ known_hosts of the instance ─▶ told_keys ─▶ connection.py, ssh

A host's own first boot prints its public keys to the console, which nobody but AWS and the host writes to: what answers at its address
with another key is not that host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from enaxp.errors import HostKeyError
from enaxp.files import read_capped, write_whole

BEGIN, END = "-----BEGIN SSH HOST KEY KEYS-----", "-----END SSH HOST KEY KEYS-----"
# A file that begins so holds what AWS told; one that does not, what was learned at a first contact.
TOLD = "# told by AWS, compared before anything is sent"
MOST_BYTES = 1 << 16
_BLOCK = re.compile(rf"^{BEGIN}$(.*?)^{END}$", re.MULTILINE | re.DOTALL)
_KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}) ([A-Za-z0-9+/]{40,2000}={0,3})(?: [^\n]{0,200})?")


def keys_on_console(text: str) -> tuple[str, ...]:
    """The public keys, `TYPE BASE64` each, that a host's first boot printed; none where no whole block of them is there (any more).

    Raises HostKeyError when two blocks do not agree: then nobody knows which is the host's.
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
    """Puts the keys that AWS told in the place of whatever was known of the host. They hold at every address of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{line}\n" for line in (TOLD, *(f"* {key}" for key in keys))).encode())


def told_keys(path: Path) -> frozenset[str]:
    """The keys that AWS told of the host whose file this is; none where it never did."""
    try:
        first, *lines = read_capped(path, most_bytes=MOST_BYTES).decode(errors="replace").splitlines() or [""]
    except (OSError, ValueError):
        return frozenset()
    return frozenset(line.removeprefix("* ") for line in lines) if first == TOLD else frozenset()


def learned_keys(path: Path) -> frozenset[str]:
    """The keys that were learned of it at a first contact which nothing vouched for."""
    try:
        lines = read_capped(path, most_bytes=MOST_BYTES).decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return frozenset()
    if lines[:1] == [TOLD]:
        return frozenset()
    return frozenset(" ".join(words[1:3]) for line in lines if len(words := line.split()) >= 3)
