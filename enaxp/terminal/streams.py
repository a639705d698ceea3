"""Streams: stdin, stdout and stderr in every condition: closed, full, disconnected, not UTF-8.

    prepare()      once, before anything is opened or printed
    write_result() to stdout: results; raises OutputError when they cannot be written
    tell()         to stderr: progress; a failed write is ignored

A closed descriptor is dangerous: the next file that is opened gets its number, and terminal output would be written into that file. So it
is replaced by a descriptor that can be neither read nor written.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from typing import TextIO

from enaxp.errors import EnaxpError

# How signs that a terminal's encoding lacks are written in ASCII.
_PLAIN = str.maketrans(
    {
        "µ": "u",
        "μ": "u",
        "−": "-",
        "–": "-",
        "—": "-",
        "─": "-",
        "…": "...",
        "×": "x",
        "·": ".",
        "±": "+/-",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "←": "<-",
        "▶": ">",
        "└": "`",
        "│": "|",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        **dict(zip("▁▂▃▄▅▆▇█", ".:-=+*#@", strict=True)),
    }
)
_HANDLER = "enaxp.plain"


class OutputError(EnaxpError):
    """The requested output could not be written to stdout."""


def prepare() -> None:
    """Makes the three streams safe to use. To be called before anything else is opened."""
    for descriptor in (0, 1, 2):
        _occupy(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - as Python makes it
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def write_result(text: str) -> None:
    """Writes a result to stdout. Raises OutputError when it is lost, BrokenPipeError when its reader has left."""
    try:
        print(text, file=sys.stdout, flush=True)
    except OSError as error:
        raise lost_output(error) from error


def lost_output(error: OSError) -> Exception:
    """The exception to raise when a write to stdout failed with this error."""
    _give_up(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return error
    return OutputError(
        "the result could not be written to standard output",
        said=why(error),
        todo="run it again with standard output open, on a disk with room",
    )


def why(error: OSError) -> str:
    """The message of an OSError on a stream."""
    return "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)


def tell(text: str, *, end: str = "\n") -> None:
    """Writes to stderr. A failure is ignored: it cannot be reported, and must not make anything else fail."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _give_up(sys.stderr)


def columns_of_stderr() -> int:
    """COLUMNS if it is set, else the width in columns of the terminal of stderr; 80 if stderr is not a terminal."""
    import shutil

    with contextlib.suppress(OSError, ValueError):
        if not os.environ.get("COLUMNS"):
            return os.get_terminal_size(2).columns or 80
    return shutil.get_terminal_size().columns


def can_move_cursor() -> bool:
    """Whether stderr is a terminal that understands how a line is cleared and written again."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _occupy(descriptor: int) -> None:
    """Replaces a closed descriptor: output to stderr is discarded; stdin and stdout fail when used."""
    try:
        os.fstat(descriptor)
    except OSError:
        # The lowest free number is given: this one, since those below it are taken by now.
        os.open(os.devnull, os.O_RDONLY if descriptor == 1 else os.O_WRONLY)


def _give_up(stream: TextIO) -> None:
    """Discards a stream's buffered output: Python would try to write it again at exit, and fail."""
    with contextlib.suppress(OSError, ValueError):
        descriptor, nowhere = stream.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: the replacement in ASCII of characters that a stream's encoding lacks."""
    import unicodedata

    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    plain = unicodedata.normalize("NFKD", signs.translate(_PLAIN)).encode("ascii", "ignore").decode()
    return plain or "?" * len(signs), error.end
