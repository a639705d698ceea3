"""The IAM policy that `enaxp policy` prints: whatever enaxp calls is in it, and what can be dangerous is held to what is enaxp's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

import enaxp
from enaxp.aws import partition_of
from enaxp.config import Config, load_config
from enaxp.lab import extend
from enaxp.lab.checks.preflight import preflight_report
from enaxp.lab.cost import find_prices
from enaxp.lab.first_contact import verify
from enaxp.lab.grants import Statement
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.monitoring import PUSHING
from enaxp.lab.labs import list_labs, list_labs_everywhere
from enaxp.lab.model import LAYERS, Lab
from enaxp.lab.policy import allows, policies_of, size_of, split
from enaxp.lab.spec import Resolved, wanted
from enaxp.lab.state_manager import wait_for_software
from tests.support.crash_harness import Labs, deadly_cloud

# As requests are signed → as IAM calls the service; actions of which IAM spells the name differently.
SERVICES = {"servicequotas": "servicequotas", "service-quotas": "servicequotas"}
# Declared for what a lab's plain life does not meet: drift, replacement, an interface's detour.
FOR_REPAIRS = {
    "ec2:ReplaceRoute",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "iam:UpdateAssumeRolePolicy",
    "ssm:DescribeAssociation",
    "ssm:UpdateDocument",
    "ssm:UpdateDocumentDefaultVersion",
    "ssm:UpdateAssociation",
    "ssm:StartAssociationsOnce",
    "ec2:StartInstances",
    # who is in the way of a deletion, and what others added to what is the lab's
    "ec2:DescribeVpcEndpoints",
    "ec2:DeleteVolume",
    "iam:ListRolePolicies",
    "iam:DeleteRolePolicy",
    "iam:ListInstanceProfilesForRole",
}
FOR_WHAT_IS_FOREIGN = {"ec2:DeleteVpcEndpoints"}  # only `down --with-foreign`, by somebody who may


def policy_of(config: Config, given_role: str = "") -> dict[str, Any]:
    """All that is allowed, as if one policy were always long enough."""
    policies = policies_of(config, given_role=given_role)
    return {"Version": "2012-10-17", "Statement": [one for policy in policies for one in policy["Statement"]]}


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
        verify(labs.aws(), standing.survey.found["instance/server"].id, known_hosts=folder / "known_hosts")
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


def test_only_a_fleet_may_attach_detach_and_stop() -> None:
    more = {"ec2:AttachNetworkInterface", "ec2:DetachNetworkInterface", "ec2:StopInstances"}

    one_pair, fleet = (actions_of(policy_of(load_config(overrides=asked))) for asked in ({}, {"fleet.pairs": 2}))

    assert fleet - one_pair == more


def test_no_call_falls_outside_the_policy(called: set[str]) -> None:
    policy = policies_of(load_config())

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


@cache
def calls_in_the_code() -> frozenset[str]:
    """The action of every call that the product's own text makes by its name, the local target's aside."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        if SOURCE / "local" not in path.parents:
            for service, paged, called in CALL.findall(path.read_text(encoding="utf-8")):
                if (method := paged or called) not in OF_THE_SDK:
                    found.add(action_of("service-quotas" if service == "quotas" else service, method))
    return frozenset(found)


def test_no_call_that_stands_in_the_code_falls_outside_the_policy() -> None:
    """What a lab's plain life does not meet as well: doctor, bench's change over, errors that look who is in the way; and a fleet, which is
    attached to, detached from and stopped."""
    policy = [*policies_of(load_config()), *policies_of(load_config(overrides={"fleet.pairs": 2}))]

    assert {action for action in calls_in_the_code() if not allows(policy, action)} == FOR_WHAT_IS_FOREIGN


def test_the_policy_allows_little_that_is_never_called(called: set[str]) -> None:
    unused = actions_of(policy_of(load_config())) - called - FOR_REPAIRS - set(PUSHING)

    assert unused == {"iam:PassRole", "servicequotas:GetAWSDefaultServiceQuota", "ecr:GetAuthorizationToken"}


def test_nothing_is_allowed_by_a_pattern() -> None:
    assert not [action for action in actions_of(policy_of(load_config())) if "*" in action]


