"""Survey: the existing resources of a lab. One describe call per kind, filtered by tag, all in parallel.

lab-id ─▶ Kind.find (all kinds at once) ─┐
ids in the state that no listing shows ──┼─▶ Survey: key → Found, and duplicates
given resources ─▶ Kind.look ────────────┘
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from enaxp.aws import DENIED, Aws, code_of, in_parallel, is_about_credentials, matching, refused
from enaxp.errors import AwsError
from enaxp.lab.kinds import KINDS, removable
from enaxp.lab.kinds.identity import Role
from enaxp.lab.model import TAG_LAB, TAG_LAB_ID, Found, Lab, Resource, unique_name
from enaxp.lab.state import State

WORKERS = 16
READS = 4  # that must all miss a resource of the state before it counts as missing: seconds in all


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The existing resources of a lab. found: one for each key. duplicates: further resources with the same key (from a create whose
    answer was lost). disowned: by key, resources in the state that no longer have the lab-id tag; enaxp does not touch them. unread: the
    kinds that AWS refused to list, with its message.
    """

    found: Mapping[str, Found]
    duplicates: tuple[Found, ...] = ()
    disowned: Mapping[str, Found] = field(default_factory=dict)
    unread: Mapping[str, AwsError] = field(default_factory=dict)

    def ids(self) -> dict[str, str]:
        return {key: found.id for key, found in (*self.disowned.items(), *self.found.items())}

    def all(self) -> tuple[Found, ...]:
        return (*self.found.values(), *self.duplicates)


def survey(
    aws: Aws, lab: Lab, *, state: State, resources: Iterable[Resource] = (), kinds: Iterable[str] | None = None
) -> Survey:
    """The survey of these kinds (by default all): every resource with the lab-id, and the given ones among `resources`.

    Raises AwsError when AWS refuses to list one of the kinds.
    """
    seen = survey_what_can_be_read(aws, lab, state=state, resources=resources, kinds=kinds)
    for error in seen.unread.values():
        raise error
    return seen


def survey_what_can_be_read(
    aws: Aws, lab: Lab, *, state: State, resources: Iterable[Resource] = (), kinds: Iterable[str] | None = None
) -> Survey:
    """Like `survey`, but a kind that AWS refuses to list is put into `unread`.

    Raises AwsError when the credentials are invalid, or AWS refuses to list every kind.
    """
    key_of = {(entry.kind, entry.id): key for key, entry in state.resources.items() if entry.owned}
    given = [resource for resource in resources if not resource.owned]
    kinds = tuple(KINDS if kinds is None else kinds)
    reading = _Reading(aws, lab)
    with ThreadPoolExecutor(WORKERS) as pool:
        lists = [pool.submit(reading.find, kind) for kind in kinds]
        looks = [pool.submit(reading.look_at_given, resource) for resource in given]
        listed = [found for future in lists for found in future.result()]
        foreign = [future.result() for future in looks]
        unlisted = _not_listed(state, [k for k in kinds if k not in reading.unread], {found.id for found in listed})
        late = [f for f in pool.map(lambda at: reading.look_for_known(*at), unlisted) if f is not None]
    if reading.unread and len(reading.unread) == len({*kinds, *(resource.kind for resource in given)}) > 1:
        raise next(iter(reading.unread.values()))
    ours = [found for found in (*listed, *late) if found.tags.get(TAG_LAB_ID) == lab.lab_id and not found.gone]
    keyed = [replace(found, key=key_of.get((found.kind, found.id), found.key or found.kind)) for found in ours]
    one, more = _oldest_first(keyed, state)
    for resource, seen in zip(given, foreign, strict=True):
        if seen is not None:
            one[resource.key] = replace(seen, key=resource.key)
    disowned = {
        key: replace(found, key=key)
        for found in late
        if (key := key_of.get((found.kind, found.id))) and TAG_LAB_ID not in found.tags and not found.gone
    }
    return Survey(found=one, duplicates=tuple(more), disowned=disowned, unread=dict(reading.unread))


