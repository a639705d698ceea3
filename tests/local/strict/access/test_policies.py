"""IAM's judgement, from documents and questions alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.local.strict.access.policies import MalformedPolicyError, Policy, Question, as_context, judge, read_policy

CASES = yaml.safe_load((Path(__file__).parent / "judgements.yaml").read_text())


def policy_of(statements: list[dict[str, Any]]) -> Policy:
    filled = [{"Effect": "Allow", **({} if "NotResource" in one else {"Resource": "*"}), **one} for one in statements]
    return read_policy({"Version": "2012-10-17", "Statement": filled})


@pytest.mark.parametrize("case", CASES, ids=[case["says"] for case in CASES])
def test_judgement(case: dict[str, Any]) -> None:
    policies, organisation = (
        [policy_of(case["policy"])],
        [policy_of(case["organisation"])] if "organisation" in case else [],
    )

    for expected, questions in ((True, case.get("allows", [])), (False, case.get("not", []))):
        for asked in questions:
            question = Question(
                action=asked["action"], resource=asked.get("resource", "*"), context=as_context(asked.get("keys", {}))
            )
            assert judge(question, policies=policies, organisation=organisation).allowed is expected, asked


def test_the_reason_tells_who_denies() -> None:
    question = Question(action="ec2:RunInstances", resource="*")
    allowing, denying = policy_of([{"Action": "*"}]), policy_of([{"Effect": "Deny", "Action": "ec2:*"}])

    assert "no identity-based policy allows the ec2:RunInstances" in judge(question, policies=[]).reason
    assert judge(question, policies=[allowing, denying]).reason.endswith("an identity-based policy")
    assert judge(question, policies=[allowing], organisation=[denying]).reason.endswith("a service control policy")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ({"Effect": "allow", "Action": "ec2:*", "Resource": "*"}, "Effect"),
        ({"Effect": "Allow", "Action": "RunInstances", "Resource": "*"}, "vendor"),
        ({"Effect": "Allow", "Action": "ec2:*"}, "either Resource"),
        ({"Effect": "Allow", "Action": "ec2:*", "Resource": "vpc/*"}, "ARN format"),
        ({"Sid": "a-b", "Effect": "Allow", "Action": "ec2:*", "Resource": "*"}, "alpha-numeric"),
        (
            {"Effect": "Allow", "Action": "ec2:*", "Resource": "*", "Condition": {"Equals": {"a:b": "c"}}},
            "Condition type",
        ),
        ({"Effect": "Allow", "Principal": "*", "Action": "ec2:*", "Resource": "*"}, "no Principal"),
    ],
)
def test_documents_that_aws_would_not_take(statement: dict[str, Any], said: str) -> None:
    with pytest.raises(MalformedPolicyError, match=said):
        read_policy({"Version": "2012-10-17", "Statement": [statement]})


def test_a_sid_stands_once() -> None:
    one = {"Sid": "Same", "Effect": "Allow", "Action": "ec2:*", "Resource": "*"}

    with pytest.raises(MalformedPolicyError, match="unique"):
        read_policy({"Version": "2012-10-17", "Statement": [one, one]})
