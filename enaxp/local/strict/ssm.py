"""Systems Manager: parameters and documents are moto's behind AWS's rules; managed instances, State Manager and Run Command are ours.

ssm_documents.py   what a document must be, and which scripts it means        ssm_runs.py   what happens on hosts, and when
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ssm.exceptions import SSMException
from moto.ssm.responses import SimpleSystemManagerResponse

from enaxp.local.strict.ssm_documents import (
    AWS_DOCUMENTS,
    NAME,
    RefusedBySsm,
    check_content,
    check_name,
    filled_parameters,
    steps,
)
from enaxp.local.strict.ssm_runs import Association, Execution, ScriptRun, ScriptRuns, content_of
from enaxp.local.strict.world import World, current

# Everything of an association that an update takes back unless it repeats it.
SETTINGS = (
    "AssociationName",
    "ComplianceSeverity",
    "DocumentVersion",
    "MaxConcurrency",
    "MaxErrors",
    "Parameters",
    "ScheduleExpression",
    "Targets",
)
NOT_SERVED = ("InstanceId", "ApplyOnlyAtCronInterval", "AutomationTargetParameterName", "TargetLocations", "TargetMaps")
ASSOCIATION_FILTERS = {"AssociationName", "Name", "AssociationId"}
MOST_TARGETS, MOST_VALUES = 5, 50
SHARE = re.compile(r"[1-9]\d*|[1-9]?\d%|100%|0")
SCHEDULE = re.compile(r"rate\((?P<n>\d+) (?P<unit>minutes?|hours?|days?)\)|cron\([^()]+\)|at\([^()]+\)")
LEAST_RATE_MINUTES = 30
STDOUT_SHOWN, STDERR_SHOWN, DETAIL_SHOWN = 24_000, 8_000, 2_500
# AWS's own document, which everybody has.


class StrictSsmResponse(SimpleSystemManagerResponse):
    """Calls take turns: moto's stores are not made for threads. Parameters tell the newest images."""

    def call_action(self) -> Any:
        world = current()
        with world.lock:
            world.tick()
            return super().call_action()

    def _require(self, *members: str) -> None:
        for member in members:
            if not self._get_param(member):
                raise SSMException("ValidationException", f"Value null at '{member}' failed to satisfy constraint")

    def get_parameter(self) -> Any:
        self._require("Name")
        return super().get_parameter()

    @property
    def _runs(self) -> ScriptRuns:
        return current().runs

    # -- documents -----------------------------------------------------------------------------------------------------

    def create_document(self) -> ActionResult:
        name = self._get_param("Name") or ""
        check_name(name)
        check_content(self._get_param("Content") or "")
        if self._get_param("DocumentType") != "Command":
            raise RefusedBySsm("InvalidDocumentContent", "the local AWS only knows documents of type Command")
        result = super().create_document()
        current().born[_born(name)] = time.monotonic()
        return _with_status(result, "DocumentDescription")

    def describe_document(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        return _with_status(super().describe_document(), "Document")

    def get_document(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        return super().get_document()

    def list_documents(self) -> ActionResult:
        """moto knows no filter by tag."""
        world, filters = current(), list(self._get_param("Filters") or [])
        by_tag = {f["Key"].removeprefix("tag:"): f["Values"] for f in filters if f["Key"].startswith("tag:")}
        rest = [dict(f) for f in filters if not f["Key"].startswith("tag:")]
        for f in rest:
            if f["Key"] not in {"Owner", "Name", "DocumentType", "PlatformTypes", "TargetType"}:
                raise RefusedBySsm("InvalidFilterKey", f"The filter key {f['Key']} is not valid")
        found, _ = self.ssm_backend.list_documents(document_filter_list=None, filters=rest, max_results=10_000)
        kept = []
        for item in found:
            tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}
            fits = all(tags.get(key) in values for key, values in by_tag.items())
            if fits and not (by_tag and world.is_blind_to(_born(item["Name"]))):
                kept.append(item)
        page, token = self._page(kept, 10)
        return ActionResult({"DocumentIdentifiers": page, "NextToken": token})

    def update_document(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        check_content(self._get_param("Content") or "")
        return super().update_document()

    def update_document_default_version(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        return super().update_document_default_version()

    def delete_document(self) -> ActionResult:
        name = self._require_document(self._get_param("Name"))
        users = [a.id for a in self._runs.associations.values() if (a.region, a.document) == (self.region, name)]
        if users:
            message = f"You must disassociate a document before you can delete it: {', '.join(users)}"
            raise RefusedBySsm("AssociatedInstances", message)
        return super().delete_document()

    def _require_document(self, name: str | None) -> str:
        """One made moments ago may still be unknown."""
        if not name or name not in self.ssm_backend._documents or current().is_unknown(_born(name)):
            raise RefusedBySsm("InvalidDocument", f"Document with name {name} does not exist.")
        return name

    # -- tags ----------------------------------------------------------------------------------------------------------

    def add_tags_to_resource(self) -> Any:
        self._require("ResourceType", "ResourceId", "Tags")
        if self._get_param("ResourceType") != "Association":
            return super().add_tags_to_resource()
        self._tags_of_association().update({tag["Key"]: tag["Value"] for tag in self._get_param("Tags") or []})
        return EmptyResult()

    def remove_tags_from_resource(self) -> Any:
        if self._get_param("ResourceType") != "Association":
            return super().remove_tags_from_resource()
        tags = self._tags_of_association()
        for key in self._get_param("TagKeys") or []:
            tags.pop(key, None)
        return EmptyResult()

    def list_tags_for_resource(self) -> Any:
        if self._get_param("ResourceType") != "Association":
            return super().list_tags_for_resource()
        tags = self._tags_of_association()
        return ActionResult({"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]})

    def _tags_of_association(self) -> dict[str, str]:
        id = self._get_param("ResourceId")
        if id not in self._runs.associations:
            raise RefusedBySsm("InvalidResourceId", f"{id} does not exist")
        tags: dict[str, str] = self.ssm_backend._resource_tags["Association"][id]
        return tags

    # -- State Manager -------------------------------------------------------------------------------------------------

    def create_association(self) -> ActionResult:
        self._require_document(self._get_param("Name"))
        settings = {"Name": self._get_param("Name"), **self._settings()}
        association = Association(id=str(uuid.uuid4()), region=self.region, settings=settings)
        self._check_association(association)
        self._runs.associations[association.id] = association
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags") or []}
        self.ssm_backend._resource_tags["Association"][association.id].update(tags)
        current().born[association.id] = time.monotonic()
        return ActionResult({"AssociationDescription": _described(association)})

    def update_association(self) -> ActionResult:
        """Takes back whatever is not repeated, and has every target run it once more."""
        association = self._association()
        settings = {"Name": self._get_param("Name") or association.document, **self._settings()}
        self._check_association(Association(id=association.id, region=self.region, settings=settings))
        association.settings = settings
        association.version += 1
        association.updated_at = datetime.now(UTC)
        self._runs.run_again(association)
        return ActionResult({"AssociationDescription": _described(association)})

    def start_associations_once(self) -> ActionResult:
        ids = self._get_param("AssociationIds") or []
        for id in ids:
            if id not in self._runs.associations:
                raise RefusedBySsm("AssociationDoesNotExist", f"Association {id} does not exist")
        for id in ids:
            self._runs.run_again(self._runs.associations[id])
        return EmptyResult()

    def delete_association(self) -> ActionResult:
        association = self._association()
        del self._runs.associations[association.id]
        self.ssm_backend._resource_tags["Association"].pop(association.id, None)
        return EmptyResult()

    def describe_association(self) -> ActionResult:
        return ActionResult({"AssociationDescription": _described(self._association())})

    def list_associations(self) -> ActionResult:
        filters = {f["key"]: f["value"] for f in self._get_param("AssociationFilterList") or []}
        if set(filters) - ASSOCIATION_FILTERS:
            raise RefusedBySsm(
                "ValidationException", f"the local AWS knows the filters {sorted(ASSOCIATION_FILTERS)} alone"
            )
        world = current()
        shown = [
            _listed(association)
            for association in self._runs.associations.values()
            if association.region == self.region and not world.is_blind_to(association.id)
        ]
        fitting = [item for item in shown if all(item.get(key) == value for key, value in filters.items())]
        page, token = self._page(fitting, 50)
        return ActionResult({"Associations": page, "NextToken": token})

    def describe_association_executions(self) -> ActionResult:
        association = self._association()
        page, token = self._page([_execution(association, one) for one in reversed(association.executions)], 50)
        return ActionResult({"AssociationExecutions": page, "NextToken": token})

    def describe_association_execution_targets(self) -> ActionResult:
        association, asked = self._association(), self._get_param("ExecutionId")
        execution = next((one for one in association.executions if one.id == asked), None)
        if execution is None:
            raise RefusedBySsm("AssociationExecutionDoesNotExist", f"Execution {asked} does not exist")
        targets = [
            {
                "AssociationId": association.id,
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
        page, token = self._page(targets, 50)
        return ActionResult({"AssociationExecutionTargets": page, "NextToken": token})

    def describe_instance_associations_status(self) -> ActionResult:
        instance_id = self._require_managed([self._get_param("InstanceId")])[0]
        found = [
            _result(association, version, run)
            for association in self._runs.associations.values()
            if association.region == self.region
            for _, version, run in [association.latest.get(instance_id, (0, 0, None))]
            if run is not None
        ]
        page, token = self._page(found, 50)
        return ActionResult({"InstanceAssociationStatusInfos": page, "NextToken": token})

    def _association(self) -> Association:
        id = self._get_param("AssociationId")
        association = self._runs.associations.get(id)
        if association is None or association.region != self.region or current().is_unknown(association.id):
            raise RefusedBySsm("AssociationDoesNotExist", f"Association {id} does not exist")
        return association

    def _settings(self) -> dict[str, Any]:
        for member in NOT_SERVED:
            if self._get_param(member) is not None:
                raise RefusedBySsm("ValidationException", f"the local AWS does not serve associations with {member}")
        return {member: self._get_param(member) for member in SETTINGS if self._get_param(member) is not None}

    def _check_association(self, association: Association) -> None:
        settings = association.settings
        name = settings.get("AssociationName")
        if name is not None and not NAME.fullmatch(name):
            raise RefusedBySsm(
                "ValidationException", f"Value '{name}' at 'associationName' failed to satisfy constraint"
            )
        for member in ("MaxConcurrency", "MaxErrors"):
            value = settings.get(member)
            if value is not None and (
                not SHARE.fullmatch(value) or (member == "MaxConcurrency" and value in {"0", "0%"})
            ):
                raise RefusedBySsm("ValidationException", f"Value '{value}' at '{member}' failed to satisfy constraint")
        _check_schedule(settings.get("ScheduleExpression"))
        _check_targets(settings.get("Targets"))
        content, _ = self._content(association.document, settings.get("DocumentVersion"))
        filled_parameters(content, settings.get("Parameters") or {})

    def _content(self, name: str, version: str | None) -> tuple[str, str]:
        """A document's content, and the number of its version, as a call is told. Raises RefusedBySsm, also while it is not ready."""
        world = current()
        if name not in AWS_DOCUMENTS and (world.is_unknown(_born(name)) or _is_being_made(world, name)):
            raise RefusedBySsm("InvalidDocument", f"Document {name} does not exist.")
        return content_of(self.current_account, self.region, name, version)

    # -- managed instances ---------------------------------------------------------------------------------------------

    def describe_instance_information(self) -> ActionResult:
        wanted = {f["Key"]: set(f["Values"]) for f in self._get_param("Filters") or []}
        wanted |= {f["key"]: set(f["valueSet"]) for f in self._get_param("InstanceInformationFilterList") or []}
        if set(wanted) - {"InstanceIds", "PingStatus"}:
            raise RefusedBySsm(
                "InvalidFilterKey", f"the local AWS knows the filters InstanceIds and PingStatus, not {set(wanted)}"
            )
        found = [
            {
                "InstanceId": id,
                "PingStatus": "Online",
                "LastPingDateTime": datetime.now(UTC),
                "AgentVersion": "3.3.0.0",
                "IsLatestVersion": True,
                "PlatformType": "Linux",
                "PlatformName": "Amazon Linux",
                "ResourceType": "EC2Instance",
                "IPAddress": life.instance.private_ip,
                "ComputerName": f"ip-{str(life.instance.private_ip).replace('.', '-')}.ec2.internal",
            }
            for id, life in self._runs.managed(self.region).items()
            if id in wanted.get("InstanceIds", {id}) and "Online" in wanted.get("PingStatus", {"Online"})
        ]
        page, token = self._page(found, 10)
        return ActionResult({"InstanceInformationList": page, "NextToken": token})

    def _require_managed(self, ids: Sequence[str | None]) -> list[str]:
        managed = self._runs.managed(self.region)
        for id in ids:
            if id not in managed:
                raise RefusedBySsm(
                    "InvalidInstanceId", f"Instances [[{id}]] not in a valid state for account {self.current_account}"
                )
        return [str(id) for id in ids]

    # -- Run Command ---------------------------------------------------------------------------------------------------

    def send_command(self) -> ActionResult:
        name = self._get_param("DocumentName") or ""
        content, version = self._content(name, self._get_param("DocumentVersion"))
        parameters = filled_parameters(content, self._get_param("Parameters") or {})
        targets, ids = self._get_param("Targets"), list(self._get_param("InstanceIds") or [])
        if len(ids) != len(set(ids)):
            raise RefusedBySsm("DuplicateInstanceId", "You cannot specify an instance ID in more than one association.")
        if bool(targets) == bool(ids):
            raise RefusedBySsm("ValidationException", "either InstanceIds or Targets must be given")
        if targets:
            _check_targets(targets)
        ids = self._runs.targets(self.region, targets) if targets else self._require_managed(ids)
        command_id, comment = str(uuid.uuid4()), self._get_param("Comment") or ""
        runs = [
            ScriptRun(
                instance_id=id,
                document=name,
                document_version=version,
                steps=steps(content, parameters),
                comment=comment,
            )
            for id in ids
        ]
        self._runs.command(runs, command_id)
        current().born[command_id] = time.monotonic()
        return ActionResult({"Command": _command(command_id, runs, name, version)})

    def get_command_invocation(self) -> ActionResult:
        command_id, instance_id = self._get_param("CommandId"), self._get_param("InstanceId")
        run = next(
            (r for id, r in self._runs.all_runs() if (id, r.instance_id) == (command_id, instance_id)),
            None,
        )
        if run is None or current().is_unknown(command_id):
            raise RefusedBySsm("InvocationDoesNotExist", "")
        names = [step.name for step in run.steps]
        plugin = self._get_param("PluginName")
        if plugin is None and len(names) > 1 and not run.has_ended:
            plugin = names[0]
        if plugin is not None and plugin not in names:
            raise RefusedBySsm("InvalidPluginName", f"{plugin} is no step of {run.document}")
        index = names.index(plugin) if plugin else len(names) - 1
        result = run.results[index] if index < len(run.results) else None
        status = run.status_of(index) if plugin else run.status
        return ActionResult(
            {
                "CommandId": command_id,
                "InstanceId": instance_id,
                "Comment": run.comment,
                "DocumentName": run.document,
                "DocumentVersion": run.document_version,
                "PluginName": names[index],
                "ResponseCode": result.code if result else -1,
                "ExecutionStartDateTime": _iso(run.asked_at),
                "ExecutionEndDateTime": _iso(run.ended_at) if run.ended_at else "",
                "Status": status,
                "StatusDetails": status,
                "StandardOutputContent": result.stdout[:STDOUT_SHOWN] if result else "",
                "StandardErrorContent": result.stderr[:STDERR_SHOWN] if result else "",
            }
        )

    def list_command_invocations(self) -> ActionResult:
        command_id, instance_id = self._get_param("CommandId"), self._get_param("InstanceId")
        if self._get_param("Filters"):
            raise RefusedBySsm("InvalidFilterKey", "the local AWS knows no filters of command invocations")
        found = [
            _invocation(id, run, details=bool(self._get_param("Details")))
            for id, run in self._runs.all_runs()
            if command_id in (None, id) and instance_id in (None, run.instance_id)
        ]
        page, token = self._page(found, 50)
        return ActionResult({"CommandInvocations": page, "NextToken": token})

    def list_commands(self) -> ActionResult:
        asked = self._get_param("CommandId")
        found = [
            _command(id, runs, runs[0].document, runs[0].document_version)
            for id, runs in self._runs.commands.items()
            if runs and asked in (None, id)
        ]
        page, token = self._page(found, 50)
        return ActionResult({"Commands": page, "NextToken": token})

    def _page(self, items: list[Any], default: int) -> tuple[list[Any], str | None]:
        """One page and the token of the next."""
        start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or default)
        end = start + size
        return items[start:end], str(end) if end < len(items) else None


def _check_schedule(expression: str | None) -> None:
    if expression is None:
        return
    found = SCHEDULE.fullmatch(expression)
    if found is None:
        raise RefusedBySsm("InvalidSchedule", f"{expression} is no schedule")
    if found["unit"] and found["unit"].startswith("minute") and int(found["n"]) < LEAST_RATE_MINUTES:
        raise RefusedBySsm("InvalidSchedule", f"the least rate is {LEAST_RATE_MINUTES} minutes")
    raise RefusedBySsm(
        "InvalidSchedule", "the local AWS runs associations once for each target and change, on no schedule"
    )


def _check_targets(targets: Any) -> None:
    if not isinstance(targets, list) or not 0 < len(targets) <= MOST_TARGETS:
        raise RefusedBySsm("InvalidTarget", f"1 to {MOST_TARGETS} targets must be given")
    for target in targets:
        key, values = str(target.get("Key", "")), target.get("Values") or []
        if not (key == "InstanceIds" or key.startswith("tag:")) or not 0 < len(values) <= MOST_VALUES:
            raise RefusedBySsm("InvalidTarget", f"{key} is no target, or has not 1 to {MOST_VALUES} values")


def _listed(association: Association) -> dict[str, Any]:
    """As a listing has it: without parameters."""
    settings, counts = association.settings, association.counts()
    # Without any target it reads Success, as on AWS: only the counts tell how many hosts have it.
    status = next((s for s in ("Failed", "TimedOut", "InProgress", "Pending") if counts[s]), "Success")
    shown = {"TimedOut": "Failed", "InProgress": "Pending"}.get(status, status)
    return {
        "Name": association.document,
        "AssociationId": association.id,
        "AssociationVersion": str(association.version),
        "AssociationName": settings.get("AssociationName"),
        "DocumentVersion": settings.get("DocumentVersion", "$DEFAULT"),
        "Targets": settings["Targets"],
        "LastExecutionDate": association.executions[-1].created_at if association.executions else None,
        "Overview": {
            "Status": shown,
            "DetailedStatus": status,
            "AssociationStatusAggregatedCount": dict(counts),
        },
    }


def _described(association: Association) -> dict[str, Any]:
    settings = {member: value for member, value in association.settings.items() if member != "Name"}
    return {
        **_listed(association),
        **settings,
        "Date": association.created_at,
        "LastUpdateAssociationDate": association.updated_at,
    }


def _execution(association: Association, execution: Execution) -> dict[str, Any]:
    statuses = [run.status for run in execution.runs.values()]
    status = next((s for s in ("Failed", "TimedOut", "InProgress", "Pending") if s in statuses), "Success")
    counts = ", ".join(f"{one}={statuses.count(one)}" for one in sorted(set(statuses)))
    return {
        "AssociationId": association.id,
        "AssociationVersion": str(execution.version),
        "ExecutionId": execution.id,
        "Status": status,
        "DetailedStatus": status,
        "CreatedTime": execution.created_at,
        "ResourceCountByStatus": f"{{{counts}}}",
    }


def _result(association: Association, version: int, run: ScriptRun) -> dict[str, Any]:
    """What an instance tells of its latest run."""
    done = sum(result.code == 0 for result in run.results)
    failed, all_steps = len(run.results) - done, len(run.steps)
    summary = f"{len(run.results)} out of {all_steps} plugins processed, {done} success, {failed} failed, 0 timedout, 0 skipped. "
    return {
        "AssociationId": association.id,
        "Name": association.document,
        "DocumentVersion": run.document_version,
        "AssociationVersion": str(version),
        "InstanceId": run.instance_id,
        "ExecutionDate": run.ended_at or run.asked_at,
        "Status": run.status,
        "DetailedStatus": run.status,
        "ExecutionSummary": summary,
        "AssociationName": association.settings.get("AssociationName"),
    }


def _command(command_id: str, runs: Sequence[ScriptRun], name: str, version: str) -> dict[str, Any]:
    statuses = {run.status for run in runs}
    status = next((s for s in ("InProgress", "Pending", "Failed", "TimedOut") if s in statuses), "Success")
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


def _invocation(command_id: str, run: ScriptRun, *, details: bool) -> dict[str, Any]:
    plugins = [
        {
            "Name": step.name,
            "Status": run.status_of(index),
            "StatusDetails": run.status_of(index),
            "ResponseCode": run.results[index].code if index < len(run.results) else -1,
            "Output": (run.results[index].stdout + run.results[index].stderr)[:DETAIL_SHOWN]
            if index < len(run.results)
            else "",
        }
        for index, step in enumerate(run.steps)
    ]
    return {
        "CommandId": command_id,
        "InstanceId": run.instance_id,
        "Comment": run.comment,
        "DocumentName": run.document,
        "DocumentVersion": run.document_version,
        "RequestedDateTime": run.asked_at,
        "Status": run.status,
        "StatusDetails": run.status,
        "CommandPlugins": plugins if details else [],
    }


def _with_status(result: ActionResult, member: str) -> ActionResult:
    """A new document is being made for a moment."""
    described: dict[str, Any] = result.result[member]
    if _is_being_made(current(), described["Name"]):
        described["Status"] = "Creating"
    return result


def _is_being_made(world: World, name: str) -> bool:
    return world.is_young(_born(name), world.timing.ssm_document)


def _born(name: str) -> str:
    return f"document/{name}"


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
