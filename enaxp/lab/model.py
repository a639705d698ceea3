"""The words of the provisioner as plain data: what is wanted (Resource), what is there (Found), how they differ (Change), and what
every AWS kind can do (Kind).

A *resource* has an AWS id and can leak or cost; a *setting* has none and lives on a resource. A kind turns a Resource into the request
that makes it, reads back what is there, and yields a Change for each setting that is not as wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from enaxp.aws import Aws

Layer = Literal["network", "compute", "monitoring"]
LAYERS: tuple[Layer, ...] = ("network", "compute", "monitoring")
# what a layer stands on
BELOW: Mapping[Layer, tuple[Layer, ...]] = {"network": (), "compute": ("network",), "monitoring": ("network",)}

TAG_LAB = "enaxp:lab"
TAG_LAB_ID = "enaxp:lab-id"
TAG_KEY = "enaxp:key"
TAG_CREATED = "enaxp:created"
TAG_EXPIRES = "enaxp:expires"
TAG_SCHEMA = "enaxp:schema"
TAGS_SCHEMA = 1  # of what the tags say; the state file has a schema of its own

Ids = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One lab, as its tags say it. The lab-id exists before the first resource does."""

    name: str
    lab_id: str
    region: str
    created_at: datetime
    expires_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    ids: Ids = field(default_factory=dict)  # by key, as the state knows them: what is known need not wait for a listing
    layers: tuple[Layer, ...] = LAYERS  # whose names are searched for, where AWS has no filter by tag

    @property
    def unique_name(self) -> str:
        """For what AWS identifies by name. Never made from the lab-id, which can be lost."""
        return unique_name(self.name, self.region)

    @property
    def unique_names(self) -> tuple[str, ...]:
        """Every name of this sort that a resource of its layers may have: what has no filter by tag is looked for by these."""
        monitoring = (unique_name(self.name, self.region, "monitoring"),) if "monitoring" in self.layers else ()
        return self.unique_name, *monitoring

    def tags_for(self, resource: Resource) -> dict[str, str]:
        """Every tag of a resource. Byte-stable for the life of the lab, so that a request can be repeated with its token."""
        return {
            **self.tags,
            "Name": resource.name,
            TAG_LAB: self.name,
            TAG_LAB_ID: self.lab_id,
            TAG_KEY: resource.key,
            TAG_CREATED: as_text(self.created_at),
            TAG_EXPIRES: as_text(self.expires_at),
            TAG_SCHEMA: str(TAGS_SCHEMA),
        }


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Something that the lab wants on AWS. `want` is read by its kind alone; `needs` are keys of what it stands on."""

    key: str
    kind: str
    layer: Layer
    name: str
    want: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    given_id: str | None = (
        None  # an existing resource of somebody else: used as it is, never tagged, changed or deleted
    )

    @property
    def owned(self) -> bool:
        return self.given_id is None


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something that is there. `facts` is what its kind read (nothing where it was not looked at), `pending` what AWS is still doing with
    it; `gone` says that it has ended for good, and why."""

    key: str
    kind: str
    id: str
    tags: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    pending: str = ""
    gone: str = ""
    created: str = ""  # orders duplicates: the oldest is the one to adopt


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field that is not as wanted."""

    field: str
    have: Any
    want: Any

    def __str__(self) -> str:
        return f"{self.field}: {_show(self.have)} → {_show(self.want)}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A difference and the call that removes it. Only `apply` ever calls `act`."""

    difference: Difference
    act: Callable[[Aws], object]


def change(field: str, *, have: Any, want: Any, act: Callable[[Aws], object]) -> Change:
    return Change(difference=Difference(field=field, have=have, want=want), act=act)


class Kind(Protocol):
    """What enaxp knows of one kind of AWS resource.

    needs: kinds that it stands on: they are made before it and deleted after it.
    needs_settled: whether what it stands on must be settled before it is made, and not only there.
    token: whether the API that makes it takes a client token, so that a lost answer can be asked for again.
    ready_s: how long it may take to become ready, in seconds.
    actions: the IAM actions that its calls need.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def needs_settled(self) -> bool: ...
    @property
    def token(self) -> bool: ...
    @property
    def ready_s(self) -> float: ...
    @property
    def actions(self) -> tuple[str, ...]: ...

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """Everything of this kind that carries the lab-id: one describe, filtered by tag (by name where AWS has no such filter).

        Also what is gone: AWS lists terminated instances for about an hour.
        """

    def look(self, aws: Aws, id: str) -> Found | None:
        """One of this kind by its id; None when AWS does not know it (any more)."""

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> dict[str, Any]:
        """The parameters that make the resource, tags included. Pure and byte-stable."""

    def create(self, aws: Aws, request: dict[str, Any], token: str) -> str:
        """Makes the resource with one call and gives back its id."""

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any] | None:
        """What of a resource that was made just now `settle` would read, known without asking; None: only a look tells."""

    def may_repeat(self, error: Exception) -> bool:
        """Whether a refused create may be asked again, because what it refers to is not known everywhere yet."""

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        """What differs and can only be had by making the resource anew."""

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        """A change for each setting that is not as wanted; nothing when all is in sync. Calls nothing by itself."""

    def delete(self, aws: Aws, found: Found) -> None:
        """Asks AWS to remove it. Done or gone: returns. Raises Blocked while something else uses it or AWS is still at work."""


def unique_name(lab: str, region: str, suffix: str = "") -> str:
    return "-".join(part for part in ("enaxp", lab, region, suffix) if part)


def repository_name(lab: str, region: str) -> str:
    """The unique name as ECR takes it: no two hyphens side by side."""
    return re.sub("-(?=-)", "-0", unique_name(lab, region))


def as_text(moment: datetime) -> str:
    """UTC as in the tags and the state file: 2026-01-31T12:00:00Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    """The moment that `as_text` wrote. Raises ValueError for anything else."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def as_tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API wants them, in a stable order."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def from_tag_list(tags: list[dict[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or []}


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
