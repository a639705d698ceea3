"""Where a lab is to be: the region's name is found as people give it, and said; and no account is touched but the one allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest

from enaxp.aws import partition_of
from enaxp.config import load_config
from enaxp.errors import AwsError, UsageError
from enaxp.hosts.doctor import examine_lab
from enaxp.local.strict import StrictServer
from enaxp.region import find_region
from tests.support.on_aws import OnAws, strict_aws

SETTINGS = "[default]\nregion = eu-west-3\n[profile work]\nregion = ap-south-1\n[profile bare]\noutput = json\n"
# Each partition of AWS, and a region of it: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
PARTITIONS = {
    "us-east-1": "aws",
    "mx-central-1": "aws",
    "ap-southeast-12": "aws",
    "cn-north-1": "aws-cn",
    "us-gov-west-1": "aws-us-gov",
    "eusc-de-east-1": "aws-eusc",
    "us-iso-east-1": "aws-iso",
    "us-isob-east-1": "aws-iso-b",
    "eu-isoe-west-1": "aws-iso-e",
    "us-isof-south-1": "aws-iso-f",
    "xx-unheard-1": "aws",
}


@pytest.fixture(scope="module")
def server() -> Iterator[StrictServer]:
    with strict_aws() as running:
        yield running


@pytest.fixture
def person(server: StrictServer, tmp_path: Path) -> OnAws:
    (tmp_path / "settings").write_text(SETTINGS)
    server.forget_calls()
    return OnAws(server, tmp_path, variables={"AWS_CONFIG_FILE": str(tmp_path / "settings")})


@pytest.mark.parametrize(
    ("variables", "profile", "name", "source"),
    [
        ({}, None, "eu-west-3", "profile default"),
        ({}, "work", "ap-south-1", "profile work"),
        ({"AWS_PROFILE": "work"}, None, "ap-south-1", "profile work"),
        ({"AWS_DEFAULT_REGION": "sa-east-1"}, "work", "sa-east-1", "AWS_DEFAULT_REGION"),
        ({"AWS_REGION": "eusc-de-east-1", "AWS_DEFAULT_REGION": "sa-east-1"}, "work", "eusc-de-east-1", "AWS_REGION"),
        ({"AWS_REGION": ""}, "bare", "us-east-1", "the default"),
    ],
)
def test_the_region_is_of_the_environment_then_of_the_profile_then_the_default(
    variables: dict[str, str],
    profile: str | None,
    name: str,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "settings").write_text(SETTINGS)
    for variable, value in {"AWS_CONFIG_FILE": str(tmp_path / "settings"), **variables}.items():
        monkeypatch.setenv(variable, value)

    region = find_region(profile=profile)

    assert region.name == name
    assert source in region.source


def test_what_is_no_regions_name_is_refused_with_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "virginia")

    with pytest.raises(UsageError, match=r"of AWS_REGION is 'virginia'"):
        find_region(profile=None)


def test_a_profile_that_is_not_there_is_named() -> None:
    with pytest.raises(AwsError, match="nobodys"):
        find_region(profile="nobodys")


def test_what_is_asked_for_goes_before_everything_else(person: OnAws) -> None:
    regions = {
        arguments: person.run("ls", *arguments, variables={"AWS_REGION": "sa-east-1"}).stderr.strip()
        for arguments in [(), ("--region", "eu-north-1")]
    }

    assert regions == {(): "region sa-east-1 (of AWS_REGION)", ("--region", "eu-north-1"): ""}


def test_a_lab_stays_where_it_is_and_that_is_said(person: OnAws) -> None:
    person.run("up", "network", "--yes", variables={"AWS_REGION": "eu-west-1"})

    seen = person.run("status", "--json", variables={"AWS_REGION": "us-west-2"})
    removed = person.run("down", "--yes", variables={"AWS_REGION": "us-west-2"})

    assert (json.loads(seen.stdout)["region"], removed.code) == ("eu-west-1", 0)
    assert "region eu-west-1 (where the lab lives)" in seen.stderr


def test_a_lab_is_not_looked_for_elsewhere_because_the_config_says_so(person: OnAws) -> None:
    person.run("up", "network", "--yes", variables={"AWS_REGION": "eu-west-1"})
    (person.folder / "there.yaml").write_text("aws: {region: us-west-2}\n")

    refused = person.run("down", "--yes", "--config", "there.yaml")
    removed = person.run("down", "--yes")

    assert (refused.code, removed.code) == (1, 0)
    assert "lab dev lives in eu-west-1, not in us-west-2" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "network", "--yes"),
        ("status",),
        ("plan",),
        ("down", "--yes"),
        ("down", "--expired", "--yes"),
        ("down", "--lab-id", "7e6f0c1e-0000-4000-8000-000000000000", "--yes"),
        ("ls",),
        ("doctor", "--preflight"),
        ("extend", "1h"),
        ("ssh", "client"),
        ("bench",),
    ],
    ids=" ".join,
)
def test_another_account_than_the_one_allowed_is_not_even_looked_at(person: OnAws, arguments: tuple[str, ...]) -> None:
    (person.folder / "guarded.yaml").write_text('aws: {account: "210987654321"}\n')

    ran = person.run(*arguments, "--config", "guarded.yaml")

    assert ran.code == 1
    assert "belong to account 123456789012, the config allows 210987654321 alone" in ran.stderr
    assert {call.action for call in person.server.calls} == {"GetCallerIdentity"}


@pytest.mark.parametrize("region", PARTITIONS)
def test_each_region_is_of_its_partition(region: str) -> None:
    assert partition_of(region) == PARTITIONS[region]


@pytest.mark.parametrize("partition", botocore.session.Session().get_available_partitions())
def test_every_region_that_the_sdk_knows_is_a_regions_name_here(partition: str) -> None:
    for region in botocore.session.Session().get_available_regions("ec2", partition):
        config = load_config(overrides={"aws.region": region, "network.availability_zone": f"{region}a"})
        zones = {"server": f"{region}a", "client": f"{region}a"}

        assert config.aws.region == region
        assert all(one.outcome != "bad" for one in examine_lab({}, zones, supporting=()))


@pytest.mark.parametrize(("region", "partition"), [("eusc-de-east-1", "aws-eusc"), ("us-iso-east-1", "aws-iso")])
def test_a_policys_names_are_of_the_regions_partition(person: OnAws, region: str, partition: str) -> None:
    policy = json.loads(person.run("policy", "--region", region).stdout)

    named = [name for statement in policy["Statement"] for name in statement["Resource"] if name != "*"]
    assert {name.split(":")[1] for name in named} == {partition}
