"""Side by side: measures the pairs of a fleet in parallel, or one after the other. A failed pair does not stop the others.

{pair: work} ─▶ side_by_side ─▶ {pair: what it raised, or None}
                    └── Ctrl-C ─▶ stop is set: every pair ends as by Ctrl-C, and none begins
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

from enaxp.bench.planning.schedule import BenchPlan
from enaxp.ending import first_one_sets


def plan_of_pair(plan: BenchPlan, name: str) -> BenchPlan:
    """The plan with the pair's own order: its seed is derived from the fleet's seed and the pair's name."""
    drawn = hashlib.sha256(f"{plan.seed} {name}".encode()).digest()
    return replace(plan, seed=int.from_bytes(drawn[:4], "big"))


def pairs_at_once(asked: int | None, *, pairs: int, is_local: bool) -> int:
    """How many pairs are measured at once: as many as asked for (`bench.at_once`), else all, and on the local target one, since all hosts
    share one computer there."""
    return asked or (1 if is_local else pairs)


def side_by_side(
    work: Mapping[str, Callable[[], object]], *, at_once: int, stop: threading.Event
) -> dict[str, BaseException | None]:
    """Runs all of the work, at most this much in parallel, in the order given; returns each pair's exception or None. Pairs that had not
    begun when `stop` was set are not in the result. The first Ctrl-C sets `stop`, which ends each pair's work; it is not raised here.
    """

    def begin(name: str) -> bool:
        if stop.is_set():
            return False
        work[name]()
        return True

    with first_one_sets(stop), ThreadPoolExecutor(max(1, at_once)) as pool:
        running = {pool.submit(begin, name): name for name in work}
        waiting = set(running)
        while waiting:  # in short turns: a signal is handled between them
            _, waiting = wait(waiting, timeout=0.5)
    raised = {name: future.exception() for future, name in running.items()}
    return {name: raised[name] for future, name in running.items() if raised[name] is not None or future.result()}
