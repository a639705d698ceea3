"""Apply: carries out a plan on a thread pool. Each step has two parts; each part starts as soon as its dependencies are ready.

make:    once the resources it depends on are made     settle:  once the resources it depends on are settled

ready parts ─▶ makers, watchers (worker.py) ─▶ done, or watched ─▶ polled when due, many of a kind in one call ─▶ …
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from graphlib import TopologicalSorter
from typing import Any, Literal

from enaxp.aws import Aws
from enaxp.errors import Interrupted, NoRoomError
from enaxp.lab.events import LabWatcher
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import Found, Lab, Resource
from enaxp.lab.plan import Plan, Step
from enaxp.lab.state import StateFile
from enaxp.lab.worker import AGAIN, Looks, Settling, Worker

WORKERS = 12
MOST_LOOKS = 4  # side by side, each by its id; more of a kind are looked at together

What = Literal["make", "settle"]
Part = tuple[What, str]  # of the step with this key


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The outcome of an apply. seen: the resources that were read back, by key. without_room: the instances for which AWS had no
    capacity, with its message."""

    seen: Mapping[str, Found]
    without_room: Mapping[str, str]


def apply(
    plan: Plan,
    *,
    resources: Iterable[Resource],
    aws: Aws,
    lab: Lab,
    file: StateFile,
    watch: LabWatcher,
    partial: bool = False,
) -> Applied:
    """Carries out every step except `replace` and `delete`, which a sweep does. partial: leaves out instances for which AWS has no
    capacity.

    After an error nothing new is started, calls in flight are finished and saved, and the first error is raised.
    The first KeyboardInterrupt does the same and raises Interrupted.
    """
    steps = {step.key: step for step in plan.steps if step.action not in {"replace", "delete"}}
    by_key = {resource.key: resource for resource in resources}
    worker = Worker(aws=aws, lab=lab, file=file, resources=by_key, watch=watch)
    with ThreadPoolExecutor(WORKERS) as makers, ThreadPoolExecutor(WORKERS) as watchers:
        _Flow(worker, steps, makers=makers, watchers=watchers, partial=partial).run_to_the_end()
    return Applied(seen=worker.seen, without_room=worker.without_room)


