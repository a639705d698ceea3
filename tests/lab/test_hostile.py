"""A hostile cloud: throttling, lost answers, ids that become known slowly, listings that lag. `up`, `up`, `down` end right, and end."""

from __future__ import annotations

from pathlib import Path

import pytest
from doomed import WHOLE, Labs, census, deadly_cloud

from enaxp.local.strict import Fault, FaultPlan, Timing

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
        action="*", status=503, code="RequestLimitExceeded", message="Request limit exceeded.", probability=0.2
    )
    return FaultPlan([*lost, throttled], seed=seed)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.acceptance) for seed in range(2, 8))])
def test_up_up_and_down_end_right_in_a_hostile_cloud(tmp_path: Path, seed: int) -> None:
    with deadly_cloud(SLOW) as cloud:
        labs = Labs(cloud, tmp_path)
        labs.grace_s = 3.0
        cloud.server.set_faults(hostile(seed))

        labs.up()
        assert census(labs) == WHOLE
        labs.up()
        assert census(labs) == WHOLE
        assert labs.down().lab_is_gone
        assert cloud.server.things() == []
