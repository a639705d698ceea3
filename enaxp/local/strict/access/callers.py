"""Which policies are on whom, and the refusal of a call that they do not allow.

Policies are put on one access key, or on everybody who has none of his own.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from enaxp.local.strict.access.policies import (
    MANAGED_CHARACTERS,
    Judgement,
    MalformedPolicyError,
    Policy,
    Question,
    judge,
    read_policy,
)
from enaxp.local.strict.access.questions import JudgedCall, questions_of

Document = Mapping[str, Any]
_CODES = {"ec2": "UnauthorizedOperation", "iam": "AccessDenied", "sts": "AccessDenied"}
# Nobody needs a permission for these.
FREE = frozenset({"sts:GetCallerIdentity"})


class NotAllowed(Exception):  # noqa: N818 - IAM's word is a denial, not an error
    """A call that its caller may not make: the error's code and message as the service words them."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Grants:
    """The policies on a caller: identity are his own, organisation are service control policies."""

    identity: tuple[Policy, ...]
    organisation: tuple[Policy, ...] = ()


class Callers:
    """The policies of all callers. Who has none may do everything."""

    def __init__(self) -> None:
        self._grants: dict[str | None, Grants] = {}

    def put(
        self, identity: Iterable[Document], *, organisation: Iterable[Document] = (), access_key: str | None = None
    ) -> None:
        """Puts managed policies on a caller (None: on everybody without policies of his own), in place of those there are.

        Raises MalformedPolicyError for a document that AWS would not take.
        """
        identity = tuple(identity)
        for document in identity:
            size = sum(not sign.isspace() for sign in json.dumps(document, separators=(",", ":")))
            if size > MANAGED_CHARACTERS:
                raise MalformedPolicyError(f"Cannot exceed quota for PolicySize: {MANAGED_CHARACTERS}; it has {size}")
        self._grants[access_key] = Grants(
            identity=tuple(map(read_policy, identity)), organisation=tuple(map(read_policy, organisation))
        )

    def lift(self, access_key: str | None = None) -> None:
        """Takes the policies off a caller."""
        self._grants.pop(access_key, None)

    def clear(self) -> None:
        """Takes the policies off everybody."""
        self._grants.clear()

    def require(self, call: JudgedCall, *, access_key: str) -> None:
        """Raises NotAllowed when the caller may not make this call."""
        grants = self._grants.get(access_key, self._grants.get(None))
        if grants is None or call.name in FREE:
            return
        for question in questions_of(call):
            judgement = judge(question, policies=grants.identity, organisation=grants.organisation)
            if not judgement.allowed:
                raise NotAllowed(_CODES.get(call.service, "AccessDeniedException"), _message(call, question, judgement))


def _message(call: JudgedCall, question: Question, judgement: Judgement) -> str:
    who = f"arn:{call.partition}:iam::{call.account}:user/moto"
    text = f"User: {who} is not authorized to perform: {question.action} on resource: {question.resource} {judgement.reason}"
    if call.service != "ec2":
        return text
    return (
        f"You are not authorized to perform this operation. {text}. "
        f"Encoded authorization failure message: {_encoded(question, judgement)}"
    )


def _encoded(question: Question, judgement: Judgement) -> str:
    """What sts:DecodeAuthorizationMessage would tell, packed so that nobody reads it by the way."""
    told = {
        "allowed": judgement.allowed,
        "context": {"action": question.action, "resource": question.resource, "conditions": dict(question.context)},
    }
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(told, sort_keys=True).encode())).decode()
