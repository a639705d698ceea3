"""The words of the provisioner as plain data: what is wanted (Resource), what is there (Found), how they differ (Change), and what
every AWS kind can do (Kind).

A *resource* has an AWS id and can leak or cost; a *setting* has none and lives on a resource. A kind turns a Resource into the request
that creates it, reads back what is there, and yields a Change for each setting that is not as wanted.
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
TAGS_SCHEMA = 1  # of what the tags say; the state file has a schema of its own

# States of a resource that AWS is removing (`Found.pending`).
SHUTTING_DOWN = "shutting-down"  # it keeps nobody from making another one with its key
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
    """One lab, as its tags say it. The lab-id exists before the first resource does."""

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
        """The name of resources that AWS identifies by name. Never made from the lab-id, which can be lost."""
        return unique_name(self.name, self.region)

    @property
    def unique_names(self) -> tuple[str, ...]:
        """Every such name that a resource of `layers` may have, to look for kinds that AWS cannot filter by tag."""
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
            **({TAG_OWNER: self.owner} if self.owner else {}),
            **resource.tags,
        }


@dataclass(frozen=True, kw_only=True)
class Want:
    """What is wanted of a resource: each kind has a dataclass of its own, next to its class. This one asks for nothing but existence."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource that the lab wants on AWS. Only its kind reads `want`; `needs` are the keys of what it stands on.

    given_id: an existing resource of somebody else, used as it is: never tagged, changed or deleted.  tags: besides those of all.
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

    facts: what its kind read; empty where only the id is known.  pending: what AWS is still doing with it; empty when ready.
    gone: why it has ended for good; empty while it lives.  created: when, as AWS tells it; the oldest of duplicates is adopted.
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
        """Whether another one with this key may be created already, because AWS is ending this one."""
        return self.pending == SHUTTING_DOWN

    @property
    def is_ending(self) -> bool:
        """Whether AWS is removing it already."""
        return self.pending in {SHUTTING_DOWN, DELETING}


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


@dataclass(frozen=True, kw_only=True)
class Wait:
    """What a wait is for, in words, and the longest that it may take, in seconds."""

    what: str
    seconds: float = 120.0


class Removable(Protocol):
    """What a survey and a sweep know of one kind of AWS resource."""

    @property
    def name(self) -> str:
        """What it is called, and how the keys of its resources begin."""

    @property
    def layer(self) -> Layer:
        """The layer of its resources, unless their key says that they belong to monitoring."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The kinds that it stands on: created before it, deleted after it."""

    @property
    def patience_s(self) -> float:
        """How long its deletion may be blocked before a sweep gives up, in seconds."""

    @property
    def ending_s(self) -> float:
        """How long AWS may take to remove it once it has begun to, in seconds."""

    @property
    def ends_slowly(self) -> bool:
        """Whether an accepted delete only begins its end: it has ended when AWS does not list it any more."""

    @property
    def billed(self) -> tuple[BilledPart, ...]:
        """What AWS bills by the hour for one of them."""

    def stands_on(self, found: Found, other: Found) -> bool:
        """Whether this one, which exists, keeps the other one from being deleted."""

    def may_stand_on(self, other: Found) -> bool:
        """Whether one of this kind, which nobody could look at, may keep the other one from being deleted."""

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        """Every resource of this kind that carries the lab-id: one describe filtered by tag, or by name where AWS has no such filter.

        Includes what is gone: AWS lists terminated instances for about an hour.
        """

    def look(self, aws: Aws, id: str) -> Found | None:
        """The resource of this kind with this id; None when AWS does not know it (any more)."""

    def look_all(self, aws: Aws, ids: Sequence[str]) -> dict[str, Found]:
        """Those of these ids that AWS knows, by id, in as few calls as it takes."""

    def delete(self, aws: Aws, found: Found) -> None:
        """Asks AWS to remove it; returns when that is done or it is gone.

        Raises Blocked while something else uses it or AWS is still at work, and Refused where asking again is of no use.
        """


class Kind(Removable, Protocol):
    """Everything that enaxp knows of one kind of AWS resource. To add a kind, write one such class and register it in `kinds`."""

    @property
    def needs_settled(self) -> bool:
        """Whether what it stands on must also have all its settings before it is created."""

    @property
    def unique_by_name(self) -> bool:
        """Whether AWS identifies it by its name: its id is that name, and somebody else may have taken it."""

    @property
    def token(self) -> bool:
        """Whether the create call takes a client token, so that a lost answer can be asked for again."""

    @property
    def ready_s(self) -> float:
        """How long it may take to become ready, in seconds."""

    @property
    def hidden(self) -> tuple[str, ...]:
        """The fields of its want that a plan does not show."""

    @property
    def placeholder(self) -> str:
        """An id of nothing, in the form of its ids: to ask about a call that names one before there is one."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The IAM actions of the calls that read it."""

    @property
    def writes(self) -> tuple[str, ...]:
        """The IAM actions of the calls that create, change, tag or delete it."""

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterable[Grant]:
        """The `writes` that a policy must allow for these resources of the kind (owned and given), and on what."""

    def request(self, resource: Resource, lab: Lab, ids: Ids) -> Mapping[str, object]:
        """The parameters of the create call, tags included. Pure and byte-stable."""

    def create(self, aws: Aws, request: Any, token: str) -> str:
        """Creates the resource with one call, from what `request` gave, and gives back its id."""

    def as_made(self, resource: Resource, ids: Ids) -> Facts | None:
        """The facts that `settle` would read of a resource that was created just now; None where only a look can tell."""

    def awaits(self, error: Exception) -> Wait | None:
        """What has to happen before a refused create is asked again, and how long that may take; None where nothing helps."""

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        """The differences that only a new resource can remove."""

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        """A change for each setting that is not as wanted; nothing when all are. Calls nothing by itself."""

    def warnings(self, resource: Resource, found: Found) -> list[str]:
        """What a person should look at, of what enaxp leaves as it is."""

    def tag(self, aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        """Sets these tags on the resources; their other tags stay. Kinds that one call can tag together share this function."""


def kind_of(key: str) -> str:
    """The name of the kind in a resource's key."""
    return key.partition("/")[0]


def unique_name(lab: str, region: str, suffix: str = "") -> str:
    """A name that no lab elsewhere in the account has."""
    return "-".join(part for part in ("enaxp", lab, region, suffix) if part)


def as_text(moment: datetime) -> str:
    """UTC as in the tags and the state file: 2026-01-31T12:00:00Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def from_text(text: str) -> datetime:
    """The moment that `as_text` wrote. Raises ValueError for anything else."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")


def as_tag_list(tags: Mapping[str, str]) -> list[Tag]:
    """Tags as the API wants them, in a stable order."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def from_tag_list(tags: Iterable[Mapping[str, object]] | None) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags or ()}


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
