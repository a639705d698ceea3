"""What a person is told to do about an error of AWS: what helps, and nothing that would not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, SSOTokenLoadError

from enaxp.aws import Aws, is_duplicate, is_gone, is_in_use, refused
from enaxp.errors import AwsError
from enaxp.local.strict import Fault, FaultPlan
from tests.support.crash_harness import DeadlyCloud, deadly_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as running:
        yield running


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said"}}, "CreateSubnet")


@pytest.mark.parametrize(
    ("code", "meanings"),
    [
        ("InvalidPlacementGroup.InUse", (False, True, False)),
        ("InvalidSnapshot.InUse", (False, True, False)),
        ("VolumeInUse", (False, True, False)),
        ("InvalidVpcID.NotFound", (True, False, False)),
        ("NoSuchEntity", (True, False, False)),
        ("InvalidAMIID.NotFound", (False, False, False)),
        ("InvalidKeyPair.Duplicate", (False, False, True)),
        ("InvalidSnapshot.Duplicate", (False, False, True)),
        ("InvalidPermission.Duplicate", (False, False, False)),
        ("InvalidParameterValue", (False, False, False)),
    ],
)
def test_the_codes_that_ec2_forms_alike_are_known_for_every_kind(code: str, meanings: tuple[bool, ...]) -> None:
    assert (is_gone(error(code)), is_in_use(error(code)), is_duplicate(error(code))) == meanings


@pytest.mark.parametrize(
    ("code", "helps", "does_not"),
    [
        ("ExpiredToken", ("aws sso login", "goes on where it stopped"), ("clock", "get-caller-identity")),
        ("RequestExpired", ("aws sso login", "date -u"), ("get-caller-identity",)),
        ("AuthFailure", ("date -u", "switched on"), ("sso login",)),
        ("SignatureDoesNotMatch", ("date -u",), ("get-caller-identity",)),
        ("UnauthorizedOperation", ("permission",), ("clock", "log in")),
    ],
)
def test_an_error_comes_with_what_helps(code: str, helps: tuple[str, ...], does_not: tuple[str, ...]) -> None:
    told = refused("creating subnet", error(code))

    assert all(part in told.todo for part in helps)
    assert not any(part in told.todo for part in does_not)
    assert told.code == code


def test_a_lost_sso_login_is_reported_as_one() -> None:
    told = refused("asking AWS who we are", SSOTokenLoadError(error_msg="Token for corp does not exist"))

    assert "aws sso login" in told.todo


def test_a_dead_endpoint_says_nothing_about_credentials() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        aws = Aws(region="us-east-1", endpoint_url=url, access_key="x", secret_key="x", poll_s=0.01, patience_s=0.1)

        with pytest.raises(AwsError) as told:
            aws.account()

    assert "network" in told.value.todo
    assert "credential" not in told.value.todo


def test_a_region_that_is_switched_off_is_distinguished_from_wrong_keys(cloud: DeadlyCloud) -> None:
    url = cloud.server.endpoint_url
    first = Fault(action="GetCallerIdentity", code="InvalidClientTokenId", message="invalid", status=403, nth=1)
    cloud.server.set_faults(FaultPlan([first]))

    with pytest.raises(AwsError, match="asking AWS who we are") as told:
        Aws(region="ap-east-1", endpoint_url=url, access_key="x", secret_key="x").account()

    assert "aws account enable-region --region-name ap-east-1" in told.value.todo
    always = Fault(
        action="GetCallerIdentity", code="InvalidClientTokenId", message="invalid", status=403, probability=1.0
    )
    cloud.server.set_faults(FaultPlan([always]))
    with pytest.raises(AwsError) as told:
        Aws(region="ap-east-1", endpoint_url=url, access_key="x", secret_key="x").account()
    assert "enable-region" not in told.value.todo
