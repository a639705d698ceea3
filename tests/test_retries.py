"""Calls that are harmless to repeat: until a deadline in time, and at once given up where nothing passes."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from enaxp import retries
from enaxp.aws import Aws
from enaxp.local.strict import Fault, FaultPlan
from tests.support.crash_harness import DeadlyCloud, deadly_cloud


def client(endpoint_url: str, *, patience_s: float) -> Aws:
    return Aws(
        region="us-east-1",
        endpoint_url=endpoint_url,
        access_key="x",
        secret_key="x",
        poll_s=0.01,
        patience_s=patience_s,
    )


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        yield running


def strike(cloud: DeadlyCloud, **fault: object) -> None:
    cloud.server.forget_calls()
    cloud.server.set_faults(FaultPlan([Fault(action="DescribeVpcs", **fault)]))  # type: ignore[arg-type]


def asked(cloud: DeadlyCloud) -> int:
    return sum(call.action == "DescribeVpcs" for call in cloud.server.calls)


@pytest.mark.parametrize(
    ("code", "status"), [("RequestLimitExceeded", 503), ("InternalError", 500), ("ThrottlingException", 400)]
)
def test_what_passes_is_waited_out_however_often_it_comes(cloud: DeadlyCloud, code: str, status: int) -> None:
    strike(cloud, code=code, status=status, probability=0.9)

    for _ in range(3):
        client(cloud.server.endpoint_url, patience_s=60).ec2.describe_vpcs()

    assert asked(cloud) > 3


def test_the_time_has_an_end(cloud: DeadlyCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    strike(cloud, probability=1.0)
    each_call_takes_a_second = SimpleNamespace(monotonic=lambda: float(asked(cloud)))
    monkeypatch.setattr(retries, "time", each_call_takes_a_second)

    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        client(cloud.server.endpoint_url, patience_s=20).ec2.describe_vpcs()

    assert asked(cloud) == 21  # more often than any count that botocore has


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "ExpiredToken", "InvalidParameterValue"])
def test_what_does_not_pass_is_asked_once(cloud: DeadlyCloud, code: str) -> None:
    strike(cloud, code=code, status=403, probability=1.0)

    with pytest.raises(ClientError, match=code):
        client(cloud.server.endpoint_url, patience_s=60).ec2.describe_vpcs()

    assert asked(cloud) == 1


def test_where_nothing_answers_the_wait_is_short() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        aws = client(f"http://127.0.0.1:{taken.getsockname()[1]}", patience_s=0.2)
        began = time.monotonic()

        with pytest.raises(EndpointConnectionError):
            aws.ec2.describe_vpcs()

    assert time.monotonic() - began >= 0.2


def test_a_create_without_a_token_is_never_repeated(cloud: DeadlyCloud) -> None:
    cloud.server.forget_calls()
    cloud.server.set_faults(FaultPlan([Fault(action="CreateVpc", code="InternalError", status=500, probability=1.0)]))

    with pytest.raises(ClientError, match="InternalError"):
        client(cloud.server.endpoint_url, patience_s=60).once("ec2").create_vpc(CidrBlock="192.168.0.0/16")

    assert sum(call.action == "CreateVpc" for call in cloud.server.calls) == 1
