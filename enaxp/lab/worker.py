"""Worker: carries out one step of a plan at a time, in two parts.

    make:    intent saved ─▶ call ─▶ id saved
    settle:  read, and again when due ─▶ change ─▶ … ─▶ everything reads as wanted

A new resource is not read back if its kind knows its initial facts (`Kind.as_made`): its settings are applied at once, and count as done
when AWS accepts them. If the process is killed at any point, the next run finds the intent or the id in the state, or the tag on AWS, and
continues from there.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from enaxp.aws import (
    ALREADY,
    CAPACITY,
    Aws,
    code_of,
    is_ambiguous,
    refused,
    retry_while,
    text_of,
)
from enaxp.errors import AwsError, EnaxpError, Interrupted, LabError, NameTakenError, NoRoomError
from enaxp.lab.events import LabEvent, LabWatcher
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.compute import InstanceWant
from enaxp.lab.model import TAG_LAB_ID, Change, Difference, Found, Kind, Lab, Resource
from enaxp.lab.plan import Step, changes_of
from enaxp.lab.state import Entry, Intent, StateFile, with_intent, with_resource

ATTEMPTS = 5  # at one create whose answers are lost
TELL_S = 30.0  # what takes longer is said, with what it waits for
REACT_S = 20.0  # a change that is not read back by then is asked for again
AGAIN = "run the same command again to go on"


@dataclass(kw_only=True)
class Settling:
    """A resource that is not ready, or not yet as wanted. Times are of the monotonic clock.

    asked: when each change was last requested. told: the last progress message. due: when it is polled next.
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


Looks = list[tuple[Settling, Found | None]]


class Worker:
    """Carries out the two parts of each step. It holds the data that the steps of one apply share; its methods run in parallel.

    stop: set when waiting must end. seen, without_room: as in `Applied`.
    """

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

    def settle(self, step: Step) -> Settling | None:
        """Changes every setting of the resource that differs. Returns a Settling to be polled, if the resource must be read first."""
        if step.action == "keep" or step.key in self.without_room:
            return None
        resource, kind, id = self.resources[step.key], KINDS[step.kind], self.file.state.resources[step.key].id
        if step.action == "create" and self._settle_unseen(resource, kind, id):
            self._end(step, id)
            return None
        return Settling(step=step, resource=resource, kind=kind, id=id, pauses=self.aws.pauses())

    def look_at(self, settling: Settling) -> Settling | None:
        """Reads the resource by its id, and continues with its changes."""
        return self.advance(settling, settling.kind.look(self.aws, settling.id))

    def look_at_all(self, those: Sequence[Settling]) -> Looks:
        """The current state of each of these resources of one kind, read in as few calls as possible."""
        found = those[0].kind.look_all(self.aws, [settling.id for settling in those])
        return [(settling, found.get(settling.id)) for settling in those]

    def advance(self, settling: Settling, found: Found | None) -> Settling | None:
        """Requests the missing changes. Returns None once everything reads as wanted, else the time of the next poll."""
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
        """The id of the resource, which is created exactly once even if answers are lost: intent → call → id."""
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
        """Raises NoRoomError for an instance like one for which AWS has just had no capacity."""
        want = resource.want
        said = self.full.get((want.type, want.zone)) if isinstance(want, InstanceWant) else None
        if said is not None:
            raise NoRoomError(f"creating {resource.key}", said=said, todo=_LATER)

    def _patience_with(self, kind: Kind, error: Exception) -> float:
        """How long to retry a call after this error, in seconds; 0 after a second Ctrl-C."""
        wait = kind.awaits(error)
        return 0.0 if wait is None or self.stop.is_set() else max(self.aws.grace_s, wait.seconds)

    def _noting(self, step: Step, kind: Kind) -> Callable[[Exception], None]:
        """A function that reports what is being waited for, once for each reason."""
        told = set[str]()

        def note(error: Exception) -> None:
            wait = kind.awaits(error)
            if wait is not None and wait.what not in told:
                told.add(wait.what)
                text = f"waiting for {wait.what}, up to {wait.seconds:.0f} s ({code_of(error)})"
                self.watch(LabEvent(what="note", step=step, text=text))

        return note

    def _after_failed_create(self, kind: Kind, resource: Resource, error: Exception, *, last: bool) -> Found | None:
        """The resource, if it exists and is the lab's; None if the create may be retried. Raises AwsError if it may not."""
        where = f"creating {resource.key}"
        if kind.is_taken(error):
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
        """The resource found by its tags; searched until a resource created just now must have become visible."""
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
        """Applies the settings of a new resource without reading it first. False if it must be read: its kind does not know its initial
        facts, or AWS did not accept every change."""
        ids = self.file.state.ids()
        facts = kind.as_made(resource, ids)
        if facts is None:
            return False
        found = Found(key=resource.key, kind=resource.kind, id=id, tags={}, facts=facts)
        return all(self._ask(resource, found, change) for change in kind.settle(resource, found, ids))

    def _change(
        self, resource: Resource, found: Found, changes: Iterable[Change], asked: dict[str, float]
    ) -> list[Difference]:
        """Requests the changes that were not requested within REACT_S; returns all differences."""
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
        """Makes one change. False if AWS answers that such a setting exists already, perhaps from this call itself, retried after a lost
        answer: only a read shows whether it is the wanted one."""
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
        """Whether a change was requested just now: it is read back without a pause, because most take effect at once."""
        return any(time.monotonic() - at < 0.05 for at in asked.values())

    def _check_deadline(self, step: Step, id: str, kind: Kind, awaited: str, *, waited: float) -> None:
        if self.stop.is_set():
            raise Interrupted(f"interrupted while waiting for {step.key}", todo=AGAIN)
        if waited < kind.ready_s:
            return
        raise AwsError(
            f"waited {waited:.0f} s for {step.key} {id} to become ready",
            said=awaited,
            todo="run the same command again: it goes on where it stopped",
        )


def _awaited(found: Found | None, missing: Iterable[Difference]) -> str:
    """What AWS is still doing with a resource, in words."""
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
_LATER = "try again later, or set network.availability_zone to another zone"


def _came_to_an_end(key: str, id: str, why: str) -> EnaxpError:
    """The error for a resource that has ended: an accepted launch can still fail, for example for lack of capacity."""
    where = f"{key} {id} came to an end"
    if any(code in why for code in CAPACITY):
        return NoRoomError(where, said=why, todo=_LATER)
    if KEY_REFUSED in why:
        return LabError(where, said=why, todo=_ASK_FOR_KEY)
    return LabError(where, said=why, todo="run `enaxp up` again; if it repeats, try another zone")


def request_hash(request: Mapping[str, object]) -> str:
    """A hash of a create request: equal for requests with the same parameters."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


def _same_or_new(previous: Intent | None, resource: Resource, request: Mapping[str, object]) -> Intent:
    """The previous intent if its request is the same (its token then finds what was created), else a new one."""
    digest = request_hash(request)
    if previous is not None and previous.request_hash == digest:
        return previous
    now = datetime.now(UTC).replace(microsecond=0)
    return Intent(kind=resource.kind, token=str(uuid.uuid4()), request_hash=digest, at=now)
