"""What the kinds share: defaults for what most of them do not need, and the EC2 describe that all of EC2 answers alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from enaxp.aws import Aws, Blocked, is_gone, is_in_use, is_not_yet_visible, is_throttled, text_of
from enaxp.lab.model import (
    TAG_KEY,
    TAG_LAB_ID,
    Change,
    Difference,
    Found,
    Ids,
    Lab,
    Resource,
    as_tag_list,
    from_tag_list,
)


class BaseKind:
    """A kind without a token, without settings, with nothing that is fixed: each kind says what is otherwise."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    needs_settled: ClassVar[bool] = False
    token: ClassVar[bool] = False
    ready_s: ClassVar[float] = 120.0
    actions: ClassVar[tuple[str, ...]] = ()

    def fixed(self, resource: Resource, found: Found) -> list[Difference]:
        return []

    def settle(self, resource: Resource, found: Found, ids: Ids) -> Iterator[Change]:
        yield from ()

    def as_made(self, resource: Resource, ids: Ids) -> Mapping[str, Any] | None:
        return None

    def may_repeat(self, error: Exception) -> bool:
        """Whether a refused create may be asked again: what it refers to is not known everywhere yet, or we asked too often."""
        return is_not_yet_visible(error) or is_throttled(error)


class Ec2Kind(BaseKind):
    """A kind that EC2 describes with filters and ids: subclasses say with which call, and how to read one answer."""

    resource_type: ClassVar[str]  # as TagSpecifications calls it
    describe: ClassVar[str]  # the client method
    items: ClassVar[str]  # the member of its answer that holds the list
    ids_argument: ClassVar[str]

    def read(self, item: Mapping[str, Any]) -> Found | None:
        """Found out of one item of the answer; None for what counts as not there."""
        raise NotImplementedError

    def find(self, aws: Aws, lab: Lab) -> list[Found]:
        return self._describe(aws, Filters=[{"Name": f"tag:{TAG_LAB_ID}", "Values": [lab.lab_id]}])

    def look(self, aws: Aws, id: str) -> Found | None:
        try:
            found = self._describe(aws, **{self.ids_argument: [id]})
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return found[0] if found else None

    def _describe(self, aws: Aws, **arguments: Any) -> list[Found]:
        if aws.ec2.can_paginate(self.describe):
            pages = aws.ec2.get_paginator(self.describe).paginate(**arguments)
        else:
            pages = [getattr(aws.ec2, self.describe)(**arguments)]
        read = (self.read(item) for page in pages for item in self._items(page))
        return [found for found in read if found is not None]

    def _items(self, page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return page.get(self.items) or []

    def found(
        self,
        id: str,
        tags: list[dict[str, str]] | None,
        *,
        pending: str = "",
        gone: str = "",
        created: str = "",
        **facts: Any,
    ) -> Found:
        own = from_tag_list(tags)
        key = own.get(TAG_KEY, "")
        return Found(key=key, kind=self.name, id=id, tags=own, facts=facts, pending=pending, gone=gone, created=created)

    def tagged(self, resource: Resource, lab: Lab, *resource_types: str) -> list[dict[str, Any]]:
        """TagSpecifications for a create call."""
        tags = as_tag_list(lab.tags_for(resource))
        return [
            {"ResourceType": resource_type, "Tags": tags} for resource_type in resource_types or (self.resource_type,)
        ]


def named(kind: str, id: str, tags: list[dict[str, str]] | None, **facts: Any) -> Found:
    """Found of what AWS knows by its name."""
    own = from_tag_list(tags)
    return Found(key=own.get(TAG_KEY, ""), kind=kind, id=id, tags=own, facts=facts)


def ours(found: Found | None, lab: Lab) -> list[Found]:
    """Names are shared by everybody in the account: only the tags say whose it is."""
    return [found] if found and found.tags.get(TAG_LAB_ID) == lab.lab_id else []


def remove(call: Callable[[], object], *, where: str) -> None:
    """Makes a call that takes something away: what is gone already is done. Raises Blocked while something else uses it."""
    try:
        call()
    except ClientError as error:
        if is_gone(error):
            return
        if is_in_use(error):
            raise Blocked(where, by=text_of(error)) from error
        raise


def differences(have: Mapping[str, Any], want: Mapping[str, Any], *fields: str) -> list[Difference]:
    """Differences in the fields named, where the fact is known at all."""
    return [
        Difference(field=field, have=have.get(field), want=want[field])
        for field in fields
        if have.get(field) is not None and have.get(field) != want[field]
    ]
