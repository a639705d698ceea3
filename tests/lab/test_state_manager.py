"""State Manager: every host runs what it must once, is asked how that went, and what failed stops `up` with the end of its log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from enaxp.errors import AwsError, HostError
from enaxp.lab import lifecycle, state_manager
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.software import NAMES, Piece, pieces
from enaxp.lab.spec import compute
from enaxp.lab.state_manager import SoftwareResults, results, wait_for_software
from enaxp.local.strict import Fault, FaultPlan, NoMachines, ScriptResult, StrictServer, Timing, serve
from tests.support.crash_harness import Labs
from tests.support.drift_cases import client

pytestmark = pytest.mark.thorough

IN_PLACE = {role: dict.fromkeys(NAMES, "Success") for role in ("server", "client")}


@dataclass
class Hosts(NoMachines):
    """Machines that only remember what they were to run. broken: pieces that fail. stuck: those that never end."""

    ran: list[tuple[str, str]] = field(default_factory=list)  # (instance, script), in order
    pieces: dict[str, str] = field(default_factory=dict)  # script id → piece
    broken: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    restarts: Counter[str] = field(default_factory=Counter)

    def agent_starts(self, instance_id: str) -> int:
        return 1 + self.restarts[instance_id]

    def run_script(self, instance_id: str, script_id: str, *, script: str, timeout_s: int) -> None:
        self.ran.append((instance_id, script))
        self.pieces[script_id] = piece_of(script)

    def script_result(self, instance_id: str, script_id: str) -> ScriptResult | None:
        piece = self.pieces[script_id]
        if piece in self.stuck:
            return None
        return ScriptResult(code=3 if piece in self.broken else 0, stdout="", stderr="no such mirror")

    def counts(self) -> Counter[tuple[str, str]]:
        """How often each instance ran each piece, since this was last asked."""
        counted = Counter((instance, piece_of(script)) for instance, script in self.ran)
        self.ran.clear()
        return counted


def piece_of(script: str) -> str:
    found = re.search(r"/usr/local/lib/enaxp/([a-z-]+)\.", script)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    running = serve(timing=Timing.instant(), machines=Hosts())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def standing(server: StrictServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    """A lab for all tests of the module."""
    labs = Labs(SimpleNamespace(server=server), tmp_path_factory.mktemp("lab"))
    yield labs
    labs.down()
    assert server.resources() == []


@pytest.fixture
def hosts(server: StrictServer) -> Hosts:
    machines: Any = server._world.machines
    return cast(Hosts, machines)


@pytest.fixture
def labs(standing: Labs, server: StrictServer, hosts: Hosts) -> Labs:
    """The lab with all its software in place, whatever the test before left; what that took is forgotten."""
    server.set_timing(Timing.instant())
    server.set_faults(FaultPlan())
    hosts.broken.clear()
    hosts.stuck.clear()
    up(standing)
    hosts.ran.clear()
    return standing


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Changes the script of one piece, as whoever edits the file does."""

    def edit(name: str, more: str) -> None:
        def edited(piece: Piece) -> Piece:
            return replace(piece, script=piece.script + more) if piece.name == name else piece

        changed = tuple(edited(piece) for piece in pieces())
        monkeypatch.setattr(compute, "pieces", lambda: changed)

    return edit


def seen(labs: Labs) -> Snapshot:
    return labs.snapshot()


def in_place(labs: Labs, *, changed: Collection[str] = ()) -> SoftwareResults:
    def log_of(role: str, piece: str) -> str:
        return f"the log of {piece} on the {role}"

    return wait_for_software(
        seen(labs), labs.aws(), changed=changed, log_of=log_of, restart_agent=no_restart, say=lambda _: None
    )


def no_restart(role: str) -> None:
    raise AssertionError(f"the agent of the {role} was started again without a reason")


def up(labs: Labs) -> SoftwareResults:
    """As the command does it."""
    changed = [step.key for step in seen(labs).plan.changing]
    labs.up()
    return in_place(labs, changed=changed)


