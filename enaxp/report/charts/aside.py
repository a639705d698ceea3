"""Aside: a background process for drawing. vl-convert holds the interpreter lock, so a thread would not help.

    begin(work, arguments) ─▶ thread ─pickle─▶ process: serve ─pickle─▶ thread ─▶ the function that `begin` returned: waits for the outcome

Tasks run one at a time, in the order of their `begin`. If the process cannot be started, or dies, the work is done in this process: the
page takes longer, and is the same.
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
    """The background process could not be started, or has ended."""


class Aside:
    """A background process, and the thread that communicates with it."""

    def __init__(self, process: subprocess.Popen[bytes] | None, thread: ThreadPoolExecutor) -> None:
        self._process, self._thread = process, thread

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """Begins `work`, a module-level function; returns a function that waits for its outcome and re-raises its exception."""
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
        """Whether the process did the work, and the outcome or the exception."""
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
    """A context with an Aside. Its process ends with the context; unfinished work is abandoned."""
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
            with contextlib.suppress(BrokenPipeError):  # its last tasks when it was killed
                process.__exit__(None, None, None)


def serve() -> None:
    """The main function of the background process: carries out tasks until its input ends."""
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
