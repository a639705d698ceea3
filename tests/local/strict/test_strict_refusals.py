"""The strict AWS refuses what AWS refuses: `refusals.yaml` lists the calls, `dry_runs.yaml` those that a dry run would let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from enaxp.local.strict import StrictServer
from tests.support.strict_lab import Lab, filled

HERE = Path(__file__).parent


def _refusals() -> Iterator[Any]:
    for subject, cases in yaml.safe_load((HERE / "refusals.yaml").read_text()).items():
        for case in cases:
            yield pytest.param(case, id=f"{subject}: {case['says']}")


def _dry_runs() -> Iterator[Any]:
    for case in yaml.safe_load((HERE / "dry_runs.yaml").read_text()):
        yield pytest.param(case, id=case["call"])


@pytest.fixture(scope="module")
def at_first(standing: Lab) -> dict[str, Any]:
    """Everything as it is before the first call of this module."""
    return picture(standing)


@pytest.mark.usefixtures("at_first")
@pytest.mark.parametrize("case", _refusals())
def test_what_aws_refuses_is_refused_and_changes_nothing(
    case: dict[str, Any], standing: Lab, server: StrictServer
) -> None:
    before = server.resources()

    with pytest.raises(ClientError) as refused:
        _call(standing, case)(**_arguments(standing, case))

    error = refused.value.response
    assert error["Error"]["Code"] == case["code"]
    assert case.get("text", "") in error["Error"]["Message"]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert server.resources() == before


@pytest.mark.parametrize("case", _dry_runs())
def test_a_dry_run_of_a_sound_call_changes_nothing(case: dict[str, Any], standing: Lab, server: StrictServer) -> None:
    before = server.resources()

    with pytest.raises(ClientError) as refused:
        _call(standing, case)(**_arguments(standing, case), DryRun=True)

    assert refused.value.response["Error"]["Code"] == "DryRunOperation"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert server.resources() == before


def test_a_dry_run_of_an_unsound_call_says_what_is_wrong(standing: Lab) -> None:
    with pytest.raises(ClientError) as refused:
        standing.ec2.create_subnet(VpcId=standing.ids["vpc"], CidrBlock="192.168.60.0/30", DryRun=True)

    assert refused.value.response["Error"]["Code"] == "InvalidSubnet.Range"


def test_none_of_these_calls_changed_anything(at_first: dict[str, Any], standing: Lab) -> None:
    assert picture(standing) == at_first


def picture(lab: Lab) -> dict[str, Any]:
    """Everything that a call could have changed."""
    ec2 = lab.ec2
    return {
        "interfaces": ec2.describe_network_interfaces()["NetworkInterfaces"],
        "instances": [i["State"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]],
        "groups": ec2.describe_security_groups()["SecurityGroups"],
        "tables": ec2.describe_route_tables()["RouteTables"],
        "gateways": ec2.describe_internet_gateways()["InternetGateways"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "placement groups": ec2.describe_placement_groups()["PlacementGroups"],
        "tags": ec2.describe_tags()["Tags"],
        "documents": lab.ssm.list_documents(Filters=[{"Key": "Owner", "Values": ["Self"]}])["DocumentIdentifiers"],
        "associations": lab.ssm.list_associations()["Associations"],
        "commands": lab.ssm.list_commands()["Commands"],
    }


def _call(lab: Lab, case: dict[str, Any]) -> Callable[..., Any]:
    if case["call"] == "launch":
        return lab.ec2.run_instances
    return getattr(lab.ssm if case.get("service") == "ssm" else lab.ec2, case["call"])


def _arguments(lab: Lab, case: dict[str, Any]) -> dict[str, Any]:
    given = filled(case["with"], lab.ids)
    return lab.request("free", **given) if case["call"] == "launch" else dict(given)
