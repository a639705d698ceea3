"""Grants of one name become one statement; the ones that cannot are refused."""

from __future__ import annotations

import pytest

from enaxp.lab.grants import Grant, merged

IN_REGION = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}


def created_by(*calls: str) -> Grant:
    return Grant(sid="Tag", actions=("ec2:CreateTags",), conditions={"StringEquals": {"ec2:CreateAction": calls}})


def test_actions_and_resources_are_joined_in_the_order_of_the_first_appearance() -> None:
    one = Grant(sid="Own", actions=("iam:B",), resources=("role/a",))
    other = Grant(sid="Own", actions=("iam:A", "iam:B"), resources=("profile/a", "role/a"))

    [first, second] = merged([one, Grant(sid="Else", actions=("x:Y",)), other])

    assert first.as_statement() == {
        "Sid": "Own",
        "Effect": "Allow",
        "Action": ["iam:A", "iam:B"],
        "Resource": ["role/a", "profile/a"],
    }
    assert second.sid == "Else"


def test_lists_in_conditions_are_joined() -> None:
    [joined] = merged([created_by("CreateVpc"), created_by("CreateSubnet")])

    assert joined.as_statement()["Condition"] == {"StringEquals": {"ec2:CreateAction": ["CreateSubnet", "CreateVpc"]}}


@pytest.mark.parametrize(
    "other",
    [
        Grant(sid="Make", actions=("ec2:CreateVpc",)),
        Grant(
            sid="Make", actions=("ec2:CreateVpc",), conditions={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
        ),
        Grant(sid="Make", actions=("ec2:CreateVpc",), conditions={**IN_REGION, "Null": {"aws:ResourceTag/x": "false"}}),
    ],
    ids=["no condition", "another value", "one condition more"],
)
def test_grants_with_other_conditions_are_refused(other: Grant) -> None:
    with pytest.raises(ValueError, match="two grants Make have different conditions"):
        merged([Grant(sid="Make", actions=("ec2:CreateSubnet",), conditions=IN_REGION), other])
