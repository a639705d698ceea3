"""What Systems Manager does on hosts: which of them it manages, associations, commands, and the scripts that run there.

    host runs, its profile lets it register ─▶ managed ─▶ each association that has it as a target: one run a version
    SendCommand ───────────────────────────────────────▶ one run                    a run = the steps of a document, one by one

Belongs to one world: touched only while its lock is held. Its `tick` brings everything to where it should be by now.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from enaxp.local.strict.life import Life
from enaxp.local.strict.machines import Machines, ScriptResult
from enaxp.local.strict.ssm.content import AWS_DOCUMENTS, DocumentStep, RefusedBySsm, filled_parameters, steps
from enaxp.local.strict.timing import Timing

if TYPE_CHECKING:
    from mypy_boto3_ssm.literals import AssociationComplianceSeverityType
    from mypy_boto3_ssm.type_defs import TargetOutputTypeDef, TargetTypeDef

RunStatus = Literal["Pending", "InProgress", "Success", "Failed", "TimedOut"]
StepStatus = RunStatus | Literal["Cancelled"]
POLICY = "policy/AmazonSSMManagedInstanceCore"
AGENT_SLEEP_S = 26 * 60.0
TIMED_OUT = 124  # the exit code of timeout(1)
MOST_TARGETS, MOST_VALUES = 5, 50


@dataclass(frozen=True, kw_only=True)
class ScriptTarget:
    """Instances by id (`InstanceIds`) or by a tag (`tag:KEY`)."""

    key: str
    values: tuple[str, ...]

    def as_aws(self) -> TargetOutputTypeDef:
        """As AWS writes it."""
        return {"Key": self.key, "Values": list(self.values)}

    def fits(self, life: Life) -> bool:
        """Whether this instance is one of them."""
        if self.key == "InstanceIds":
            return life.instance.id in self.values
        tags = life.backend.tags.get(life.instance.id, {})
        return tags.get(self.key.removeprefix("tag:")) in self.values


def read_targets(given: Sequence[TargetTypeDef] | None) -> tuple[ScriptTarget, ...]:
    """Targets of a request. Raises RefusedBySsm for what AWS does not take."""
    if not isinstance(given, list) or not 0 < len(given) <= MOST_TARGETS:
        raise RefusedBySsm("InvalidTarget", f"1 to {MOST_TARGETS} targets must be given")
    targets = tuple(ScriptTarget(key=str(one.get("Key", "")), values=tuple(one.get("Values") or ())) for one in given)
    for target in targets:
        is_served = target.key == "InstanceIds" or target.key.startswith("tag:")
        if not is_served or not 0 < len(target.values) <= MOST_VALUES:
            raise RefusedBySsm("InvalidTarget", f"{target.key} is no target, or has not 1 to {MOST_VALUES} values")
    return targets


@dataclass
class ScriptRun:
    """One document on one instance."""

    instance_id: str
    document: str
    document_version: str
    steps: tuple[DocumentStep, ...]
    comment: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: RunStatus = "Pending"
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    results: list[ScriptResult] = field(default_factory=list)  # of the steps that have ended
    begun: int = 0  # steps handed to the machine

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None

    def status_of(self, index: int) -> StepStatus:
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


class LatestRun(NamedTuple):
    """A target's latest run of an association: which `due` and which version of the association it was for."""

    due: int
    version: int
    run: ScriptRun


@dataclass(frozen=True, kw_only=True)
class AssociationSettings:
    """What is given with an association. An update takes back whatever it does not repeat."""

    targets: tuple[ScriptTarget, ...]
    association_name: str | None = None
    compliance_severity: AssociationComplianceSeverityType | None = None
    document_version: str | None = None
    max_concurrency: str | None = None
    max_errors: str | None = None
    parameters: Mapping[str, list[str]] | None = None


@dataclass
class Association:
    """An association. `due` counts what makes its targets run it once more; `latest` has the latest run of each target."""

    id: str
    region: str
    document: str
    settings: AssociationSettings
    version: int = 1
    due: int = 1
    executions: list[Execution] = field(default_factory=list)
    latest: dict[str, LatestRun] = field(default_factory=dict)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def counts(self) -> Counter[str]:
        """The number of targets by status; empty for an association that nothing matches."""
        return Counter(last.run.status for last in self.latest.values())