def test_what_uses_changes_and_ends_resources_is_held_to_the_labs_tag_and_region() -> None:
    policy = policy_of(load_config(overrides={"aws.region": "eu-west-1", "lab": "mine"}))
    own = statement(policy, "OnThisLabsResources")

    deletes = {action for action in actions_of(policy) if re.match("ec2:(Delete|Release|Terminate)", action)}
    settings = {"ec2:ModifyVpcAttribute", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupIngress"}
    assert len(deletes) == 11
    assert deletes | settings <= set(own["Action"])
    assert own["Condition"] == {
        "StringEquals": {"aws:ResourceTag/enaxp:lab": "mine", "aws:RequestedRegion": "eu-west-1"}
    }
    elsewhere = [one for one in policy["Statement"] if one["Sid"] != own["Sid"]]
    assert not (deletes | settings) & {action for one in elsewhere for action in one["Action"]}


def test_nothing_but_reads_and_what_aws_cannot_narrow_is_allowed_on_everything() -> None:
    for one in policy_of(load_config())["Statement"]:
        narrowed = "Condition" in one or not any(arn.endswith("*") for arn in one["Resource"])
        assert narrowed or one["Sid"] in {"Look", "ReadTheImage", "LaunchWith"}, one
    launch = statement(policy_of(load_config(overrides={"hosts.ami": "ami-0123456789abcdef0"})), "LaunchWith")
    assert launch["Resource"] == [
        "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0",
        "arn:aws:ec2:us-east-1:*:network-interface/*",
    ]


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
    services = ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"] if region.startswith("cn-") else "ec2.amazonaws.com"
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": services}}


@pytest.mark.parametrize(
    ("region", "services"),
    [
        ("us-gov-west-1", "ec2.amazonaws.com"),
        ("cn-north-1", ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]),
        ("eusc-de-east-1", ["ec2.amazonaws.com", "ec2.amazonaws.eu"]),
        ("us-iso-east-1", ["ec2.amazonaws.com", "ec2.c2s.ic.gov"]),
        ("eu-isoe-west-1", ["ec2.amazonaws.com", "ec2.cloud.adc-e.uk"]),
    ],
)
def test_ec2_goes_by_its_names_in_the_partition(region: str, services: Any) -> None:
    config = load_config(overrides={"aws.region": region})

    passing = statement(policy_of(config), "GiveHostsTheRole")["Condition"]
    resolved = Resolved(ami="", availability_zone="", ssh_cidr="")
    partition, ends = partition_of(region), datetime(2026, 1, 31, tzinfo=UTC)
    resources = wanted(config, resolved, public_key="", partition=partition, expires_at=ends)
    [role] = [resource for resource in resources if resource.key == "role"]
    request = KINDS["role"].request(role, LAB, {})

    assert passing == {"StringEquals": {"iam:PassedToService": services}}
    [trust] = json.loads(str(request["AssumeRolePolicyDocument"]))["Statement"]
    assert trust["Principal"] == {"Service": services}


LAB = Lab(
    name="dev",
    lab_id="1-2-3",
    region="us-east-1",
    created_at=datetime(2026, 1, 31, tzinfo=UTC),
    expires_at=datetime(2026, 2, 1, tzinfo=UTC),
)


def given(**values: Any) -> Config:
    return load_config(overrides={path.replace("__", "."): value for path, value in values.items()})


def test_given_resources_need_no_permission_to_make_or_end_them() -> None:
    config = given(
        network__vpc_id="vpc-0123456789abcdef0",
        network__subnet_id="subnet-0123456789abcdef0",
        hosts__instance_profile="theirs",
        hosts__address="private",
    )

    policy = policy_of(config, given_role="their-role")

    for action in ("ec2:CreateVpc", "ec2:DeleteSubnet", "iam:CreateRole", "ec2:AllocateAddress", "ec2:CreateRoute"):
        assert action not in actions_of(policy)
    assert {"ec2:DescribeVpcs", "iam:GetInstanceProfile", "iam:PassRole"} <= actions_of(policy)
    assert statement(policy, "GiveHostsTheRole")["Resource"] == ["arn:aws:iam::*:role/their-role"]
    assert statement(policy, "UseGivenSubnet")["Resource"] == [
        "arn:aws:ec2:us-east-1:*:subnet/subnet-0123456789abcdef0"
    ]


def test_without_systems_manager_none_of_its_permissions_is_asked_for_but_the_image() -> None:
    policy = policy_of(given(hosts__ssm=False))

    assert {action for action in actions_of(policy) if action.startswith("ssm:")} == {"ssm:GetParameter"}
    assert "iam:AttachRolePolicy" not in actions_of(policy)
    named = policy_of(given(hosts__ssm=False, hosts__ami="ami-0123456789abcdef0"))
    assert not [action for action in actions_of(named) if action.startswith("ssm:")]


def test_a_given_profile_needs_its_role_named() -> None:
    with pytest.raises(ValueError, match="theirs"):
        policies_of(given(hosts__instance_profile="theirs"))


def test_a_policy_that_is_too_long_becomes_several_that_aws_takes() -> None:
    statements: list[Statement] = [
        {"Sid": f"S{number}", "Effect": "Allow", "Action": ["ec2:DescribeVpcs"] * 100, "Resource": ["*"]}
        for number in range(5)
    ]

    documents = split(statements)

    assert [one for document in documents for one in document["Statement"]] == statements
    assert len(documents) == 2
    assert all(len(json.dumps(document, separators=(",", ":"))) <= 6144 for document in documents)


def test_each_policy_of_the_longest_config_fits_into_a_managed_policy() -> None:
    config = given(lab="a-lab-of-the-longest-nam", aws__region="ap-southeast-2", aws__account="123456789012")

    for policy in policies_of(config):
        assert size_of(policy) <= 6144
        assert size_of(policy) == len(json.dumps(policy, separators=(",", ":")))


def run_policy(folder: Path, *arguments: str) -> Any:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "enaxp", "policy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def test_the_command_prints_one_document_or_the_part_that_is_asked_for(tmp_path: Path) -> None:
    whole = run_policy(tmp_path)
    assert json.loads(whole.stdout) == policies_of(load_config())[0]
    assert run_policy(tmp_path, "--part", "7").returncode == 2


def test_the_command_asks_for_the_role_where_nobody_can_tell_it(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/bench.yaml").write_text("hosts: {instance_profile: theirs}")

    unknown, told = run_policy(tmp_path), run_policy(tmp_path, "--role", "their-role")

    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "--role NAME" in unknown.stderr
    assert "role/their-role" in told.stdout