def as_the_command_does(labs: Labs) -> SoftwareResults:
    """With the snapshot that an `up` gives back: what was made just now is known by its id alone."""
    before = seen(labs)
    after = lifecycle.up(labs.context(), before, watch=lambda _: None)
    return wait_for_software(
        after,
        labs.aws(),
        changed=[step.key for step in before.plan.changing],
        log_of=lambda *_: "",
        restart_agent=no_restart,
        say=lambda _: None,
    )


def statuses(results: SoftwareResults) -> dict[str, dict[str, str]]:
    return {role: {piece: one.status for piece, one in by_piece.items()} for role, by_piece in results.items()}


def instances(labs: Labs) -> list[str]:
    ids = labs.file().state.ids()
    return [ids["instance/server"], ids["instance/client"]]


def test_every_host_runs_every_piece_once(standing: Labs, hosts: Hosts) -> None:
    assert statuses(up(standing)) == IN_PLACE
    assert hosts.counts() == {(instance, piece): 1 for instance in instances(standing) for piece in NAMES}

    assert statuses(up(standing)) == IN_PLACE
    assert hosts.counts() == {}


def test_what_the_hosts_have_is_one_question_to_each(labs: Labs, server: StrictServer) -> None:
    snapshot = seen(labs)
    server.forget_calls()

    assert statuses(results(snapshot, labs.aws())) == IN_PLACE
    assert sorted(call.action for call in server.calls) == [
        "DescribeInstanceAssociationsStatus",
        "DescribeInstanceAssociationsStatus",
        "DescribeInstanceInformation",
    ]


def test_a_changed_script_is_run_once_by_every_host_and_nothing_else_is(labs: Labs, hosts: Hosts, edit: Any) -> None:
    edit("utilities", "echo more\n")

    steps = {step.key: [change.field for change in step.changes] for step in seen(labs).plan.changing}
    told = up(labs)

    assert steps == {"ssm-document/utilities": ["content"], "ssm-association/utilities": ["content"]}
    assert statuses(told) == IN_PLACE
    assert all("echo more" in script for _, script in hosts.ran)
    assert hosts.counts() == {(instance, "utilities"): 1 for instance in instances(labs)}
    assert labs.changes_left() == []


def test_a_script_that_is_as_it_was_before_is_run_again(labs: Labs, hosts: Hosts, edit: Any) -> None:
    edit("tuning", "echo more\n")
    up(labs)
    hosts.counts()
    edit("tuning", "")

    up(labs)

    assert not any("echo more" in script for _, script in hosts.ran)
    assert hosts.counts() == {(instance, "tuning"): 1 for instance in instances(labs)}
    assert labs.changes_left() == []


def test_what_fails_stops_with_host_piece_and_log_and_continues_once_corrected(
    labs: Labs, hosts: Hosts, edit: Any
) -> None:
    edit("sockperf", "exit 3\n")
    hosts.broken.add("sockperf")

    with pytest.raises(HostError, match=r"could not put sockperf in place on the (server|client)") as failed:
        up(labs)
    told = statuses(results(seen(labs), labs.aws()))

    assert "the log of sockperf on the" in failed.value.said
    assert {told[role]["sockperf"] for role in told} == {"Failed"}
    assert {told[role][piece] for role in told for piece in NAMES if piece != "sockperf"} == {"Success"}
    hosts.broken.clear()
    edit("sockperf", "true\n")
    assert statuses(up(labs)) == IN_PLACE


def test_what_failed_before_is_tried_once_more_though_nothing_changed(labs: Labs, hosts: Hosts, edit: Any) -> None:
    edit("node-exporter", "# another\n")
    hosts.broken.add("node-exporter")
    for _ in range(2):
        with pytest.raises(HostError, match="node-exporter"):
            up(labs)
    hosts.broken.clear()
    hosts.counts()

    assert statuses(up(labs)) == IN_PLACE
    assert hosts.counts() == {(instance, "node-exporter"): 1 for instance in instances(labs)}


def test_a_host_that_appears_later_gets_all_of_it_and_the_other_nothing(labs: Labs, hosts: Hosts) -> None:
    _, client_before = instances(labs)
    client(labs, "ec2").terminate_instances(InstanceIds=[client_before])

    told = up(labs)

    _, client_now = instances(labs)
    assert statuses(told) == IN_PLACE
    assert client_now != client_before
    assert hosts.counts() == {(client_now, piece): 1 for piece in NAMES}


