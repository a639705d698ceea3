"""Tags: differences between a resource's tags and the wanted ones, and tagging of existing resources with each kind's own call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from enaxp.aws import Aws, refused
from enaxp.lab.kinds import KINDS
from enaxp.lab.model import TAG_EXPIRES, Change, Found, Lab, Resource, Tag, as_tag_list, change


def tag_changes(resource: Resource, found: Found, lab: Lab) -> Iterator[Change]:
    """A change for each tag that is missing or differs. Any expiry is accepted, because `extend` on another computer may have changed
    it."""
    for tag, want in lab.tags_for(resource).items():
        have = found.tags.get(tag)
        if have != want and not (tag == TAG_EXPIRES and have):
            put = partial(put_tags, resources=[found], tags={tag: want})
            yield change(f"tag {tag}", have=have, want=want, act=put)


def put_tags(aws: Aws, resources: Iterable[Found], tags: Mapping[str, str]) -> None:
    """Sets these tags on every resource; other tags are kept. Idempotent. Raises AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError

    together: dict[Callable[[Aws, Sequence[Found], Sequence[Tag]], None], list[Found]] = defaultdict(list)
    for found in resources:
        together[KINDS[found.kind].tag].append(found)
    try:
        for tag, those in together.items():
            tag(aws, those, as_tag_list(tags))
    except (ClientError, BotoCoreError) as error:
        count = sum(map(len, together.values()))
        raise refused(f"tagging {count} resources with {', '.join(tags)}", error) from error
