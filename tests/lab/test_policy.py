"""The IAM policy that `enaxp policy` prints: whatever enaxp calls is in it, and what can be dangerous is held to what is enaxp's."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

import enaxp
from enaxp.config import Config, load_config
from enaxp.lab import extend
from enaxp.lab.checks.preflight import preflight_report
from enaxp.lab.cost import find_prices
from enaxp.lab.kinds.monitoring import PUSHING
from enaxp.lab.labs import list_labs, list_labs_everywhere
from enaxp.lab.model import LAYERS
from enaxp.lab.policy import allows, policy_of
from enaxp.lab.state_manager import wait_for_software
from tests.support.crash_harness import Labs, deadly_cloud

# As requests are signed → as IAM calls the service; actions of which IAM spells the name differently.
SERVICES = {"servicequotas": "servicequotas", "service-quotas": "servicequotas"}
# Declared for what a lab's plain life does not meet: drift, replacement, an interface's detour.
FOR_REPAIRS = {
    "ec2:ReplaceRoute",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ssm:DescribeAssociation",
    "ssm:UpdateDocument",
    "ssm:UpdateDocumentDefaultVersion",
    "ssm:UpdateAssociation",
    "ssm:StartAssociationsOnce",
    # who is in the way of a deletion, and what others added to what is the lab's
    "ec2:DescribeVpcEndpoints",
    "ec2:DeleteVolume",
    "iam:ListRolePolicies",
    "iam:DeleteRolePolicy",
    "iam:ListInstanceProfilesForRole",
}
FOR_WHAT_IS_FOREIGN = {"ec2:DeleteVpcEndpoints"}  # only `down --with-foreign`, by somebody who may


def actions_of(policy: dict[str, Any]) -> set[str]:
    return {action for statement in policy["Statement"] for action in statement["Action"]}


def statement(policy: dict[str, Any], sid: str) -> dict[str, Any]:
    [found] = [statement for statement in policy["Statement"] if statement["Sid"] == sid]
    return dict(found)


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every action called in the life of a lab: preflight, up, extend, ls, cost, up again without its state, down."""
    folder: Path = tmp_path_factory.mktemp("life")
    with deadly_cloud() as cloud:
        labs = Labs(cloud, folder)
        snapshot = labs.snapshot()
        preflight_report(snapshot, config=labs.config, aws=labs.aws())
        labs.up(LAYERS)
        standing = labs.snapshot(LAYERS)
        preflight_report(standing, config=labs.config, aws=labs.aws())
        ends = extend.new_end(standing, labs.file(), by_s=3600, now=standing.lab.created_at)
        extend.remember(standing, aws=labs.aws(), file=labs.file(), ends=ends)
        wait_for_software(
            standing,
            labs.aws(),
            changed=["instance/server"],
            log_of=lambda *_: "",
            restart_agent=print,
            say=lambda _: None,
        )
        find_prices(labs.aws(), "c6i.8xlarge")
        list_labs(labs.aws())
        list_labs_everywhere(labs.aws())
        (folder / "dev.json").unlink()
        labs.up()
        labs.down()
        return {f"{SERVICES.get(call.service, call.service)}:{call.action}" for call in cloud.server.calls}


def test_no_call_falls_outside_the_policy(called: set[str]) -> None:
    policy = policy_of(load_config())

    assert sorted(action for action in called if not allows(policy, action)) == []


SOURCE = Path(enaxp.__file__).parent
CALL = re.compile(r"""\.(ec2|iam|ssm|ecr|sts|quotas)\.(?:get_paginator\("(\w+)"|(\w+)\()""")
OF_THE_SDK = {"get_paginator", "can_paginate"}


@cache
def api_of(service: str) -> dict[str, str]:
    mapping: dict[str, str] = boto3.client(service, region_name="us-east-1").meta.method_to_api_mapping
    return mapping


def action_of(service: str, method: str) -> str:
    return f"{SERVICES.get(service, service)}:{api_of(service)[method]}"


def test_no_call_that_stands_in_the_code_falls_outside_the_policy() -> None:
    """What a lab's plain life does not meet as well: doctor, bench's change over, errors that look who is in the way."""
    policy, outside = policy_of(load_config()), set()
    for path in SOURCE.rglob("*.py"):
        if SOURCE / "local" not in path.parents:
            for service, paged, called in CALL.findall(path.read_text(encoding="utf-8")):
                if (method := paged or called) not in OF_THE_SDK:
                    name = action_of("service-quotas" if service == "quotas" else service, method)
                    outside |= set() if allows(policy, name) else {name}

    assert outside == FOR_WHAT_IS_FOREIGN


def test_the_policy_allows_little_that_is_never_called(called: set[str]) -> None:
    unused = actions_of(policy_of(load_config())) - called - FOR_REPAIRS - set(PUSHING)

    assert unused == {"iam:PassRole", "servicequotas:GetAWSDefaultServiceQuota", "ecr:GetAuthorizationToken"}


def test_nothing_is_allowed_by_a_pattern() -> None:
    assert not [action for action in actions_of(policy_of(load_config())) if "*" in action]


def test_what_ends_resources_is_held_to_their_tags_and_to_the_region() -> None:
    policy = policy_of(load_config(overrides={"aws.region": "eu-west-1"}))
    ending = statement(policy, "EndWhatIsTagged")

    deletes = {action for action in actions_of(policy) if re.match("ec2:(Delete|Release|Terminate)", action)}
    assert len(deletes) == 11
    assert set(ending["Action"]) == deletes
    assert ending["Condition"]["Null"] == {"aws:ResourceTag/enaxp:lab": "false"}
    assert ending["Condition"]["StringEquals"] == {"aws:RequestedRegion": "eu-west-1"}
    assert not deletes & {
        action for one in policy["Statement"] if one["Sid"] != ending["Sid"] for action in one["Action"]
    }


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("us-east-1", "arn:aws:iam::123456789012:role/enaxp-mine-us-east-1"),
        ("cn-north-1", "arn:aws-cn:iam::123456789012:role/enaxp-mine-cn-north-1"),
    ],
)
def test_roles_are_the_labs_own(region: str, arn: str) -> None:
    config = load_config(overrides={"lab": "mine", "aws.region": region, "aws.account": "123456789012"})

    passing = statement(policy_of(config), "GiveHostsTheRole")

    assert passing["Resource"] == [arn, f"{arn}-monitoring"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


def given(**values: Any) -> Config:
    return load_config(overrides={path.replace("__", "."): value for path, value in values.items()})


def test_given_resources_need_no_permission_to_make_or_end_them() -> None:
    config = given(
        network__vpc_id="vpc-0123456789abcdef0",
        network__subnet_id="subnet-0123456789abcdef0",
        hosts__instance_profile="theirs",
        hosts__address="private",
    )

    actions = actions_of(policy_of(config))

    for action in ("ec2:CreateVpc", "ec2:DeleteSubnet", "iam:CreateRole", "ec2:AllocateAddress", "ec2:CreateRoute"):
        assert action not in actions
    assert {"ec2:DescribeVpcs", "iam:GetInstanceProfile", "iam:PassRole"} <= actions


def test_the_document_fits_into_a_managed_policy() -> None:
    assert len(json.dumps(policy_of(load_config()), separators=(",", ":"))) < 6144
