"""Plan: what stands between what is wanted and what is there, as plain data. Pure: calls nothing, reads no clock.

    things × Survey × State × Lab ─▶ make_plan() ─▶ Plan(steps in dependency order)

Each step says what happens to one thing, why, and field by field what changes. `plan` prints it; `apply` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from enaxp.lab.kinds import KINDS
from enaxp.lab.state import State
from enaxp.lab.survey import Survey
from enaxp.lab.tags import tag_changes
from enaxp.lab.things import Change, Difference, Found, Ids, Lab, Thing

Action = Literal["keep", "adopt", "create", "settle", "replace", "delete"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens to one thing. `needs` are keys of steps that come first."""

    key: str
    kind: str
    action: Action
    reason: str
    changes: tuple[Difference, ...] = ()
    needs: tuple[str, ...] = ()
    id: str | None = None

    def as_json(self) -> dict[str, Any]:
        changes = [{"field": c.field, "have": _plain(c.have), "want": _plain(c.want)} for c in self.changes]
        return {"key": self.key, "action": self.action, "reason": self.reason, "changes": changes}


@dataclass(frozen=True, kw_only=True)
class Plan:
    steps: tuple[Step, ...]

    @property
    def changing(self) -> tuple[Step, ...]:
        """The steps that do something."""
        return tuple(step for step in self.steps if step.action != "keep")

    def with_action(self, *actions: Action) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.action in actions)

    def as_json(self) -> dict[str, Any]:
        return {"steps": [step.as_json() for step in self.steps]}


def make_plan(things: Iterable[Thing], survey: Survey, state: State, lab: Lab) -> Plan:
    """One step for each thing wanted, and one `delete` for each duplicate found."""
    things = tuple(things)
    replaced: set[str] = set()
    steps = []
    for thing in things:
        step = _step(thing, survey, state, lab, replaced)
        if step.action == "replace":
            replaced.add(thing.key)
        steps.append(step)
    extra = [
        Step(
            key=f.key,
            kind=f.kind,
            action="delete",
            reason="there is another one with this key: a create was answered late",
            id=f.id,
        )
        for f in survey.duplicates
        if f.pending != "shutting-down"
    ]
    return Plan(steps=(*steps, *extra))


def changes_of(thing: Thing, found: Found, ids: Ids, lab: Lab) -> Iterator[Change]:
    """A change for each setting and each tag of a thing that is not as wanted."""
    yield from KINDS[thing.kind].settle(thing, found, ids)
    yield from tag_changes(thing, found, lab)


def drift_of(thing: Thing, found: Found, ids: Ids, lab: Lab) -> tuple[Difference, ...]:
    """Every field of a thing that is not as wanted, whether it can be changed in place or not."""
    if not thing.owned:
        return ()
    changes = changes_of(thing, found, ids, lab)
    return (*KINDS[thing.kind].fixed(thing, found), *(change.difference for change in changes))


def _step(thing: Thing, survey: Survey, state: State, lab: Lab, replaced: set[str]) -> Step:
    found = survey.found.get(thing.key)
    action, reason, changes = _decide(thing, found, survey, state, lab, replaced)
    return Step(
        key=thing.key,
        kind=thing.kind,
        action=action,
        reason=reason,
        changes=changes,
        needs=thing.needs,
        id=found.id if found else None,
    )


def _decide(
    thing: Thing, found: Found | None, survey: Survey, state: State, lab: Lab, replaced: set[str]
) -> tuple[Action, str, tuple[Difference, ...]]:
    if not thing.owned:
        return "keep", "given: used as it is", ()
    if found is None and thing.key in survey.disowned:
        return "keep", f"{survey.disowned[thing.key].id} does not carry this lab's id any more: it is not touched", ()
    if found is None or found.pending == "shutting-down":
        return (
            "create",
            _why_create(thing, state),
            tuple(Difference(field=f, have=None, want=w) for f, w in _shown(thing)),
        )
    fixed = tuple(KINDS[thing.kind].fixed(thing, found))
    if fixed:
        return "replace", "cannot be changed in place", fixed
    stands_on = next((key for key in thing.needs if key in replaced), None)
    if stands_on:
        return "replace", f"{stands_on} is replaced under it", ()
    changes = tuple(change.difference for change in changes_of(thing, found, survey.ids(), lab))
    if thing.key not in state.things:
        return "adopt", "it carries this lab's tags, but the state does not know it", changes
    if changes:
        return "settle", "not as wanted", changes
    if found.pending:
        return "settle", f"AWS is still at work: {found.pending}", ()
    return "keep", "as wanted", ()


def _why_create(thing: Thing, state: State) -> str:
    if thing.key in state.things:
        return "it is gone"
    if thing.key in state.intents:
        return "begun before, not finished"
    return "not there yet"


def _shown(thing: Thing) -> list[tuple[str, Any]]:
    """What of a thing's wants a person cares to read: the text of user data or of a document is not."""
    return [
        (field, want)
        for field, want in thing.want.items()
        if field not in {"user_data", "role", "public_key", "description", "content", "key_pair", "profile"}
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set)) else value
