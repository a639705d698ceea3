"""Side by side: the pairs of a fleet measured at once, or one after the other. What fails of one stops no other.

{pair: work} ─▶ side_by_side ─▶ {pair: what it raised, or None}
                    └── Ctrl-C ─▶ stop is set: every pair ends as by Ctrl-C, and none begins
"""

from __future__ import annotations

import contextlib
import hashlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from types import FrameType

from enaxp.bench.schedule import BenchPlan


def plan_of_pair(plan: BenchPlan, name: str) -> BenchPlan:
    """The plan with an order of its own: its seed follows from the fleet's seed and the pair's name."""
    drawn = hashlib.sha256(f"{plan.seed} {name}".encode()).digest()
    return replace(plan, seed=int.from_bytes(drawn[:4], "big"))


def pairs_at_once(asked: int | None, *, pairs: int, is_local: bool) -> int:
    """How many pairs are measured at once: as many as asked for (`bench.at_once`), else all, and on the local target one, since all hosts
    share one computer there."""
    return asked or (1 if is_local else pairs)


def side_by_side(
    work: Mapping[str, Callable[[], object]], *, at_once: int, stop: threading.Event
) -> dict[str, BaseException | None]:
    """Does all of it, so much at once, in the order given; what each raised. What had not begun when `stop` was set raises nothing and is
    not in the answer. The first Ctrl-C sets `stop`, and is the others' to take: it is not raised here.
    """

    def begin(name: str) -> bool:
        if stop.is_set():
            return False
        work[name]()
        return True

    with _interrupt_sets(stop), ThreadPoolExecutor(max(1, at_once)) as pool:
        running = {pool.submit(begin, name): name for name in work}
        waiting = set(running)
        while waiting:  # in short turns: a signal is handled between them
            _, waiting = wait(waiting, timeout=0.5)
    raised = {name: future.exception() for future, name in running.items()}
    return {name: raised[name] for future, name in running.items() if raised[name] is not None or future.result()}


@contextlib.contextmanager
def _interrupt_sets(stop: threading.Event) -> Iterator[None]:
    """Lets the first Ctrl-C set the event; the second one is raised, here alone."""

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as a shell leaves it for what runs in the background
        signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
