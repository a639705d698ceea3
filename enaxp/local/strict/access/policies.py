"""IAM's judgement: policy documents and a question in, allowed or denied out, with the reason. Pure.

    documents ─▶ read_policy() ─▶ Policy ─┐
    action, resource, condition keys ─────┴─▶ judge() ─▶ Judgement

As in AWS: an explicit denial wins, by a policy of the caller or of its organisation; then something must allow it; else it is denied. A
key that a request does not have makes a condition false, except for Null, for negated operators and for those that end in IfExists. So
a statement whose condition names a key that the action does not know allows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

MANAGED_CHARACTERS = 6144  # of a managed policy, whitespace not counted
VERSION = "2012-10-17"
_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}

Context = Mapping[
    str, tuple[str, ...]
]  # condition key → values; a key that is not there is one that the request does not have


class MalformedPolicyError(ValueError):
    """A policy document that AWS would not take."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """May this action be done on this resource (an ARN, or `*`)?"""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """reason: in AWS's words, as they end its message."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """operator without `IfExists` and without a set operator's prefix; set_operator: ForAllValues, ForAnyValue or empty."""

    operator: str
    key: str
    values: tuple[str, ...]
    if_exists: bool = False
    set_operator: str = ""

    def holds(self, context: Context) -> bool:
        have = context.get(_lowered(self.key))
        if self.operator == "Null":
            return (have is None) == (self.values[0].lower() == "true")
        if have is None:
            return self.if_exists or self.set_operator == "ForAllValues" or _is_negated(self.operator)
        compare = _OPERATORS[self.operator]
        fits = [any(compare(one, wanted) for wanted in self.values) != _is_negated(self.operator) for one in have]
        return all(fits) if self.set_operator == "ForAllValues" or _is_negated(self.operator) else any(fits)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement. actions and resources are patterns; `but_*`: they are those that it does not concern."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    but_actions: bool = False
    but_resources: bool = False

    def concerns(self, question: Question) -> bool:
        """Whether it says something of this question."""
        action = any(_action_fits(pattern, question.action) for pattern in self.actions) != self.but_actions
        resource = any(_arn_fits(pattern, question.resource) for pattern in self.resources) != self.but_resources
        return action and resource and all(condition.holds(question.context) for condition in self.conditions)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One policy document."""

    statements: tuple[Statement, ...]


def read_policy(document: Mapping[str, Any]) -> Policy:
    """The policy in a document. Raises MalformedPolicyError for what AWS would not take."""
    if document.get("Version") != VERSION:
        raise MalformedPolicyError(f"Version must be {VERSION}")
    given = document.get("Statement")
    statements = [given] if isinstance(given, Mapping) else list(given or ())
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if not statements:
        raise MalformedPolicyError("a policy has at least one statement")
    if len(set(sids)) != len(sids):
        raise MalformedPolicyError("Statement IDs (SID) in a single policy must be unique.")
    return Policy(statements=tuple(map(_read_statement, statements)))


def judge(question: Question, *, policies: Iterable[Policy], organisation: Iterable[Policy] = ()) -> Judgement:
    """Whether the caller with these policies may do it. organisation: service control policies, of which denials alone are looked at
    (whoever writes them keeps AWS's own FullAWSAccess beside them)."""
    for denying, source in ((organisation, "a service control policy"), (policies, "an identity-based policy")):
        if any(not one.allows and one.concerns(question) for policy in denying for one in policy.statements):
            return Judgement(allowed=False, reason=f"with an explicit deny in {source}")
    if any(one.allows and one.concerns(question) for policy in policies for one in policy.statements):
        return Judgement(allowed=True)
    return Judgement(allowed=False, reason=f"because no identity-based policy allows the {question.action} action")


def as_context(keys: Mapping[str, str | Sequence[str]]) -> Context:
    """The context of a question from keys as they are written; their case does not matter."""
    return {_lowered(key): (value,) if isinstance(value, str) else tuple(value) for key, value in keys.items()}


def _lowered(key: str) -> str:
    """A condition key, comparable. What follows the slash, which is the key of a tag, keeps its case: EC2 tells them apart."""
    name, slash, rest = key.partition("/")
    return f"{name.lower()}{slash}{rest}"


