"""Zones that lack a type, zones that are full, and zones that say so only when the instance has been promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from enaxp.local.strict import Capacity, StrictServer
from tests.support.strict_lab import OTHER_ZONE, ZONE, ZONE_WITHOUT, Lab, clients, code_of, drive, eventually


@pytest.fixture(autouse=True)
def plenty(server: StrictServer) -> Iterator[None]:
    yield
    server.set_capacity(Capacity())


@pytest.fixture(scope="module")
def lab(server: StrictServer) -> Lab:
    """A network with a subnet in each of two zones, and all that a launch needs besides."""
    made = Lab.at(server)
    made.identity("enaxp")
    made.network()
    made.ids["far_subnet"] = made.subnet(made.ids["vpc"], "192.168.4.0/24", OTHER_ZONE)
    return made


def launch(lab: Lab, subnet: str = "subnet", **more: Any) -> Any:
    request = {"InstanceType": "c6i.8xlarge", "KeyName": None, "Placement": {}, "NetworkInterfaces": None, **more}
    return lab.ec2.run_instances(**lab.request("host", **request, SubnetId=lab.ids[subnet]))["Instances"]


def test_a_full_zone_refuses_as_a_server_that_has_failed(lab: Lab, server: StrictServer) -> None:
    drive(server, "POST", "capacity", {"zones": {ZONE: 0}})
    there = server.resources()

    with pytest.raises(ClientError, match=f"capacity .*{ZONE}.* choosing {OTHER_ZONE}") as refused:
        launch(lab)

    assert refused.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert server.resources() == there
    assert launch(lab, "far_subnet")


def test_a_zone_takes_as_many_as_it_has_room_for(lab: Lab, server: StrictServer) -> None:
    server.set_capacity(Capacity(zones={ZONE: 2}))

    assert code_of(lambda: launch(lab, MinCount=3, MaxCount=3)) == "InsufficientInstanceCapacity"
    assert len(launch(lab) + launch(lab)) == 2
    assert code_of(lambda: launch(lab)) == "InsufficientInstanceCapacity"


def test_a_zone_may_say_late_that_it_is_full(lab: Lab, server: StrictServer) -> None:
    server.set_capacity(Capacity(zones={ZONE: 1}, late=True))
    [first], [second] = launch(lab), launch(lab)
    lab.ids |= {"first": first["InstanceId"], "second": second["InstanceId"]}

    eventually(lambda: lab.state("first") == "running", "the first running")
    eventually(lambda: lab.state("second") == "terminated", "the second gone")

    assert lab.instance("second")["StateReason"]["Code"] == "Server.InsufficientInstanceCapacity"


def test_the_sdk_repeats_a_launch_that_met_a_full_zone(lab: Lab, server: StrictServer) -> None:
    server.set_capacity(Capacity(zones={ZONE: 0}))
    server.forget_calls()
    patient = clients(server, attempts=2)("ec2")
    request = lab.request("host", KeyName=None, Placement={}, NetworkInterfaces=None, SubnetId=lab.ids["subnet"])

    assert code_of(lambda: patient.run_instances(**request)) == "InsufficientInstanceCapacity"

    assert [call.status for call in server.calls if call.action == "RunInstances"] == [500, 500]


def test_a_zone_may_lack_a_type(lab: Lab, server: StrictServer) -> None:
    server.set_capacity(Capacity(lacking={ZONE: ("c6i.8xlarge",)}))
    by_type = [{"Name": "instance-type", "Values": ["c6i.8xlarge"]}]

    offerings = lab.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=by_type)

    zones = {offering["Location"] for offering in offerings["InstanceTypeOfferings"]}
    assert OTHER_ZONE in zones
    assert not {ZONE, ZONE_WITHOUT} & zones
    assert code_of(lambda: launch(lab)) == "Unsupported"
    assert launch(lab, InstanceType="t3.medium")
