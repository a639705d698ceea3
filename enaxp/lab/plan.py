"""Plan: the steps from the existing resources to the wanted ones, as plain data. Pure: no calls, no clock.

    resources × Survey × State × Lab ─▶ make_plan() ─▶ Plan(steps in dependency order)

Each step has the action on one resource, its reason, and the fields that change. `plan` prints the steps; `apply` carries them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from enaxp.lab.kinds import KINDS
from enaxp.lab.model import Change, Difference, Found, Ids, Lab, Resource
from enaxp.lab.state import State
from enaxp.lab.survey import Survey
from enaxp.lab.tags import tag_changes

SURPLUS = "the lab is to have fewer pairs"
Action = Literal["keep", "adopt", "create", "settle", "replace", "delete"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The action on one resource. `needs`: keys of the steps that come first."""

    key: str
    kind: str
    action: Action
    reason: str
    changes: tuple[Difference, ...] = ()
    needs: tuple[str, ...] = ()
    id: str | None = None

    def as_json(self) -> dict[str, object]:
        changes = [{"field": c.field, "have": _plain(c.have), "want": _plain(c.want)} for c in self.changes]
        return {"key": self.key, "action": self.action, "reason": self.reason, "changes": changes}


@dataclass(frozen=True, kw_only=True)
class Plan:
    steps: tuple[Step, ...]

    @property
    def changing(self) -> tuple[Step, ...]:
        """The steps with an action other than keep."""
        return tuple(step for step in self.steps if step.action != "keep")

    @property
    def surplus(self) -> list[str]:
        """Keys of resources of pairs that the lab should no longer have."""
        return [step.key for step in self.steps if step.action == "delete" and step.reason == SURPLUS]

    def with_action(self, *actions: Action) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.action in actions)

    def as_json(self) -> dict[str, object]:
        return {"steps": [step.as_json() for step in self.steps]}


def make_plan(
    resources: Iterable[Resource], survey: Survey, state: State, lab: Lab, *, surplus: Iterable[str] = ()
) -> Plan:
    """The plan: one step for each wanted resource, and a `delete` for each duplicate and each surplus key."""
    resources = tuple(resources)
    replaced: set[str] = set()
    steps = []
    for resource in resources:
        step = _step(resource, survey, state, lab, replaced)
        if step.action == "replace":
            replaced.add(resource.key)
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
        if not f.makes_way
    ]
    fewer = [
        Step(key=key, kind=survey.found[key].kind, action="delete", reason=SURPLUS, id=survey.found[key].id)
        for key in sorted(surplus)
    ]
    return Plan(steps=(*steps, *extra, *fewer))


def changes_of(resource: Resource, found: Found, ids: Ids, lab: Lab) -> Iterator[Change]:
    """A change for each setting and tag of a resource that differs."""
    yield from KINDS[resource.kind].settle(resource, found, ids)
    yield from tag_changes(resource, found, lab)


def drift_of(resource: Resource, found: Found, ids: Ids, lab: Lab) -> tuple[Difference, ...]:
    """Every field of a resource that differs, whether or not it can be changed in place."""
    if not resource.owned:
        return ()
    changes = changes_of(resource, found, ids, lab)
    return (*KINDS[resource.kind].fixed(resource, found), *(change.difference for change in changes))


def _step(resource: Resource, survey: Survey, state: State, lab: Lab, replaced: set[str]) -> Step:
    found = survey.found.get(resource.key)
    action, reason, changes = _decide(resource, found, survey, state, lab, replaced)
    return Step(
        key=resource.key,
        kind=resource.kind,
        action=action,
        reason=reason,
        changes=changes,
        needs=resource.needs,
        id=found.id if found else None,
    )


def _decide(
    resource: Resource, found: Found | None, survey: Survey, state: State, lab: Lab, replaced: set[str]
) -> tuple[Action, str, tuple[Difference, ...]]:
    if not resource.owned:
        return "keep", "given: used as it is", ()
    if found is None and resource.key in survey.disowned:
        return (
            "keep",
            f"{survey.disowned[resource.key].id} does not carry this lab's id any more: it is not touched",
            (),
        )
    if found is None or found.makes_way:
        return (
            "create",
            _why_create(resource, state),
            tuple(Difference(field=f, have=None, want=w) for f, w in _shown(resource)),
        )
    fixed = tuple(KINDS[resource.kind].fixed(resource, found))
    if fixed:
        return "replace", "cannot be changed in place", fixed
    stands_on = next((key for key in resource.needs if key in replaced), None)
    if stands_on:
        return "replace", f"{stands_on} is replaced under it", ()
    changes = tuple(change.difference for change in changes_of(resource, found, survey.ids(), lab))
    if resource.key not in state.resources:
        return "adopt", "it carries this lab's tags, but the state does not know it", changes
    if changes:
        return "settle", "not as wanted", changes
    if found.pending:
        return "settle", f"AWS is still at work: {found.pending}", ()
    return "keep", "as wanted", ()


def _why_create(resource: Resource, state: State) -> str:
    if resource.key in state.resources:
        return "it is gone"
    if resource.key in state.intents:
        return "begun before, not finished"
    return "not there yet"


def _shown(resource: Resource) -> list[tuple[str, Any]]:
    """The fields of a new resource that a plan shows: without those that its kind hides (long texts) and those with their default
    value."""
    hidden = KINDS[resource.kind].hidden
    wanted = [(field.name, getattr(resource.want, field.name), field.default) for field in fields(resource.want)]
    return [
        (name, value)
        for name, value, default in wanted
        if name not in hidden and (default is MISSING or value != default)
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set)) else value
