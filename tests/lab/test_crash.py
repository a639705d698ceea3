"""Killed at any moment: the next `up` ends with exactly one of each thing, the next `down` with none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from doomed import WHOLE, DeadlyCloud, Labs, Phase, census, deadly_cloud

UP_CALLS, DOWN_CALLS = 36, 26  # at most so many mutating calls; a moment that is never reached ends its case


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as cloud:
        yield cloud


@pytest.fixture
def labs(cloud: DeadlyCloud, tmp_path: Path) -> Iterator[Labs]:
    labs = Labs(cloud, tmp_path)
    yield labs
    labs.down()
    assert cloud.server.things() == []


def moments(count: int, *, every: int) -> list[tuple[int, Phase]]:
    """A seeded choice of moments that covers the whole way; each phase at others."""
    chosen = random.Random(4)
    return [(nth + chosen.randrange(every), phase) for phase in ("after", "before") for nth in range(1, count, every)]  # type: ignore[misc]


@pytest.mark.parametrize(("nth", "phase"), moments(UP_CALLS, every=8))
def test_killed_in_up_the_next_up_makes_exactly_one_of_each(labs: Labs, nth: int, phase: Phase) -> None:
    labs.killed(labs.up, nth=nth, phase=phase)

    labs.up()

    assert census(labs) == WHOLE
    assert labs.changes_left() == []


@pytest.mark.parametrize(("nth", "phase"), moments(UP_CALLS, every=12))
def test_killed_in_up_the_next_down_leaves_nothing(labs: Labs, nth: int, phase: Phase) -> None:
    labs.killed(labs.up, nth=nth, phase=phase)

    removal = labs.down()

    assert (removal.leftovers, removal.lab_is_gone) == ((), True)
    assert labs.cloud.server.things() == []
    assert not (labs.folder / "dev.json").exists()


@pytest.mark.parametrize(("nth", "phase"), moments(DOWN_CALLS, every=9))
def test_killed_in_down_the_next_down_goes_on(labs: Labs, nth: int, phase: Phase) -> None:
    labs.up()
    labs.killed(labs.down, nth=nth, phase=phase)

    assert labs.down().lab_is_gone
    assert labs.cloud.server.things() == []


@pytest.mark.parametrize("nth", [3, 15])
def test_killed_in_down_the_next_up_builds_what_is_missing(labs: Labs, nth: int) -> None:
    labs.up()
    labs.killed(labs.down, nth=nth, phase="after")

    labs.up()

    assert census(labs) == WHOLE
    assert labs.changes_left() == []


@pytest.mark.acceptance
@pytest.mark.parametrize("phase", ["after", "before"])
@pytest.mark.parametrize("nth", range(1, UP_CALLS))
def test_killed_anywhere_in_up_the_next_up_and_down_are_right(labs: Labs, nth: int, phase: Phase) -> None:
    labs.killed(labs.up, nth=nth, phase=phase)

    labs.up()

    assert census(labs) == WHOLE
    labs.killed(labs.down, nth=nth, phase=phase)
    assert labs.down().lab_is_gone


@pytest.mark.parametrize("accident", ["deleted", "emptied", "truncated", "older"])
@pytest.mark.parametrize("verb", ["up", "down"])
def test_a_state_file_that_is_lost_or_old_costs_nothing(labs: Labs, accident: str, verb: str) -> None:
    path, backup = labs.folder / "dev.json", labs.folder / "dev.json.bak"
    labs.killed(labs.up, nth=12, phase="after")
    older = path.read_text()
    labs.up()
    if accident == "deleted":
        path.unlink()
        backup.unlink()
    elif accident == "older":
        path.write_text(older)
    else:
        for one in (path, backup):
            one.write_text("" if accident == "emptied" else one.read_text()[:200])

    if verb == "up":
        labs.up()
        assert census(labs) == WHOLE
    else:
        assert labs.down().lab_is_gone
        assert labs.cloud.server.things() == []


def test_nothing_of_others_is_touched(labs: Labs, tmp_path: Path) -> None:
    other = Labs(labs.cloud, tmp_path / "other", lab="other")
    other.up()
    theirs = set(labs.cloud.server.things())

    labs.up()
    labs.killed(labs.down, nth=5, phase="after")
    labs.down()

    assert set(labs.cloud.server.things()) == theirs
    assert other.changes_left() == []
    other.down()
