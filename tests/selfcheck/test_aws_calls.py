"""The table of AWS calls in docs/aws.md is the one that the code makes, and has every call that stands in the code."""

from __future__ import annotations

from enaxp.config import load_config
from enaxp.lab.policy import policies_of
from selfcheck.aws_calls import DOCUMENT, NO_CALLS, replaced, rows
from tests.lab.test_policy import FOR_WHAT_IS_FOREIGN, calls_in_the_code


def test_the_table_in_the_docs_is_up_to_date() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert replaced(text) == text, "run `python -m selfcheck.aws_calls`"


def test_every_call_that_stands_in_the_code_is_in_the_table() -> None:
    assert calls_in_the_code() - {row.action for row in rows()} == set()


def test_the_table_and_the_policy_have_the_same_permissions() -> None:
    policies = [*policies_of(load_config()), *policies_of(load_config(overrides={"fleet.pairs": 2}))]
    allowed = {action for policy in policies for one in policy["Statement"] for action in one["Action"]}

    told = {permission for row in rows() for permission in (row.action, *row.besides)}

    assert told | NO_CALLS == allowed | FOR_WHAT_IS_FOREIGN


def test_deletes_are_repeated_as_long_as_their_kind_says() -> None:
    again = {row.action: row.again for row in rows()}

    assert again["ec2:DeleteSubnet"] == "1200 s while it is in use"
    assert again["ec2:CreateVpc"].startswith("not automatically")
    assert "token" in again["ec2:RunInstances"]
