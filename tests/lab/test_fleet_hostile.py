"""A fleet in a hostile cloud, which throttles and loses answers: `up`, `up`, `down` end right, and end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.local.strict import Fault, FaultPlan, Timing
from tests.lab.test_fleet_crash import FLEET, WHOLE
from tests.support.crash_harness import Labs, census, deadly_cloud

SLOW = replace(Timing.instant(), instance_running=0.5, attach=0.2, ids_unknown=0.4, tags_blind=1.0, eni_release=0.4)
MUTATING = ("Create*", "Run*", "Attach*", "Modify*", "Authorize*", "Delete*", "Terminate*", "Detach*")


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(1, 6))
def test_up_up_and_down_end_right_in_a_hostile_cloud(tmp_path: Path, seed: int) -> None:
    lost = [
        Fault(action=a, phase="after", status=500, code="InternalError", message="lost", probability=0.05)
        for a in MUTATING
    ]
    throttled = Fault(action="*", status=503, code="RequestLimitExceeded", message="too many", probability=0.2)
    with deadly_cloud(SLOW) as cloud:
        cloud.server.set_faults(FaultPlan([*lost, throttled], seed=seed))
        labs = Labs(cloud, tmp_path, overrides=FLEET, grace_s=3.0)

        labs.up()
        labs.up()

        assert census(labs) == WHOLE
        removal = labs.down()
        assert (removal.leftovers, removal.lab_is_gone, cloud.server.resources()) == ((), True, [])
