"""Ending: what the signals that end a command do. SIGTERM and SIGHUP clean up as Ctrl-C does; while settings are restored all of them wait.

    as_by_ctrl_c()     once, at the start: SIGTERM, SIGHUP ─▶ KeyboardInterrupt, in the main thread
    first_one_sets()   for work on other threads: the first signal ─▶ an event
    held_back()        around a clean-up that must not be cut short

A signal that is ignored when the command starts (nohup, a job in the background of a shell) stays ignored.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handle = Callable[[int, FrameType | None], object]


def as_by_ctrl_c() -> None:
    """Makes SIGTERM and SIGHUP raise KeyboardInterrupt, once: a terminal that is closed sends SIGHUP twice (the kernel and the shell), and
    the second signal must not cut short the clean-up that the first one began.
    """

    def end(number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGHUP):
            # no SIG_IGN: programs that are started from here would ignore these signals, too
            if signal.getsignal(each) is end:
                signal.signal(each, _nothing)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


@contextlib.contextmanager
def first_one_sets(stop: threading.Event) -> Iterator[None]:
    """Lets the first signal set the event. Of later ones only Ctrl-C is raised, in the main thread alone."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    with _handled_by(handle):
        yield


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Keeps signals from cutting short what is done meanwhile. Only the second Ctrl-C is raised: what a person insists on, is done.

    Other threads than the main one get no signals: there is nothing to hold back.
    """
    seen = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen = seen or number == signal.SIGINT

    with _handled_by(handle):
        yield


@contextlib.contextmanager
def _handled_by(handle: _Handle) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    taken = {number: was for number, was in before.items() if was is not None and was is not signal.SIG_IGN}
    try:
        for number in taken:
            signal.signal(number, handle)
        yield
    finally:
        for number, was in taken.items():
            signal.signal(number, was)


def _nothing(number: int, frame: FrameType | None) -> None:
    """What has begun to end needs no second signal."""
