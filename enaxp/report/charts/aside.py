"""Aside: work done in a process of its own while this one goes on. vl-convert holds the interpreter's lock, so a thread is of no use.

    begin(work, arguments) ─▶ a process that is started once ─▶ what `begin` gave back, called: waits for the outcome

Where no process can be had, or it dies, the work is done here: a page then takes longer, and is the same.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """One process beside this one. What is begun in it is done in the order in which it was begun."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool

    def begin(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """Begin `work`, a function of a module; what is given back waits for its outcome, and raises what it raised."""
        begun = self._submit(work, *args, **kwargs)

        def outcome() -> T:
            if begun is not None:
                with contextlib.suppress(BrokenProcessPool):
                    return begun.result()
            return work(*args, **kwargs)

        return outcome

    def _submit(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T] | None:
        if self._pool is None:
            return None
        try:
            return self._pool.submit(work, *args, **kwargs)
        except (BrokenProcessPool, OSError):
            self._pool = None
            return None


@contextlib.contextmanager
def aside() -> Iterator[Aside]:
    """An Aside; its process ends with the context, and what nobody waited for is given up."""
    try:
        # Spawned: a bench has threads, and a fork of a process with threads can hang.
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_leave_ctrl_c_alone)
    except (OSError, ImportError):  # no semaphores: /dev/shm is missing or closed
        pool = None
    try:
        yield Aside(pool)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _leave_ctrl_c_alone() -> None:
    """A Ctrl-C reaches both processes; the one that is worked for decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
