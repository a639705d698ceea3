"""Sweep: takes a lab down. Pass after pass over what carries its tags (and what the state knows), until nothing is left.

    Survey ─▶ what nothing living stands on ─▶ delete side by side ─▶ again ─▶ … ─▶ a Survey that must be empty

What is in use is left for the next pass. When nothing moves any more, the sweep stops and names what is in the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, Blocked, refused
from enaxp.errors import EnaxpError, LabError
from enaxp.lab.apply import LabEvent, LabWatcher
from enaxp.lab.blockers import blockers_of
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import DELETING, LAYERS, Found, Lab, Layer, kind_of
from enaxp.lab.plan import Step
from enaxp.lab.spec import layer_of
from enaxp.lab.state import StateFile, without
from enaxp.lab.survey import Survey, survey

WORKERS = 12

ResourceIdentity = tuple[str, str]  # kind and id
DeleteOutcome = Literal["gone", "ending", "blocked"]


def sweep_layers(
    layers: Iterable[Layer], *, seen: Survey, aws: Aws, lab: Lab, file: StateFile, watch: LabWatcher
) -> tuple[list[Found], Survey]:
    """Removes everything of these layers. Gives back what was removed, and a last survey of the whole lab, which shows nothing of
    these layers: the proof that the sweep is done.

    seen: what there is now.  Raises LabError, naming what is in the way, when nothing moves any more.
    """
    chosen = set(layers)
    sweep = _Sweep(
        aws=aws,
        lab=lab,
        file=file,
        watch=watch,
        kinds=KINDS,
        is_chosen=lambda found: layer_of(found.key) in chosen,
    )
    return sweep.run(seen)


def sweep_keys(keys: Iterable[str], *, aws: Aws, lab: Lab, file: StateFile, watch: LabWatcher) -> list[Found]:
    """Removes these resources alone (to make them anew, or because they are duplicates known by id)."""
    chosen = set(keys)
    kinds = {kind_of(key) for key in chosen}
    seen = survey(aws, lab, state=file.state, kinds=kinds)
    sweep = _Sweep(aws=aws, lab=lab, file=file, watch=watch, kinds=kinds, is_chosen=lambda found: found.key in chosen)
    removed, _ = sweep.run(seen)
    return removed


def sweep_duplicates(duplicates: Iterable[Step], *, aws: Aws, lab: Lab, watch: LabWatcher) -> None:
    """Removes resources of which there is another one with the same key. They are new and empty: nothing stands on them."""
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


class _Sweep:
    """One run over the chosen resources of some kinds. Resources are told apart by kind and id: several kinds go by one name."""

    def __init__(
        self,
        *,
        aws: Aws,
        lab: Lab,
        file: StateFile,
        watch: LabWatcher,
        kinds: Iterable[str],
        is_chosen: Callable[[Found], bool],
    ) -> None:
        self.aws = aws
        self.lab = replace(lab, layers=LAYERS)  # every layer is searched, whatever the state knows
        self.file = file
        self.watch = watch
        self.kinds = tuple(kinds)
        self.is_chosen = is_chosen
        self.known: dict[ResourceIdentity, Found] = {}
        self.began: dict[ResourceIdentity, float] = {}
        self.removed: dict[ResourceIdentity, Found] = {}
        self.blocked: dict[ResourceIdentity, str] = {}
        self.disowned: set[str] = set()
        self.moved_at = time.monotonic()

    def run(self, seen: Survey) -> tuple[list[Found], Survey]:
        """Deletes until a survey finds nothing; gives back what was removed, and that survey. A resource counts as removed once its
        delete has been accepted, and is deleted again when a later survey still shows it."""
        pauses = self.aws.pauses()
        living = self._read(seen, self.kinds)
        while living:
            if all(_identity(found) in self.removed for found in living):  # listings lag behind
                time.sleep(next(pauses))
                self._check_progress(self._states(living), living)
            self._remove(living)
            seen = survey(self.aws, self.lab, state=self.file.state, kinds=self.kinds)
            living = self._read(seen, self.kinds)
        for key in self._keys_of_state():
            self._forget(key)
        return list(self.removed.values()), seen

    def _remove(self, living: list[Found]) -> None:
        """Deletes these in the order that AWS wants, until all are gone. What ends slowly is looked at until it has ended."""
        pauses = self._pauses()
        ending: set[ResourceIdentity] = set()
        while living:
            ready = [found for found in living if _identity(found) not in ending and not self._is_needed(found, living)]
            with ThreadPoolExecutor(WORKERS) as pool:
                outcomes = dict(zip(map(_identity, ready), pool.map(self._delete, ready), strict=True))
            gone = {identity for identity, outcome in outcomes.items() if outcome == "gone"}
            ending |= {identity for identity, outcome in outcomes.items() if outcome == "ending"}
            living = [found for found in living if _identity(found) not in gone]
            if gone:
                pauses = self._pauses()
            elif living:
                time.sleep(next(pauses))
                before, living = self._states(living), self._look_again(living, ending)
                ending = set()
                self._check_progress(before, living)

    def _pauses(self) -> Iterator[float]:
        """Seconds before each look: the first comes at once."""
        return chain([0.0], self.aws.pauses())

    def _look_again(self, living: list[Found], ending: set[ResourceIdentity]) -> list[Found]:
        """What of these still exists. While something is ending, only its kind is asked about: nothing else can change. Otherwise
        everything is, because something that no listing has shown yet may be in the way."""
        kinds = {kind for kind, _ in ending} or set(self.kinds)
        seen = survey(self.aws, self.lab, state=self.file.state, kinds=kinds)
        return [*(found for found in living if found.kind not in kinds), *self._read(seen, kinds)]

    def _read(self, seen: Survey, kinds: Iterable[str]) -> list[Found]:
        """What of these kinds is to be removed. What was begun and is not shown any more has ended."""
        self.disowned |= {key for key, found in seen.disowned.items() if self.is_chosen(found)}
        living = [found for found in seen.all() if self.is_chosen(found)]
        self.known.update({_identity(found): found for found in living})
        ended = set(self.began) - {_identity(found) for found in living} - set(self.removed)
        for identity in ended:
            if identity[0] in kinds:
                self._ended(self.known[identity])
        return living

    def _is_needed(self, found: Found, living: list[Found]) -> bool:
        """Whether something living stands on it."""
        return any(found.kind in KINDS[other.kind].needs for other in living)

    def _delete(self, found: Found) -> DeleteOutcome:
        """Asks AWS to delete it."""
        identity = _identity(found)
        if identity not in self.began:
            self.began[identity] = time.monotonic()
            self.watch(LabEvent(what="begin", step=_step(found)))
        try:
            KINDS[found.kind].delete(self.aws, found)
        except Blocked as blocked:
            self.blocked[identity] = blocked.by
            return "blocked"
        except EnaxpError:
            raise
        except Exception as error:
            raise refused(f"deleting {found.key} {found.id}", error) from error
        self.blocked.pop(identity, None)
        if KINDS[found.kind].ends_slowly or found.pending == DELETING:
            return "ending"
        if identity not in self.removed:
            self._ended(found)
        return "gone"

    def _ended(self, found: Found) -> None:
        identity = _identity(found)
        self.removed[identity], self.moved_at = found, time.monotonic()
        self.watch(
            LabEvent(what="end", step=_step(found), text=found.id, seconds=time.monotonic() - self.began[identity])
        )
        self._forget(found.key)

    def _in_the_way_of(self, found: Found) -> str:
        """Who uses it, by id and owner; what AWS said of it where that cannot be found out."""
        said = self.blocked.get(_identity(found), found.pending or "still there")
        try:
            users = blockers_of(self.aws, found, lab=self.lab)
        except (ClientError, BotoCoreError) as error:
            return f"{said} (who uses it is not to be found out: {error})"
        return f"used by {', '.join(users)}" if users else said

    def _forget(self, key: str) -> None:
        if key in self.file.state.resources or key in self.file.state.intents:
            self.file.update(lambda state: without(state, {key}))

    def _keys_of_state(self) -> list[str]:
        """Keys that the state still lists although nothing of them is there."""
        state = self.file.state
        kinds = {key: entry.kind for key, entry in state.resources.items()} | {
            key: i.kind for key, i in state.intents.items()
        }
        known = [Found(key=key, kind=kind, id="", tags={}) for key, kind in kinds.items() if kind in self.kinds]
        return sorted({found.key for found in known if self.is_chosen(found)} - self.disowned)

    @staticmethod
    def _states(living: list[Found]) -> set[tuple[ResourceIdentity, str]]:
        """What must change for the sweep to have moved on."""
        return {(_identity(found), found.pending) for found in living}

    def _check_progress(self, before: set[tuple[ResourceIdentity, str]], living: list[Found]) -> None:
        """Raises LabError when nothing has moved for longer than the most patient kind allows."""
        now = time.monotonic()
        if self._states(living) != before:
            self.moved_at = now
        patience = max((_patience_s(found) for found in living), default=0.0)
        if not living or now - self.moved_at < patience:
            return
        lines = [f"{f.key} {f.id}: {self._in_the_way_of(f)}" for f in living]
        raise LabError(
            f"nothing has moved for {patience:.0f} s; still there:\n    " + "\n    ".join(lines),
            todo="remove what is in the way (the console shows it by id), then run `enaxp down` again: it goes on",
        )


def _patience_s(found: Found) -> float:
    """How long it may stay without anything moving, in seconds."""
    kind = KINDS[found.kind]
    return kind.ending_s if found.is_ending else kind.patience_s


def _identity(found: Found) -> ResourceIdentity:
    return found.kind, found.id


def _step(found: Found) -> Step:
    return Step(key=found.key, kind=found.kind, action="delete", reason="the lab is taken down", id=found.id)
