"""State Manager: associations, their executions and their tags."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from enaxp.local.strict.ssm import shown
from enaxp.local.strict.ssm.base import SsmActions
from enaxp.local.strict.ssm.content import NAME, RefusedBySsm, filled_parameters
from enaxp.local.strict.ssm.runs import Association, AssociationSettings, read_targets
from enaxp.local.strict.world import current

NOT_SERVED = ("InstanceId", "ApplyOnlyAtCronInterval", "AutomationTargetParameterName", "TargetLocations", "TargetMaps")
FILTERS = {"AssociationName", "Name", "AssociationId"}
# Of targets: a number, or a percentage.
SHARE = re.compile(r"[1-9]\d*|[1-9]?\d%|100%|0")
SCHEDULE = re.compile(r"rate\((?P<n>\d+) (?P<unit>minutes?|hours?|days?)\)|cron\([^()]+\)|at\([^()]+\)")
LEAST_RATE_MINUTES = 30


class AssociationActions(SsmActions):
    """Create, update, start, delete, describe, list; and tags, of which moto knows those of everything else."""

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

    # -- associations --------------------------------------------------------------------------------------------------

    def create_association(self) -> ActionResult:
        document = self._require_document(self._get_param("Name"))
        settings = self._read_settings(document)
        association = Association(id=str(uuid.uuid4()), region=self.region, document=document, settings=settings)
        self._runs.associations[association.id] = association
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags") or []}
        self.ssm_backend._resource_tags["Association"][association.id].update(tags)
        current().born[association.id] = time.monotonic()
        return ActionResult({"AssociationDescription": shown.described_association(association)})

    def update_association(self) -> ActionResult:
        """Takes back whatever is not repeated, and has every target run it once more."""
        association = self._association()
        document = self._get_param("Name") or association.document
        association.settings = self._read_settings(document)
        association.document = document
        association.version += 1
        association.updated_at = datetime.now(UTC)
        self._runs.run_again(association)
        return ActionResult({"AssociationDescription": shown.described_association(association)})

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
        return ActionResult({"AssociationDescription": shown.described_association(self._association())})

    def list_associations(self) -> ActionResult:
        filters = {f["key"]: f["value"] for f in self._get_param("AssociationFilterList") or []}
        if set(filters) - FILTERS:
            raise RefusedBySsm("ValidationException", f"the local AWS knows the filters {sorted(FILTERS)} alone")
        world = current()
        fitting = [
            shown.association(one)
            for one in self._runs.associations.values()
            if one.region == self.region and not world.is_blind_to(one.id) and _fits(one, filters)
        ]
        page, token = self._page(fitting, 50)
        return ActionResult({"Associations": page, "NextToken": token})

    def describe_association_executions(self) -> ActionResult:
        association = self._association()
        found = [shown.execution(association, one) for one in reversed(association.executions)]
        page, token = self._page(found, 50)
        return ActionResult({"AssociationExecutions": page, "NextToken": token})

    def describe_association_execution_targets(self) -> ActionResult:
        association, asked = self._association(), self._get_param("ExecutionId")
        execution = next((one for one in association.executions if one.id == asked), None)
        if execution is None:
            raise RefusedBySsm("AssociationExecutionDoesNotExist", f"Execution {asked} does not exist")
        page, token = self._page(shown.execution_targets(association, execution), 50)
        return ActionResult({"AssociationExecutionTargets": page, "NextToken": token})

    def describe_instance_associations_status(self) -> ActionResult:
        instance_id = self._get_param("InstanceId")
        if (
            instance_id not in current().lives
        ):  # for one that has not registered, nothing is documented but an empty answer
            self._require_managed([instance_id])
        found = [
            shown.association_status(one, last.version, last.run)
            for one in self._runs.associations.values()
            if one.region == self.region and (last := one.latest.get(instance_id)) is not None
        ]
        page, token = self._page(found, 50)
        return ActionResult({"InstanceAssociationStatusInfos": page, "NextToken": token})

    def _association(self) -> Association:
        id = self._get_param("AssociationId")
        association = self._runs.associations.get(id)
        if association is None or association.region != self.region or current().is_unknown(association.id):
            raise RefusedBySsm("AssociationDoesNotExist", f"Association {id} does not exist")
        return association

    def _read_settings(self, document: str) -> AssociationSettings:
        """What the request says of an association of this document. Raises RefusedBySsm for what AWS does not take."""
        for member in NOT_SERVED:
            if self._get_param(member) is not None:
                raise RefusedBySsm("ValidationException", f"the local AWS does not serve associations with {member}")
        name = self._get_param("AssociationName")
        if name is not None and not NAME.fullmatch(name):
            raise RefusedBySsm(
                "ValidationException", f"Value '{name}' at 'associationName' failed to satisfy constraint"
            )
        _refuse_schedule(self._get_param("ScheduleExpression"))
        targets = read_targets(self._get_param("Targets"))
        settings = AssociationSettings(
            association_name=name,
            compliance_severity=self._get_param("ComplianceSeverity"),
            document_version=self._get_param("DocumentVersion"),
            max_concurrency=self._share("MaxConcurrency", zero_is_allowed=False),
            max_errors=self._share("MaxErrors", zero_is_allowed=True),
            parameters=self._get_param("Parameters"),
            targets=targets,
        )
        content, _ = self._content(document, settings.document_version)
        filled_parameters(content, settings.parameters or {})
        return settings

    def _share(self, member: str, *, zero_is_allowed: bool) -> str | None:
        """A number of targets, or a percentage of them; None when it is not given."""
        value: str | None = self._get_param(member)
        if value is not None and (not SHARE.fullmatch(value) or (value in {"0", "0%"} and not zero_is_allowed)):
            raise RefusedBySsm("ValidationException", f"Value '{value}' at '{member}' failed to satisfy constraint")
        return value


def _fits(association: Association, filters: dict[str, str]) -> bool:
    own = {
        "AssociationName": association.settings.association_name,
        "Name": association.document,
        "AssociationId": association.id,
    }
    return all(own[key] == value for key, value in filters.items())


def _refuse_schedule(expression: str | None) -> None:
    """No schedule is served; one that AWS would not take either is refused with AWS's reason."""
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
