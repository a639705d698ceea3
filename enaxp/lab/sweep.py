"""Sweep: removes a lab. It repeats passes over the resources with its tags (and those in the state) until nothing is left.

    Survey ─▶ resources that nothing depends on, billed first ─▶ delete in parallel ─▶ repeat ─▶ … ─▶ a Survey that must be empty

A resource in use is retried in the next pass, up to its kind's time limit. A resource that AWS refuses to delete or to list stays, as
does what it depends on; everything else is removed. When no more progress is possible, the sweep ends and reports what is left, and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import DENIED, Aws, Blocked, Refused, refused
from enaxp.errors import AwsError, EnaxpError, LabError
from enaxp.lab.blockers import blockers_of
from enaxp.lab.events import LabEvent, LabWatcher
from enaxp.lab.foreign import remove_foreign
from enaxp.lab.kinds import COMES_ALONG, KINDS, removable
from enaxp.lab.model import DELETING, LAYERS, TAG_LAB_ID, Found, Lab, Layer, kind_of
from enaxp.lab.plan import Step
from enaxp.lab.spec import layer_of
from enaxp.lab.state import StateFile, without
from enaxp.lab.survey import Survey, survey, survey_what_can_be_read

WORKERS = 12
FOREIGN_S = 60.0  # the time limit if another owner's resource blocks: it will not disappear by itself

ResourceIdentity = tuple[str, str]  # kind and id
DeleteOutcome = Literal["gone", "ending", "blocked", "refused"]


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A resource that a sweep did not remove, and why. The id is empty for a kind that AWS refuses to list and of which the state has
    nothing.

    todo: what to do about it; empty for a resource that is left only because of another one.
    """

    found: Found
    why: str
    todo: str

    def __str__(self) -> str:
        return f"{self.found.key} {self.found.id}".rstrip() + f": {self.why}"


@dataclass(frozen=True, kw_only=True)
class Swept:
    """The outcome of a sweep. seen: its last survey, in which only leftovers remain of what it was to remove."""

    removed: tuple[Found, ...]
    left: tuple[Leftover, ...]
    seen: Survey

    def require(self) -> None:
        """Raises LabError that names each leftover and what blocks it."""
        if self.left:
            raise LabError(
                "these could not be removed:\n" + "\n".join(f"  - {leftover}" for leftover in self.left),
                todo="; ".join(dict.fromkeys(leftover.todo for leftover in self.left if leftover.todo)),
            )


def sweep_layers(
    layers: Iterable[Layer],
    *,
    seen: Survey,
    aws: Aws,
    lab: Lab,
    file: StateFile,
    watch: LabWatcher,
    kinds: Iterable[str] | None = None,
    with_foreign: bool = False,
) -> Swept:
    """Removes everything of these layers.

    seen: the survey to start from. kinds: the kinds to search (by default all), and those created along with them. with_foreign: also
    removes endpoints and security groups that others created in the lab's own VPC.
    """
    chosen = set(layers)
    sweep = _Sweep(
        aws=aws,
        lab=lab,
        file=file,
        watch=watch,
        kinds=tuple(KINDS if kinds is None else kinds),
        along=tuple(COMES_ALONG),
        is_chosen=lambda found: layer_of(found.key) in chosen,
        with_foreign=with_foreign,
    )
    return sweep.run(seen)


def sweep_keys(keys: Iterable[str], *, aws: Aws, lab: Lab, file: StateFile, watch: LabWatcher) -> list[Found]:
    """Removes only these resources (to replace them, or because they are duplicates known by id).

    Raises LabError for what could not be removed.
    """
    chosen = set(keys)
    kinds = tuple({kind_of(key) for key in chosen})
    seen = survey(aws, lab, state=file.state, kinds=kinds)
    sweep = _Sweep(
        aws=aws,
        lab=lab,
        file=file,
        watch=watch,
        kinds=kinds,
        along=(),
        is_chosen=lambda found: found.key in chosen,
        with_foreign=False,
    )
    swept = sweep.run(seen)
    swept.require()
    return list(swept.removed)


def sweep_duplicates(duplicates: Iterable[Step], *, aws: Aws, lab: Lab, watch: LabWatcher) -> None:
    """Removes duplicates: resources whose key another one has too. They are new, so nothing depends on them."""
    for step in duplicates:
        found = KINDS[step.kind].look(aws, str(step.id))
        if found is None:
            continue
        watch(LabEvent(what="begin", step=step))
        try:
            KINDS[step.kind].delete(aws, found)
        except Blocked as blocked:
            raise LabError(
                f"{step.key} {step.id} is a duplicate, and something uses it",
                said=blocked.by,
                todo="look at it, then try again",
            ) from blocked
        watch(LabEvent(what="end", step=step, text=str(step.id)))


