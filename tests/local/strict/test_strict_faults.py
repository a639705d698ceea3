"""Failures on demand: before the call, after it (a lost answer), and later (an instance that dies young); and the driving paths."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from enaxp.local.strict import Fault, FaultPlan, StrictServer
from tests.support.strict_lab import Lab, clients, code_of, drive, eventually


@pytest.fixture(autouse=True)
def calm(server: StrictServer) -> Iterator[None]:
    """Each test begins and ends without faults."""
    yield
    server.set_faults(FaultPlan())
    server.set_latency(0)
    server.forget_calls()


@pytest.fixture(scope="module")
def lab(server: StrictServer) -> Lab:
    made = Lab.at(server)
    made.build()
    made.interface("more", "192.168.3.90")
    return made


def make_vpc(lab: Lab) -> None:
    lab.ec2.create_vpc(CidrBlock="10.9.0.0/16")


def vpcs(lab: Lab) -> int:
    return len(lab.ec2.describe_vpcs()["Vpcs"])


@pytest.mark.parametrize(("phase", "made"), [("before", 0), ("after", 1)])
def test_a_fault_before_a_call_prevents_it_and_one_after_it_loses_the_answer(
    phase: Any, made: int, lab: Lab, server: StrictServer
) -> None:
    there = vpcs(lab)
    server.set_faults(FaultPlan([Fault(action="CreateVpc", phase=phase, status=500, code="InternalError", nth=1)]))

    with pytest.raises(ClientError) as lost:
        make_vpc(lab)

    assert lost.value.response["Error"]["Code"] == "InternalError"
    assert lost.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert vpcs(lab) == there + made
    assert not code_of(lambda: make_vpc(lab))


def test_the_nth_call_of_a_pattern_fails(lab: Lab, server: StrictServer) -> None:
    server.set_faults(FaultPlan([Fault(action="Describe*", nth=2)]))

    codes = [code_of(lab.ec2.describe_vpcs), code_of(lab.ec2.describe_subnets), code_of(lab.ec2.describe_vpcs)]

    assert codes == ["", "RequestLimitExceeded", ""]


def test_chance_is_seeded() -> None:
    fault = Fault(action="*", probability=0.5)

    def struck(seed: int) -> list[bool]:
        plan = FaultPlan([fault], seed=seed)
        return [plan.strike("DescribeVpcs") is not None for _ in range(64)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert any(struck(1))
    assert not all(struck(1))


@pytest.mark.parametrize(
    ("code", "status"), [("InsufficientInstanceCapacity", 500), ("RequestLimitExceeded", 503), ("Unavailable", 503)]
)
def test_the_sdk_repeats_a_call_that_aws_would_have_it_repeat(
    code: str, status: int, lab: Lab, server: StrictServer
) -> None:
    patient = clients(server, attempts=3)("ec2")
    server.set_faults(FaultPlan([Fault(action="DescribeVpcs", status=status, code=code, nth=1)]))

    answer = patient.describe_vpcs()

    assert answer["ResponseMetadata"]["RetryAttempts"] == 1


def test_a_launch_whose_answer_is_lost_is_found_by_its_token(lab: Lab, server: StrictServer) -> None:
    server.set_faults(FaultPlan([Fault(action="RunInstances", phase="after", status=500, code="InternalError", nth=1)]))
    request = lab.request("more", ClientToken="lost")

    with pytest.raises(ClientError):
        lab.ec2.run_instances(**request)

    by_token = [{"Name": "client-token", "Values": ["lost"]}]
    [found] = lab.ec2.describe_instances(Filters=by_token)["Reservations"]
    again = lab.ec2.run_instances(**request)["Instances"][0]["InstanceId"]
    assert again == found["Instances"][0]["InstanceId"]


def test_an_instance_may_die_young(lab: Lab, server: StrictServer) -> None:
    code = "Server.InsufficientInstanceCapacity"
    server.set_faults(FaultPlan([Fault(action="RunInstances", phase="later", code=code, message="no room", nth=1)]))
    lab.interface("young", "192.168.3.91")

    lab.launch("young")

    eventually(lambda: lab.state("young_host") == "terminated", "terminated")
    assert lab.instance("young_host")["StateReason"] == {"Code": code, "Message": f"{code}: no room"}
    eventually(lambda: lab.eni(lab.ids["young"])["Status"] == "available", "its interface is free")


def test_faults_speak_the_protocol_of_the_service(lab: Lab, server: StrictServer) -> None:
    server.set_faults(FaultPlan([Fault(action="Get*", status=400, code="AccessDenied", message="<no>", probability=1)]))
    calls = (
        lambda: lab.iam.get_role(RoleName="enaxp"),
        lambda: lab.ssm.get_parameter(Name="x"),
        clients(server)("sts").get_caller_identity,
    )

    for call in calls:
        with pytest.raises(ClientError, match="<no>") as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_what_is_not_served_is_said_clearly_and_not_repeated(server: StrictServer) -> None:
    patient = clients(server, attempts=3)
    calls = {
        "iam:SimulatePrincipalPolicy": lambda: patient("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:user/x", ActionNames=["ec2:RunInstances"]
        ),
        "ssm:DescribePatchGroups": patient("ssm").describe_patch_groups,
        "pricing:GetProducts": lambda: patient("pricing").get_products(ServiceCode="AmazonEC2"),
        "cloudformation:ListStacks": patient("cloudformation").list_stacks,
        "scheduler:": patient("scheduler").list_schedules,
        "s3:": patient("s3").list_buckets,
    }

    for name, call in calls.items():
        with pytest.raises(ClientError, match=name) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "InvalidAction"
        assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("GET", "bucket/key"), ("PUT", "bucket")])
def test_a_stranger_is_answered_in_xml_or_json(method: str, path: str, server: StrictServer) -> None:
    request = urllib.request.Request(
        f"{server.endpoint_url}/{path}", data=b"x" if method != "GET" else None, method=method
    )

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)

    with refused.value as answer:
        assert answer.code == 400
        assert "InvalidAction" in answer.read().decode()
        assert "html" not in answer.headers["Content-Type"]


def test_a_wrong_path_is_said_clearly(server: StrictServer) -> None:
    astray = clients(server, path="/elsewhere")

    assert code_of(astray("ec2").describe_vpcs) == "InvalidAction"
    assert code_of(lambda: astray("ssm").get_parameter(Name="x")) == "InvalidAction"


# -- driving ---------------------------------------------------------------------------------------------------------------------


def test_another_process_can_set_faults(lab: Lab, server: StrictServer) -> None:
    drive(server, "POST", "faults", {"seed": 3, "faults": [{"action": "DescribeVpcs", "nth": 1}]})

    assert code_of(lab.ec2.describe_vpcs) == "RequestLimitExceeded"
    drive(server, "POST", "faults", {})
    assert not code_of(lab.ec2.describe_vpcs)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", {"faults": [{"action": "*", "often": True}]}, 400),
        ("POST", "faults", {"faults": [{"action": "*", "phase": "never"}]}, 400),
        ("POST", "latency", {}, 400),
        ("POST", "capacity", {"zone": {}}, 400),
        ("POST", "timing", {"never": 1}, 400),
        ("POST", "timing", {"attach": "soon"}, 400),
        ("GET", "nothing", None, 404),
        ("POST", "resources", {}, 404),
    ],
)
def test_a_bad_order_is_refused(method: str, path: str, body: Any, status: int, server: StrictServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        drive(server, method, path, body)

    assert refused.value.code == status
    assert json.load(refused.value)["error"]
    refused.value.close()


def test_calls_are_counted(lab: Lab, server: StrictServer) -> None:
    drive(server, "DELETE", "calls")
    lab.ec2.describe_vpcs()
    lab.ec2.describe_vpcs()
    code_of(lambda: lab.ec2.describe_vpcs(VpcIds=["vpc-0123456789abcdef0"]))
    code_of(lambda: lab.ssm.get_parameter(Name="nothing"))

    told = drive(server, "GET", "calls")

    assert told["counts"] == {"DescribeVpcs": 3, "GetParameter": 1}
    times = [call.pop("at") for call in told["calls"]]
    assert times == sorted(times)
    asked = {"service": "ec2", "action": "DescribeVpcs", "named": [], "dry_run": False}
    assert told["calls"][0] == asked | {"status": 200, "code": ""}
    assert told["calls"][2] == asked | {"status": 400, "code": "InvalidVpcID.NotFound"}
    assert (told["calls"][3]["service"], told["calls"][3]["code"]) == ("ssm", "ParameterNotFound")
    assert [call.code for call in server.calls] == ["", "", "InvalidVpcID.NotFound", "ParameterNotFound"]


def test_calls_tell_what_they_are_to_change(lab: Lab, server: StrictServer) -> None:
    server.forget_calls()
    ids = lab.ids
    lab.ec2.create_tags(Resources=[ids["vpc"], ids["subnet"]], Tags=[{"Key": "later", "Value": "yes"}])
    lab.ec2.describe_subnets(SubnetIds=[ids["subnet"]])
    code_of(lambda: lab.ec2.delete_vpc(VpcId=ids["vpc"]))
    code_of(lambda: lab.ec2.delete_placement_group(GroupName="placement"))
    code_of(lambda: lab.iam.delete_role(RoleName="enaxp"))
    code_of(lambda: lab.ssm.delete_parameter(Name="nothing"))

    named = [set(call.named) for call in server.calls]

    assert named == [{ids["vpc"], ids["subnet"]}, set(), {ids["vpc"]}, {"placement"}, {"enaxp"}, set()]


def test_resources_are_reported(lab: Lab, server: StrictServer) -> None:
    assert drive(server, "GET", "resources") == {"resources": server.resources()}
    assert lab.ids["vpc"] in server.resources()


def test_each_call_can_be_made_to_take_longer(lab: Lab, server: StrictServer) -> None:
    drive(server, "POST", "latency", {"seconds": 0.2})

    began = time.monotonic()
    lab.ec2.describe_vpcs()

    assert time.monotonic() - began >= 0.2
