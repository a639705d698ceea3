"""How associations, their executions, runs and commands look in answers: our records in, AWS's documents out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import (
        AssociationDescriptionTypeDef,
        AssociationExecutionTargetTypeDef,
        AssociationExecutionTypeDef,
        AssociationTypeDef,
        CommandInvocationTypeDef,
        CommandPluginTypeDef,
        CommandTypeDef,
        InstanceAssociationStatusInfoTypeDef,
    )

    from enaxp.local.strict.ssm.runs import Association, Execution, RunStatus, ScriptRun, StepStatus

STDOUT_SHOWN, STDERR_SHOWN, DETAIL_SHOWN = 24_000, 8_000, 2_500  # characters


def association(one: Association) -> AssociationTypeDef:
    """As a listing has it: without parameters."""
    counts = one.counts()
    # Without any target it reads Success, as on AWS: only the counts tell how many hosts have it.
    status = next((s for s in ("Failed", "TimedOut", "InProgress", "Pending") if counts[s]), "Success")
    shown: AssociationTypeDef = {
        "Name": one.document,
        "AssociationId": one.id,
        "AssociationVersion": str(one.version),
        "DocumentVersion": one.settings.document_version or "$DEFAULT",
        "Targets": [target.as_aws() for target in one.settings.targets],
        "Overview": {
            "Status": {"TimedOut": "Failed", "InProgress": "Pending"}.get(status, status),
            "DetailedStatus": status,
            "AssociationStatusAggregatedCount": dict(counts),
        },
    }
    if one.settings.association_name is not None:
        shown["AssociationName"] = one.settings.association_name
    if one.executions:
        shown["LastExecutionDate"] = one.executions[-1].created_at
    return shown


def described_association(one: Association) -> AssociationDescriptionTypeDef:
    """As a describe has it: what was given with it, too."""
    settings = one.settings
    # A listing has none of the members that only a describe has; mypy cannot know that.
    shown: AssociationDescriptionTypeDef = {
        **association(one),  # type: ignore[typeddict-item]
        "Date": one.created_at,
        "LastUpdateAssociationDate": one.updated_at,
    }
    if settings.parameters is not None:
        shown["Parameters"] = {name: list(values) for name, values in settings.parameters.items()}
    if settings.max_concurrency is not None:
        shown["MaxConcurrency"] = settings.max_concurrency
    if settings.max_errors is not None:
        shown["MaxErrors"] = settings.max_errors
    if settings.compliance_severity is not None:
        shown["ComplianceSeverity"] = settings.compliance_severity
    return shown


def execution(one: Association, execution: Execution) -> AssociationExecutionTypeDef:
    """One time that an association ran."""
    statuses = [run.status for run in execution.runs.values()]
    status = next((s for s in ("Failed", "TimedOut", "InProgress", "Pending") if s in statuses), "Success")
    counts = ", ".join(f"{each}={statuses.count(each)}" for each in sorted(set(statuses)))
    return {
        "AssociationId": one.id,
        "AssociationVersion": str(execution.version),
        "ExecutionId": execution.id,
        "Status": status,
        "DetailedStatus": status,
        "CreatedTime": execution.created_at,
        "ResourceCountByStatus": f"{{{counts}}}",
    }


def execution_targets(one: Association, execution: Execution) -> list[AssociationExecutionTargetTypeDef]:
    """How it went on each of its targets."""
    return [
        {
            "AssociationId": one.id,
            "AssociationVersion": str(execution.version),
            "ExecutionId": execution.id,
            "ResourceId": id,
            "ResourceType": "ManagedInstance",
            "Status": run.status,
            "DetailedStatus": run.status,
            "LastExecutionDate": run.asked_at,
            "OutputSource": {"OutputSourceId": run.id, "OutputSourceType": "RunCommand"},
        }
        for id, run in execution.runs.items()
    ]


def association_status(one: Association, version: int, run: ScriptRun) -> InstanceAssociationStatusInfoTypeDef:
    """The status that an instance reports of its latest run of an association."""
    done = sum(result.code == 0 for result in run.results)
    failed, all_steps = len(run.results) - done, len(run.steps)
    summary = f"{len(run.results)} out of {all_steps} plugins processed, {done} success, {failed} failed, 0 timedout, 0 skipped. "
    shown: InstanceAssociationStatusInfoTypeDef = {
        "AssociationId": one.id,
        "Name": one.document,
        "DocumentVersion": run.document_version,
        "AssociationVersion": str(version),
        "InstanceId": run.instance_id,
        "ExecutionDate": run.ended_at or run.asked_at,
        "Status": run.status,
        "DetailedStatus": run.status,
        "ExecutionSummary": summary,
    }
    if one.settings.association_name is not None:
        shown["AssociationName"] = one.settings.association_name
    return shown


def command(command_id: str, runs: Sequence[ScriptRun], name: str, version: str) -> CommandTypeDef:
    """A command, with what its runs on all instances come to."""
    statuses = {run.status for run in runs}
    order: tuple[RunStatus, ...] = ("InProgress", "Pending", "Failed", "TimedOut")
    status: RunStatus = next((s for s in order if s in statuses), "Success")
    asked = runs[0].asked_at if runs else datetime.now(UTC)
    return {
        "CommandId": command_id,
        "DocumentName": name,
        "DocumentVersion": version,
        "Comment": runs[0].comment if runs else "",
        "InstanceIds": [run.instance_id for run in runs],
        "RequestedDateTime": asked,
        "ExpiresAfter": asked + timedelta(hours=2),
        "Status": status,
        "StatusDetails": status,
        "TargetCount": len(runs),
        "CompletedCount": sum(run.has_ended for run in runs),
        "ErrorCount": sum(run.status in {"Failed", "TimedOut"} for run in runs),
    }


def invocation(command_id: str, run: ScriptRun, *, details: bool) -> CommandInvocationTypeDef:
    """A command on one instance; with details, each of its steps."""
    return {
        "CommandId": command_id,
        "InstanceId": run.instance_id,
        "Comment": run.comment,
        "DocumentName": run.document,
        "DocumentVersion": run.document_version,
        "RequestedDateTime": run.asked_at,
        "Status": run.status,
        "StatusDetails": run.status,
        "CommandPlugins": [_plugin(run, index) for index in range(len(run.steps))] if details else [],
    }


def _plugin(run: ScriptRun, index: int) -> CommandPluginTypeDef:
    """One step of a run."""
    result = run.results[index] if index < len(run.results) else None
    return {
        "Name": run.steps[index].name,
        "Status": run.status_of(index),
        "StatusDetails": run.status_of(index),
        "ResponseCode": result.code if result else -1,
        "Output": (result.stdout + result.stderr)[:DETAIL_SHOWN] if result else "",
    }


class StepOfInvocation(TypedDict):
    """The answer to GetCommandInvocation, with the keys that are served."""

    CommandId: str
    InstanceId: str
    Comment: str
    DocumentName: str
    DocumentVersion: str
    PluginName: str
    ResponseCode: int
    ExecutionStartDateTime: str
    ExecutionEndDateTime: str
    Status: str
    StatusDetails: str
    StandardOutputContent: str
    StandardErrorContent: str


def step_of_invocation(command_id: str, run: ScriptRun, index: int, *, status: StepStatus) -> StepOfInvocation:
    """One step of a command on one instance, with what it printed."""
    result = run.results[index] if index < len(run.results) else None
    return {
        "CommandId": command_id,
        "InstanceId": run.instance_id,
        "Comment": run.comment,
        "DocumentName": run.document,
        "DocumentVersion": run.document_version,
        "PluginName": run.steps[index].name,
        "ResponseCode": result.code if result else -1,
        "ExecutionStartDateTime": _iso(run.asked_at),
        "ExecutionEndDateTime": _iso(run.ended_at) if run.ended_at else "",
        "Status": status,
        "StatusDetails": status,
        "StandardOutputContent": result.stdout[:STDOUT_SHOWN] if result else "",
        "StandardErrorContent": result.stderr[:STDERR_SHOWN] if result else "",
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
