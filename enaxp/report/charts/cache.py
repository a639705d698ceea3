"""Cache: text that is slow to compute and constant, in the user's cache folder. Losing it only costs time."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def cached_text(name: str, make: Callable[[], str]) -> str:
    """The text with this name from the cache, else from `make`, whose result is cached. `name` must contain everything the text depends
    on."""
    path = cache_folder() / name
    kept = _read_own(path)
    if kept:
        return kept
    text = make()
    with contextlib.suppress(OSError):
        _write(path, text)
    return text


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/enaxp`, else `~/.cache/enaxp`: https://specifications.freedesktop.org/basedir-spec/latest/"""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else Path("~/.cache").expanduser()) / "enaxp"


def _read_own(path: Path) -> str | None:
    """The file's text; None if it is missing, or writable by other users: a page would run what they wrote."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = os.fstat(file.fileno())
            others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            return None if others_write or found.st_uid != os.geteuid() else file.read()
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, text: str) -> None:
    """Writes the file atomically: a killed process, or two at once, never leave a partial file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
