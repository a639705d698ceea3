"""Documents: what `plan`, `down` and `doctor --preflight` print with `--json`, as types. Pure.

    Plan    ─▶ plan_document() ──────┐
    Removal ─▶ removal_document() ───┼─▶ a frozen dataclass, whose fields are the document ─▶ Console.document
    Report  ─▶ preflight_document() ─┘

Status (status.py) and ListedLab (labs.py) are documents themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from enaxp.lab.checks.findings import Finding, Report
from enaxp.lab.lifecycle import Removal
from enaxp.lab.model import Found
from enaxp.lab.plan import Action, Plan, Step
from enaxp.lab.status import DriftStatus, drift


@dataclass(frozen=True, kw_only=True)
class StepDocument:
    """What would happen to one resource, why, and field by field what would change."""

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
    """A resource that was removed, or is left over."""

    key: str
    kind: str
    id: str


@dataclass(frozen=True, kw_only=True)
class RemovalDocument:
    """`down --json`."""

    removed: tuple[RemovedResource, ...]
    leftovers: tuple[RemovedResource, ...]


@dataclass(frozen=True, kw_only=True)
class PreflightDocument:
    """`doctor --preflight --json`. `ok`: `up` would not fail for what was checked."""

    ok: bool
    findings: tuple[Finding, ...]


def plan_document(plan: Plan) -> PlanDocument:
    """The document of a plan."""
    return PlanDocument(steps=tuple(map(_step, plan.steps)))


def removal_document(removal: Removal) -> RemovalDocument:
    """The document of a `down`."""
    return RemovalDocument(
        removed=tuple(map(_resource, removal.removed)), leftovers=tuple(map(_resource, removal.leftovers))
    )


def preflight_document(report: Report) -> PreflightDocument:
    """The document of what the checks say."""
    return PreflightDocument(ok=not report.of("failure"), findings=report.findings)


def _step(step: Step) -> StepDocument:
    return StepDocument(key=step.key, action=step.action, reason=step.reason, changes=tuple(map(drift, step.changes)))


def _resource(found: Found) -> RemovedResource:
    return RemovedResource(key=found.key, kind=found.kind, id=found.id)
