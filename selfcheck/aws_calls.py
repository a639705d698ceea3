"""The table of AWS calls in docs/aws.md, from the code: which permission each needs, how it is repeated, what becomes of a failure.

the kinds' declarations + policy.READS + what the strict AWS judges besides ─▶ rows() ─▶ table() ─▶ docs/aws.md, between two marks

python -m selfcheck.aws_calls        writes the table anew
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enaxp.aws import Aws
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import CREATE_TAGS, Ec2Kind
from enaxp.lab.kinds.monitoring import PUSHING, EcrRepository
from enaxp.lab.model import Kind
from enaxp.lab.policy import READS
from enaxp.local.strict.access.questions import TAGGING
from enaxp.local.strict.resource_types import MADE_BY

DOCUMENT = Path(__file__).parents[1] / "docs/aws.md"
BEGIN, END = "<!-- calls: made by `python -m selfcheck.aws_calls` -->", "<!-- end of calls -->"
HEADER = ("call", "for", "further permission", "retried", "when it fails")
_ENDING = re.compile(r"(Delete|Detach|Disassociate|Release|Remove|Revoke|Terminate)")
# Particular calls, in words: how they are retried, and the consequence of a failure; None: as for others of their kind.
_PARTICULAR: dict[str, tuple[str | None, str | None]] = {
    "pricing:GetProducts": ("not at all", "the dated table of prices in the package is used"),
    "servicequotas:GetServiceQuota": (None, "preflight warns that the quota could not be checked"),
    "servicequotas:GetAWSDefaultServiceQuota": (None, "preflight warns that the quota could not be checked"),
    "ec2:RunInstances": (
        "with its token, while AWS throttles or does not see yet a resource that it names",
        "no capacity: the next zone is tried; else `up` ends, names it, and continues when run again",
    ),
}
# Only for resources that others created in the lab's own VPC; the policy does not allow it.
_FOREIGN = ("ec2:DeleteVpcEndpoints",)
NO_CALLS = {"iam:PassRole"}  # judged inside others


@dataclass(frozen=True, kw_only=True)
class CallRow:
    """One AWS call as the table has it. action: its own permission. users: the kinds, or parts of enaxp, that make it."""

    action: str
    users: tuple[str, ...]
    besides: tuple[str, ...]
    again: str
    failure: str


def rows() -> list[CallRow]:
    """Every call that enaxp makes or has docker make: reads, creates, changes, deletes."""
    made: dict[str, CallRow] = {}
    for row in (*_reads(), *_of_kinds(), *_of_others()):
        before = made.get(row.action)
        users = (*before.users, *row.users) if before else row.users
        again = _longer(before.again, row.again) if before else row.again
        made[row.action] = CallRow(
            action=row.action,
            users=tuple(dict.fromkeys(users)),
            besides=row.besides,
            again=again,
            failure=before.failure if before else row.failure,
        )
    return sorted(made.values(), key=lambda row: row.action)


def table() -> str:
    """The rows in Markdown."""
    lines = [f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}"]
    for row in rows():
        besides = ", ".join(f"`{one}`" for one in row.besides)
        lines.append(f"| `{row.action}` | {', '.join(row.users)} | {besides} | {row.again} | {row.failure} |")
    return "\n".join(lines)


def replaced(text: str) -> str:
    """A document with the table in it anew. Raises ValueError for one without the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{DOCUMENT} has no place for the table")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def _patiently() -> str:
    """How the patient clients repeat a call that AWS throttles or fails."""
    return f"{_default(Aws, 'patience_s'):.0f} s"


def _default(of: type, name: str) -> float:
    return float(inspect.signature(of).parameters[name].default)


def _reads() -> Iterator[CallRow]:
    stops = "the command ends and names it; `down` keeps what it cannot list, and reports it"
    for action, user in READS.items():
        again, failure = _PARTICULAR.get(action, (None, None))
        yield CallRow(
            action=action,
            users=(user,),
            besides=(),
            again=again or _patiently(),
            failure=failure or "the command ends and names it",
        )
    yield CallRow(
        action="ssm:GetParameter",
        users=("the newest image",),
        besides=(),
        again=_patiently(),
        failure="the command ends: set `hosts.ami`",
    )
    for kind in KINDS.values():
        for action in kind.reads:
            yield CallRow(action=action, users=(kind.name,), besides=(), again=_patiently(), failure=stops)


def _of_kinds() -> Iterator[CallRow]:
    for kind in KINDS.values():
        for action in dict.fromkeys(kind.writes):
            if action not in NO_CALLS:
                yield _of_write(kind, action)


def _of_write(kind: Kind, action: str) -> CallRow:
    """A call that creates, tags, ends or changes something of a kind: each sort of call is made again in its own way."""
    creating = action == kind.creates if isinstance(kind, Ec2Kind) else ":Create" in action
    name = action.partition(":")[2]
    again, failure = _patiently(), "`up` ends, names it, and continues when run again"
    if action == CREATE_TAGS or name.startswith(("Tag", "AddTags")):
        failure = "the resource is not created; for later tags (`extend`, a new expiry): the command ends and names it"
    elif creating and kind.token:
        again = f"{_patiently()}, with its token: never a second one"
    elif creating:
        again = "not automatically: after a lost answer it is searched by tag or name first"
    elif _ENDING.match(name):
        again = f"{kind.patience_s:.0f} s while it is in use"
        failure = "it stays, as does what it depends on; everything else is removed; it is named, exit 1"
    else:
        again = f"{_patiently()}, until it is read back"
    of_its_own = _PARTICULAR.get(action, (None, None))
    return CallRow(
        action=action,
        users=(kind.name,),
        besides=_besides(action),
        again=of_its_own[0] or again,
        failure=of_its_own[1] or failure,
    )


def _of_others() -> Iterator[CallRow]:
    """What docker asks, what the first contact with a host asks, and what only `down --with-foreign` does."""
    for action in PUSHING:
        failure = "`monitor push-image` ends with docker's message"
        yield CallRow(action=action, users=(EcrRepository.name,), besides=(), again="by docker", failure=failure)
    yield CallRow(
        action="ec2:GetConsoleOutput",
        users=("host keys",),
        besides=(),
        again=_patiently(),
        failure="the first contact is reported as unverified",
    )
    for action in _FOREIGN:
        user, failure = "`down --with-foreign` (not in the policy)", "it stays and is named, exit 1"
        yield CallRow(action=action, users=(user,), besides=(), again=_patiently(), failure=failure)


def _besides(action: str) -> tuple[str, ...]:
    """Permissions that AWS asks for inside a call."""
    service, _, name = action.partition(":")
    more: list[str] = []
    if service == "ec2" and name in MADE_BY:
        more.append(CREATE_TAGS)
    if action in TAGGING:
        more.append(TAGGING[action])
    if action in {"ec2:RunInstances", "iam:AddRoleToInstanceProfile"}:
        more.append("iam:PassRole")
    return tuple(more)


def _longer(one: str, other: str) -> str:
    """Of two times in words the longer, where a call is made for several kinds."""
    if one == other:
        return one
    return max(one, other, key=lambda words: float((re.match(r"\d+", words) or ["0"])[0]))


if __name__ == "__main__":
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
