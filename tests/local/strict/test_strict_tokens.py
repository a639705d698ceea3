"""Client tokens: the same request twice is one resource, and another request under the same token is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from enaxp.local.strict import StrictServer
from tests.support.strict_lab import KEY, Lab, code_of, eventually

Tokened = tuple[Callable[..., Any], Callable[[Any], str], dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def lab(server: StrictServer) -> Lab:
    made = Lab.at(server)
    made.identity("enaxp")
    made.network()
    made.group("placement")
    made.ec2.import_key_pair(KeyName="enaxp", PublicKeyMaterial=KEY.encode())
    return made


@pytest.fixture(params=["interface", "table", "instance"])
def tokened(request: pytest.FixtureRequest, lab: Lab) -> Tokened:
    """A call that takes a token, how to read what it made, a request, and what makes it another request."""
    ec2, ids = lab.ec2, lab.ids
    if request.param == "interface":
        asked = {"SubnetId": ids["subnet"], "PrivateIpAddress": "192.168.3.50", "ClientToken": "interface"}
        return ec2.create_network_interface, _interface, asked, {"PrivateIpAddress": "192.168.3.51"}
    if request.param == "table":
        asked = {"VpcId": ids["vpc"], "ClientToken": "table"}
        other = {"TagSpecifications": [{"ResourceType": "route-table", "Tags": [{"Key": "a", "Value": "b"}]}]}
        return ec2.create_route_table, lambda answer: str(answer["RouteTable"]["RouteTableId"]), asked, other
    if "once" not in ids:
        lab.interface("once", "192.168.3.60")
    return ec2.run_instances, _instance, lab.request("once", ClientToken="instance"), {"UserData": "other"}


def test_the_same_request_twice_makes_one_resource(tokened: Tokened, server: StrictServer) -> None:
    call, read, asked, _ = tokened

    first = read(call(**asked))
    there = server.resources()

    assert read(call(**asked)) == first
    assert server.resources() == there


def test_another_request_under_the_same_token_is_refused(tokened: Tokened, server: StrictServer) -> None:
    call, _, asked, other = tokened
    call(**asked)
    there = server.resources()

    assert code_of(lambda: call(**{**asked, **other})) == "IdempotentParameterMismatch"
    assert server.resources() == there


def test_without_a_token_of_its_own_each_request_makes_a_resource(lab: Lab) -> None:
    made = {lab.ec2.create_route_table(VpcId=lab.ids["vpc"])["RouteTable"]["RouteTableId"] for _ in range(2)}

    assert len(made) == 2


def test_a_refused_request_does_not_use_up_its_token(lab: Lab) -> None:
    asked = {"SubnetId": lab.ids["subnet"], "ClientToken": "second try"}
    assert code_of(lambda: lab.ec2.create_network_interface(**asked, PrivateIpAddress="192.168.9.9"))

    assert not code_of(lambda: lab.ec2.create_network_interface(**asked, PrivateIpAddress="192.168.3.70"))


def test_a_dry_run_does_not_use_up_a_token(lab: Lab) -> None:
    asked = {"SubnetId": lab.ids["subnet"], "ClientToken": "dry", "PrivateIpAddress": "192.168.3.71"}
    assert code_of(lambda: lab.ec2.create_network_interface(**asked, DryRun=True)) == "DryRunOperation"

    assert not code_of(lambda: lab.ec2.create_network_interface(**asked))


def test_the_token_of_a_terminated_instance_is_spent(lab: Lab) -> None:
    lab.interface("brief", "192.168.3.80")
    asked = lab.request("brief", ClientToken="brief")
    instance = _instance(lab.ec2.run_instances(**asked))

    lab.ec2.terminate_instances(InstanceIds=[instance])

    assert code_of(lambda: lab.ec2.run_instances(**asked)) == "IdempotentInstanceTerminated"
    eventually(lambda: lab.eni(lab.ids["brief"])["Status"] == "available", "the interface is free again")
    assert not code_of(lambda: lab.ec2.run_instances(**{**asked, "ClientToken": "brief, again"}))


def test_an_instance_is_found_by_its_token(lab: Lab) -> None:
    lab.interface("lost", "192.168.3.81")
    instance = _instance(lab.ec2.run_instances(**lab.request("lost", ClientToken="lost answer")))

    found = lab.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["lost answer"]}])["Reservations"]

    assert [one["InstanceId"] for reservation in found for one in reservation["Instances"]] == [instance]


def _interface(answer: Any) -> str:
    return str(answer["NetworkInterface"]["NetworkInterfaceId"])


def _instance(answer: Any) -> str:
    return str(answer["Instances"][0]["InstanceId"])
