"""How rules are found: by their decorators, in the order of the files and of the functions in a file."""

from __future__ import annotations

import importlib
import pkgutil

import botocore.session

from enaxp.local.strict import rules
from enaxp.local.strict.rules.rule import Rule

ACTIONS = set(botocore.session.get_session().get_service_model("ec2").operation_names)
MODULES = [
    importlib.import_module(f"{rules.__name__}.{module.name}") for module in pkgutil.iter_modules(rules.__path__)
]


def written() -> list[Rule]:
    """Every rule in a file of the folder."""
    return [one for module in MODULES for one in vars(module).values() if isinstance(one, Rule)]


def found() -> set[Rule]:
    """Every rule that some request meets."""
    return {one for action in ACTIONS for one in rules.rules_of(action)}


def test_a_rule_in_any_file_of_the_folder_is_met() -> None:
    assert {one for one in written() if one.scope != "form"} == found()


def test_a_rule_names_actions_that_ec2_has() -> None:
    named = {action for one in written() for action in one.actions}

    assert named - ACTIONS == set()


def test_a_launch_meets_quotas_after_its_own_rules_and_room_last() -> None:
    names = [one.check.__name__ for one in rules.rules_of("RunInstances")]

    assert names[:3] == ["named_resources_exist", "filters_are_there", "page_is_asked_for_rightly"]
    assert names[3] == "counts_are_sensible"
    assert names[-3:] == ["profile_is_known", "vcpus_are_left", "zone_has_room"]
