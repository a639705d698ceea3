"""The data model of the provisioner: a wanted resource (Resource), an existing one (Found), a difference (Change), and the interface of
every AWS kind (Kind).

A *resource* has an AWS id and can leak or cost; a *setting* has none and lives on a resource. A kind turns a Resource into its create
request, reads back the existing resource, and yields a Change for each setting that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypedDict

from enaxp.aws import Aws
from enaxp.lab.grants import TAG_LAB as TAG_LAB
from enaxp.lab.grants import Grant, Scope

Layer = Literal["network", "compute", "monitoring"]
LAYERS: tuple[Layer, ...] = ("network", "compute", "monitoring")
# What a layer stands on.
BELOW: Mapping[Layer, tuple[Layer, ...]] = {"network": (), "compute": ("network",), "monitoring": ("network",)}

TAG_LAB_ID = "enaxp:lab-id"
TAG_KEY = "enaxp:key"
TAG_OWNER = "enaxp:owner"
TAG_BENCH = "enaxp:bench"  # on hosts, while a bench runs: when it is expected to end
TAG_VARIANT = "enaxp:variant"  # on the hosts of a fleet
TAG_CREATED = "enaxp:created"
TAG_EXPIRES = "enaxp:expires"
TAG_SCHEMA = "enaxp:schema"
TAGS_SCHEMA = 1  # the schema of the tags; the state file has its own

# States of a resource that AWS is removing (`Found.pending`).
SHUTTING_DOWN = "shutting-down"  # it does not prevent another one with its key
DELETING = "deleting"  # its name is not free yet

Ids = Mapping[str, str]  # AWS ids by key
Facts = Mapping[str, Any]  # what a kind reads of a resource; only the kind knows which there are
BilledPart = Literal["instance", "disk", "address"]  # what AWS bills by the hour


class Tag(TypedDict):
    """A tag as AWS's APIs write it."""

    Key: str
    Value: str


@dataclass(frozen=True, kw_only=True)
class Lab:
    """The identity of a lab, as in its tags. The lab-id exists before the first resource does."""

    name: str
    lab_id: str
    region: str
    created_at: datetime
    expires_at: datetime
    owner: str | None = None  # None where it was made before labs had owners
    tags: Mapping[str, str] = field(default_factory=dict)
    ids: Ids = field(default_factory=dict)  # those of the state: a resource known by id need not wait for a listing
    layers: tuple[Layer, ...] = LAYERS  # to search, where AWS has no filter by tag and names must be tried

    @property
    def unique_name(self) -> str:
        """The name of the lab's resources that AWS identifies by name. It does not contain the lab-id, which can be lost."""
        return unique_name(self.name, self.region)

    @property
    def unique_names(self) -> tuple[str, ...]:
        """Every such name that a resource of `layers` may have, to search kinds that AWS cannot filter by tag."""
        monitoring = (unique_name(self.name, self.region, "monitoring"),) if "monitoring" in self.layers else ()
        return self.unique_name, *monitoring

    def tags_for(self, resource: Resource) -> dict[str, str]:
        """All tags of a resource. They are byte-for-byte stable for the life of the lab, so that a request can be repeated with its
        client token."""
        return {
            **self.tags,
            "Name": resource.name,
            TAG_LAB: self.name,
            TAG_LAB_ID: self.lab_id,
            TAG_KEY: resource.key,
            TAG_CREATED: as_text(self.created_at),
            TAG_EXPIRES: as_text(self.expires_at),
            TAG_SCHEMA: str(TAGS_SCHEMA),
            **({TAG_OWNER: self.owner} if self.owner else {}),
            **resource.tags,
        }


@dataclass(frozen=True, kw_only=True)
class Want:
    """The desired state of a resource. Each kind has its own dataclass next to its class; this base class only requires existence."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource that the lab should have on AWS. Only its kind reads `want`; `needs`: the keys of the resources it depends on.

    given_id: the id of an existing resource that is only used: never tagged, changed or deleted. tags: in addition to those that all
    resources have.
    """

    key: str
    kind: str
    layer: Layer
    name: str
    want: Want = field(default_factory=Want)
    needs: tuple[str, ...] = ()
    given_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def owned(self) -> bool:
        return self.given_id is None


@dataclass(frozen=True, kw_only=True)
class Found:
    """A resource that exists on AWS.

    facts: the values that its kind read; empty if only the id is known. pending: what AWS is still doing with it; empty when ready. gone:
    why it has ended for good; empty while it exists. created: the creation time in AWS's format; of duplicates the oldest is adopted.
    """

    key: str
    kind: str
    id: str
    tags: Mapping[str, str]
    facts: Facts = field(default_factory=dict)
    pending: str = ""
    gone: str = ""
    created: str = ""

    @property
    def makes_way(self) -> bool:
        """Whether a replacement with this key may already be created, because AWS is ending this one."""
        return self.pending == SHUTTING_DOWN

    @property
    def is_ending(self) -> bool:
        """Whether AWS is removing it already."""
        return self.pending in {SHUTTING_DOWN, DELETING}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field that differs from the desired state."""

    field: str
    have: Any
    want: Any

    def __str__(self) -> str:
        return f"{self.field}: {_show(self.have)} → {_show(self.want)}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A difference and the call that corrects it. Only `apply` calls `act`."""

    difference: Difference
    act: Callable[[Aws], object]


