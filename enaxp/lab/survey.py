"""Survey: what of a lab exists now. One describe for each kind, by tag, all side by side.

lab-id ─▶ Kind.find (all kinds at once) ─┐
ids in the state that no listing shows ──┼─▶ Survey: key → Found, and duplicates
given resources ─▶ Kind.look ────────────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from enaxp.aws import Aws, in_parallel, matching, refused
from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.identity import Role
from enaxp.lab.model import TAG_LAB, TAG_LAB_ID, Found, Lab, Resource, unique_name
from enaxp.lab.state import State

WORKERS = 16


@dataclass(frozen=True, kw_only=True)
class Survey:
    """found: one for each key. duplicates: further resources with a key that one has already (a create whose answer was lost).
    disowned: by key, what the state knows by its id and what carries no lab-id any more; nobody but its owner may touch it.
    """

    found: Mapping[str, Found]
    duplicates: tuple[Found, ...] = ()
    disowned: Mapping[str, Found] = field(default_factory=dict)

    def ids(self) -> dict[str, str]:
        return {key: found.id for key, found in (*self.disowned.items(), *self.found.items())}

    def all(self) -> tuple[Found, ...]:
        return (*self.found.values(), *self.duplicates)


def survey(
    aws: Aws, lab: Lab, *, state: State, resources: Iterable[Resource] = (), kinds: Iterable[str] | None = None
) -> Survey:
    """Everything of these kinds (without any named: of all) that carries the lab-id, and the given resources among `resources`.

    Raises AwsError when AWS refuses to tell.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    key_of = {(entry.kind, entry.id): key for key, entry in state.resources.items() if entry.owned}
    given = [resource for resource in resources if not resource.owned]
    kinds = tuple(KINDS if kinds is None else kinds)
    try:
        with ThreadPoolExecutor(WORKERS) as pool:
            lists = [pool.submit(KINDS[kind].find, aws, lab) for kind in kinds]
            looks = [pool.submit(KINDS[resource.kind].look, aws, str(resource.given_id)) for resource in given]
            listed = [found for future in lists for found in future.result()]
            foreign = [future.result() for future in looks]
            unlisted = _not_listed(state, kinds, {found.id for found in listed})
            late = [f for f in pool.map(lambda at: KINDS[at[0]].look(aws, at[1]), unlisted) if f is not None]
    except (ClientError, BotoCoreError) as error:
        raise refused(f"looking at what exists of lab {lab.name} in {lab.region}", error) from error
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
    return Survey(found=one, duplicates=tuple(more), disowned=disowned)


def discover_lab_id(aws: Aws, *, lab: str, region: str) -> str | None:
    """The lab-id of a lab of this name that lives in the region, from the role's tags or any tagged resource; None when there is none."""
    named = matching({"key": [TAG_LAB], "value": [lab]})
    role, pages = in_parallel(
        lambda: KINDS[Role.name].look(aws, unique_name(lab, region)),
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


def _not_listed(state: State, kinds: Iterable[str], listed: set[str]) -> list[tuple[str, str]]:
    """Listings by tag lag behind: what the state knows and no listing shows is looked at by its id."""
    wanted = set(kinds)
    return [(e.kind, e.id) for e in state.resources.values() if e.owned and e.kind in wanted and e.id not in listed]


def _oldest_first(found: list[Found], state: State) -> tuple[dict[str, Found], list[Found]]:
    """One of each key: the one that the state knows, else the oldest; one that AWS is ending only if there is no other."""
    known = set(state.ids().values())
    one: dict[str, Found] = {}
    more: list[Found] = []
    for candidate in sorted(found, key=lambda f: (f.makes_way, f.id not in known, f.created, f.id)):
        if candidate.key in one:
            more.append(candidate)
        else:
            one[candidate.key] = candidate
    return one, more
