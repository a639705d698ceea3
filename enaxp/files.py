"""Files: how what enaxp keeps is written, so that it is whole or not there, and private from its first byte on.

content ─▶ a new file beside it, of a name nobody can guess, its mode set first ─▶ content ─▶ on disk ─▶ in the place of the old one
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600


def write_whole(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Puts a file with this content in the place of what was there. Raises OSError; then what was there is as it was."""
    with writing_whole(path, mode=mode) as file:
        file.write(content)


@contextlib.contextmanager
def writing_whole(path: Path, *, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` at the end, and is gone if that is not reached."""
    # Nobody can have made the file before, or hold it open: the name is new.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            yield file
            file.flush()
            os.fsync(number)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
