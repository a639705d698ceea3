"""No room in a zone: the pair moves on, each zone is tried once, and a failed `up` can take back what it made."""

from __future__ import annotations

from pathlib import Path

import pytest

from enaxp.errors import LabError
from enaxp.lab.lifecycle import Snapshot
from enaxp.lab.zones import rollback, up_in_some_zone
from enaxp.local.strict import Capacity
from tests.support.crash_harness import WHOLE, DeadlyCloud, Labs, census

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e", "us-east-1f"]


def up(labs: Labs, snapshot: Snapshot) -> list[str]:
    """What was said on the way."""
    said: list[str] = []
    up_in_some_zone(labs.context(), snapshot, layers=None, watch=lambda _event: None, note=said.append)
    return said


@pytest.mark.parametrize("late", [False, True], ids=["refused", "ended after the launch"])
@pytest.mark.parametrize("room", [0, 1], ids=["for none", "for one"])
def test_the_pair_moves_on_to_a_zone_that_has_room(cloud: DeadlyCloud, tmp_path: Path, room: int, late: bool) -> None:
    labs = Labs(cloud, tmp_path)
    cloud.server.set_capacity(Capacity(zones={"us-east-1a": room}, late=late))

    said = up(labs, labs.snapshot())

    assert said == ["us-east-1a has no room for a c6i.8xlarge: moving on to us-east-1b"]
    assert census(labs) == WHOLE
    assert labs.file().state.pinned.availability_zone == "us-east-1b"
    assert labs.changes_left() == []
    assert labs.down().lab_is_gone


def test_when_no_zone_has_room_the_zones_tried_are_told_and_all_can_be_taken_back(
    cloud: DeadlyCloud, tmp_path: Path
) -> None:
    labs = Labs(cloud, tmp_path)
    cloud.server.set_capacity(Capacity(zones=dict.fromkeys(ZONES, 0)))
    before = labs.snapshot()

    with pytest.raises(LabError, match=r"no room for two c6i\.8xlarge; tried: us-east-1a, us-east-1b, us-east-1c"):
        up(labs, before)
    rollback(labs.context(), before, watch=lambda _event: None)

    assert cloud.server.resources() == []
    assert not (tmp_path / "dev.json").exists()


def test_what_was_there_before_is_not_taken_back(cloud: DeadlyCloud, tmp_path: Path) -> None:
    labs = Labs(cloud, tmp_path)
    labs.up(layers=("network",))
    there = census(labs)
    cloud.server.set_capacity(Capacity(zones=dict.fromkeys(ZONES, 0)))
    before = labs.snapshot()

    with pytest.raises(LabError):
        up(labs, before)
    rollback(labs.context(), before, watch=lambda _event: None)

    assert census(labs) == there
    assert labs.down().lab_is_gone
