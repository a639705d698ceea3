"""Files: writes enaxp's files atomically, private ones with their mode from the first byte on; reads files with a size limit; locks.

content ─▶ a new file beside it, of a name nobody can guess, its mode set first ─▶ content ─▶ on disk ─▶ in the place of the old one
path    ─▶ a plain file, of no more than so many bytes? ─▶ content
path    ─▶ a lock that ends with the process that holds it, and tells who that is
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
FOR_ALL = 0o666  # less what the user's umask takes away
LONGEST_HOLDER = 200


class HeldError(Exception):
    """Another process has the lock. holder: what it says of itself."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextlib.contextmanager
def holding(path: Path, *, who: str) -> Iterator[None]:
    """Holds the lock that this file is, and writes into it who does. Raises HeldError when another process has it, and OSError."""
    with open(path, "a+", encoding="utf-8", opener=_for_its_owner_alone) as file:
        with contextlib.suppress(PermissionError):  # made by an earlier version
            os.fchmod(file.fileno(), PRIVATE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise HeldError(file.read(LONGEST_HOLDER).strip() or "it does not say which") from None
        file.truncate(0)
        file.write(f"{who}\n")
        file.flush()
        yield


def _for_its_owner_alone(path: str, flags: int) -> int:
    """Opens a file that nobody else can open, once it is created: whoever can read a lock's file can hold the lock."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE)


def is_held(path: Path) -> bool:
    """Whether some process has this lock right now. Raises OSError."""
    try:
        with path.open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_whole(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Replaces a file with this content, atomically. Raises OSError; then the old file is unchanged."""
    with writing_whole(path, mode=mode) as file:
        file.write(content)


@contextlib.contextmanager
def writing_whole(path: Path, *, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A context with a file to write to. It replaces `path` at the end, or is removed on an error."""
    # Nobody can have made the file before, or hold it open: the name is new.
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(number)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def read_capped(path: Path, *, most_bytes: int) -> bytes:
    """The content of a file. Raises OSError; ValueError for a file above the size limit or one that is not a regular file (a pipe or
    device may never end)."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no plain file")
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is longer than {most_bytes} bytes")
    return content