@dataclass
class _Attempts:
    """The progress of deleting one resource. Times are of the monotonic clock.

    blocked_since: when a delete was first refused as in use. said: AWS's last message. asked_at: when its users were last listed.
    given_up: why there are no more retries, and what to do; None while it is retried.
    """

    began: float
    blocked_since: float | None = None
    said: str = ""
    asked_at: float = 0.0
    given_up: tuple[str, str] | None = None


class _Sweep:
    """One sweep over the chosen resources of some kinds. Resources are identified by kind and id, because resources of several kinds have
    the same name.

    along: kinds that AWS usually deletes together with others: searched only once all others are gone.
    """

    def __init__(
        self,
        *,
        aws: Aws,
        lab: Lab,
        file: StateFile,
        watch: LabWatcher,
        kinds: tuple[str, ...],
        along: tuple[str, ...],
        is_chosen: Callable[[Found], bool],
        with_foreign: bool,
    ) -> None:
        self.aws = aws
        self.lab = lab
        self.file = file
        self.watch = watch
        self.kinds = kinds
        self.along = along
        self.is_chosen = is_chosen
        self.with_foreign = with_foreign
        self.known: dict[ResourceIdentity, Found] = {}
        self.attempts: dict[ResourceIdentity, _Attempts] = {}
        self.removed: dict[ResourceIdentity, Found] = {}
        self.foreign: list[Found] = []
        self.disowned: set[str] = set()
        self.unread: dict[str, AwsError] = {}

    def run(self, seen: Survey) -> Swept:
        """Deletes until a survey shows only resources that cannot be removed. A resource counts as removed once its delete has been
        accepted, and is deleted again if a later survey still shows it."""
        pauses = self.aws.pauses()
        living = self._read(seen, self.kinds)
        while True:
            living = self._remove(living)
            everything = (*self.kinds, *self.along)
            seen = self._survey(everything)
            living = self._read(seen, everything)
            if not any(self._may_go(found, living) for found in living):
                break
            if all(_identity(found) in self.removed for found in living if self._may_go(found, living)):  # listings lag
                time.sleep(next(pauses))
                self._give_up_in_time(living)
        left = [*map(self._leftover, living), *self._of_disowned(seen), *self._of_unread()]
        for key in self._keys_of_state() - {leftover.found.key for leftover in left}:
            self._forget(key)
        return Swept(removed=(*self.removed.values(), *self.foreign), left=tuple(left), seen=seen)

    def _remove(self, living: list[Found]) -> list[Found]:
        """Deletes these in dependency order until no more progress is possible. Asynchronous deletions are polled until complete."""
        pauses = self._pauses()
        ending: set[ResourceIdentity] = set()
        while True:
            ready = [f for f in living if _identity(f) not in ending and self._may_go(f, living)]
            ready.sort(key=lambda found: not removable(found.kind).billed)
            if not ready and not ending:
                return living
            with ThreadPoolExecutor(WORKERS) as pool:
                outcomes = dict(zip(map(_identity, ready), pool.map(self._delete, ready), strict=True))
            gone = {identity for identity, outcome in outcomes.items() if outcome == "gone"}
            ending |= {identity for identity, outcome in outcomes.items() if outcome == "ending"}
            living = [found for found in living if _identity(found) not in gone]
            if gone:
                pauses = self._pauses()
            elif ending or "blocked" in outcomes.values():
                self._remove_foreign({kind for (kind, _), outcome in outcomes.items() if outcome == "blocked"})
                time.sleep(next(pauses))
                living = self._look_again(living, ending)
                ending = set()
                self._give_up_in_time(living)

    def _pauses(self) -> Iterator[float]:
        """The pauses before each poll, in seconds; the first is 0."""
        return chain([0.0], self.aws.pauses())

    def _may_go(self, found: Found, living: list[Found]) -> bool:
        """Whether a delete should be tried: it was not given up, and no resource that exists, or may exist unread, depends on it."""
        attempts = self.attempts.get(_identity(found))
        return not (
            (attempts and attempts.given_up)
            or any(removable(kind).may_stand_on(found) for kind in self.unread)
            or any(removable(other.kind).stands_on(other, found) for other in living)
        )

    def _survey(self, kinds: Iterable[str]) -> Survey:
        """The survey of these kinds. A kind that AWS refused to list is not listed again."""
        layers = tuple({*self.lab.layers, *(layer_of(found.key) for found in self.known.values())})
        lab = replace(self.lab, layers=tuple(layer for layer in LAYERS if layer in layers))
        asked = [kind for kind in kinds if kind not in self.unread]
        return survey_what_can_be_read(self.aws, lab, state=self.file.state, kinds=asked)

    def _look_again(self, living: list[Found], ending: set[ResourceIdentity]) -> list[Found]:
        """The resources of these that still exist. While some are ending only their kinds are read, because nothing else can change.
        Otherwise all kinds are, because a resource that no listing has shown yet may block."""
        kinds = {kind for kind, _ in ending} or {*self.kinds, *(found.kind for found in living)}
        seen = self._survey(kinds)
        return [*(found for found in living if found.kind not in kinds), *self._read(seen, kinds)]

    def _read(self, seen: Survey, kinds: Iterable[str]) -> list[Found]:
        """The resources of these kinds that are to be removed. A resource whose deletion began and that is no longer shown has ended."""
        self.unread.update(seen.unread)
        self.disowned |= {key for key, found in seen.disowned.items() if self.is_chosen(found)}
        living = [found for found in seen.all() if self.is_chosen(found)]
        self.known.update({_identity(found): found for found in living})
        for identity in set(self.attempts) - {_identity(found) for found in living} - set(self.removed):
            if identity[0] in kinds and identity[0] not in self.unread:
                self._ended(self.known[identity])
        return living

    def _delete(self, found: Found) -> DeleteOutcome:
        """Deletes the resource, and records the outcome."""
        identity = _identity(found)
        if identity not in self.attempts:
            self.attempts[identity] = _Attempts(began=time.monotonic())
            self.watch(LabEvent(what="begin", step=_step(found)))
        attempts = self.attempts[identity]
        try:
            self._delete_as_it_is(found)
        except Blocked as blocked:
            attempts.said = blocked.by
            attempts.blocked_since = attempts.blocked_since or time.monotonic()
            return "blocked"
        except Refused as refusal:
            self._give_up(found, refusal.by, refusal.todo)
            return "refused"
        except EnaxpError:
            raise
        except Exception as error:
            raise refused(f"deleting {found.key} {found.id}", error) from error
        attempts.blocked_since = None
        if removable(found.kind).ends_slowly or found.pending == DELETING:
            return "ending"
        if identity not in self.removed:
            self._ended(found)
        return "gone"

    def _delete_as_it_is(self, found: Found) -> None:
        """Deletes the resource. A tag-based policy denies a call on a resource that no longer exists, for example after an earlier delete
        whose answer was lost: so after a denial the resource is read again, and deleted if it still exists. Raises as `Kind.delete`.
        """
        kind = removable(found.kind)
        try:
            kind.delete(self.aws, found)
        except Refused as refusal:
            if refusal.code not in DENIED:
                raise
            try:
                now = kind.look(self.aws, found.id)
            except ClientError:  # may not be read, either
                raise refusal from None
            if now is not None and now.facts == found.facts:
                raise
            if now is not None:
                kind.delete(self.aws, replace(now, key=found.key))

    def _ended(self, found: Found) -> None:
        identity = _identity(found)
        self.removed[identity] = found
        seconds = time.monotonic() - self.attempts[identity].began
        self.watch(LabEvent(what="end", step=_step(found), text=found.id, seconds=seconds))
        self._forget(found.key)

    def _remove_foreign(self, blocked: set[str]) -> None:
        """Removes what others created in the lab's own VPC, if requested and if it blocks one of these kinds."""
        vpc = next((one.id for one in self.known.values() if one.kind == "vpc"), None)
        if not self.with_foreign or vpc is None or blocked.isdisjoint({"vpc", "subnet", "security-group"}):
            return
        there = {one.id for one in self.foreign}
        for foreign in remove_foreign(self.aws, vpc=vpc, lab=self.lab):
            if foreign.id not in there:
                self.foreign.append(foreign)
                self.watch(LabEvent(what="end", step=_step(foreign), text=foreign.id))

    def _give_up_in_time(self, living: list[Found]) -> None:
        """Gives up resources that have been blocked for longer than their kind's time limit, or for longer than FOREIGN_S by a resource
        of somebody else."""
        now = time.monotonic()
        for found in living:
            attempts, kind = self.attempts.get(_identity(found)), removable(found.kind)
            if attempts is None or attempts.given_up:
                continue
            if found.is_ending or _identity(found) in self.removed:
                if now - attempts.began >= (kind.ending_s if found.is_ending else kind.patience_s):
                    waited = f"AWS has been removing it for {now - attempts.began:.0f} s, and still shows it"
                    self._give_up(found, f"{waited} ({found.pending or 'it said yes to its removal'})", _AGAIN)
            elif attempts.blocked_since is not None:
                self._give_up_blocked(found, attempts, waited=now - attempts.blocked_since)

    def _give_up_blocked(self, found: Found, attempts: _Attempts, *, waited: float) -> None:
        is_over = waited >= removable(found.kind).patience_s
        since_asked = waited if not attempts.asked_at else time.monotonic() - attempts.asked_at
        if not is_over and since_asked < FOREIGN_S:
            return
        attempts.asked_at = time.monotonic()
        users, unknown = self._users_of(found)
        if users:
            why = f"used by {', '.join(users)}"
            self._give_up(
                found, why, f"remove what uses {found.id}, or ask its owner to{self._or_with_foreign(users)}; {_AGAIN}"
            )
        elif is_over:
            self._give_up(found, f"{attempts.said} (for {waited:.0f} s{unknown})", _AGAIN)

    def _or_with_foreign(self, users: list[str]) -> str:
        """The hint to `--with-foreign`, if that would remove the users: endpoints and groups in the lab's own VPC."""
        is_own = any(one.kind == "vpc" for one in self.known.values())
        would = is_own and not self.with_foreign and any("vpce-" in user or "security group" in user for user in users)
        return ", or give --with-foreign, which removes endpoints and security groups of others" if would else ""

    def _users_of(self, found: Found) -> tuple[list[str], str]:
        """The users of the resource, by id and owner; and why they cannot be listed."""
        try:
            return blockers_of(self.aws, found, lab=self.lab), ""
        except (ClientError, BotoCoreError) as error:
            return [], f"; who uses it is not to be found out: {error}"

    def _give_up(self, found: Found, why: str, todo: str) -> None:
        self.attempts[_identity(found)].given_up = why, todo
        self.watch(LabEvent(what="note", step=_step(found), text=f"is left: {why}"))

    def _leftover(self, found: Found) -> Leftover:
        """The leftover for this resource: blocked itself, or because of what depends on it."""
        attempts = self.attempts.get(_identity(found))
        if attempts and attempts.given_up:
            why, todo = attempts.given_up
            return Leftover(found=found, why=why, todo=todo)
        above = [
            f"{key} {other.id}" for key, other in self._standing() if removable(other.kind).stands_on(other, found)
        ]
        above += [f"{kind} (not to be read)" for kind in self.unread if removable(kind).may_stand_on(found)]
        return Leftover(found=found, why=f"needed by {', '.join(above) or 'what is left'}", todo="")

    def _standing(self) -> list[tuple[str, Found]]:
        """The known resources that were not removed."""
        return [(found.key, found) for identity, found in self.known.items() if identity not in self.removed]

    def _of_disowned(self, seen: Survey) -> Iterator[Leftover]:
        """The leftovers that lost their tag: they may belong to somebody else now."""
        for found in seen.disowned.values():
            if self.is_chosen(found):
                why = f"it does not carry the tag {TAG_LAB_ID} any more"
                todo = f"put the tag back (its value is {self.lab.lab_id}), or remove the resource yourself; {_AGAIN}"
                yield Leftover(found=found, why=why, todo=todo)

    def _of_unread(self) -> Iterator[Leftover]:
        """The leftovers of a kind that AWS refused to list: its resources in the state, or the kind itself if there are none."""
        for kind, error in self.unread.items():
            entries = [(key, e.id) for key, e in self.file.state.resources.items() if e.kind == kind and e.owned]
            for key, id in entries or [(kind, "")]:
                found = Found(key=key, kind=kind, id=id, tags={})
                if self.is_chosen(found):
                    yield Leftover(found=found, why=f"could not be looked at: {error.said}", todo=error.todo)

    def _forget(self, key: str) -> None:
        if key in self.file.state.resources or key in self.file.state.intents:
            self.file.update(lambda state: without(state, {key}))

    def _keys_of_state(self) -> set[str]:
        """Keys that the state still has although the resources no longer exist."""
        state = self.file.state
        kinds = {key: entry.kind for key, entry in state.resources.items()} | {
            key: i.kind for key, i in state.intents.items()
        }
        known = [
            Found(key=key, kind=kind, id="", tags={})
            for key, kind in kinds.items()
            if kind in self.kinds and kind not in self.unread
        ]
        return {found.key for found in known if self.is_chosen(found)} - self.disowned


_AGAIN = "run `enaxp down` again: it goes on where it stopped"


def _identity(found: Found) -> ResourceIdentity:
    return found.kind, found.id


def _step(found: Found) -> Step:
    return Step(key=found.key, kind=found.kind, action="delete", reason="the lab is taken down", id=found.id)
