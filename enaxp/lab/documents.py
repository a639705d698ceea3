"""Documents: the types of the JSON that `plan`, `down` and `doctor --preflight` print with `--json`. Pure.

    Plan    ─▶ plan_document() ──────┐
    Removal ─▶ removal_document() ───┼─▶ a frozen dataclass, whose fields are the document ─▶ Console.document
    LabRemoval, … ─▶ removals_document() │
    Report  ─▶ preflight_document() ─┘

Status (status.py) and ListedLab (labs.py) are documents themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from enaxp.lab.checks.findings import Finding, Report
from enaxp.lab.labs import LabRemoval
from enaxp.lab.lifecycle import Removal
from enaxp.lab.model import Found
from enaxp.lab.plan import Action, Plan, Step
from enaxp.lab.status import DriftStatus, drift
from enaxp.lab.sweep import Leftover


@dataclass(frozen=True, kw_only=True)
class StepDocument:
    """One step of a plan: the action on a resource, its reason, and the fields that change."""

    key: str
    action: Action
    reason: str
    changes: tuple[DriftStatus, ...]


@dataclass(frozen=True, kw_only=True)
class PlanDocument:
    """`plan --json`."""

    steps: tuple[StepDocument, ...]


@dataclass(frozen=True, kw_only=True)
class RemovedResource:
    """A resource that was removed."""

    key: str
    kind: str
    id: str


@dataclass(frozen=True, kw_only=True)
class LeftoverResource:
    """A resource that was not removed, and why. `id` is None if AWS refused to list its kind."""

    key: str
    kind: str
    id: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class RemovalDocument:
    """`down --json`."""

    removed: tuple[RemovedResource, ...]
    leftovers: tuple[LeftoverResource, ...]


@dataclass(frozen=True, kw_only=True)
class LabRemovalDocument:
    """One lab in `down --expired --json`. `owner` is None if no tag says; `error` is None if the lab could be swept."""

    lab: str
    lab_id: str
    owner: str | None
    removed: tuple[RemovedResource, ...]
    leftovers: tuple[LeftoverResource, ...]
    error: str | None


@dataclass(frozen=True, kw_only=True)
class LabRemovalsDocument:
    """`down --expired --json` and `down --lab-id --json`."""

    labs: tuple[LabRemovalDocument, ...]


@dataclass(frozen=True, kw_only=True)
class PreflightDocument:
    """`doctor --preflight --json`. `ok`: no check failed, so `up` would not fail for what was checked."""

    ok: bool
    findings: tuple[Finding, ...]


def plan_document(plan: Plan) -> PlanDocument:
    """The document of a plan."""
    return PlanDocument(steps=tuple(map(_step, plan.steps)))


def removal_document(removal: Removal) -> RemovalDocument:
    """The document of a `down`."""
    return RemovalDocument(
        removed=tuple(map(_resource, removal.removed)), leftovers=tuple(map(_leftover, removal.leftovers))
    )


def removals_document(labs: Iterable[LabRemoval]) -> LabRemovalsDocument:
    """The document of a `down` of several labs."""
    return LabRemovalsDocument(labs=tuple(map(_of_lab, labs)))


def _of_lab(done: LabRemoval) -> LabRemovalDocument:
    removal = done.removal
    return LabRemovalDocument(
        lab=done.lab.lab,
        lab_id=done.lab.lab_id,
        owner=done.lab.owner,
        removed=tuple(map(_resource, removal.removed)) if removal else (),
        leftovers=tuple(map(_leftover, removal.leftovers)) if removal else (),
        error=done.error,
    )


def preflight_document(report: Report) -> PreflightDocument:
    """The document of a preflight report."""
    return PreflightDocument(ok=not report.of("failure"), findings=report.findings)


def _step(step: Step) -> StepDocument:
    return StepDocument(key=step.key, action=step.action, reason=step.reason, changes=tuple(map(drift, step.changes)))


def _resource(found: Found) -> RemovedResource:
    return RemovedResource(key=found.key, kind=found.kind, id=found.id)


def _leftover(leftover: Leftover) -> LeftoverResource:
    found = leftover.found
    return LeftoverResource(key=found.key, kind=found.kind, id=found.id or None, why=leftover.why)