class ScriptRuns:
    """Everything of Systems Manager that happens on hosts.

    lives: the world's instances by id, as they come and go. timing: a function, because the world's can be changed.
    """

    def __init__(self, *, lives: Mapping[str, Life], machines: Machines, timing: Callable[[], Timing]) -> None:
        self._lives = lives
        self._machines = machines
        self._timing = timing
        self.associations: dict[str, Association] = {}
        self.commands: dict[str, list[ScriptRun]] = {}  # command id → one run an instance
        self._active: list[ScriptRun] = []
        self._agents: dict[
            str, tuple[int, float]
        ] = {}  # instance → how often its agent has started, and when it last did

    # -- who is managed --------------------------------------------------------------------------------------------------

    def managed(self, region: str) -> dict[str, Life]:
        """Instances that have registered: running for a while, with a profile whose role has AWS's policy for it, and an agent that
        is awake."""
        online_after, now = self._timing().ssm_online, time.monotonic()
        return {
            life.instance.id: life
            for life in self._lives.values()
            if life.backend.region_name == region
            and life.state == "running"
            and life.running_at is not None
            and now >= life.running_at + online_after
            and _may_register(life)
            and self._agent_is_awake(life.instance.id, life.running_at, now)
        }

    def _agent_is_awake(self, instance_id: str, running_at: float, now: float) -> bool:
        """An agent that starts before its permissions work sleeps for long before it tries again, unless it is started again."""
        starts = self._machines.agent_starts(instance_id)
        seen, started_at = self._agents.get(instance_id, (1, running_at))
        if starts != seen:
            started_at = now
        started_at = max(started_at, running_at)  # with its host, each time that starts
        self._agents[instance_id] = (starts, started_at)
        works_at = running_at + self._timing().ssm_credentials
        return now >= works_at and (started_at >= works_at or now >= started_at + AGENT_SLEEP_S)

    def targets(self, region: str, targets: Sequence[ScriptTarget]) -> list[str]:
        """Managed instances that fit every one of these."""
        return [id for id, life in self.managed(region).items() if all(target.fits(life) for target in targets)]

    # -- what is to run --------------------------------------------------------------------------------------------------

    def command(self, runs: list[ScriptRun], command_id: str) -> None:
        """Begins the runs of a command."""
        for run in runs:
            run.id = command_id
        self.commands[command_id] = runs
        self._active += runs

    def run_again(self, association: Association) -> None:
        """Has each of its targets run it once more."""
        association.due += 1

    def tick(self) -> None:
        """Starts what is due and brings what runs to where it is by now."""
        for run in list(self._active):
            self._advance(run)
        managed: dict[str, dict[str, Life]] = {}  # region → its managed instances
        for association in self.associations.values():
            lives = managed.setdefault(association.region, self.managed(association.region))
            self._execute(association, lives)
        self._start_next()

    def _execute(self, association: Association, lives: Mapping[str, Life]) -> None:
        """Runs an association on each of its targets that has not run it since it became due."""
        association.latest = {id: last for id, last in association.latest.items() if id in self._lives}
        fresh: dict[str, ScriptRun] = {}
        for id, life in lives.items():
            last = association.latest.get(id)
            is_target = all(target.fits(life) for target in association.settings.targets)
            if is_target and (last is None or last.due != association.due):
                fresh[id] = _run_of(association, id)
                association.latest[id] = LatestRun(association.due, association.version, fresh[id])
        if fresh:
            execution = Execution(
                id=str(uuid.uuid4()), version=association.version, created_at=datetime.now(UTC), runs=fresh
            )
            association.executions.append(execution)
            self._active += fresh.values()

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
        self._machines.run_script(
            run.instance_id, _script_id(run, run.begun), script=step.script, timeout_s=step.timeout_s
        )
        run.begun += 1

    def _advance(self, run: ScriptRun) -> None:
        life = self._lives.get(run.instance_id)
        if life is None or life.state != "running":
            self._end(run, "Failed")
            return
        if not run.begun:
            return
        result = self._machines.script_result(run.instance_id, _script_id(run, run.begun - 1))
        if result is None:
            return
        run.results.append(result)
        failed = result.code != 0 and run.steps[run.begun - 1].ends_on_failure
        if failed or run.begun == len(run.steps):
            statuses = [_status(result) for result in run.results]
            worse: Iterator[RunStatus] = (status for status in statuses if status != "Success")
            self._end(run, next(worse, "Success"))
        else:
            self._begin_step(run)

    def _end(self, run: ScriptRun, status: RunStatus) -> None:
        run.status, run.ended_at = status, datetime.now(UTC)
        self._active.remove(run)

    def all_runs(self) -> Iterator[tuple[str, ScriptRun]]:
        """Every run, oldest first, with the id of its command: each run of an association is a command, too."""
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
        DEFAULT_ACCOUNT_ID, association.region, association.document, settings.document_version
    )
    parameters = filled_parameters(content, settings.parameters or {})
    return ScriptRun(
        instance_id=instance_id,
        document=association.document,
        document_version=version,
        steps=steps(content, parameters),
    )


def _status(result: ScriptResult) -> RunStatus:
    return "Success" if result.code == 0 else "TimedOut" if result.code == TIMED_OUT else "Failed"


def _script_id(run: ScriptRun, index: int) -> str:
    return f"{run.id}.{index}"


def _may_register(life: Life) -> bool:
    held = life.backend.iam_instance_profile_associations.get(life.instance.id)
    roles = held.iam_instance_profile.roles if held is not None else []
    return any(arn.endswith(POLICY) for role in roles for arn in role.managed_policies)
