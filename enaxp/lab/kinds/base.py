"""Base classes of the kinds: defaults for what most of them do not need, and the calls that all EC2 resources share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from botocore.exceptions import ClientError

from enaxp.aws import (
    Aws,
    Blocked,
    Refused,
    code_of,
    in_batches,
    is_about_credentials,
    is_duplicate,
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
    """Defaults: an id that AWS chooses, no token, no settings, nothing fixed, nothing billed. `model.Kind` documents each member."""

    name: ClassVar[str]
    layer: ClassVar[Layer]
    needs: ClassVar[tuple[str, ...]] = ()
    needs_settled: ClassVar[bool] = False
    unique_by_name: ClassVar[bool] = False
    taken: ClassVar[
        tuple[str, ...]
    ] = ()  # error codes for a name that is already in use, in addition to EC2's Invalid….Duplicate
    token: ClassVar[bool] = False
    ready_s: ClassVar[float] = 120.0
    patience_s: ClassVar[float] = 300.0
    ending_s: ClassVar[float] = 1200.0
    ends_slowly: ClassVar[bool] = False
    of_a_pair: ClassVar[bool] = False
    billed: ClassVar[tuple[BilledPart, ...]] = ()
    hidden: ClassVar[tuple[str, ...]] = ()
    placeholder: ClassVar[str] = "enaxp-nothing"

    def look(self, aws: Aws, id: str) -> Found | None:
        """The resource with this id; None when AWS does not know it."""
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

    def is_taken(self, error: Exception) -> bool:
        return code_of(error) in self.taken or is_duplicate(error)

    def as_made(self, resource: Resource, ids: Ids) -> Facts | None:
        return None

    def awaits(self, error: Exception) -> Wait | None:
        if is_throttled(error):
            return Wait(what="AWS to take more calls", seconds=180.0)
        if is_not_yet_visible(error):
            return Wait(what="its dependencies to become visible everywhere")
        return None


@dataclass(frozen=True, kw_only=True)
class SettingCall:
    """An EC2 call that changes a setting.

    action: its IAM name. sample: parameters with placeholder ids, to test the permission with DryRun; None if the API has no DryRun.
    """

    action: str
    sample: Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True)
class Askable:
    """A request that tests with DryRun whether a call is allowed.

    is_complete: it names every resource on which a policy may depend, such as the subnet; otherwise AWS substitutes a default one.
    """

    request: Mapping[str, object]
    is_complete: bool


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The quota on the number of a kind's resources in a region: its code, the service under which it is listed, its description."""

    words: str
    service: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A describe call that lists possible users of a resource. `by`: its filter on the resource's id (`of`: or on another value of the
    resource). `id`: the member of each item that holds its id. leave_out: items that do not block, because they are deleted together with
    the resource."""

    what: str
    describe: str
    items: str
    id: str
    by: str
    of: Callable[[Found], str] = field(default=lambda found: found.id)
    leave_out: Callable[[Any], bool] = field(default=lambda item: False)


class Ec2Kind(BaseKind):
    """A kind that EC2 describes with filters and ids. Subclasses name the call and read one item of its answer."""

    resource_type: ClassVar[ResourceTypeType]  # as TagSpecifications calls it
    describe: ClassVar[str]  # the client method
    items: ClassVar[str]  # the member of its answer that holds the list
    ids_argument: ClassVar[str]
    id_filter: ClassVar[str] = ""  # takes ids and minds no unknown one; of kinds that a fleet has many of
    creates: ClassVar[str]  # IAM action of the create call, which carries the tags
    settings: ClassVar[tuple[SettingCall, ...]] = ()
    deletes: ClassVar[str]  # IAM action of the delete call, which a policy can hold to the resource's tags
    deletes_too: ClassVar[tuple[str, ...]] = ()  # likewise, of what comes along with one
    quota: ClassVar[Quota | None] = None
    serves: ClassVar[tuple[str, ...]] = ()  # IAM actions of other kinds' calls that name one of this kind
    used_by: ClassVar[tuple[Listing, ...]] = ()  # where to look for who keeps one from being deleted

    def read(self, item: Any) -> Found | None:
        """The resource in one item of the answer; None if it counts as absent."""
        raise NotImplementedError

    def dry_run(self, request: Any, known: Ids) -> Askable | None:
        """Returns (does not send) the part of a create request that can be tested with DryRun although it names resources that do not
        exist yet; None if it cannot be split.

        known: the ids of existing resources.
        """
        return None

    def calls_to_make(self, resource: Resource) -> tuple[str, ...]:
        """The EC2 APIs called to create and set up this resource, without reads: AWS's rate limits determine how long they take."""
        return (self.creates.partition(":")[2],)

    def settings_for(self, resources: Sequence[Resource]) -> tuple[SettingCall, ...]:
        """The calls that may change settings of these resources."""
        return self.settings

    @property
    def writes(self) -> tuple[str, ...]:
        return (self.creates, *(call.action for call in self.settings), self.deletes, *self.deletes_too, CREATE_TAGS)

    def grants(self, resources: Sequence[Resource], scope: Scope) -> Iterator[Grant]:
        """Grants to create resources with the lab's tag; to use, change, tag and delete resources that have it; to use given ones, by
        id."""
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
            for some in in_batches(ids, VALUES_OF_A_FILTER)
            for one in self._describe(aws, Filters=matching({self.id_filter: some}))
        ]
        return {one.id: one for one in found}

    def count(self, aws: Aws) -> int:
        """The number of this kind's resources in the region, whoever created them."""
        return sum(len(self._items(page)) for page in aws.pages(self.describe))

    @staticmethod
    def tag(aws: Aws, resources: Sequence[Found], tags: Sequence[Tag]) -> None:
        """Tags resources of all EC2 kinds together, many per call. Some resources use a different id for tags."""
        ids = [str(found.facts.get("tag_id", found.id)) for found in resources]
        for some in in_batches(ids, TAGGED_AT_ONCE):
            aws.ec2.create_tags(Resources=some, Tags=_for_ec2(tags))

    def _describe(self, aws: Aws, **arguments: Any) -> list[Found]:
        read = (self.read(item) for page in aws.pages(self.describe, **arguments) for item in self._items(page))
        return [found for found in read if found is not None]

    def _items(self, page: Any) -> list[Any]:
        """The items in one page of `describe`."""
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
        """TagSpecifications for a create call, for every resource type that it creates."""
        tags = _for_ec2(as_tag_list(lab.tags_for(resource)))
        return [{"ResourceType": resource_type, "Tags": tags} for resource_type in (self.resource_type, *more)]


