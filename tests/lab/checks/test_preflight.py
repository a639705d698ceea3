"""What preflight says before anything is made: all of it at once, and nothing is made by asking."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from enaxp.config import Config, load_config
from enaxp.errors import AwsError, LabError
from enaxp.lab.checks import permissions
from enaxp.lab.checks.findings import Report
from enaxp.lab.checks.preflight import CANONICAL, preflight_report
from enaxp.lab.checks.quotas import vcpu_quota
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind
from enaxp.lab.lifecycle import look
from enaxp.lab.resolved import check_type, near_types
from enaxp.local.strict import Fault, FaultPlan, Quotas
from tests.support.crash_harness import Labs
from tests.support.drift_cases import client


def flight(labs: Labs, config: Config | None = None) -> Report:
    config = config or labs.config
    snapshot = look(replace(labs.context(), config=config))
    return preflight_report(snapshot, config=config, aws=labs.aws())


def texts(report: Report, level: str) -> str:
    return "\n".join(f"{f.check}: {f.text}" for f in report.findings if f.level == level)


def test_a_lab_that_can_be_built_passes_and_asking_makes_nothing(labs: Labs) -> None:
    report = flight(labs)

    assert texts(report, "failure") == ""
    assert texts(report, "warning") == ""
    assert {f.check for f in report.findings} >= {"identity", "instance type", "zone", "quotas", "permissions", "image"}
    assert labs.cloud.server.resources() == []
    report.require()


def test_every_missing_permission_is_named_at_once(labs: Labs) -> None:
    denied = [
        Fault(
            action=action, code="UnauthorizedOperation", message="You are not authorized.", status=403, probability=1.0
        )
        for action in ("CreateVpc", "RunInstances", "AllocateAddress", "AttachInternetGateway")
    ]
    labs.cloud.server.set_faults(FaultPlan(denied))

    report = flight(labs)

    [failure] = report.of("failure")
    assert failure.text == "not allowed: ec2:AllocateAddress, ec2:CreateVpc"
    # Asked about an id of nothing, or without the lab's own subnet: no proof.
    assert "ec2:AttachInternetGateway, ec2:RunInstances" in texts(report, "warning")
    with pytest.raises(LabError, match="ec2:CreateVpc"):
        report.require()


def denial(of: str, resource: str) -> Fault:
    text = f"User: me is not authorized to perform: ec2:{of} on resource: arn:aws:ec2:us-east-1:123456789012:{resource} because …"
    return Fault(action=of, code="UnauthorizedOperation", message=text, status=403, probability=1.0)


def test_a_launch_that_is_denied_for_the_host_itself_stops_and_one_denied_for_a_default_subnet_does_not(
    labs: Labs,
) -> None:
    labs.cloud.server.set_faults(FaultPlan([denial("RunInstances", "instance/*")]))
    assert "not allowed: ec2:RunInstances" in texts(flight(labs), "failure")

    labs.cloud.server.set_faults(FaultPlan([denial("RunInstances", "subnet/subnet-0123456789abcdef0")]))
    report = flight(labs)
    assert (texts(report, "failure"), texts(report, "warning")) == ("", "")


def test_what_an_organisation_denies_is_found_beforehand_and_what_it_demands_of_disks_holds_already(labs: Labs) -> None:
    anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    unencrypted = {"Action": "ec2:RunInstances", "Resource": "*", "Condition": {"Bool": {"ec2:Encrypted": "false"}}}
    denials = (unencrypted, {"Action": "ec2:AllocateAddress", "Resource": "*"})
    statements = [{"Effect": "Deny", **denial} for denial in denials]
    labs.cloud.server.put_policies([anything], organisation=[{"Version": "2012-10-17", "Statement": statements}])

    report = flight(labs)
    assert "not allowed: ec2:AllocateAddress" in texts(report, "failure")
    assert "ec2:RunInstances" not in texts(report, "failure")

    # And without that check it is named where it happens, and nothing stays
    with pytest.raises(AwsError, match="explicit deny in a service control policy"):
        labs.up()
    labs.down()
    assert labs.cloud.server.resources() == []


def test_what_may_not_be_asked_is_a_warning(labs: Labs) -> None:
    denied = Fault(action="GetServiceQuota", code="AccessDeniedException", message="no", status=400, probability=1.0)
    labs.cloud.server.set_faults(FaultPlan([denied]))

    report = flight(labs)

    assert "vCPUs: could not be checked: AccessDeniedException" in texts(report, "warning")
    assert texts(report, "failure") == ""


def test_quotas_are_compared_with_what_is_in_use(labs: Labs) -> None:
    labs.cloud.server._world.quotas = Quotas(vcpus=63, addresses=1, vpcs=1)

    said = texts(flight(labs), "failure")

    assert "quotas: vCPUs: 64 needed, 0 of 63 in use" in said
    assert "quotas: Elastic IPs: 2 needed, 0 of 1 in use" in said
    assert "VPCs" not in said


def test_a_lab_that_stands_needs_no_room(labs: Labs) -> None:
    labs.up()
    labs.cloud.server._world.quotas = Quotas(vcpus=64, addresses=2, vpcs=1, internet_gateways=1)

    assert texts(flight(labs), "failure") == ""


def test_what_was_made_moments_ago_and_is_not_known_everywhere_yet_stops_nobody(labs: Labs) -> None:
    labs.up()
    ids = [e.id for key, e in labs.file().state.resources.items() if key.startswith("instance/")]
    labs.aws().ec2.terminate_instances(InstanceIds=ids)
    message = "Value (enaxp-dev-us-east-1) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    young = Fault(action="RunInstances", code="InvalidParameterValue", message=message, status=400, probability=1.0)
    labs.cloud.server.set_faults(FaultPlan([young]))

    assert texts(flight(labs), "failure") == ""


def test_names_of_others_are_seen_beforehand(labs: Labs) -> None:
    aws = labs.aws()
    aws.iam.create_role(RoleName="enaxp-dev-us-east-1", AssumeRolePolicyDocument=TRUST)
    aws.ec2.create_placement_group(GroupName="enaxp-dev-us-east-1", Strategy="cluster")

    said = texts(flight(labs), "failure")

    assert "the role enaxp-dev-us-east-1 is there already and is not this lab's" in said
    assert "the placement-group enaxp-dev-us-east-1 is there already" in said


TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)


def test_an_image_for_other_machines_is_refused(labs: Labs) -> None:
    arm = labs.aws().ssm.get_parameter(Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64")
    config = load_config(overrides={"hosts.ami": arm["Parameter"]["Value"]})

    assert "is for arm64, c6i.8xlarge is x86_64" in texts(flight(labs, config), "failure")
    assert "is not to be had in us-east-1" in texts(
        flight(labs, load_config(overrides={"hosts.ami": "ami-0123456789abcdef0"})), "failure"
    )


@pytest.mark.parametrize(
    ("overrides", "is_refused"),
    [
        ({"fleet": {"pairs": 1}}, True),
        ({"fleet": {"pairs": 1}, "hosts.address": "public"}, False),
        ({}, False),
    ],
    ids=["a fleet", "a fleet with Elastic IPs", "one pair"],
)
def test_ubuntu_is_refused_where_interfaces_are_attached_while_it_runs(
    labs: Labs, overrides: dict[str, object], is_refused: bool
) -> None:
    ubuntu = ubuntu_image(labs)
    refusal = f"image: {ubuntu} is Ubuntu"

    report = flight(labs, load_config(overrides={"hosts.ami": ubuntu, **overrides}))

    assert (refusal in texts(report, "failure")) is is_refused
    assert any("hosts.address: public" in finding.todo for finding in report.of("failure")) is is_refused


def test_an_image_made_from_ubuntu_is_known_by_its_user(labs: Labs) -> None:
    asked = {"fleet": {"pairs": 1}, "hosts.ssh_user": "ubuntu"}

    assert "is Ubuntu" in texts(flight(labs, load_config(overrides=asked)), "failure")
    assert "is Ubuntu" not in texts(flight(labs, load_config(overrides={"fleet": {"pairs": 1}})), "failure")


def ubuntu_image(labs: Labs) -> str:
    """An image of Canonical's for the hosts' architecture."""
    images = client(labs, "ec2").describe_images(Owners=[CANONICAL])["Images"]
    return str(next(image["ImageId"] for image in images if image["Architecture"] == "x86_64"))


def test_a_type_without_ena_express_names_near_ones_that_have_it(labs: Labs) -> None:
    aws = labs.aws()

    with pytest.raises(LabError) as refusal:
        check_type(aws, "c6i.large")

    assert "near it: c6i.8xlarge, c6i.12xlarge" in refusal.value.todo
    assert all(name.startswith("c") for name in near_types(aws, "c3.large"))


@pytest.mark.parametrize(
    ("type", "code"),
    [
        ("c6i.8xlarge", "L-1216C47A"),
        ("hpc7g.16xlarge", "L-F7808C92"),
        ("x2idn.32xlarge", "L-7295265B"),
        ("q1.big", None),
    ],
)
def test_each_family_counts_against_its_own_quota(type: str, code: str | None) -> None:
    found = vcpu_quota(type)

    assert (found[0] if found else None) == code


EC2_KINDS = [kind for kind in KINDS.values() if isinstance(kind, Ec2Kind)]
SETTING_CALLS = {call.action: call for kind in EC2_KINDS for call in kind.settings}


def test_only_what_has_no_dry_run_is_not_asked_about() -> None:
    assert {action for action, call in SETTING_CALLS.items() if call.sample is None} == {"ec2:ModifyVpcAttribute"}


def test_each_call_on_a_resource_is_one_that_ec2_understands(labs: Labs) -> None:
    asked = [probe for call in SETTING_CALLS.values() if (probe := permissions.probe_of(call))]

    answers = permissions.probe(labs.aws(), asked)

    assert {answer.verdict for answer in answers} <= {"unknown", "allowed"}
    assert not [answer for answer in answers if "not valid for this web service" in answer.said]
