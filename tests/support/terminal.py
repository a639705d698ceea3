"""A terminal of so many lines, as one reads it: a process draws on a pseudo terminal, and an emulator shows what stands there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyte

COLUMNS = 100


class RealTerminal:
    """What a process sees as its terminal. `until` reads on; then `lines` stand on it, and `gone` are the lines that scrolled away."""

    def __init__(self, *, rows: int) -> None:
        self.leader, self.follower = pty.openpty()
        fcntl.ioctl(self.follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))
        self._screen = pyte.HistoryScreen(COLUMNS, rows, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self._unread = b""

    @property
    def lines(self) -> list[str]:
        """From the top on, without empty ones at the end."""
        told = [line.rstrip() for line in self._screen.display]
        while told and not told[-1]:
            told.pop()
        return told

    @property
    def gone(self) -> list[str]:
        """What has left at the top, the oldest first."""
        return ["".join(line[at].data for at in range(COLUMNS)).rstrip() for line in self._screen.history.top]

    @property
    def cursor_is_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def until(self, title: str) -> None:
        """Reads until the process gives the window this title, and no further; an empty one: until it closes the terminal."""
        sign = f"\x1b]2;{title}\x07".encode() if title else b""
        while not (sign and sign in self._unread):
            try:
                chunk = os.read(self.leader, 65536)
            except OSError:  # nobody has it open any more
                chunk = b""
            if not chunk:
                assert not title, f"the process ended before {title!r}: {self.lines}"
                break
            self._unread += chunk
        before, found, self._unread = self._unread.partition(sign) if sign else (self._unread, b"", b"")
        self._stream.feed(before + found)


@contextmanager
def on_terminal(code: str, *, rows: int, **variables: str) -> Iterator[tuple[RealTerminal, subprocess.Popen[bytes]]]:
    """A process that runs this code with stderr on a terminal, and with pipes for the rest. It must end well."""
    terminal = RealTerminal(rows=rows)
    unset = {"COLUMNS", "LINES", "NO_COLOR"}
    around: Mapping[str, str] = {**{k: v for k, v in os.environ.items() if k not in unset}, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=terminal.follower,
        env={**around, **variables},
    )
    os.close(terminal.follower)
    try:
        yield terminal, process
        process.communicate(timeout=60)
        assert process.returncode == 0, terminal.lines
    finally:
        process.kill()
        process.wait()
        os.close(terminal.leader)
