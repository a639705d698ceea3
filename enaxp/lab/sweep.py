"""Sweep: takes a lab down. Pass after pass over what carries its tags (and what the state knows), until nothing is left.

    survey ─▶ what nothing living stands on ─▶ delete side by side ─▶ again ─▶ … ─▶ a listing by tag that must be empty

What is in use is left for the next pass. When nothing moves any more, the sweep stops and names what is in the way.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from enaxp.aws import Aws, Blocked, refused
from enaxp.errors import EnaxpError, LabError
from enaxp.lab.apply import Event, Watcher
from enaxp.lab.blockers import blockers_of
from enaxp.lab.kinds import KINDS
from enaxp.lab.plan import Step
from enaxp.lab.spec import LAYER_OF_KIND
from enaxp.lab.state import StateFile, without
from enaxp.lab.survey import survey
from enaxp.lab.things import Found, Lab, Layer

STALL_S = 60.0  # nothing has moved for so long: stop and say what is in the way
DYING_S = 1200.0  # instances that shut down may take this long
WORKERS = 12

Identity = tuple[str, str]  # kind and id


def sweep_layers(layers: Iterable[Layer], *, aws: Aws, lab: Lab, file: StateFile, watch: Watcher) -> list[Found]:
    """Removes everything of these layers; gives back what was removed. Raises LabError, naming what is in the way, when stuck."""
    chosen = set(layers)
    kinds = {kind for kind, layer in LAYER_OF_KIND.items() if layer in chosen}
    return _Sweep(aws=aws, lab=lab, file=file, watch=watch, kinds=kinds, keys=None).run()


def sweep_keys(keys: Iterable[str], *, aws: Aws, lab: Lab, file: StateFile, watch: Watcher) -> list[Found]:
    """Removes these things alone (to make them anew, or because they are duplicates known by id)."""
    chosen = set(keys)
    kinds = {key.partition("/")[0] for key in chosen}
    return _Sweep(aws=aws, lab=lab, file=file, watch=watch, kinds=kinds, keys=chosen).run()


def sweep_duplicates(duplicates: Iterable[Step], *, aws: Aws, lab: Lab, watch: Watcher) -> None:
    """Removes things of which there is another one with the same key. They are new and empty: nothing stands on them."""
    for step in duplicates:
        found = KINDS[step.kind].look(aws, str(step.id))
        if found is None:
            continue
        watch(Event(what="begin", step=step))
        try:
            KINDS[step.kind].delete(aws, found)
        except Blocked as blocked:
            raise LabError(
                f"{step.key} {step.id} is a duplicate, and something uses it",
                said=blocked.by,
                todo="look at it, then try again",
            ) from blocked
        watch(Event(what="end", step=step, text=str(step.id)))


def leftovers(aws: Aws, lab: Lab, file: StateFile, layers: Iterable[Layer]) -> list[Found]:
    """What still carries the lab's tags in these layers, or is known and has lost them. Empty is the proof that a sweep is done."""
    chosen = set(layers)
    kinds = [kind for kind, layer in LAYER_OF_KIND.items() if layer in chosen]
    seen = survey(aws, lab, state=file.state, kinds=kinds)
    return [*seen.all(), *seen.disowned.values()]


