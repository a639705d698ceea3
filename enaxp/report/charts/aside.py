"""Aside: work done in a process of its own while this one goes on. vl-convert holds the interpreter's lock, so a thread is of no use.

    begin(work, arguments) ─▶ thread ─pickle─▶ process: serve ─pickle─▶ thread ─▶ what `begin` gave back, called: waits for the outcome

One piece of work is under way at a time, in the order in which they were begun. Where no process can be had, or it dies, the work is
done here: a page then takes longer, and is the same.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# -P: nothing is imported from the current folder.
_SERVE = [sys.executable, "-P", "-c", "from enaxp.report.charts.aside import serve; serve()"]


class _GoneError(Exception):
    """The process is not there, or no longer."""


class Aside:
    """One process beside this one, and the thread that talks to it."""

    def __init__(self, process: subprocess.Popen[bytes] | None, thread: ThreadPoolExecutor) -> None:
        self._process, self._thread = process, thread

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """Begin `work`, a function of a module; what is given back waits for its outcome, and raises what it raised."""
        begun = self._thread.submit(self._ask, (work, args, kwargs))

        def outcome() -> T:
            try:
                done, told = begun.result()
            except _GoneError:
                return work(*args, **kwargs)
            if not done:
                raise told
            return told  # type: ignore[no-any-return]

        return outcome

    def _ask(self, request: object) -> tuple[bool, Any]:
        """Whether the process did it, and what came of it: the outcome, or what was raised."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise _GoneError
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            done, told = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._process = None
            raise _GoneError from error
        return bool(done), told


@contextlib.contextmanager
def aside() -> Iterator[Aside]:
    """An Aside; its process ends with the context, and what nobody waited for is given up."""
    try:
        process = subprocess.Popen(_SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        process = None
    thread = ThreadPoolExecutor(1)
    try:
        yield Aside(process, thread)
    finally:
        if process is not None:
            process.kill()
        thread.shutdown(cancel_futures=True)
        if process is not None:
            with contextlib.suppress(BrokenPipeError):  # what it was still told when it was killed
                process.__exit__(None, None, None)


def serve() -> None:
    """The process's side: does what it is told until there is no more."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches both; the one that is worked for decides what it means
    told, tell = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for inherited in (0, 1):  # what a library prints is no outcome
        os.dup2(nowhere, inherited)
    while True:
        try:
            work, args, kwargs = pickle.load(told)
        except EOFError:
            return
        try:
            outcome = (True, work(*args, **kwargs))
        except Exception as error:
            outcome = (False, error)
        pickle.dump(outcome, tell)
        tell.flush()
