"""What the strict AWS knows of each type of EC2 resource suffices for every kind that enaxp makes, and for every call of theirs."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from enaxp.lab.kinds import KINDS
from enaxp.lab.kinds.base import Ec2Kind
from enaxp.local.strict.access.actions import resource_types
from enaxp.local.strict.calls import RESOURCE_ID
from enaxp.local.strict.resource_types import BY_NAME, TYPES, ids_named_in

CALLED = sorted({action for kind in KINDS.values() for action in (*kind.writes, *kind.reads)})


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if isinstance(kind, Ec2Kind)], ids=lambda kind: kind.name
)
def test_the_type_of_every_kind_of_ec2_is_known_by_its_name_and_its_ids(kind: Ec2Kind) -> None:
    known = BY_NAME[kind.resource_type]

    assert kind.creates.removeprefix("ec2:") in known.creates
    assert RESOURCE_ID.fullmatch(f"{known.prefix}-0123456789abcdef0")


@pytest.mark.parametrize("action", CALLED)
def test_what_every_call_of_a_kind_is_judged_on_is_known(action: str) -> None:
    assert isinstance(resource_types(action), tuple)


def test_an_action_that_is_not_listed_is_named() -> None:
    with pytest.raises(KeyError, match=re.escape("ec2:CreateMoon is not in access/actions.yaml")):
        resource_types("ec2:CreateMoon")


def test_no_prefix_and_no_name_stands_twice() -> None:
    assert not [name for name, times in Counter(one.prefix for one in TYPES).items() if times > 1]
    assert not [name for name, times in Counter(one.type for one in TYPES).items() if times > 1]


def test_a_member_can_name_something_else_in_one_action() -> None:
    assert ids_named_in("DescribeInstances")["GroupIds"].prefix == "sg"
    assert ids_named_in("DescribePlacementGroups")["GroupIds"].prefix == "pg"