class _Flow:
    """Schedules the parts of an apply, each when its dependencies are done, and polls resources that are not ready.

    No thread waits for a resource: resources that are not ready are polled, many of a kind in one call. makers: the pool for create
    calls, which may have to wait for AWS's rate limits; watchers: the pool for everything else.
    """

    def __init__(
        self,
        worker: Worker,
        steps: Mapping[str, Step],
        *,
        makers: ThreadPoolExecutor,
        watchers: ThreadPoolExecutor,
        partial: bool,
    ) -> None:
        self._worker = worker
        self._steps = steps
        self._makers = makers
        self._watchers = watchers
        self._order = _order(steps)
        self._order.prepare()
        self._running: dict[Future[Settling | None], Part] = {}
        self._looking: dict[Future[Looks], str] = {}  # at all of a kind
        self._watched: dict[str, Settling] = {}
        self._next_look: dict[str, float] = {}  # at all of a kind, by it: no sooner
        self._errors: list[Exception] = []
        self._interrupted = False
        self._partial = partial

    def run_to_the_end(self) -> None:
        """Runs all parts. Raises the first error, or Interrupted, once everything that had begun has ended."""
        while self._goes_on() or self._running or self._looking or self._watched:
            try:
                if self._goes_on():
                    for part in self._order.get_ready():
                        self._submit(part)
                elif self._errors or self._interrupted:
                    self._drop_what_waits()
                self._look()
                self._wait()
            except KeyboardInterrupt:
                if self._interrupted:
                    self._worker.stop.set()
                self._interrupted = True
                continue
            self._collect()
        if self._errors:
            raise self._errors[0]
        if self._interrupted:
            raise Interrupted("interrupted: what was in flight is finished and saved", todo=AGAIN)

    def _goes_on(self) -> bool:
        """Whether new parts may start."""
        return self._order.is_active() and not (self._errors or self._interrupted)

    def _drop_what_waits(self) -> None:
        """Cancels calls that still wait for a thread: a fleet has many more launches than run at a time."""
        for future in [one for one, (what, _) in self._running.items() if what == "make" and one.cancel()]:
            del self._running[future]

    def _submit(self, part: Part) -> None:
        what, key = part
        if what == "make":
            self._running[self._makers.submit(self._worker.make, self._steps[key])] = part
        else:
            self._running[self._watchers.submit(self._worker.settle, self._steps[key])] = part

    def _look(self) -> None:
        """Polls the resources that are due: each by its id, or all of a kind in one call if there are many."""
        now = time.monotonic()
        if self._worker.stop.is_set():
            self._watched = {key: replace(one, due=now) for key, one in self._watched.items()}
        for kind, group in _by_kind(self._watched.values()).items():
            due = [settling for settling in group if settling.due <= now]
            if len(group) > MOST_LOOKS and self._due(kind, group) <= now:
                future = self._watchers.submit(self._worker.look_at_all, tuple(group))
                self._looking[future] = kind
                self._next_look[kind] = now + self._worker.aws.poll_s
                for settling in group:
                    del self._watched[settling.step.key]
            elif len(group) <= MOST_LOOKS:
                for settling in due:
                    del self._watched[settling.step.key]
                    self._advance(settling, partial(self._worker.look_at, settling))

    def _due(self, kind: str, group: Sequence[Settling]) -> float:
        """When the resources of a kind are polled next: if there are many, not each time that one of them is due."""
        first = min(settling.due for settling in group)
        if len(group) <= MOST_LOOKS:
            return first
        if kind in self._looking.values():
            return float("inf")  # once the look that is under way has ended
        return first if self._worker.stop.is_set() else max(first, self._next_look.get(kind, first))

    def _advance(self, settling: Settling, call: Callable[[], Settling | None]) -> None:
        self._running[self._watchers.submit(call)] = ("settle", settling.step.key)

    def _wait(self) -> None:
        """Waits until a call has ended, or a poll is due."""
        groups = _by_kind(self._watched.values())
        next_due = min((self._due(kind, group) for kind, group in groups.items()), default=float("inf"))
        timeout_s = max(0.0, min(0.5, next_due - time.monotonic()))
        calls: list[Future[Any]] = [*self._running, *self._looking]
        if calls:
            wait(calls, timeout=timeout_s, return_when=FIRST_COMPLETED)
        else:
            time.sleep(timeout_s)

    def _collect(self) -> None:
        """Handles the calls that have ended."""
        for future in [future for future in self._running if future.done()]:
            self._take_in(self._running.pop(future), future)
        for looked in [looked for looked in self._looking if looked.done()]:
            del self._looking[looked]
            try:
                looks = looked.result()
            except Exception as error:
                self._errors.append(error)
                continue
            for settling, found in looks:
                self._advance(settling, partial(self._worker.advance, settling, found))

    def _take_in(self, part: Part, ended: Future[Settling | None]) -> None:
        """Marks the part as done, or watches what is not ready yet."""
        try:
            settling = ended.result()
        except NoRoomError as error:
            if not self._partial:
                self._errors.append(error)
                return
            self._worker.without_room[part[1]] = error.said
            settling = None
        except Exception as error:
            self._errors.append(error)
            return
        if settling is None:
            self._order.done(part)
        else:
            self._watched[settling.step.key] = settling


def _by_kind(those: Iterable[Settling]) -> dict[str, list[Settling]]:
    groups: dict[str, list[Settling]] = {}
    for settling in those:
        groups.setdefault(settling.step.kind, []).append(settling)
    return groups


def _order(steps: Mapping[str, Step]) -> TopologicalSorter[Part]:
    """The dependency graph of both parts of each step."""
    order: TopologicalSorter[Part] = TopologicalSorter()
    for key, step in steps.items():
        needs = [need for need in step.needs if need in steps]
        before: What = "settle" if KINDS[step.kind].needs_settled else "make"
        order.add(("make", key), *((before, need) for need in needs))
        order.add(("settle", key), ("make", key), *(("settle", need) for need in needs))
    return order