class _Reading:
    """Reads kinds in parallel, and collects AWS's refusals."""

    def __init__(self, aws: Aws, lab: Lab) -> None:
        self.aws = aws
        self.lab = lab
        self.unread: dict[str, AwsError] = {}

    def find(self, kind: str) -> list[Found]:
        """Every resource of this kind; none if AWS refuses."""
        with self._noting(kind):
            return removable(kind).find(self.aws, self.lab)
        return []

    def look(self, kind: str, id: str) -> Found | None:
        """The resource with this id; None if there is none, or if AWS refuses."""
        with self._noting(kind):
            return removable(kind).look(self.aws, id)
        return None

    def look_for_known(self, kind: str, id: str) -> Found | None:
        """Like `look`, for a resource in the state: it is missing only if READS reads in a row do not show it. Reads of AWS are eventually
        consistent: one may miss a new resource that an earlier one showed, and a second one would be created."""
        found = None
        for pause_s in (0.0, *itertools.islice(self.aws.pauses(), READS - 1)):
            time.sleep(pause_s)
            found = self.look(kind, id)
            if found is not None or kind in self.unread:
                break
        return found

    def look_at_given(self, resource: Resource) -> Found | None:
        """Like `look` for a given resource. A caller may be allowed to use a profile or key by name but not to read it: then it is
        assumed to exist."""
        id = str(resource.given_id)
        if not KINDS[resource.kind].unique_by_name:
            return self.look(resource.kind, id)
        from botocore.exceptions import ClientError

        with self._noting(resource.kind):
            try:
                return KINDS[resource.kind].look(self.aws, id)
            except ClientError as error:
                if code_of(error) not in DENIED:
                    raise
                return Found(key=resource.key, kind=resource.kind, id=id, tags={})
        return None

    @contextlib.contextmanager
    def _noting(self, kind: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (ClientError, BotoCoreError) as error:
            told = refused(f"looking at what exists of lab {self.lab.name} in {self.lab.region} (kind {kind})", error)
            if is_about_credentials(error):
                raise told from error
            self.unread[kind] = told


def discover_lab_id(aws: Aws, *, lab: str, region: str) -> str | None:
    """The lab-id of the lab with this name in the region, from the role's tags or any tagged resource; None if there is none."""
    named = matching({"key": [TAG_LAB], "value": [lab]})
    role, pages = in_parallel(
        lambda: _claim(aws, unique_name(lab, region)),
        lambda: list(aws.ec2.get_paginator("describe_tags").paginate(Filters=named)),
    )
    if role is not None and role.tags.get(TAG_LAB) == lab and TAG_LAB_ID in role.tags:
        return role.tags[TAG_LAB_ID]
    tagged_ids = [tag["ResourceId"] for page in pages for tag in page["Tags"]]
    if not tagged_ids:
        return None
    ids = matching({"key": [TAG_LAB_ID], "resource-id": tagged_ids[:200]})
    answer = aws.ec2.describe_tags(Filters=ids)["Tags"]
    return answer[0]["Value"] if answer else None


def _claim(aws: Aws, name: str) -> Found | None:
    """The role with this name; None if there is none, or if the caller may not read it."""
    from botocore.exceptions import ClientError

    try:
        return KINDS[Role.name].look(aws, name)
    except ClientError as error:
        if code_of(error) not in DENIED:
            raise
        return None


def _not_listed(state: State, kinds: Iterable[str], listed: set[str]) -> list[tuple[str, str]]:
    """Resources in the state that no listing shows, read by id, because listings by tag are eventually consistent."""
    wanted = set(kinds)
    return [(e.kind, e.id) for e in state.resources.values() if e.owned and e.kind in wanted and e.id not in listed]


def _oldest_first(found: list[Found], state: State) -> tuple[dict[str, Found], list[Found]]:
    """One resource per key: the one in the state, else the oldest; one that is ending only if there is no other."""
    known = set(state.ids().values())
    one: dict[str, Found] = {}
    more: list[Found] = []
    for candidate in sorted(found, key=lambda f: (f.makes_way, f.id not in known, f.created, f.id)):
        if candidate.key in one:
            more.append(candidate)
        else:
            one[candidate.key] = candidate
    return one, more
