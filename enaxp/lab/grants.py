"""Grants: what an IAM policy must allow for one kind of resource, as plain data. Pure.

Kind.grants(resources, Scope) ─▶ Grant, … of every kind ─▶ merged() ─▶ one statement a sid (`policy.py`)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NotRequired, TypedDict

TAG_LAB = "enaxp:lab"  # the tag with the name of the lab that owns a resource
Condition = Mapping[str, Mapping[str, str | tuple[str, ...]]]  # operator → key → values, as in a policy


class Statement(TypedDict):
    """A statement of a policy document, as IAM writes it."""

    Sid: str
    Effect: str
    Action: list[str]
    Resource: list[str]
    Condition: NotRequired[dict[str, dict[str, str | list[str]]]]


class PolicyDocument(TypedDict):
    """A policy, as IAM writes it."""

    Version: str
    Statement: list[Statement]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where a lab's resources are, and how a policy distinguishes them from other resources.

    account may be `*`. lab, name: the lab's name, which is a tag of its resources, and its unique name. given_role: the ARN of the role
    in the given instance profile; empty if none is given.
    """

    partition: str
    region: str
    account: str
    lab: str
    name: str
    given_role: str = ""

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource of this account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def public_arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource whose ARN names no account: images, and AWS's own parameters."""
        return f"arn:{self.partition}:{service}:{self.region}::{resource}"

    def iam_arn(self, resource: str) -> str:
        """The ARN of an IAM resource of this account: IAM has no regions."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    @property
    def of_the_lab(self) -> Condition:
        """The condition that the resource has the lab's tag and is in its region: another region may have a lab of the same name."""
        return {"StringEquals": {f"aws:ResourceTag/{TAG_LAB}": self.lab, "aws:RequestedRegion": self.region}}

    @property
    def for_the_lab(self) -> Condition:
        """The condition that the request adds the lab's tag, in its region."""
        return {"StringEquals": {f"aws:RequestTag/{TAG_LAB}": self.lab, "aws:RequestedRegion": self.region}}


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Actions allowed on resources (ARNs) under conditions that must all hold. Grants with the same `sid` become one statement."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    conditions: Condition = field(default_factory=dict)

    def as_statement(self) -> Statement:
        statement: Statement = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": sorted(self.actions),
            "Resource": list(self.resources),
        }
        if self.conditions:
            statement["Condition"] = {operator: _as_json(keys) for operator, keys in self.conditions.items()}
        return statement


def merged(grants: Iterable[Grant]) -> list[Grant]:
    """One grant for each sid, in the order of their first appearance, with all actions, resources and listed condition values.

    Raises ValueError for two grants with the same sid whose conditions differ in more than such a list.
    """
    by_sid: dict[str, Grant] = {}
    for grant in grants:
        before = by_sid.get(grant.sid)
        by_sid[grant.sid] = grant if before is None else _both(before, grant)
    return list(by_sid.values())


def _both(one: Grant, other: Grant) -> Grant:
    if {operator: keys.keys() for operator, keys in one.conditions.items()} != {
        operator: keys.keys() for operator, keys in other.conditions.items()
    }:
        raise ValueError(f"two grants {one.sid} have different conditions")
    conditions = {
        operator: {key: _both_values(one.sid, value, other.conditions[operator][key]) for key, value in keys.items()}
        for operator, keys in one.conditions.items()
    }
    return replace(
        one,
        actions=tuple(dict.fromkeys((*one.actions, *other.actions))),
        resources=tuple(dict.fromkeys((*one.resources, *other.resources))),
        conditions=conditions,
    )


def _both_values(sid: str, one: str | tuple[str, ...], other: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if one == other:
        return one
    if isinstance(one, str) or isinstance(other, str):
        raise ValueError(f"two grants {sid} have different conditions")
    return tuple(sorted({*one, *other}))


def _as_json(keys: Mapping[str, str | tuple[str, ...]]) -> dict[str, str | list[str]]:
    return {key: value if isinstance(value, str) else sorted(value) for key, value in keys.items()}
