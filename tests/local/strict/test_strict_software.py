"""Systems Manager in the strict AWS: who is managed, what associations make hosts run and when, what commands tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from enaxp.local.strict import NoMachines, ScriptResult, StrictServer, Timing, serve
from tests.support.strict_lab import Lab, code_of, document, eventually


@dataclass
class Hosts(NoMachines):
    """Machines that run nothing: `exit N` in a script decides how it ends, and `open` ones run until told."""

    ran: list[tuple[str, str]] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    open: bool = False

    def run_script(self, instance_id: str, script_id: str, *, script: str, timeout_s: int) -> None:
        self.ran.append((instance_id, script))
        self.codes[script_id] = int(script.split("exit ")[1].split()[0]) if "exit " in script else 0

    def script_result(self, instance_id: str, script_id: str) -> ScriptResult | None:
        return None if self.open else ScriptResult(code=self.codes[script_id], stdout="out\n", stderr="err\n")


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    running = serve(timing=Timing.instant(), machines=Hosts())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def standing(server: StrictServer) -> Lab:
    lab = Lab.at(server)
    lab.build()
    return lab


@pytest.fixture
def hosts(server: StrictServer) -> Hosts:
    machines: Any = server._world.machines
    machines.ran.clear()
    machines.open = False
    return cast(Hosts, machines)


@pytest.fixture
def lab(standing: Lab, server: StrictServer) -> Iterator[Lab]:
    yield standing
    server.set_timing(Timing.instant())
    for item in standing.ssm.list_associations()["Associations"]:
        standing.ssm.delete_association(AssociationId=item["AssociationId"])
    for item in standing.ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"]:
        standing.ssm.delete_document(Name=item["Name"])


def both(lab: Lab) -> set[str]:
    return {lab.ids["server_host"], lab.ids["client_host"]}


def ran(lab: Lab, hosts: Hosts) -> list[tuple[str, str]]:
    """What was run since this was last asked, once time has gone on."""
    lab.ssm.list_associations()
    done = [(host, script.strip()) for host, script in hosts.ran]
    hosts.ran.clear()
    return sorted(done)


def statuses(lab: Lab, association: str) -> dict[str, str]:
    """As each host tells it."""
    found = {}
    for host in both(lab):
        told = lab.ssm.describe_instance_associations_status(InstanceId=host)["InstanceAssociationStatusInfos"]
        found[host] = next((info["Status"] for info in told if info["AssociationId"] == association), "")
    return found


def test_a_host_registers_some_time_after_it_runs(lab: Lab, server: StrictServer) -> None:
    everybody = {item["InstanceId"] for item in lab.ssm.describe_instance_information()["InstanceInformationList"]}
    assert everybody == both(lab)

    server.set_timing(replace(Timing.instant(), ssm_online=3600.0))

    assert lab.ssm.describe_instance_information()["InstanceInformationList"] == []
    lab.document("hello", document("true"))
    call = {"DocumentName": "hello", "InstanceIds": [lab.ids["server_host"]]}
    assert code_of(lambda: lab.ssm.send_command(**call)) == "InvalidInstanceId"


def test_a_host_whose_role_lost_the_policy_is_not_managed(lab: Lab) -> None:
    policy = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    lab.iam.detach_role_policy(RoleName="enaxp", PolicyArn=policy)
    try:
        assert lab.ssm.describe_instance_information()["InstanceInformationList"] == []
    finally:
        lab.iam.attach_role_policy(RoleName="enaxp", PolicyArn=policy)


def test_a_document_is_being_made_first(lab: Lab, server: StrictServer) -> None:
    server.set_timing(replace(Timing.instant(), ssm_document=3600.0))
    made = lab.ssm.create_document(Name="slow", Content=document("true"), DocumentType="Command")

    assert made["DocumentDescription"]["Status"] == "Creating"
    assert code_of(lambda: lab.association("slow")) == "InvalidDocument"


def test_documents_are_listed_by_tag(lab: Lab) -> None:
    lab.document("ours", document("true"))
    lab.ssm.create_document(Name="theirs", Content=document("true"), DocumentType="Command")

    by_tag = [{"Key": "tag:enaxp:lab-id", "Values": ["lab-1"]}]
    assert [item["Name"] for item in lab.ssm.list_documents(Filters=by_tag)["DocumentIdentifiers"]] == ["ours"]


def test_every_target_runs_once_with_its_parameters(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("echo {{ Word }} {{ Word }}"))

    association = lab.association("hello", Parameters={"Word": ["there"]})

    assert ran(lab, hosts) == sorted((host, "echo there there") for host in both(lab))
    assert ran(lab, hosts) == []
    assert statuses(lab, association) == dict.fromkeys(both(lab), "Success")
    [item] = lab.ssm.list_associations()["Associations"]
    assert item["Overview"]["AssociationStatusAggregatedCount"] == {"Success": 2}


def test_nothing_that_fits_still_reads_success(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("true"))

    lab.association("hello", Targets=[{"Key": "tag:nobody", "Values": ["has this"]}])

    assert ran(lab, hosts) == []
    [item] = lab.ssm.list_associations()["Associations"]
    assert (item["Overview"]["Status"], item["Overview"].get("AssociationStatusAggregatedCount", {})) == ("Success", {})


def test_all_targets_of_an_association_must_fit(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("true"))
    one = {"Key": "InstanceIds", "Values": [lab.ids["client_host"]]}

    lab.association("hello", Targets=[one, {"Key": "tag:enaxp:lab-id", "Values": ["lab-1"]}])

    assert [host for host, _ in ran(lab, hosts)] == [lab.ids["client_host"]]


def test_an_update_takes_back_what_it_does_not_repeat_and_runs_again(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("echo {{ Word }}"))
    association = lab.association("hello", Parameters={"Word": ["there"]}, AssociationName="named")
    ran(lab, hosts)
    targets = [{"Key": "InstanceIds", "Values": [lab.ids["server_host"]]}]

    lab.ssm.update_association(AssociationId=association, Targets=targets)

    assert ran(lab, hosts) == [(lab.ids["server_host"], "echo hello")]
    described = lab.ssm.describe_association(AssociationId=association)["AssociationDescription"]
    assert (described.get("AssociationName"), described["AssociationVersion"]) == (None, "2")


def test_an_association_keeps_to_its_version_of_the_document(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("echo first"))
    association = lab.association("hello", DocumentVersion="1")
    ran(lab, hosts)
    lab.ssm.update_document(Name="hello", Content=document("echo second"), DocumentVersion="$LATEST")
    lab.ssm.update_document_default_version(Name="hello", DocumentVersion="2")

    lab.ssm.start_associations_once(AssociationIds=[association])

    assert {script for _, script in ran(lab, hosts)} == {"echo first"}


def test_what_is_due_runs_while_calls_miss_the_document(lab: Lab, server: StrictServer, hosts: Hosts) -> None:
    lab.document("hello", document("echo hello"))
    association = lab.association("hello")
    ran(lab, hosts)
    server.set_timing(replace(Timing.instant(), ids_unknown=3600.0))

    lab.ssm.start_associations_once(AssociationIds=[association])

    assert code_of(lambda: lab.ssm.describe_document(Name="hello")) == "InvalidDocument"
    assert code_of(lambda: lab.ec2.describe_vpcs()) == ""
    assert ran(lab, hosts) == sorted((host, "echo hello") for host in both(lab))


def test_a_failure_is_reported_per_host_and_by_execution(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("exit 3"))

    association = lab.association("hello")

    ran(lab, hosts)
    assert statuses(lab, association) == dict.fromkeys(both(lab), "Failed")
    [execution] = lab.ssm.describe_association_executions(AssociationId=association)["AssociationExecutions"]
    targets = lab.ssm.describe_association_execution_targets(
        AssociationId=association, ExecutionId=execution["ExecutionId"]
    )["AssociationExecutionTargets"]
    assert (execution["Status"], {target["ResourceId"] for target in targets}) == ("Failed", both(lab))
    told = lab.ssm.get_command_invocation(
        CommandId=targets[0]["OutputSource"]["OutputSourceId"], InstanceId=targets[0]["ResourceId"]
    )
    assert (told["Status"], told["ResponseCode"], told["StandardErrorContent"]) == ("Failed", 3, "err\n")


def test_a_time_that_is_over_is_reported_as_that(lab: Lab, hosts: Hosts) -> None:
    lab.document("hello", document("exit 124"))

    association = lab.association("hello")

    ran(lab, hosts)
    assert statuses(lab, association) == dict.fromkeys(both(lab), "TimedOut")


def test_a_host_runs_one_script_after_the_other(lab: Lab, hosts: Hosts) -> None:
    hosts.open = True
    for name in ("first", "second"):
        lab.document(name, document(f"echo {name}"))
        lab.association(name, Targets=[{"Key": "InstanceIds", "Values": [lab.ids["server_host"]]}])

    assert ran(lab, hosts) == [(lab.ids["server_host"], "echo first")]
    hosts.open = False
    eventually(lambda: ran(lab, hosts) == [(lab.ids["server_host"], "echo second")], "the second script")


def test_a_step_that_fails_stops_a_document_only_when_it_says_so(lab: Lab, hosts: Hosts) -> None:
    def step(name: str, *lines: str, **more: str) -> dict[str, Any]:
        return {"action": "aws:runShellScript", "name": name, "inputs": {"runCommand": list(lines)}, **more}

    lab.document("goes-on", document(mainSteps=[step("one", "exit 1"), step("two", "true")]))
    lab.document("stops", document(mainSteps=[step("one", "exit 1", onFailure="exit"), step("two", "true")]))
    sent = {
        name: lab.ssm.send_command(DocumentName=name, InstanceIds=[lab.ids["client_host"]])["Command"]["CommandId"]
        for name in ("goes-on", "stops")
    }

    def told(name: str) -> list[str]:
        [one] = lab.ssm.list_command_invocations(CommandId=sent[name], Details=True)["CommandInvocations"]
        return [one["Status"], *(plugin["Status"] for plugin in one["CommandPlugins"])]

    eventually(lambda: told("stops")[0] == "Failed", "both have ended")
    assert told("goes-on") == ["Failed", "Failed", "Success"]
    assert told("stops") == ["Failed", "Failed", "Cancelled"]


def test_awss_own_document_runs_any_command(lab: Lab, hosts: Hosts) -> None:
    command = lab.ssm.send_command(
        DocumentName="AWS-RunShellScript",
        Targets=[{"Key": "tag:enaxp:lab-id", "Values": ["lab-1"]}],
        Parameters={"commands": ["cd /tmp", "pwd"]},
    )["Command"]

    assert ran(lab, hosts) == sorted((host, "cd /tmp\npwd") for host in both(lab))
    told = lab.ssm.get_command_invocation(CommandId=command["CommandId"], InstanceId=lab.ids["server_host"])
    assert (told["Status"], told["StandardOutputContent"]) == ("Success", "out\n")


def test_tags_of_an_association_are_kept(lab: Lab) -> None:
    lab.document("hello", document("true"))
    association = lab.association("hello")
    which = {"ResourceType": "Association", "ResourceId": association}

    lab.ssm.add_tags_to_resource(**which, Tags=[{"Key": "more", "Value": "1"}])
    lab.ssm.remove_tags_from_resource(**which, TagKeys=["enaxp:lab-id"])

    assert lab.ssm.list_tags_for_resource(**which)["TagList"] == [{"Key": "more", "Value": "1"}]


def test_a_listing_comes_in_pages(lab: Lab) -> None:
    lab.document("hello", document("true"))
    made = {lab.association("hello") for _ in range(3)}

    pages = list(lab.ssm.get_paginator("list_associations").paginate(PaginationConfig={"PageSize": 2}))

    assert [len(page["Associations"]) for page in pages] == [2, 1]
    assert {item["AssociationId"] for page in pages for item in page["Associations"]} == made
