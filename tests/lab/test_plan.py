"""The plan, case by case: what is wanted and what is there → steps. One file for each case in plans/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from enaxp.config import load_config
from enaxp.lab.model import Found, Lab, Resource
from enaxp.lab.plan import Plan, make_plan
from enaxp.lab.software import pieces
from enaxp.lab.spec import Resolved, of_layers, wanted
from enaxp.lab.state import Entry, Intent, State
from enaxp.lab.survey import Survey

HERE = Path(__file__).parent
WHOLE: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "whole_lab.yaml").read_text())
CASES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((HERE / "plans").glob("*.yaml"))}
BEGAN, ENDS = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 16, tzinfo=UTC)
PINS = {"ami": "ami-1", "availability_zone": "us-east-1a", "ssh_cidr": "198.51.100.7/32"}
FIELDS = {
    "says",
    "config",
    "resolved",
    "layers",
    "nothing_but",
    "without",
    "facts",
    "pending",
    "duplicates",
    "disowned",
}
FIELDS |= {"state", "only", "steps", "changes", "also"}


def plan_of(case: Mapping[str, Any]) -> Plan:
    config = load_config(overrides=case.get("config"))
    lab = Lab(name="dev", lab_id="1-2-3", region="us-east-1", created_at=BEGAN, expires_at=ENDS)
    resolved = Resolved(**PINS | case.get("resolved", {}))
    everything = wanted(config, resolved, public_key="ssh-ed25519 AAAA enaxp", partition="aws", expires_at=ENDS)
    state = _state(case.get("state", {}))
    resources = of_layers(everything, case.get("layers", ("network", "compute")))
    asked = Lab(**{**vars(lab), "tags": config.tags})
    return make_plan(resources, _survey(case, everything, lab), state, asked)


def _survey(case: Mapping[str, Any], resources: Iterable[Resource], lab: Lab) -> Survey:
    keys = set(case.get("nothing_but", WHOLE)) - set(case.get("without", ())) - set(case.get("disowned", ()))
    found = {
        resource.key: _found(resource.key, case, lab.tags_for(resource))
        for resource in resources
        if resource.key in keys
    }
    more = tuple(Found(kind=one["key"].partition("/")[0], tags={}, **one) for one in case.get("duplicates", ()))
    disowned = {key: _found(key, case, {}) for key in case.get("disowned", ())}
    return Survey(found=found, duplicates=more, disowned=disowned)


def _found(key: str, case: Mapping[str, Any], tags: Mapping[str, str]) -> Found:
    there = WHOLE[key]
    facts = there["facts"] | case.get("facts", {}).get(key, {})
    if facts.get("digest") == "as wanted":  # it changes with the scripts
        facts["digest"] = next(piece.digest for piece in pieces() if key.endswith(f"/{piece.name}"))
    pending = case.get("pending", {}).get(key, "")
    return Found(key=key, kind=key.partition("/")[0], id=there["id"], tags=tags, facts=facts, pending=pending)


def _state(said: Mapping[str, Any]) -> State:
    known = {key: Entry(kind=key.partition("/")[0], id=WHOLE[key]["id"]) for key in said.get("only", WHOLE)}
    begun = {key: Intent(kind=key, token="t", request_hash="h", at=BEGAN) for key in said.get("intents", ())}
    return State(
        lab="dev",
        lab_id="1-2-3",
        account="123456789012",
        region="us-east-1",
        target="aws",
        created_at=BEGAN,
        expires_at=ENDS,
        resources=known,
        intents=begun,
    )


@pytest.mark.parametrize("name", CASES)
def test_the_steps_are_those_of_the_case(name: str) -> None:
    case = CASES[name]
    assert set(case) <= FIELDS, "the case has a field that is not known"

    plan = plan_of(case)

    only = case.get("only")
    steps = [step for step in plan.changing if step.action != "delete" and (only is None or step.key in only)]
    assert {step.key: f"{step.action}: {step.reason}" for step in steps} == case["steps"]
    extra = [f"delete {step.key} {step.id}: {step.reason}" for step in plan.with_action("delete")]
    assert extra == case.get("also", [])
    for key, changes in case.get("changes", {}).items():
        [step] = [step for step in steps if step.key == key]
        assert [str(change) for change in step.changes] == changes


def test_each_step_comes_after_what_it_needs() -> None:
    plan = plan_of(CASES["nothing_there"])
    place = {step.key: index for index, step in enumerate(plan.steps)}
    roots = [step.key for step in plan.steps if not step.needs]

    assert roots == ["role"]
    assert all(need in place for step in plan.steps for need in step.needs)
