"""What the kinds share: defaults for what most of them do not need, and the calls that all of EC2 answers alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from botocore.exceptions import ClientError

from enaxp.aws import (
    Aws,
    Blocked,
    Refused,
    is_about_credentials,
    is_gone,
    is_in_use,
    is_not_yet_visible,
    is_passing,
    is_throttled,
    matching,
    refused,
    text_of,
)
from enaxp.lab.grants import TAG_LAB, Grant, Scope
from enaxp.lab.model import (
    TAG_KEY,
    TAG_LAB_ID,
    BilledPart,
    Change,
    Difference,
    Facts,
    Found,
    Ids,
    Lab,
    Layer,
    Resource,
    Tag,
    Wait,
    Want,
    as_tag_list,
    from_tag_list,
)

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType
    from mypy_boto3_ec2.type_defs import TagSpecificationTypeDef, TagTypeDef

_W = TypeVar("_W", bound=Want)
CREATE_TAGS = "ec2:CreateTags"
VALUES_OF_A_FILTER = 200
TAGGED_AT_ONCE = 500  # resources in one CreateTags
OF_THE_LAB = "OnThisLabsResources"  # the sid of what is allowed on what carries the lab's tag


class BaseKind:
    """Defaults: an id that AWS chooses, no token, no settings, nothing fixed, nothing billed. `model.Kind` says what each means."""

    name: ClassVar[str]
    layer: ClassVar[Layer]
    needs: ClassVar[tuple[str, ...]] = ()
    needs_settled: ClassVar[bool] = False
    unique_by_name: ClassVar[bool] = False
    token: ClassVar[bool] = False
    ready_s: ClassVar[float] = 120.0
    patience_s: ClassVar[float] = 300.0
    ending_s: ClassVar[float] = 1200.0
    ends_slowly: ClassVar[bool] = False
    billed: ClassVar[tuple[BilledPart, ...]] = ()
    hidden: ClassVar[tuple[str, ...]] = ()
    placeholder: ClassVar[str] = "enaxp-nothing"

    def look(self, aws: Aws, id: str) -> Found | None:
        """The one with this id; None when AWS does not know it."""
        raise NotImplementedError

    def look_all(self, aws: Aws, ids: Sequence[str]) -> dict[str, Found]:
        found = {id: self.look(aws, id) for id in ids}
        return {id: one for id, one in found.items() if one is not None}

    def stands_on(self, found: Found, other: Found) -> bool:
        return other.kind in self.needs

    def may_stand_on(self, other: Found) -> bool:
        return other.kind in self.needs

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return []

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        yield from ()

    def warnings(self, resource: Resource, found: Found) -> list[str]:
        return []

    def as_made(self, resource: Resource, ids: Ids) -> Facts | None:
        return None

    def awaits(self, error: Exception) -> Wait | None:
        if is_throttled(error):
            return Wait(what="AWS to take more calls", seconds=180.0)
        if is_not_yet_visible(error):
            return Wait(what="what it stands on to be known everywhere")
        return None


@dataclass(frozen=True, kw_only=True)
class SettingCall:
    """An EC2 call that changes a setting.

    action: as IAM calls it.  sample: parameters of a call that names nothing real, to ask with DryRun whether it is allowed; None
    where the API has no DryRun.
    """

    action: str
    sample: Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True)
class Askable:
    """A request that asks with DryRun whether a call is allowed.

    is_complete: it names all by which a policy may judge the call, such as its subnet; else AWS takes something else in its place.
    """

    request: Mapping[str, object]
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many of a kind an account may have in a region: the quota's code, the service that it is listed under, its words."""

    words: str
    service: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A describe that shows what may use a resource: `by` is its filter that takes the resource's id (`of`: another value of the
    resource); each item carries its own id in `id`. leave_out: what is not in the way, because it goes together with the resource."""

    what: str
    describe: str
    items: str
    id: str
    by: str
    of: Callable[[Found], str] = field(default=lambda found: found.id)
    leave_out: Callable[[Any], bool] = field(default=lambda item: False)


class Ec2Kind(BaseKind):
    """A kind that EC2 describes with filters and ids: subclasses say with which call, and how to read one item of the answer."""

    resource_type: ClassVar[ResourceTypeType]  # as TagSpecifications calls it
    describe: ClassVar[str]  # the client method
    items: ClassVar[str]  # the member of its answer that holds the list
    ids_argument: ClassVar[str]
    id_filter: ClassVar[str] = (
        ""  # the filter that takes ids, of a kind that a fleet has many of: it does not mind an unknown one
    )
    creates: ClassVar[str]  # IAM action of the create call, which carries the tags
    settings: ClassVar[tuple[SettingCall, ...]] = ()
    deletes: ClassVar[str]  # IAM action of the delete call, which a policy can hold to the resource's tags
    deletes_too: ClassVar[tuple[str, ...]] = ()  # likewise, of what comes along with one
    quota: ClassVar[Quota | None] = None
    serves: ClassVar[tuple[str, ...]] = ()  # IAM actions of other kinds' calls that name one of this kind
    used_by: ClassVar[tuple[Listing, ...]] = ()  # where to look for who keeps one from being deleted

    def read(self, item: Any) -> Found | None:
        """Found out of one item of the answer; None for what counts as not there."""
        raise NotImplementedError

    def dry_run(self, request: Any, known: Ids) -> Askable | None:
        """What of a create request can be asked about although it names what does not exist yet; None: only all of it.

        known: the ids of what exists.
        """
        return None

    def calls_to_make(self, resource: Resource) -> tuple[str, ...]:
        """The EC2 APIs that are called to make this one as it is wanted, without reads: what takes long at AWS's rates."""
        return (self.creates.partition(":")[2],)

    def settings_for(self, resources: Sequence[Resource]) -> tuple[SettingCall, ...]:
        """The calls that change settings of these resources."""
        return self.settings

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.creates, *(call.action for call in self.settings), self.deletes, *self.deletes_too, CREATE_TAGS)

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Makes what gets the lab's tag; uses, changes, tags and ends what carries it; uses what is given, by its id."""
        given = tuple(scope.arn("ec2", f"{self.resource_type}/{one.given_id}") for one in resources if not one.owned)
        if given and self.serves:
            yield Grant(sid=f"UseGiven{self.name.title().replace('-', '')}", actions=self.serves, resources=given)
        if not any(resource.owned for resource in resources):
            return
        yield Grant(sid="MakeWithTheLabsTag", actions=(self.creates,), conditions=scope.for_the_lab)
        changing = (
            *self.serves,
            *(call.action for call in self.settings_for(resources)),
            self.deletes,
            *self.deletes_too,
            CREATE_TAGS,
        )
        yield Grant(sid=OF_THE_LAB, actions=changing, conditions=scope.of_the_lab)
        made: dict[str, str | tuple[str, ...]] = {
            "ec2:CreateAction": (self.creates.partition(":")[2],),
            f"aws:RequestTag/{TAG_LAB}": scope.lab,
        }
        yield Grant(sid="TagWhatIsMade", actions=(CREATE_TAGS,), conditions={"StringEquals": made})

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        return self._describe(aws, Filters=matching({f"tag:{TAG_LAB_ID}": [lab.lab_id]}))

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            found = self._describe(aws, **{self.ids_argument: [id]})
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return found[0] if found else None

    def look_all(self, aws: Aws, ids: Sequence[str]) -> dict[str, Found]:
        if not self.id_filter:
            return super().look_all(aws, ids)
        found = [
            one
            for start in range(0, len(ids), VALUES_OF_A_FILTER)
            for one in self._describe(aws, Filters=matching({self.id_filter: ids[start : start + VALUES_OF_A_FILTER]}))
        ]
        return {one.id: one for one in found}

    def count(self, aws: Aws) -> int:
        """How many of this kind there are in the region, whoever made them."""
        return sum(len(self._items(page)) for page in aws.pages(self.describe))

    @staticmethod
    def tag(aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        """Of all EC2 kinds together, many in one call. Some resources have another id for tags than for everything else."""
        ids = [str(found.facts.get("tag_id", found.id)) for found in resources]
        for start in range(0, len(ids), TAGGED_AT_ONCE):
            aws.ec2.create_tags(Resources=ids[start : start + TAGGED_AT_ONCE], Tags=_for_ec2(tags))

    def _describe(self, aws: Aws, **arguments: Any) -> list[Found]:
        read = (self.read(item) for page in aws.pages(self.describe, **arguments) for item in self._items(page))
        return [found for found in read if found is not None]

    def _items(self, page: Any) -> list[Any]:
        """The items of one answer of `describe`."""
        return page.get(self.items) or []

    def found(
        self,
        id: str,
        tags: Iterable[Mapping[str, object]] | None,
        *,
        pending: str = "",
        gone: str = "",
        created: str = "",
        **facts: Any,
    ) -> Found:
        own = from_tag_list(tags)
        key = own.get(TAG_KEY, "")
        return Found(key=key, kind=self.name, id=id, tags=own, facts=facts, pending=pending, gone=gone, created=created)

    def tagged(self, resource: Resource, lab: Lab, *more: ResourceTypeType) -> list[TagSpecificationTypeDef]:
        """TagSpecifications for a create call, also of the other types of resources that it creates."""
        tags = _for_ec2(as_tag_list(lab.tags_for(resource)))
        return [{"ResourceType": resource_type, "Tags": tags} for resource_type in (self.resource_type, *more)]


def no_id(prefix: str) -> str:
    """An id that nothing has."""
    return f"{prefix}-{'0' * 17}"


def want_of(resource: Resource, want: type[_W]) -> _W:
    """What is wanted of a resource, which must be of this type. Raises TypeError for a want of another kind."""
    if not isinstance(resource.want, want):
        raise TypeError(f"{resource.key} wants {resource.want}, not a {want.__name__}")
    return resource.want


def named(kind: str, id: str, tags: Iterable[Mapping[str, object]] | None, **facts: Any) -> Found:
    """Found of what AWS knows by its name."""
    own = from_tag_list(tags)
    return Found(key=own.get(TAG_KEY, ""), kind=kind, id=id, tags=own, facts=facts)


def ours(found: Found | None, lab: Lab) -> list[Found]:
    """Names are shared by everybody in the account: only the tags say whose it is."""
    return [found] if found and found.tags.get(TAG_LAB_ID) == lab.lab_id else []


def remove(call: Callable[[], object], *, where: str, todo: str = "") -> None:
    """Makes a call that takes something away: what is gone already is done.

    Raises Blocked while something else uses it, or AWS could not be asked long enough; Refused when AWS says no, with what to do then
    (by default what helps with the error's code); AwsError when AWS does not know the caller.
    """
    from botocore.exceptions import BotoCoreError

    try:
        call()
    except (ClientError, BotoCoreError) as error:
        if is_gone(error):
            return
        if is_about_credentials(error):
            raise refused(where, error) from error
        if is_in_use(error) or is_passing(error):
            raise Blocked(where, by=text_of(error)) from error
        told = refused(where, error, todo=todo)
        raise Refused(where, by=told.said, todo=told.todo, code=told.code) from error


def differences(have: Facts, **want: object) -> list[Difference]:
    """A difference for each wanted fact that is another one, where the fact is known at all."""
    return [
        Difference(field=field, have=have[field], want=value)
        for field, value in want.items()
        if have.get(field) is not None and have[field] != value
    ]


def _for_ec2(tags: Sequence[Tag]) -> list[TagTypeDef]:
    return [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags]
