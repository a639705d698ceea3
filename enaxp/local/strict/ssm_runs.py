"""What Systems Manager does on hosts: which of them it manages, associations, commands, and the scripts that run there.

    host runs, its profile lets it register ─▶ managed ─▶ each association that has it as a target: one run a version
    SendCommand ───────────────────────────────────────▶ one run                    a run = the steps of a document, one by one

Belongs to one world: touched only while its lock is held, moved on by `tick`, so nothing has to be asked for time to pass.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from enaxp.local.strict.machines import ScriptResult
from enaxp.local.strict.ssm_documents import AWS_DOCUMENTS, DocumentStep, RefusedBySsm, filled_parameters, steps

if TYPE_CHECKING:
    from enaxp.local.strict.world import Life, World

POLICY = "policy/AmazonSSMManagedInstanceCore"
TIMED_OUT = 124  # the exit code of timeout(1)


@dataclass
class ScriptRun:
    """One document on one instance. status: Pending, InProgress, Success, Failed or TimedOut."""

    instance_id: str
    document: str
    document_version: str
    steps: tuple[DocumentStep, ...]
    comment: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "Pending"
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    results: list[ScriptResult] = field(default_factory=list)  # of the steps that have ended
    begun: int = 0  # steps handed to the machine

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None

    def status_of(self, index: int) -> str:
        """The status of one step."""
        if index < len(self.results):
            return _status(self.results[index])
        if self.has_ended:
            return "Cancelled"
        return "InProgress" if index < self.begun else "Pending"


@dataclass
class Execution:
    """One time that an association ran, with its runs by instance."""

    id: str
    version: int
    created_at: datetime
    runs: dict[str, ScriptRun]


@dataclass
class Association:
    """An association. `due` counts what makes its targets run it once more; `latest` holds each target's latest (due, version, run)."""

    id: str
    region: str
    settings: Mapping[str, Any]
    version: int = 1
    due: int = 1
    executions: list[Execution] = field(default_factory=list)
    latest: dict[str, tuple[int, int, ScriptRun]] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def document(self) -> str:
        return str(self.settings["Name"])

    def counts(self) -> Counter[str]:
        """How many targets have which status. None at all for an association that nothing matches."""
        return Counter(run.status for _, _, run in self.latest.values())


