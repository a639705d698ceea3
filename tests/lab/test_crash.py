"""Killed at any moment: the next `up` ends with exactly one of each resource, the next `down` with none."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from enaxp.lab.model import LAYERS
from tests.support.crash_harness import (
    MONITORED,
    WHOLE,
    DeadlyCloud,
    Labs,
    Moment,
    Phase,
    census,
    deadly_cloud,
    labs_taken_down,
)

pytestmark = pytest.mark.thorough

Record = Callable[[str, object], None]

UP = {"call": 44, "save": 60}  # at most so many of each; a moment that is never reached ends its case
DOWN = {"call": 34, "save": 34}


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as cloud:
        yield cloud


@pytest.fixture
def labs(cloud: DeadlyCloud, tmp_path: Path) -> Iterator[Labs]:
    with labs_taken_down(cloud, tmp_path) as labs:
        yield labs


def moments(most: Mapping[str, int], *, every: int) -> list[tuple[Moment, int, Phase]]:
    """A seeded choice of moments that covers the whole way; calls and saves, before and after, each at others. every=1: all of them."""
    chosen = random.Random(4)
    return [
        (at, nth + chosen.randrange(every), phase)  # type: ignore[misc]
        for at, count in most.items()
        for phase in ("after", "before")
        for nth in range(1, count, every)
    ]


def assert_whole(labs: Labs, record: Record) -> None:
    """Exactly one of each resource, and nothing left to do."""
    there = census(labs)
    whole = MONITORED if "monitoring" in labs.layers else WHOLE
    record("duplicates", sum(max(0, count - whole.get(kind, 0)) for kind, count in there.items()))
    assert there == whole
    assert labs.changes_left() == []


def assert_gone(labs: Labs, record: Record) -> None:
    """A `down` that ends well, and nothing there afterwards."""
    removal = labs.down()
    left = labs.cloud.server.resources()
    record("leaks", len(left))
    assert left == []
    assert (removal.leftovers, removal.lab_is_gone) == ((), True)
    assert not (labs.folder / "dev.json").exists()


IN_UP = moments(UP, every=12)
IN_DOWN = moments(DOWN, every=13)


@pytest.mark.parametrize(("in_up", "in_down"), itertools.zip_longest(IN_UP, IN_DOWN))
def test_killed_the_next_up_makes_exactly_one_of_each_and_the_next_down_continues(
    labs: Labs, in_up: tuple[Moment, int, Phase], in_down: tuple[Moment, int, Phase] | None, record_property: Record
) -> None:
    at, nth, phase = in_up
    labs.killed("up", at=at, nth=nth, phase=phase)

    labs.up()

    assert_whole(labs, record_property)
    if in_down is not None:
        at, nth, phase = in_down
        labs.killed("down", at=at, nth=nth, phase=phase)
        assert_gone(labs, record_property)


@pytest.mark.parametrize(("at", "nth", "phase"), moments(UP, every=20))
def test_killed_in_up_the_next_down_leaves_nothing(
    labs: Labs, at: Moment, nth: int, phase: Phase, record_property: Record
) -> None:
    labs.killed("up", at=at, nth=nth, phase=phase)

    assert_gone(labs, record_property)


def test_killed_in_down_the_next_up_builds_what_is_missing(labs: Labs, record_property: Record) -> None:
    labs.up()
    for nth in (3, 15):
        labs.killed("down", nth=nth, phase="after")

        labs.up()

        assert_whole(labs, record_property)


WITH_MONITORING = {"call": 62, "save": 62}
SOME = [("call", 47, "after"), ("save", 40, "before")]  # in the midst of that layer


@pytest.mark.parametrize(
    ("at", "nth", "phase"),
    [
        *SOME,
        *(pytest.param(*one, marks=pytest.mark.acceptance) for one in moments(WITH_MONITORING, every=3)),
    ],
)
def test_killed_with_monitoring_the_next_up_and_down_are_right(
    cloud: DeadlyCloud, tmp_path: Path, at: Moment, nth: int, phase: Phase, record_property: Record
) -> None:
    labs = Labs(cloud, tmp_path, layers=LAYERS)
    labs.killed("up", at=at, nth=nth, phase=phase)

    labs.up()

    assert_whole(labs, record_property)
    labs.killed("down", at=at, nth=nth, phase=phase)
    assert_gone(labs, record_property)


@pytest.mark.acceptance
@pytest.mark.parametrize(("at", "nth", "phase"), moments(UP, every=1))
def test_killed_anywhere_the_next_up_and_down_are_right(
    labs: Labs, at: Moment, nth: int, phase: Phase, record_property: Record
) -> None:
    labs.killed("up", at=at, nth=nth, phase=phase)

    labs.up()

    assert_whole(labs, record_property)
    labs.killed("down", at=at, nth=nth, phase=phase)
    assert_gone(labs, record_property)


@pytest.mark.acceptance
@pytest.mark.parametrize(("at", "nth", "phase"), moments(UP, every=1))
def test_killed_anywhere_the_next_down_leaves_nothing(
    labs: Labs, at: Moment, nth: int, phase: Phase, record_property: Record
) -> None:
    labs.killed("up", at=at, nth=nth, phase=phase)

    assert_gone(labs, record_property)


@pytest.mark.parametrize("accident", ["deleted", "emptied", "truncated", "older"])
def test_a_state_file_that_is_lost_or_old_costs_nothing(labs: Labs, accident: str) -> None:
    labs.killed("up", nth=12, phase="after")
    older = (labs.folder / "dev.json").read_text()
    labs.up()

    befall(labs, accident, older)
    labs.up()
    assert census(labs) == WHOLE

    befall(labs, accident, older)
    assert labs.down().lab_is_gone
    assert labs.cloud.server.resources() == []


def befall(labs: Labs, accident: str, older: str) -> None:
    """Lets this happen to the state file. older: what it once held."""
    path, backup = labs.folder / "dev.json", labs.folder / "dev.json.bak"
    if accident == "deleted":
        path.unlink()
        backup.unlink()
    elif accident == "older":
        path.write_text(older)
    else:
        for one in (path, backup):
            one.write_text("" if accident == "emptied" else one.read_text()[:200])


def test_nothing_of_others_is_touched(labs: Labs, tmp_path: Path) -> None:
    other = Labs(labs.cloud, tmp_path / "other", lab="other")
    other.up()
    theirs = set(labs.cloud.server.resources())

    labs.up()
    labs.killed("down", nth=5, phase="after")
    labs.down()

    assert set(labs.cloud.server.resources()) == theirs
    assert other.changes_left() == []
    other.down()
