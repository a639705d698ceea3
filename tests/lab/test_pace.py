"""What a plan of a fleet says: how long it takes at least, and pairs folded by variant."""

from __future__ import annotations

from datetime import UTC, datetime

from enaxp.config import load_config
from enaxp.lab.fleet import pin_fleet
from enaxp.lab.model import Lab, Resource
from enaxp.lab.pace import calls_of, least_time_text
from enaxp.lab.plan import Plan, make_plan
from enaxp.lab.spec import Resolved, wanted
from enaxp.lab.state import State
from enaxp.lab.survey import Survey
from enaxp.terminal.lab import folded_plan_text, plan_text

BEGAN, ENDS = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, 16, tzinfo=UTC)


def plan_of(**overrides: object) -> tuple[Plan, tuple[Resource, ...]]:
    """The plan of a lab of which nothing is there."""
    config = load_config(overrides={key.replace("__", "."): value for key, value in overrides.items()})
    resolved = Resolved(
        ami="ami-1",
        availability_zone="us-east-1a",
        ssh_cidr="198.51.100.7/32",
        second_zone="us-east-1b",
        fleet=pin_fleet(config, None),
    )
    lab = Lab(name="dev", lab_id="1-2-3", region="us-east-1", created_at=BEGAN, expires_at=ENDS)
    resources = wanted(config, resolved, public_key="ssh-ed25519 AAAA", partition="aws", expires_at=ENDS)
    compute = tuple(resource for resource in resources if resource.layer != "monitoring")
    state = State(
        lab="dev", lab_id="1-2-3", account="1" * 12, region="us-east-1", target="aws", created_at=BEGAN, expires_at=ENDS
    )
    return make_plan(compute, Survey(found={}), state, lab), compute


def test_one_pair_does_not_feel_the_rates() -> None:
    assert least_time_text(*plan_of()) == ""


def test_launches_are_what_a_fleet_of_59_pairs_waits_for() -> None:
    plan, resources = plan_of(fleet__pairs=59)

    calls = calls_of(plan, resources)

    assert (calls["RunInstances"], calls["AttachNetworkInterface"], calls["CreateNetworkInterface"]) == (118, 118, 118)
    assert calls["AllocateAddress"] == calls["ModifyNetworkInterfaceAttribute"] == 0
    assert least_time_text(plan, resources) == (
        "at least 56 s at AWS's rates: 118 calls of RunInstances, 5 at once and then 2 a second"
    )


def test_the_pairs_of_a_variant_are_one_line_for_each_kind_unless_unfolded() -> None:
    plan, _ = plan_of(fleet={"pairs": 3, "variants": {"near": {}, "far": {"placement": "zones"}}})

    folded, whole = folded_plan_text(plan), plan_text(plan)

    assert folded.count("instance/") == 4
    assert "+ create   instance/near-*/server" in folded
    assert "not there yet (3 pairs: near-1 to near-3)" in folded
    assert "subnet/second" in folded
    assert whole.count("instance/near-") >= 6
    assert folded.splitlines()[-1] == f"{len(plan.steps)} to create (--unfold shows each)"


def test_a_plan_without_a_fleet_is_shown_as_ever() -> None:
    plan, _ = plan_of()

    assert folded_plan_text(plan) == plan_text(plan)
