"""Console: the only module that prints (through streams.py). Progress goes to stderr, results to stdout; with --json stdout is exactly
one document.

The other modules of this package format what is printed.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from enaxp.terminal.streams import OutputError, can_move_cursor, columns_of_stderr, tell, write_result
from enaxp.text import columns, printable

if TYPE_CHECKING:
    from enaxp.bench.planning.schedule import BenchPlan as BenchPlan
    from enaxp.lab.events import LabEvent


class Console:
    """The output of a command. Thread-safe."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.is_terminal = can_move_cursor()
        self._transient = False

    # -- results: stdout -----------------------------------------------------------------------------------------------

    def document(self, document: object) -> None:
        """The one JSON document of a command: a dataclass, whose fields it has, or what consists of JSON's own types."""
        import msgspec

        text = json.dumps(document, indent=2, default=msgspec.to_builtins)
        with self._lock:
            self._clear()
            write_result(text)

    def result(self, text: str) -> None:
        """Prints a result. With --json it goes to stderr, because stdout is reserved for the document."""
        with self._lock:
            self._clear()
            (tell if self.as_json else write_result)(printable(text))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell."""
        self.result(columns(header, rows))

    @contextlib.contextmanager
    def also_kept_in(self, folder: Path) -> Iterator[None]:
        """For results that lie in a folder, too: when they cannot be written to stdout nothing is lost, and the command does not fail."""
        try:
            yield
        except (OutputError, BrokenPipeError) as error:
            why = error.said if isinstance(error, OutputError) else "its reader has left"
            self.say(f"the result could not be written to standard output ({why}): it is in {folder}")

    # -- talk: stderr --------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Prints a progress message."""
        with self._lock:
            self._clear()
            tell(printable(text))

    def error(self, text: str) -> None:
        """Prints why the command fails."""
        self.say(f"enaxp: {text}")

    def transient(self, text: str) -> None:
        """Prints a line that the next one replaces; omitted if stderr is not a terminal."""
        if not self.is_terminal:
            return
        with self._lock:
            self._clear()
            tell(text[: max(1, columns_of_stderr() - 1)], end="\r")
            self._transient = True

    def ask(self, question: str) -> bool:
        """Asks the user at the terminal; whether the answer is yes. Without a terminal: yes."""
        return not sys.stdin.isatty() or self.ask_for_yes(question)

    def ask_for_yes(self, question: str) -> bool:
        """Like `ask`, but without a terminal the answer is no."""
        if not sys.stdin.isatty():
            return False
        with self._lock:
            self._clear()
            tell(f"{question} [y/N] ", end="")
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def lab_event(self, event: LabEvent) -> None:
        """Prints an event of one resource."""
        from enaxp.terminal.lab import event_line

        self.say(event_line(event, at_s=time.monotonic() - self._began))

    def briefly(self) -> Console:
        """Prints an event of one resource as a transient line, where single resources are not important."""
        return _Brief(as_json=self.as_json)

    def _clear(self) -> None:
        if self._transient:
            tell("\r\x1b[K", end="")
            self._transient = False


class _Brief(Console):
    def lab_event(self, event: LabEvent) -> None:
        from enaxp.terminal.lab import event_line

        self.transient(event_line(event, at_s=time.monotonic() - self._began))
