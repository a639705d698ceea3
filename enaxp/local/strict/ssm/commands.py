"""Run Command, and the instances that Systems Manager manages."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult

from enaxp.local.strict.ssm import shown
from enaxp.local.strict.ssm.base import SsmActions
from enaxp.local.strict.ssm.content import RefusedBySsm, filled_parameters, steps
from enaxp.local.strict.ssm.runs import ScriptRun, read_targets
from enaxp.local.strict.world import current

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import InstanceInformationTypeDef

    from enaxp.local.strict.life import Life


class CommandActions(SsmActions):
    """Send a command, and ask how it went; list managed instances."""

    def describe_instance_information(self) -> ActionResult:
        wanted = {f["Key"]: set(f["Values"]) for f in self._get_param("Filters") or []}
        wanted |= {f["key"]: set(f["valueSet"]) for f in self._get_param("InstanceInformationFilterList") or []}
        if set(wanted) - {"InstanceIds", "PingStatus"}:
            raise RefusedBySsm(
                "InvalidFilterKey", f"the local AWS knows the filters InstanceIds and PingStatus, not {set(wanted)}"
            )
        found = [
            _managed_instance(life)
            for id, life in self._runs.managed(self.region).items()
            if id in wanted.get("InstanceIds", {id}) and "Online" in wanted.get("PingStatus", {"Online"})
        ]
        page, token = self._page(found, 10)
        return ActionResult({"InstanceInformationList": page, "NextToken": token})

    def send_command(self) -> ActionResult:
        name = self._get_param("DocumentName") or ""
        content, version = self._content(name, self._get_param("DocumentVersion"))
        parameters = filled_parameters(content, self._get_param("Parameters") or {})
        ids = self._asked_instances()
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
        return ActionResult({"Command": shown.command(command_id, runs, name, version)})

    def _asked_instances(self) -> list[str]:
        """The instances of a command: named, or those that fit its targets."""
        targets, ids = self._get_param("Targets"), list(self._get_param("InstanceIds") or [])
        if len(ids) != len(set(ids)):
            raise RefusedBySsm("DuplicateInstanceId", "You cannot specify an instance ID in more than one association.")
        if bool(targets) == bool(ids):
            raise RefusedBySsm("ValidationException", "either InstanceIds or Targets must be given")
        if targets:
            return self._runs.targets(self.region, read_targets(targets))
        return self._require_managed(ids)

    def get_command_invocation(self) -> ActionResult:
        """Of one step: the one that is named; else the last one, or the first while others are still to come."""
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
        status = run.status_of(index) if plugin else run.status
        return ActionResult(shown.step_of_invocation(command_id, run, index, status=status))

    def list_command_invocations(self) -> ActionResult:
        command_id, instance_id = self._get_param("CommandId"), self._get_param("InstanceId")
        if self._get_param("Filters"):
            raise RefusedBySsm("InvalidFilterKey", "the local AWS knows no filters of command invocations")
        found = [
            shown.invocation(id, run, details=bool(self._get_param("Details")))
            for id, run in self._runs.all_runs()
            if command_id in (None, id) and instance_id in (None, run.instance_id)
        ]
        page, token = self._page(found, 50)
        return ActionResult({"CommandInvocations": page, "NextToken": token})

    def list_commands(self) -> ActionResult:
        asked = self._get_param("CommandId")
        found = [
            shown.command(id, runs, runs[0].document, runs[0].document_version)
            for id, runs in self._runs.commands.items()
            if runs and asked in (None, id)
        ]
        page, token = self._page(found, 50)
        return ActionResult({"Commands": page, "NextToken": token})


def _managed_instance(life: Life) -> InstanceInformationTypeDef:
    private_ip = str(life.instance.private_ip)
    return {
        "InstanceId": life.instance.id,
        "PingStatus": "Online",
        "LastPingDateTime": datetime.now(UTC),
        "AgentVersion": "3.3.0.0",
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "ResourceType": "EC2Instance",
        "IPAddress": private_ip,
        "ComputerName": f"ip-{private_ip.replace('.', '-')}.ec2.internal",
    }