def test_an_association_that_succeeds_without_a_host_is_not_believed(
    labs: Labs, server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the agent cannot reach Systems Manager: the overview may read Success all the same."""
    monkeypatch.setattr(state_manager, "REGISTER_S", 0.0)
    ssm, ec2 = client(labs, "ssm"), client(labs, "ec2")
    server.set_timing(replace(Timing.instant(), ssm_online=3600.0))
    ec2.terminate_instances(InstanceIds=instances(labs))
    labs.up()

    listed = ssm.list_associations()["Associations"]
    assert {item["Overview"]["Status"] for item in listed} == {"Success"}
    assert statuses(results(seen(labs), labs.aws())) == {
        role: dict.fromkeys(NAMES, "not registered") for role in IN_PLACE
    }
    with pytest.raises(HostError, match="has not registered with Systems Manager"):
        in_place(labs)


def test_an_agent_that_started_before_its_permissions_worked_is_started_again(
    labs: Labs, hosts: Hosts, server: StrictServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given hosts whose permissions work a moment after they run: their agents sleep by then
    server.set_timing(replace(Timing.instant(), ssm_credentials=0.5))
    client(labs, "ec2").terminate_instances(InstanceIds=instances(labs))
    labs.up()
    monkeypatch.setattr(state_manager, "RESTART_AGENT_S", 1.0)
    told: list[str] = []

    # when up waits for their software
    after = seen(labs)
    ids = {role: after.survey.found[f"instance/{role}"].id for role in IN_PLACE}
    results = wait_for_software(
        after,
        labs.aws(),
        changed=(),
        log_of=lambda *_: "",
        restart_agent=lambda role: hosts.restarts.update([ids[role]]),
        say=told.append,
    )

    # then each agent was started again, once
    assert statuses(results) == IN_PLACE
    assert hosts.restarts == dict.fromkeys(ids.values(), 1)
    assert [line.split(":")[0].strip() for line in told if "started again" in line] == ["client", "server"]


def test_a_host_that_is_taken_away_is_not_waited_for(
    labs: Labs, hosts: Hosts, edit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a host on which a piece never comes to its end
    monkeypatch.setattr(state_manager, "LOOK_S", 0.0)
    monkeypatch.setattr(state_manager, "RESTART_AGENT_S", 1.0)
    hosts.stuck.add("utilities")
    edit("utilities", "sleep infinity\n")
    labs.up()
    standing = seen(labs)

    # when somebody stops it
    [stopped] = [standing.survey.found["instance/client"].id]
    client(labs, "ec2").stop_instances(InstanceIds=[stopped])

    # then that is what the wait ends with, at once
    with pytest.raises(HostError, match=rf"the client \({stopped}\) cannot be reached any more") as gone:
        wait_for_software(
            standing, labs.aws(), changed=(), log_of=lambda *_: "", restart_agent=no_restart, say=lambda _: None
        )
    assert "stop" in gone.value.said
    client(labs, "ec2").terminate_instances(InstanceIds=instances(labs))


def test_a_script_that_never_ends_is_not_waited_for_for_ever(
    labs: Labs, hosts: Hosts, edit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_manager, "REGISTER_S", 0.0)
    monkeypatch.setattr(state_manager, "TIMEOUT_S", 0.0)
    hosts.stuck.add("utilities")
    edit("utilities", "sleep infinity\n")

    with pytest.raises(HostError, match="to put utilities in place"):
        up(labs)


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("action", ["UpdateDocument", "UpdateDocumentDefaultVersion", "UpdateAssociation"])
def test_an_update_that_broke_off_anywhere_is_finished_by_the_next_up(
    labs: Labs, hosts: Hosts, server: StrictServer, edit: Any, action: str, phase: Any
) -> None:
    edit("tuning", "echo more\n")
    refused = Fault(action=action, phase=phase, nth=1, status=400, code="AccessDeniedException", message="not now")
    server.set_faults(FaultPlan([refused]))
    with pytest.raises(AwsError, match="AccessDenied"):
        up(labs)

    assert statuses(up(labs)) == IN_PLACE
    assert labs.changes_left() == []
    latest = dict(hosts.ran)
    assert all("echo more" in latest[instance] for instance in instances(labs))


def test_what_others_made_of_an_association_is_put_right(labs: Labs, hosts: Hosts) -> None:
    ssm = client(labs, "ssm")
    [one] = [item for item in ssm.list_associations()["Associations"] if item["Name"].endswith("-tuning")]
    elsewhere = [{"Key": "tag:Name", "Values": ["somebody-else"]}]
    ssm.update_association(
        AssociationId=one["AssociationId"], AssociationName=one["AssociationName"], Targets=elsewhere
    )

    [step] = seen(labs).plan.changing
    assert (step.key, [change.field for change in step.changes]) == ("ssm-association/tuning", ["targets"])
    assert statuses(up(labs)) == IN_PLACE
    [after] = [item for item in ssm.list_associations()["Associations"] if item["Name"].endswith("-tuning")]
    assert after["Targets"] == one["Targets"]
    assert after["DocumentVersion"] == one["DocumentVersion"]


def test_a_document_of_our_name_of_another_owner_is_neither_used_nor_removed(
    server: StrictServer, tmp_path: Path
) -> None:
    labs, before = Labs(SimpleNamespace(server=server), tmp_path, lab="taken"), server.resources()
    ssm = client(labs, "ssm")
    ssm.create_document(
        Name="enaxp-taken-us-east-1-tuning", Content=pieces()[0].document, DocumentType="Command", DocumentFormat="JSON"
    )

    with pytest.raises(Exception, match="enaxp-taken-us-east-1-tuning"):
        labs.up()
    labs.down()

    assert set(server.resources()) - set(before) == {"enaxp-taken-us-east-1-tuning"}
    ssm.delete_document(Name="enaxp-taken-us-east-1-tuning")


@pytest.mark.parametrize("lag", [{"ids_unknown": 1.0}, {"tags_blind": 1.0}])
def test_an_association_that_aws_does_not_know_yet_is_waited_for(
    labs: Labs, server: StrictServer, lag: dict[str, float]
) -> None:
    ssm = client(labs, "ssm")
    [one] = [item for item in ssm.list_associations()["Associations"] if item["Name"].endswith("-tuning")]
    ssm.delete_association(AssociationId=one["AssociationId"])
    server.set_timing(replace(Timing.instant(), **lag))

    told = as_the_command_does(labs)

    assert statuses(told) == IN_PLACE


def test_a_piece_without_an_association_is_in_place_nowhere(labs: Labs) -> None:
    ssm = client(labs, "ssm")
    [one] = [item for item in ssm.list_associations()["Associations"] if item["Name"].endswith("-tuning")]
    ssm.delete_association(AssociationId=one["AssociationId"])

    assert statuses(results(seen(labs), labs.aws())) == {
        role: {**IN_PLACE[role], "tuning": "not associated"} for role in IN_PLACE
    }


def test_an_association_that_never_shows_is_not_waited_for_for_ever(
    labs: Labs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_manager, "REGISTER_S", 0.0)
    ssm, snapshot = client(labs, "ssm"), seen(labs)
    [one] = [item for item in ssm.list_associations()["Associations"] if item["Name"].endswith("-tuning")]
    ssm.delete_association(AssociationId=one["AssociationId"])
    found = dict(snapshot.survey.found)
    found["ssm-association/tuning"] = replace(found["ssm-association/tuning"], facts={})
    known_by_id = replace(snapshot, survey=replace(snapshot.survey, found=found))

    with pytest.raises(HostError, match="nothing to do with tuning"):
        wait_for_software(
            known_by_id, labs.aws(), changed=(), log_of=lambda *_: "", restart_agent=no_restart, say=lambda _: None
        )


def test_what_aws_says_against_another_try_is_reported(
    labs: Labs, hosts: Hosts, server: StrictServer, edit: Any
) -> None:
    edit("utilities", "exit 3\n")
    hosts.broken.add("utilities")
    with pytest.raises(HostError, match="utilities"):
        up(labs)
    denied = Fault(action="StartAssociationsOnce", phase="before", nth=1, status=400, code="AccessDeniedException")
    server.set_faults(FaultPlan([denied]))

    with pytest.raises(AwsError, match="try again what has failed") as refused:
        in_place(labs)

    assert "ask for this permission" in refused.value.todo
