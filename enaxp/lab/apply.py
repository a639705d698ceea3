"""Apply: carries out a plan on a thread pool, each step in two parts, each part as soon as what it needs is there.

    make:    intent saved ─▶ call ─▶ id saved                  as soon as what it stands on is made
    settle:  look until ready ─▶ change until read back        as soon as what it stands on is settled

    parts that are ready ─▶ makers, watchers ─▶ done, or watched ─▶ looked at when due, many of a kind together ─▶ …

A new resource is not read back where its kind knows what a new one is like (`Kind.as_made`): its settings are made at once, and
trusted when AWS accepts them. Whenever this is killed, the next run finds the intent or the id in the state, or the tag on AWS, and
goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from graphlib import TopologicalSorter
from typing import Any, Literal

from enaxp.aws import (
    ALREADY,
    CAPACITY,
    TAKEN_NAME,
    Aws,
    code_of,
    is_ambiguous,
    refused,
    retry_while,
    text_of,
)
from enaxp.errors import AwsError, EnaxpError, Interrupted, LabError, NameTakenError, NoRoomError
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import InstanceWant
from enaxp.lab.model import TAG_LAB_ID, Change, Difference, Found, Kind, Lab, Resource
from enaxp.lab.plan import Plan, Step, changes_of
from enaxp.lab.state import Entry, Intent, StateFile, with_intent, with_resource

WORKERS = 12
MOST_LOOKS = 4  # side by side, each by its id; more of a kind are looked at together
ATTEMPTS = 5  # at one create whose answers are lost
TELL_S = 30.0  # what takes longer is said, with what it waits for
REACT_S = 20.0  # a change that is not read back by then is asked for again


@dataclass(frozen=True, kw_only=True)
class LabEvent:
    """What apply and sweep tell whoever watches: a step begins, says something, or ends after `seconds`."""

    what: Literal["begin", "note", "end"]
    step: Step
    text: str = ""
    seconds: float = 0.0


@dataclass(kw_only=True)
class _Settling:
    """A resource that is not ready, or not yet as wanted. Times are of the monotonic clock.

    asked: when each change was asked for last.  told: what was said of it last.  due: when it is to be looked at.
    """

    step: Step
    resource: Resource
    kind: Kind
    id: str
    pauses: Iterator[float]
    began: float = field(default_factory=time.monotonic)
    asked: dict[str, float] = field(default_factory=dict)
    told: str = ""
    due: float = 0.0


Looks = list[tuple[_Settling, Found | None]]
LabWatcher = Callable[[LabEvent], None]
What = Literal["make", "settle"]
Part = tuple[What, str]  # of the step with this key


@dataclass(frozen=True, kw_only=True)
class Applied:
    """seen: by key, the resources that were read back.  without_room: the instances that no zone had room for, and what AWS said."""

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
    """Carries out every step but `replace` and `delete`, which a sweep does. partial: an instance that there is no room for is left out.

    After an error nothing new is started, what is in flight is finished and saved, and the first error is raised.
    The first KeyboardInterrupt does the same and raises Interrupted.
    """
    steps = {step.key: step for step in plan.steps if step.action not in {"replace", "delete"}}
    run = _Apply(aws=aws, lab=lab, file=file, resources={resource.key: resource for resource in resources}, watch=watch)
    with ThreadPoolExecutor(WORKERS) as makers, ThreadPoolExecutor(WORKERS) as watchers:
        _Flow(run, steps, makers=makers, watchers=watchers, partial=partial).run_to_the_end()
    return Applied(seen=run.seen, without_room=run.without_room)


class _Flow:
    """Hands out the parts of an apply, each when what it needs is done, and looks at what AWS is still at work on.

    Nobody waits in a thread for a resource: those that are not ready are watched, and looked at together where there are many of a kind.
    makers: for calls that create, which may have to wait for their turn at AWS's rates; watchers: for the rest.
    """

    def __init__(
        self,
        run: _Apply,
        steps: Mapping[str, Step],
        *,
        makers: ThreadPoolExecutor,
        watchers: ThreadPoolExecutor,
        partial: bool,
    ) -> None:
        self._run = run
        self._steps = steps
        self._makers = makers
        self._watchers = watchers
        self._order = _order(steps)
        self._order.prepare()
        self._running: dict[Future[_Settling | None], Part] = {}
        self._looking: dict[Future[Looks], str] = {}  # at all of a kind
        self._watched: dict[str, _Settling] = {}
        self._next_look: dict[str, float] = {}  # at all of a kind, by it: no sooner
        self._errors: list[Exception] = []
        self._interrupted = False
        self._partial = partial

    def run_to_the_end(self) -> None:
        """Raises the first error, or Interrupted, once everything that had begun has ended."""
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
                    self._run.stop.set()
                self._interrupted = True
                continue
            self._collect()
        if self._errors:
            raise self._errors[0]
        if self._interrupted:
            raise Interrupted("interrupted: what was in flight is finished and saved", todo=_AGAIN)

    def _goes_on(self) -> bool:
        """Whether new parts are begun."""
        return self._order.is_active() and not (self._errors or self._interrupted)

    def _drop_what_waits(self) -> None:
        """Calls that wait for a thread are not in flight: a fleet has many more launches than are made at a time."""
        for future in [one for one, (what, _) in self._running.items() if what == "make" and one.cancel()]:
            del self._running[future]

    def _submit(self, part: Part) -> None:
        what, key = part
        if what == "make":
            self._running[self._makers.submit(self._run.make, self._steps[key])] = part
        else:
            self._running[self._watchers.submit(self._run.settle, self._steps[key])] = part

    def _look(self) -> None:
        """Looks at those whose time has come: each by its id, or all of a kind at once where they are many."""
        now = time.monotonic()
        if self._run.stop.is_set():
            self._watched = {key: replace(one, due=now) for key, one in self._watched.items()}
        for kind, group in _by_kind(self._watched.values()).items():
            due = [settling for settling in group if settling.due <= now]
            if len(group) > MOST_LOOKS and self._due(kind, group) <= now:
                future = self._watchers.submit(self._run.look_at_all, tuple(group))
                self._looking[future] = kind
                self._next_look[kind] = now + self._run.aws.poll_s
                for settling in group:
                    del self._watched[settling.step.key]
            elif len(group) <= MOST_LOOKS:
                for settling in due:
                    del self._watched[settling.step.key]
                    self._advance(settling, partial(self._run.look_at, settling))

    def _due(self, kind: str, group: Sequence[_Settling]) -> float:
        """When those of a kind are to be looked at next: where they are many, not each time that one of them is due."""
        first = min(settling.due for settling in group)
        if len(group) <= MOST_LOOKS:
            return first
        if kind in self._looking.values():
            return float("inf")  # once the look that is under way has ended
        return first if self._run.stop.is_set() else max(first, self._next_look.get(kind, first))

    def _advance(self, settling: _Settling, call: Callable[[], _Settling | None]) -> None:
        self._running[self._watchers.submit(call)] = ("settle", settling.step.key)

    def _wait(self) -> None:
        """Until a call has ended, or it is time to look at something."""
        groups = _by_kind(self._watched.values())
        next_due = min((self._due(kind, group) for kind, group in groups.items()), default=float("inf"))
        timeout_s = max(0.0, min(0.5, next_due - time.monotonic()))
        calls: list[Future[Any]] = [*self._running, *self._looking]
        if calls:
            wait(calls, timeout=timeout_s, return_when=FIRST_COMPLETED)
        else:
            time.sleep(timeout_s)

    def _collect(self) -> None:
        """Takes in what has ended."""
        for future in [future for future in self._running if future.done()]:
            part = self._running.pop(future)
            try:
                settling = future.result()
            except NoRoomError as error:
                if not self._partial:
                    self._errors.append(error)
                    continue
                self._run.without_room[part[1]] = error.said
                settling = None
            except Exception as error:
                self._errors.append(error)
                continue
            if settling is None:
                self._order.done(part)
            else:
                self._watched[settling.step.key] = settling
        for looked in [looked for looked in self._looking if looked.done()]:
            del self._looking[looked]
            try:
                looks = looked.result()
            except Exception as error:
                self._errors.append(error)
                continue
            for settling, found in looks:
                self._advance(settling, partial(self._run.advance, settling, found))


def _by_kind(those: Iterable[_Settling]) -> dict[str, list[_Settling]]:
    groups: dict[str, list[_Settling]] = {}
    for settling in those:
        groups.setdefault(settling.step.kind, []).append(settling)
    return groups


def _order(steps: Mapping[str, Step]) -> TopologicalSorter[Part]:
    """Both parts of each step, after those that they wait for."""
    order: TopologicalSorter[Part] = TopologicalSorter()
    for key, step in steps.items():
        needs = [need for need in step.needs if need in steps]
        before: What = "settle" if KINDS[step.kind].needs_settled else "make"
        order.add(("make", key), *((before, need) for need in needs))
        order.add(("settle", key), ("make", key), *(("settle", need) for need in needs))
    return order


class _Apply:
    """What the steps of one apply share."""

    def __init__(
        self, *, aws: Aws, lab: Lab, file: StateFile, resources: dict[str, Resource], watch: LabWatcher
    ) -> None:
        self.aws = aws
        self.lab = lab
        self.file = file
        self.resources = resources
        self.watch = watch
        self.stop = threading.Event()
        self.began: dict[str, float] = {}
        self.seen: dict[str, Found] = {}
        self.without_room: dict[str, str] = {}
        self.full: dict[tuple[str, str], str] = {}  # type and zone that AWS had no room for, and what it said

    def make(self, step: Step) -> None:
        """Creates the resource unless it exists, and saves its id."""
        if step.action == "keep":
            self._record(step, str(step.id))
            return
        self.began[step.key] = time.monotonic()
        self.watch(LabEvent(what="begin", step=step))
        is_there = step.action in {"adopt", "settle"}
        self._record(step, str(step.id) if is_there else self._make(step, self.resources[step.key], KINDS[step.kind]))

    def settle(self, step: Step) -> _Settling | None:
        """Changes every setting of the resource that is not as wanted; what must be looked at first is given back, to be watched."""
        if step.action == "keep" or step.key in self.without_room:
            return None
        resource, kind, id = self.resources[step.key], KINDS[step.kind], self.file.state.resources[step.key].id
        if step.action == "create" and self._settle_unseen(resource, kind, id):
            self._end(step, id)
            return None
        return _Settling(step=step, resource=resource, kind=kind, id=id, pauses=self.aws.pauses())

    def look_at(self, settling: _Settling) -> _Settling | None:
        """Looks at it by its id, and goes on with it."""
        return self.advance(settling, settling.kind.look(self.aws, settling.id))

    def look_at_all(self, those: Sequence[_Settling]) -> Looks:
        """What AWS shows of each of these, which are all of one kind: in as few calls as it takes."""
        found = those[0].kind.look_all(self.aws, [settling.id for settling in those])
        return [(settling, found.get(settling.id)) for settling in those]

    def advance(self, settling: _Settling, found: Found | None) -> _Settling | None:
        """Makes the changes that are missing. None once everything reads as wanted; else when it is to be looked at again."""
        step, resource, kind = settling.step, settling.resource, settling.kind
        if found is not None and found.gone:
            raise _came_to_an_end(step.key, settling.id, found.gone)
        missing: list[Difference] = []
        if found is not None and not found.pending:
            ids = self.file.state.ids()
            # What was made just now carries its tags, although AWS may not show them yet.
            made = step.action == "create"
            changes = kind.settle(resource, found, ids) if made else changes_of(resource, found, ids, self.lab)
            missing = self._change(resource, found, changes, settling.asked)
            if not missing:
                self.seen[step.key] = found
                self._end(step, settling.id)
                return None
        waited, awaited = time.monotonic() - settling.began, _awaited(found, missing)
        if waited >= TELL_S and awaited != settling.told:
            settling.told = awaited
            self.watch(LabEvent(what="note", step=step, text=f"{awaited} (at most {kind.ready_s:.0f} s)"))
        self._check_deadline(step, settling.id, kind, awaited, waited=waited)
        is_fresh = found is not None and not found.pending and self._fresh(settling.asked)
        settling.due = time.monotonic() + (0.0 if is_fresh else next(settling.pauses))
        return settling

    def _end(self, step: Step, id: str) -> None:
        seconds = time.monotonic() - self.began[step.key]
        self.watch(LabEvent(what="end", step=step, text=id, seconds=seconds))

    def _record(self, step: Step, id: str) -> None:
        entry = Entry(kind=step.kind, id=id, owned=self.resources[step.key].owned)
        if self.file.state.resources.get(step.key) != entry or step.key in self.file.state.intents:
            self.file.update(lambda state: with_resource(state, step.key, entry))

    def _make(self, step: Step, resource: Resource, kind: Kind) -> str:
        """The id of the resource, made once however often the answer is lost: intent → call → id."""
        self._check_room(resource)
        request = kind.request(resource, self.lab, self.file.state.ids())
        previous = self.file.state.intents.get(step.key)
        intent = _same_or_new(previous, resource, request)
        if previous is not None and not kind.token:
            # Begun before, and AWS cannot be asked by token: give a resource that was made after all time to show up.
            found = self._wait_for_own(kind, resource)
            if found is not None:
                return found.id
        self.file.update(lambda state: with_intent(state, step.key, intent))
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return retry_while(
                    lambda: kind.create(self.aws, request, intent.token),
                    when=partial(self._patience_with, kind),
                    aws=self.aws,
                    where=f"creating {step.key}",
                    note=self._noting(step, kind),
                )
            except EnaxpError:
                raise
            except Exception as error:
                found = self._after_failed_create(kind, resource, error, last=attempt == ATTEMPTS)
                if found is not None:
                    return found.id
                self.watch(
                    LabEvent(what="note", step=step, text=f"no clear answer ({code_of(error) or error}): asking again")
                )
        raise AssertionError("unreachable: the last attempt raises")

    def _check_room(self, resource: Resource) -> None:
        """Raises NoRoomError for an instance like one that there was no room for just now."""
        want = resource.want
        said = self.full.get((want.type, want.zone)) if isinstance(want, InstanceWant) else None
        if said is not None:
            raise NoRoomError(f"creating {resource.key}", said=said, todo=_LATER)

    def _patience_with(self, kind: Kind, error: Exception) -> float:
        """How long a call that failed so is made again, in seconds; not once a second Ctrl-C has come."""
        wait = kind.awaits(error)
        return 0.0 if wait is None or self.stop.is_set() else max(self.aws.grace_s, wait.seconds)

    def _noting(self, step: Step, kind: Kind) -> Callable[[Exception], None]:
        """Tells what is waited for, once for each such thing."""
        told = set[str]()

        def note(error: Exception) -> None:
            wait = kind.awaits(error)
            if wait is not None and wait.what not in told:
                told.add(wait.what)
                text = f"waiting for {wait.what}, up to {wait.seconds:.0f} s ({code_of(error)})"
                self.watch(LabEvent(what="note", step=step, text=text))

        return note

    def _after_failed_create(self, kind: Kind, resource: Resource, error: Exception, *, last: bool) -> Found | None:
        """The resource, if it is there and ours; None when the create may be tried again. Raises AwsError when it may not."""
        where = f"creating {resource.key}"
        if code_of(error) in TAKEN_NAME:
            by_name = kind.look(self.aws, resource.name) if kind.unique_by_name else None
            found = by_name or self._wait_for_own(kind, resource)
            if found is not None and found.tags.get(TAG_LAB_ID) == self.lab.lab_id:
                return found
            whose = f"lab-id {found.tags[TAG_LAB_ID]}" if found and TAG_LAB_ID in found.tags else "no lab-id"
            raise NameTakenError(
                f"{where}: the name {resource.name} is taken by something that is not this lab's (it has {whose})",
                said=f"{code_of(error)}: {text_of(error)}",
                todo="use another --lab name; if it is your lab, brought up elsewhere, run the same command again to adopt it",
            ) from error
        if code_of(error) in CAPACITY:
            if isinstance(resource.want, InstanceWant):
                self.full[resource.want.type, resource.want.zone] = f"{code_of(error)}: {text_of(error)}"
            raise NoRoomError(where, said=f"{code_of(error)}: {text_of(error)}", todo=_LATER) from error
        if not is_ambiguous(error):
            raise refused(where, error) from error
        if kind.token and not last:
            self.stop.wait(next(self.aws.pauses()))  # the token finds what was made after all
            return None
        found = self._wait_for_own(kind, resource)
        if found is None and last:
            raise refused(f"{where}: tried {ATTEMPTS} times", error) from error
        return found

    def _wait_for_own(self, kind: Kind, resource: Resource) -> Found | None:
        """The resource as its tags show it, looked for until resources that were just made must have become visible."""
        deadline = time.monotonic() + self.aws.grace_s
        for pause_s in self.aws.pauses():
            own = [found for found in kind.find(self.aws, self.lab) if found.key == resource.key and not found.gone]
            if own:
                return min(own, key=lambda found: (found.created, found.id))
            if time.monotonic() >= deadline or self.stop.is_set():
                break
            time.sleep(pause_s)
        return None

    def _settle_unseen(self, resource: Resource, kind: Kind, id: str) -> bool:
        """Makes the settings of a new resource without reading it first. False when it must be read: its kind does not know what a
        new one is like, or AWS did not accept each change."""
        ids = self.file.state.ids()
        facts = kind.as_made(resource, ids)
        if facts is None:
            return False
        found = Found(key=resource.key, kind=resource.kind, id=id, tags={}, facts=facts)
        return all(self._ask(resource, found, change) for change in kind.settle(resource, found, ids))

    def _change(
        self, resource: Resource, found: Found, changes: Iterable[Change], asked: dict[str, float]
    ) -> list[Difference]:
        """Asks for the changes that were not asked for within REACT_S; gives back all that is not as wanted."""
        missing = []
        for change in changes:
            missing.append(change.difference)
            name = str(change.difference)
            if time.monotonic() - asked.get(name, float("-inf")) < REACT_S:
                continue
            self._ask(resource, found, change)
            asked[name] = time.monotonic()
        return missing

    def _ask(self, resource: Resource, found: Found, change: Change) -> bool:
        """Makes one change. False when AWS says that there is one like it already, perhaps from this call itself, repeated after a
        lost answer: only a look can tell whether it is the one wanted."""
        where = f"{resource.key} {found.id}: {change.difference}"
        try:
            patience = partial(self._patience_with, KINDS[resource.kind])
            retry_while(partial(change.act, self.aws), when=patience, aws=self.aws, where=where)
        except EnaxpError:
            raise
        except Exception as error:
            if code_of(error) not in ALREADY:
                raise refused(where, error) from error
            return False
        return True

    @staticmethod
    def _fresh(asked: dict[str, float]) -> bool:
        """Whether a change was asked for just now: it is read back without a pause, because most are in force at once."""
        return any(time.monotonic() - at < 0.05 for at in asked.values())

    def _check_deadline(self, step: Step, id: str, kind: Kind, awaited: str, *, waited: float) -> None:
        if self.stop.is_set():
            raise Interrupted(f"interrupted while waiting for {step.key}", todo=_AGAIN)
        if waited < kind.ready_s:
            return
        raise AwsError(
            f"waited {waited:.0f} s for {step.key} {id} to become ready",
            said=awaited,
            todo="run the same command again: it goes on where it stopped",
        )


def _awaited(found: Found | None, missing: Iterable[Difference]) -> str:
    """What a resource still needs to be ready, in words."""
    if found is None:
        return "waiting until AWS shows it"
    if found.pending:
        return f"waiting for AWS to do its part: {found.pending}"
    return f"waiting until it reads back: {'; '.join(map(str, missing))}"


KEY_REFUSED = "Client.InternalError"  # how EC2 says that it may not use the key of a disk
_ASK_FOR_KEY = (
    "mostly the key of encrypted disks: `aws ec2 get-ebs-default-kms-key-id` names it; ask its owner for kms:CreateGrant, "
    "kms:Decrypt and kms:GenerateDataKeyWithoutPlaintext on it, then run `enaxp up` again"
)
_AGAIN = "run the same command again to go on"
_LATER = "try again later, or set network.availability_zone to another zone"


def _came_to_an_end(key: str, id: str, why: str) -> EnaxpError:
    """A launch that was accepted can still fail, also for want of room."""
    where = f"{key} {id} came to an end"
    if any(code in why for code in CAPACITY):
        return NoRoomError(where, said=why, todo=_LATER)
    if KEY_REFUSED in why:
        return LabError(where, said=why, todo=_ASK_FOR_KEY)
    return LabError(where, said=why, todo="run `enaxp up` again; if it repeats, try another zone")


def request_hash(request: Mapping[str, object]) -> str:
    """Tells one create request from another: equal for requests that ask AWS for the very same."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


def _same_or_new(previous: Intent | None, resource: Resource, request: Mapping[str, object]) -> Intent:
    """The previous intent when it asks for the very same (its token then finds what was made), else a new one."""
    digest = request_hash(request)
    if previous is not None and previous.request_hash == digest:
        return previous
    now = datetime.now(UTC).replace(microsecond=0)
    return Intent(kind=resource.kind, token=str(uuid.uuid4()), request_hash=digest, at=now)