class ScriptRuns:
    """Everything of Systems Manager that happens on hosts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.associations: dict[str, Association] = {}
        self.commands: dict[str, list[ScriptRun]] = {}  # command id → one run an instance
        self._active: list[ScriptRun] = []

    # -- who is managed --------------------------------------------------------------------------------------------------

    def managed(self, region: str) -> dict[str, Life]:
        """Instances that have registered: running for a while, with a profile whose role has AWS's policy for it."""
        online_after, now = self._world.timing.ssm_online, time.monotonic()
        return {
            life.instance.id: life
            for life in self._world.lives.values()
            if life.backend.region_name == region
            and life.state == "running"
            and life.running_at is not None
            and now >= life.running_at + online_after
            and _may_register(life)
        }

    def targets(self, region: str, targets: list[Mapping[str, Any]]) -> list[str]:
        """Managed instances that fit every one of these."""
        return [id for id, life in self.managed(region).items() if all(_fits(life, target) for target in targets)]

    # -- what is to run --------------------------------------------------------------------------------------------------

    def command(self, runs: list[ScriptRun], command_id: str) -> None:
        """Begins the runs of a command."""
        for run in runs:
            run.id = command_id
        self.commands[command_id] = runs
        self._active += runs

    def run_again(self, association: Association) -> None:
        association.due += 1

    def tick(self) -> None:
        """Starts what is due and brings what runs to where it is by now."""
        for run in list(self._active):
            self._advance(run)
        managed: dict[str, dict[str, Life]] = {}
        for association in self.associations.values():
            lives = managed.setdefault(association.region, self.managed(association.region))
            association.latest = {id: last for id, last in association.latest.items() if id in self._world.lives}
            fresh: dict[str, ScriptRun] = {}
            for id, life in lives.items():
                last = association.latest.get(id)
                if (last is not None and last[0] == association.due) or not all(
                    _fits(life, target) for target in association.settings["Targets"]
                ):
                    continue
                run = _run_of(association, id)
                association.latest[id] = (association.due, association.version, run)
                fresh[id] = run
            if fresh:
                association.executions.append(
                    Execution(
                        id=str(uuid.uuid4()), version=association.version, created_at=datetime.now(UTC), runs=fresh
                    )
                )
                self._active += fresh.values()
        self._start_next()

    def _start_next(self) -> None:
        """A host runs one document after the other, in the order in which they came."""
        busy = {run.instance_id for run in self._active if run.begun}
        for run in self._active:
            if run.instance_id not in busy:
                busy.add(run.instance_id)
                self._begin_step(run)

    def _begin_step(self, run: ScriptRun) -> None:
        step = run.steps[run.begun]
        run.status = "InProgress"
        self._world.machines.run_script(
            run.instance_id, _script_id(run, run.begun), script=step.script, timeout_s=step.timeout_s
        )
        run.begun += 1

    def _advance(self, run: ScriptRun) -> None:
        life = self._world.lives.get(run.instance_id)
        if life is None or life.state != "running":
            self._end(run, "Failed")
            return
        if not run.begun:
            return
        result = self._world.machines.script_result(run.instance_id, _script_id(run, run.begun - 1))
        if result is None:
            return
        run.results.append(result)
        failed = result.code != 0 and run.steps[run.begun - 1].ends_on_failure
        if failed or run.begun == len(run.steps):
            statuses = [_status(result) for result in run.results]
            self._end(run, next((status for status in statuses if status != "Success"), "Success"))
        else:
            self._begin_step(run)

    def _end(self, run: ScriptRun, status: str) -> None:
        run.status, run.ended_at = status, datetime.now(UTC)
        self._active.remove(run)

    def all_runs(self) -> Iterator[tuple[str, ScriptRun]]:
        """Every run with the id of the command that it is, oldest first: those of associations can be asked about likewise."""
        for command_id, runs in self.commands.items():
            yield from ((command_id, run) for run in runs)
        for association in self.associations.values():
            for execution in association.executions:
                yield from ((run.id, run) for run in execution.runs.values())


def content_of(account: str, region: str, name: str, version: str | None) -> tuple[str, str]:
    """A document's content, and the number of its version. Raises RefusedBySsm when there is no such."""
    from moto.ssm.models import ssm_backends

    if name in AWS_DOCUMENTS:
        return AWS_DOCUMENTS[name], "1"
    documents = ssm_backends[account][region]._documents.get(name)
    if documents is None:
        raise RefusedBySsm("InvalidDocument", f"Document {name} does not exist.")
    found = documents.find(None if version == "$DEFAULT" else version, strict=False)
    if found is None:
        raise RefusedBySsm("InvalidDocumentVersion", f"Document {name} has no version {version}")
    return found.content, str(found.document_version)


def _run_of(association: Association, instance_id: str) -> ScriptRun:
    """What an association makes a host run now. Its document is there: nobody can delete one that is associated."""
    from moto.core import DEFAULT_ACCOUNT_ID

    settings = association.settings
    content, version = content_of(
        DEFAULT_ACCOUNT_ID, association.region, association.document, settings.get("DocumentVersion")
    )
    parameters = filled_parameters(content, settings.get("Parameters") or {})
    return ScriptRun(
        instance_id=instance_id,
        document=association.document,
        document_version=version,
        steps=steps(content, parameters),
    )


def _status(result: ScriptResult) -> str:
    return "Success" if result.code == 0 else "TimedOut" if result.code == TIMED_OUT else "Failed"


def _script_id(run: ScriptRun, index: int) -> str:
    return f"{run.id}.{index}"


def _fits(life: Life, target: Mapping[str, Any]) -> bool:
    key, values = str(target["Key"]), list(target.get("Values") or [])
    if key == "InstanceIds":
        return life.instance.id in values
    tags = life.backend.tags.get(life.instance.id, {})
    return tags.get(key.removeprefix("tag:")) in values


def _may_register(life: Life) -> bool:
    held = life.backend.iam_instance_profile_associations.get(life.instance.id)
    roles = held.iam_instance_profile.roles if held is not None else []
    return any(arn.endswith(POLICY) for role in roles for arn in role.managed_policies)