class _Sweep:
    """One run over some kinds, or some keys of them. Things are told apart by kind and id: several kinds go by one name."""

    def __init__(
        self, *, aws: Aws, lab: Lab, file: StateFile, watch: Watcher, kinds: set[str], keys: set[str] | None
    ) -> None:
        self.aws = aws
        self.lab = lab
        self.file = file
        self.watch = watch
        self.kinds = kinds
        self.keys = keys
        self.known: dict[Identity, Found] = {}
        self.began: dict[Identity, float] = {}
        self.removed: dict[Identity, Found] = {}
        self.blocked: dict[Identity, str] = {}
        self.disowned: set[str] = set()
        self.moved_at = time.monotonic()

    def run(self) -> list[Found]:
        """Deletes until a look at everything finds nothing. What a delete answered well is taken for gone until then."""
        while living := self._look(self.kinds):
            pauses = self.aws.pauses()
            while living:
                before = self._picture(living)
                ready = [found for found in living if not self._stood_on(found, living)]
                with ThreadPoolExecutor(WORKERS) as pool:
                    gone = {
                        _identity(found)
                        for found, done in zip(ready, pool.map(self._delete, ready), strict=True)
                        if done
                    }
                living = [found for found in living if _identity(found) not in gone]
                if gone:
                    self.moved_at, pauses = time.monotonic(), self.aws.pauses()
                elif living:
                    time.sleep(next(pauses))
                    living = self._look({found.kind for found in living})
                    self._check_progress(before, living)
            time.sleep(next(self.aws.pauses()))
        for key in self._keys_of_state():
            self._forget(key)
        return list(self.removed.values())

    def _look(self, kinds: set[str]) -> list[Found]:
        """What is there of these kinds. What was begun and is not there any more has ended."""
        seen = survey(self.aws, self.lab, state=self.file.state, kinds=kinds)
        self.disowned |= set(seen.disowned)
        living = [found for found in seen.all() if self.keys is None or found.key in self.keys]
        self.known.update({_identity(found): found for found in living})
        there = {_identity(found) for found in living}
        for identity in self.began:
            if identity[0] in kinds and identity not in there and identity not in self.removed:
                self._ended(self.known[identity])
        return living

    def _stood_on(self, found: Found, living: list[Found]) -> bool:
        return any(found.kind in KINDS[other.kind].needs for other in living)

    def _delete(self, found: Found) -> bool:
        """Whether it is gone now. An instance is not: it takes its time to end."""
        identity = _identity(found)
        if identity not in self.began:
            self.began[identity] = time.monotonic()
            self.watch(Event(what="begin", step=_step(found)))
        try:
            KINDS[found.kind].delete(self.aws, found)
        except Blocked as blocked:
            self.blocked[identity] = blocked.by
            return False
        except EnaxpError:
            raise
        except Exception as error:
            raise refused(f"deleting {found.key} {found.id}", error) from error
        self.blocked.pop(identity, None)
        if found.kind == "instance" or found.pending == "deleting":
            return False
        if identity not in self.removed:
            self._ended(found)
        return True

    def _ended(self, found: Found) -> None:
        identity = _identity(found)
        self.removed[identity] = found
        self.watch(Event(what="end", step=_step(found), text=found.id, seconds=time.monotonic() - self.began[identity]))
        self._forget(found.key)

    def _in_the_way_of(self, found: Found) -> str:
        """Who uses it, by id and owner; what AWS said of it where that is not to be found out."""
        said = self.blocked.get(_identity(found), found.pending or "still there")
        try:
            users = blockers_of(self.aws, found, lab=self.lab)
        except (ClientError, BotoCoreError) as error:
            return f"{said} (who uses it is not to be found out: {error})"
        return f"used by {', '.join(users)}" if users else said

    def _forget(self, key: str) -> None:
        if key in self.file.state.things or key in self.file.state.intents:
            self.file.update(lambda state: without(state, {key}))

    def _keys_of_state(self) -> list[str]:
        """Keys that the state still lists although nothing of them is there."""
        state = self.file.state
        kinds = {key: entry.kind for key, entry in state.things.items()} | {
            key: i.kind for key, i in state.intents.items()
        }
        chosen = {key for key, kind in kinds.items() if kind in self.kinds and (self.keys is None or key in self.keys)}
        return sorted(chosen - self.disowned)

    @staticmethod
    def _picture(living: list[Found]) -> set[tuple[Identity, str]]:
        return {(_identity(found), found.pending) for found in living}

    def _check_progress(self, before: set[tuple[Identity, str]], living: list[Found]) -> None:
        now = time.monotonic()
        if self._picture(living) != before:
            self.moved_at = now
        patience = DYING_S if any(found.pending in {"shutting-down", "deleting"} for found in living) else STALL_S
        if now - self.moved_at < patience:
            return
        lines = [f"{f.key} {f.id}: {self._in_the_way_of(f)}" for f in living]
        raise LabError(
            f"nothing has moved for {patience:.0f} s; still there:\n    " + "\n    ".join(lines),
            todo="remove what is in the way (the console shows it by id), then run `enaxp down` again: it goes on",
        )


def _identity(found: Found) -> Identity:
    return found.kind, found.id


def _step(found: Found) -> Step:
    return Step(key=found.key, kind=found.kind, action="delete", reason="the lab is taken down", id=found.id)
