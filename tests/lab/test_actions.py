"""The actions that are refused in turn are all that the kinds call: none of a new kind is forgotten."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml

from enaxp.lab.kinds import KINDS

LISTED: dict[str, list[str]] = yaml.safe_load((Path(__file__).parents[1] / "data/actions.yaml").read_text())


def test_every_action_of_a_kind_is_in_one_of_the_lists() -> None:
    of_kinds = {action.partition(":")[2] for kind in KINDS.values() for action in (*kind.writes, *kind.reads)}
    listed = Counter(action for actions in LISTED.values() for action in actions)

    assert set(listed) == of_kinds
    assert not [action for action, times in listed.items() if times > 1]


def test_what_looks_is_in_no_list_of_what_changes() -> None:
    looks = ("Describe", "Get", "List")

    assert [action for action in LISTED["reading"] if not action.startswith(looks)] == []
    assert [action for name in ("making", "ending") for action in LISTED[name] if action.startswith(looks)] == []