def _read_statement(given: Mapping[str, Any]) -> Statement:
    if unknown := set(given) - _ELEMENTS:
        raise MalformedPolicyError(f"a statement has no {', '.join(sorted(unknown))}")
    if not re.fullmatch(r"[A-Za-z0-9]*", given.get("Sid", "")):
        raise MalformedPolicyError(f"Statement IDs (SID) must be alpha-numeric: {given['Sid']}")
    if given.get("Effect") not in {"Allow", "Deny"}:
        raise MalformedPolicyError("Effect is Allow or Deny")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in given) == (other in given):
            raise MalformedPolicyError(f"a statement has either {one} or {other}")
    actions, resources = (_texts(given.get(name, given.get(f"Not{name}"))) for name in ("Action", "Resource"))
    for action in actions:
        if action != "*" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+", action):
            raise MalformedPolicyError(f"Actions/Conditions must be prefaced by a vendor: {action}")
    for resource in resources:
        if resource != "*" and len(resource.split(":", 5)) < 6:
            raise MalformedPolicyError(f'Resource {resource} must be in ARN format or "*".')
    return Statement(
        allows=given["Effect"] == "Allow",
        actions=actions,
        resources=resources,
        conditions=tuple(_read_conditions(given.get("Condition") or {})),
        but_actions="NotAction" in given,
        but_resources="NotResource" in given,
    )


def _read_conditions(given: Mapping[str, Mapping[str, Any]]) -> Iterable[Condition]:
    for written, keys in given.items():
        prefix, _, name = written.rpartition(":")
        operator = name.removesuffix("IfExists")
        if operator not in {*_OPERATORS, "Null"} or prefix not in {"", "ForAllValues", "ForAnyValue"}:
            raise MalformedPolicyError(f"Invalid Condition type : {written}.")
        for key, values in keys.items():
            if ":" not in key:
                raise MalformedPolicyError(f"Invalid Condition key: {key}")
            yield Condition(
                operator=operator,
                key=key,
                values=_texts(values),
                if_exists=name != operator,
                set_operator=prefix,
            )


def _texts(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    texts = tuple(str(one).lower() if isinstance(one, bool) else one for one in listed)
    if not texts or not all(isinstance(one, str) for one in texts):
        raise MalformedPolicyError(f"{value!r} is no text and no list of texts")
    return texts


def _is_negated(operator: str) -> bool:
    return "Not" in operator


def _action_fits(pattern: str, action: str) -> bool:
    return _pattern(pattern.lower()).fullmatch(action.lower()) is not None


def _arn_fits(pattern: str, arn: str) -> bool:
    """Part by part: a wildcard does not reach over a colon, except in the last of the six parts."""
    if pattern == "*":
        return True
    parts, have = pattern.split(":", 5), arn.split(":", 5)
    return len(parts) == len(have) and all(
        _pattern(part).fullmatch(one) is not None for part, one in zip(parts, have, strict=True)
    )


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in text), re.DOTALL)


def _equal(have: str, wanted: str) -> bool:
    return have == wanted


def _like(have: str, wanted: str) -> bool:
    return _pattern(wanted).fullmatch(have) is not None


def _equal_in_any_case(have: str, wanted: str) -> bool:
    return have.lower() == wanted.lower()


# How one value is compared with one that is wanted; negation is `_is_negated`'s.
_OPERATORS = {
    "StringEquals": _equal,
    "StringNotEquals": _equal,
    "StringEqualsIgnoreCase": _equal_in_any_case,
    "StringNotEqualsIgnoreCase": _equal_in_any_case,
    "StringLike": _like,
    "StringNotLike": _like,
    "ArnEquals": lambda have, wanted: _arn_fits(wanted, have),
    "ArnNotEquals": lambda have, wanted: _arn_fits(wanted, have),
    "ArnLike": lambda have, wanted: _arn_fits(wanted, have),
    "ArnNotLike": lambda have, wanted: _arn_fits(wanted, have),
    "Bool": _equal_in_any_case,
}
