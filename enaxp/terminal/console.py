"""Console: the only place that prints. Progress and talk go to stderr, results to stdout; with --json stdout is one document.

What is printed is put together in the other files of this folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from enaxp.text import columns, duration, printable
from enaxp.traffic import ARM_NAMES

if TYPE_CHECKING:
    from enaxp.bench.records import RunFolder
    from enaxp.bench.runner import BenchWatcher, Progress
    from enaxp.bench.schedule import BenchPlan as BenchPlan
    from enaxp.lab.apply import LabEvent


class Console:
    """Where a command's words go. Safe to use from several threads."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._transient = False

    # -- results: stdout -----------------------------------------------------------------------------------------------

    def document(self, document: object) -> None:
        """The one JSON document of a command: a dataclass, whose fields it has, or what consists of JSON's own types."""
        import msgspec

        text = json.dumps(document, indent=2, default=msgspec.to_builtins)
        with self._lock:
            self._clear()
            print(text, file=sys.stdout, flush=True)

    def result(self, text: str) -> None:
        """What a person asked for. With --json it goes to stderr: stdout is the document's."""
        with self._lock:
            self._clear()
            print(printable(text), file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell."""
        self.result(columns(header, rows))

    # -- talk: stderr --------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tells a person what happens."""
        with self._lock:
            self._clear()
            print(printable(text), file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        """Tells a person why the command fails."""
        self.say(f"enaxp: {text}")

    def transient(self, text: str) -> None:
        """A line that the next one replaces; on something that is no terminal it is left out."""
        if not self._is_terminal:
            return
        with self._lock:
            self._clear()
            print(text[: _width()], end="\r", file=sys.stderr, flush=True)
            self._transient = True

    def ask(self, question: str) -> bool:
        """Whether a person at the terminal says yes. Without a terminal nobody is asked: yes."""
        if not sys.stdin.isatty():
            return True
        with self._lock:
            self._clear()
            print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def lab_event(self, event: LabEvent) -> None:
        """What happens to one resource, as it happens."""
        from enaxp.terminal.lab import event_line

        self.say(event_line(event, at_s=time.monotonic() - self._began))

    def bench_progress(self, progress: Progress) -> None:
        """Which trial of how many, what it gave, and how long the rest will take."""
        if progress.note:
            self.say(f"  ! {progress.note}")
            return
        trial, record = progress.trial, progress.record
        if trial is None:
            return
        left = f"{duration(progress.seconds_left)} left"
        what = "warm-up" if trial.discarded else f"repeat {trial.repeat}"
        where = f"iteration {trial.iteration}, {what}, {ARM_NAMES[trial.arm]}"
        if record is None:
            self.transient(f"  trial {trial.number} of {progress.total}: {where} … {left}")
            return
        sockperf = record.sockperf
        if record.valid and sockperf is not None and sockperf.percentiles_us:
            figures = f"P50 {sockperf.percentiles_us.get('50')} µs, P99 {sockperf.percentiles_us.get('99')} µs"
        elif record.valid:
            figures = f"{record.throughput_gbps:.3f} Gbit/s" if record.throughput_gbps is not None else "valid"
        else:
            figures = f"INVALID: {record.reason}"
        self.say(f"  trial {trial.number:>3} of {progress.total}: {where:<38} {figures}   {left}")

    @contextlib.contextmanager
    def bench_view(self, plan: BenchPlan, *, title: str, earlier: RunFolder | None) -> Iterator[BenchWatcher]:
        """What a bench is to tell: a view that is drawn anew while it runs, or plain lines where there is no terminal.

        `earlier` is the folder of a run that goes on.
        """
        if not self._is_terminal or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
            yield self.bench_progress
            return
        from enaxp.bench.evidence import evidence_of
        from enaxp.bench.running import Running
        from enaxp.terminal.live import LiveView

        running = Running(plan)
        if earlier is not None:
            running.add_all(evidence_of(earlier, plan))
        with LiveView(plan, title=printable(title), running=running, plain=self.bench_progress) as view:
            yield view.watch

    def _clear(self) -> None:
        if self._transient:
            print("\r\x1b[K", end="", file=sys.stderr)
            self._transient = False


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1
