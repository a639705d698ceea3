"""The resources and condition keys that each action is judged on, from `actions.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TAGS = "aws:ResourceTag"
NEW_TAGS = "aws:RequestTag"
TAG_KEYS = "aws:TagKeys"
_OWN_TAGS = {"ec2": "ec2:ResourceTag", "iam": "iam:ResourceTag", "ecr": "ecr:ResourceTag", "ssm": "ssm:resourceTag"}


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A type of resource that an action is judged on. required: also where the request names none. keys: those that a request has."""

    name: str
    required: bool
    keys: frozenset[str]


@cache
def resource_types(action: str) -> tuple[ResourceType, ...]:
    """The types that an action is judged on; none: it is judged on `*`. Raises KeyError for an action that AWS has not, or that
    `actions.yaml` does not list."""
    if action not in _actions():
        raise KeyError(f"{action} is not in access/actions.yaml")
    service = action.partition(":")[0]
    return tuple(
        ResourceType(name=name.removesuffix("?"), required=not name.endswith("?"), keys=_keys(service, keys))
        for name, keys in _actions()[action].items()
    )


def _keys(service: str, written: list[str]) -> frozenset[str]:
    meaning = {
        "tags": {TAGS, _OWN_TAGS["ec2"]} if service == "ec2" else {TAGS},
        "own-tags": {_OWN_TAGS.get(service, TAGS)},
        "new-tags": {NEW_TAGS, TAG_KEYS},
    }
    return frozenset(key for one in written for key in meaning.get(one, {one}))


@cache
def _actions() -> Mapping[str, Mapping[str, Any]]:
    text = Path(__file__).with_name("actions.yaml").read_text(encoding="utf-8")
    actions: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)
    return actions
