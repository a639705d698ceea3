"""A hostile cloud: throttling, lost answers, ids that become known slowly, listings that lag. `up`, `up`, `down` end right, and end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enaxp.local.strict import Fault, FaultPlan, Timing
from tests.support.crash_harness import WHOLE, DeadlyCloud, Labs, census, deadly_cloud

pytestmark = pytest.mark.thorough

Record = Callable[[str, object], None]

AS_AWS_AT_ITS_WORST = Timing(
    instance_running=2.0,
    attach=0.5,
    terminate=2.0,
    profile_visible=10.0,
    ids_unknown=2.0,
    tags_blind=4.0,
    placement_group=1.0,
    placement_group_release=1.0,
    eni_release=1.0,
    flapping=0.1,
)
SLOW = Timing(
    instance_running=0.5,
    attach=0.2,
    terminate=0.5,
    profile_visible=1.5,
    ids_unknown=0.4,
    tags_blind=1.0,
    placement_group=0.3,
    placement_group_release=0.5,
    eni_release=0.4,
)
MUTATING = (
    "Create*",
    "Run*",
    "Allocate*",
    "Associate*",
    "Attach*",
    "Authorize*",
    "Import*",
    "Modify*",
    "Add*",
    "Delete*",
    "Terminate*",
    "Release*",
)


def hostile(seed: int) -> FaultPlan:
    lost = [
        Fault(action=a, phase="after", status=500, code="InternalError", message="lost", probability=0.05)
        for a in MUTATING
    ]
    throttled = Fault(
        action="*", status=503, code="RequestLimitExceeded", message="Request limit exceeded.", probability=0.35
    )
    return FaultPlan([*lost, throttled], seed=seed)


@pytest.mark.parametrize("seed", [1])
def test_up_up_and_down_end_right_in_a_hostile_cloud(tmp_path: Path, seed: int, record_property: Record) -> None:
    with deadly_cloud(SLOW) as cloud:
        up_up_down(cloud, tmp_path, seed=seed, grace_s=3.0, record=record_property)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(1, 21))
def test_up_up_and_down_end_right_in_a_cloud_at_its_worst(tmp_path: Path, seed: int, record_property: Record) -> None:
    with deadly_cloud(AS_AWS_AT_ITS_WORST) as cloud:
        up_up_down(cloud, tmp_path, seed=seed, grace_s=12.0, record=record_property)


def up_up_down(cloud: DeadlyCloud, folder: Path, *, seed: int, grace_s: float, record: Record) -> None:
    """As everybody uses it, each command with clients of its own. grace_s: how long enaxp gives new resources to become visible; longer
    than they take.
    """
    cloud.server.set_faults(hostile(seed))
    for _ in range(2):
        labs = Labs(cloud, folder, grace_s=grace_s)
        labs.up()
        there = census(labs)
        record("duplicates", sum(max(0, count - WHOLE.get(kind, 0)) for kind, count in there.items()))
        assert there == WHOLE
    removal, left = Labs(cloud, folder, grace_s=grace_s).down(), cloud.server.resources()
    record("leaks", len(left))
    assert (removal.lab_is_gone, left) == (True, [])