def change(field: str, *, have: Any, want: Any, act: Callable[[Aws], object]) -> Change:
    return Change(difference=Difference(field=field, have=have, want=want), act=act)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A wait: its reason in words, and its time limit in seconds."""

    what: str
    seconds: float = 120.0


class Removable(Protocol):
    """The part of a kind that a survey and a sweep use."""

    @property
    def name(self) -> str:
        """The kind's name, with which the keys of its resources begin."""

    @property
    def layer(self) -> Layer:
        """The layer of its resources, unless their key says monitoring."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The kinds that it depends on: created before it, deleted after it."""

    @property
    def patience_s(self) -> float:
        """How long its deletion may be blocked before a sweep gives up, in seconds."""

    @property
    def ending_s(self) -> float:
        """How long AWS may take to remove it after accepting the delete, in seconds."""

    @property
    def ends_slowly(self) -> bool:
        """Whether deletion is asynchronous: it is complete when AWS no longer lists the resource."""

    @property
    def of_a_pair(self) -> bool:
        """Whether each host pair of a fleet has its own, in whose keys the pair's name stands: it goes when the pair does."""

    @property
    def billed(self) -> tuple[BilledPart, ...]:
        """The items that AWS bills by the hour for one such resource."""

    def stands_on(self, found: Found, other: Found) -> bool:
        """Whether this existing resource blocks the deletion of the other one."""

    def may_stand_on(self, other: Found) -> bool:
        """Whether a resource of this kind, which could not be read, may block the deletion of the other one."""

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """Every resource of this kind that carries the lab-id: one describe filtered by tag, or by name where AWS has no such filter.

        Includes ended ones: AWS lists terminated instances for about an hour.
        """

    def look(self, aws: Aws, id: str) -> Found | None:
        """The resource of this kind with this id; None if AWS does not know it (or no longer does)."""

    def look_all(self, aws: Aws, ids: Sequence[str]) -> dict[str, Found]:
        """The existing resources among these ids, by id, in as few calls as possible."""

    def delete(self, aws: Aws, found: Found) -> None:
        """Deletes the resource; returns when AWS has accepted that, or if it does not exist.

        Raises Blocked while something else uses it or AWS is still working on it, and Refused if a retry is useless.
        """


class Kind(Removable, Protocol):
    """Everything that enaxp knows about one kind of AWS resource. To add a kind, write one such class and register it in `kinds`."""

    @property
    def needs_settled(self) -> bool:
        """Whether the resources it depends on must also have all their settings before it is created."""

    @property
    def unique_by_name(self) -> bool:
        """Whether AWS identifies it by name: its id is that name, and another owner may already use it."""

    def is_taken(self, error: Exception) -> bool:
        """Whether a create was refused because there is one of that name already."""

    @property
    def token(self) -> bool:
        """Whether the create call takes a client token, so that it can be repeated safely when the answer was lost."""

    @property
    def ready_s(self) -> float:
        """How long it may take to become ready, in seconds."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """The fields of its desired state that a plan does not show."""

    @property
    def placeholder(self) -> str:
        """A placeholder in the format of its ids, to test a call before a real resource exists."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The IAM actions of the calls that read it."""

    @property
    def writes(self) -> tuple[str, ...]:
        """The IAM actions of the calls that create, change, tag or delete it."""

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterable[Grant]:
        """The grants of a policy for `writes` on these resources of the kind (owned and given)."""

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> Mapping[str, object]:
        """The parameters of the create call, tags included. Pure; the same input gives the same bytes."""

    def create(self, aws: Aws, request: Any, token: str) -> str:
        """Creates the resource with one call, from the result of `request`; returns its id."""

    def as_made(self, resource: Resource, ids: Ids) -> Facts | None:
        """The facts of a resource just created by this request; None if they must be read from AWS."""

    def awaits(self, error: Exception) -> Wait | None:
        """What to wait for, and how long, before a refused create is retried; None if a retry is useless."""

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        """The differences that only a replacement can correct."""

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        """A change for each setting that differs; none if all are as wanted. Makes no AWS call itself."""

    def warnings(self, resource: Resource, found: Found) -> list[str]:
        """Warnings about values that enaxp does not manage."""

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        """Sets these tags on the resources; their other tags stay. Kinds that one call can tag together share this function."""


def kind_of(key: str) -> str:
    """The name of the kind in a resource's key."""
    return key.partition("/")[0]


def unique_name(lab: str, region: str, suffix: str = "") -> str:
    """The lab's name with its region, unique in the account."""
    return "-".join(part for part in ("enaxp", lab, region, suffix) if part)


def as_text(moment: datetime) -> str:
    """The time in UTC in the format of tags and state file: 2026-01-31T12:00:00Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    """The time in text written by `as_text`. Raises ValueError for other text."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def as_tag_list(tags: Mapping[str, str]) -> list[Tag]:
    """Tags in the API's format, in a stable order."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def from_tag_list(tags: Iterable[Mapping[str, object]] | None) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags or ()}


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
