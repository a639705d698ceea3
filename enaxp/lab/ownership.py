"""Ownership: the owner of a lab found by its name, checked before anything of it is changed or removed. Pure.

caller's ARN ─▶ owner_of ─▶ the tag enaxp:owner
Survey ─▶ claim_of ─▶ Claim ─▶ require_own       for a lab without local state: the caller's, or --adopt
                          └──▶ is_being_measured   the error while a bench runs on it, from any computer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from enaxp.errors import LabError
from enaxp.lab.model import TAG_BENCH, TAG_CREATED, TAG_OWNER, as_text, from_text
from enaxp.lab.survey import Survey

MOST_CHARACTERS = 256  # of a tag's value
# The session of a role is one person only where AWS's single sign-on made the role.
_ASSUMED = re.compile(r"(?P<role>arn:[^:]+:sts::\d+:assumed-role/(?P<name>[^/]+))/(?P<session>.+)")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The owner and state of a lab, from its tags and instances. ids: of all its resources. None: no tag has the value."""

    owner: str | None
    ids: tuple[str, ...]
    created_at: datetime | None
    bench_until: datetime | None
    has_running_hosts: bool


def owner_of(arn: str) -> str:
    """The value of the tag `enaxp:owner` for a caller: its ARN, without the session name of an assumed role that several people or
    programs share."""
    assumed = _ASSUMED.fullmatch(arn)
    if assumed and not assumed["name"].startswith("AWSReservedSSO_"):
        arn = assumed["role"]
    return re.sub(r"[^\w .:/=+@-]", "_", arn)[:MOST_CHARACTERS]


def claim_of(seen: Survey) -> Claim:
    """Owner, ids, age, end of the running bench and running hosts of a lab, from the tags of its resources."""
    found = [one for one in seen.all() if one.tags]
    owners = [one.tags[TAG_OWNER] for one in found if one.tags.get(TAG_OWNER)]
    return Claim(
        owner=owners[0] if owners else None,
        ids=tuple(f"{one.key} {one.id}" for one in found),
        created_at=_moment(TAG_CREATED, [one.tags for one in found]),
        bench_until=bench_until(seen),
        has_running_hosts=any(one.kind == "instance" and not one.is_ending for one in found),
    )


def bench_until(seen: Survey) -> datetime | None:
    """The expected end of the bench that runs on the lab; None without one."""
    return _moment(TAG_BENCH, [one.tags for one in seen.all() if one.kind == "instance"])


def require_own(claim: Claim, *, lab: str, lab_id: str, caller: str, has_key: bool, now: datetime) -> None:
    """Raises LabError for a lab without local state that has another owner, or whose hosts run while its key is not here.

    The message has its owner, resource ids and age, and whether a bench runs on it.
    """
    is_own = claim.owner == caller
    if not claim.ids or (is_own and (has_key or not claim.has_running_hosts)):
        return
    whose = "somebody whom no tag names" if claim.owner is None else "you" if is_own else claim.owner
    age = f", {_in_words((now - claim.created_at).total_seconds())} old" if claim.created_at else ""
    measured = claim.bench_until is not None and claim.bench_until > now
    bench = f"; a bench runs on it until {as_text(claim.bench_until)}" if measured and claim.bench_until else ""
    elsewhere = "; its hosts run, and their key is not here" if claim.has_running_hosts and not has_key else ""
    raise LabError(
        f"lab {lab} ({lab_id}) belongs to {whose}{age}, and there is no state of it here",
        said=f"it consists of {', '.join(claim.ids)}{elsewhere}{bench}",
        todo="choose another --lab, or give --adopt to take it over",
    )


def is_being_measured(*, lab: str, until: datetime | None, changing: Iterable[str] = ()) -> LabError:
    """The error for a lab with a running bench. until: its expected end, from the hosts' tags. changing: keys of the refused changes."""
    end = f", until {as_text(until)} as its hosts' tags tell" if until else ""
    return LabError(
        f"a bench of lab {lab} is running{end}",
        said=f"this would change {', '.join(changing)}" if changing else "",
        todo="wait for it, stop it with Ctrl-C, or give --force",
    )


def _moment(tag: str, tags: Iterable[Mapping[str, str]]) -> datetime | None:
    moments = []
    for own in tags:
        try:
            moments.append(from_text(own[tag]))
        except (KeyError, ValueError):
            continue
    return max(moments, default=None)


def _in_words(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} h" if hours >= 2 else f"{seconds / 60:.0f} min"