def no_id(prefix: str) -> str:
    """A placeholder id that no resource has."""
    return f"{prefix}-{'0' * 17}"


def want_of(resource: Resource, want: type[_W]) -> _W:
    """The desired state of a resource, checked to be of this type. Raises TypeError for another kind's."""
    if not isinstance(resource.want, want):
        raise TypeError(f"{resource.key} wants {resource.want}, not a {want.__name__}")
    return resource.want


def named(kind: str, id: str, tags: Iterable[Mapping[str, object]] | None, **facts: Any) -> Found:
    """The Found of a resource that AWS identifies by name."""
    own = from_tag_list(tags)
    return Found(key=own.get(TAG_KEY, ""), kind=kind, id=id, tags=own, facts=facts)


def ours(found: Found | None, lab: Lab) -> list[Found]:
    """Whether a resource found by name belongs to the lab. Everybody in the account shares the names, so only the tags tell."""
    return [found] if found and found.tags.get(TAG_LAB_ID) == lab.lab_id else []


def remove(call: Callable[[], object], *, where: str, todo: str = "") -> None:
    """Makes a delete call; "not found" counts as success.

    Raises Blocked while something else uses the resource, or when AWS could not be reached for too long; Refused when AWS denies it, with
    advice (by default for the error's code); AwsError when the credentials are invalid.
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
    """A difference for each fact whose value is known and differs from the wanted one."""
    return [
        Difference(field=field, have=have[field], want=value)
        for field, value in want.items()
        if have.get(field) is not None and have[field] != value
    ]


def _for_ec2(tags: Sequence[Tag]) -> list[TagTypeDef]:
    return [{"Key": tag["Key"], "Value": tag["Value"]} for tag in tags]
