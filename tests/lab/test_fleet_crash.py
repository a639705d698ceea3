"""A fleet of two variants and two pairs each, killed in `up` or `down`: exactly one of each resource, then none.

Which moments: the first and the last call of each kind and a seeded tenth of the others. Calls are made side by side, so a number stands
for a call of about that kind, and which one dies differs from run to run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.crash_harness import DeadlyCloud, Labs, Phase, census, deadly_cloud, labs_taken_down

pytestmark = pytest.mark.thorough

FLEET = {"fleet": {"pairs": 2, "variants": {"near": {}, "far": {"placement": "zones"}}}}
WHOLE = {
    "vpc": 1,
    "subnet": 2,
    "igw": 1,
    "rtb": 2,
    "sg": 1,
    "pg": 2,
    "eni": 16,
    "i": 8,
    "vol": 8,
    "enaxp": 7,
    "association": 4,
}
# The calls of one `up` and of one `down` as they come, by kind; counted here, for the moments must be known before anything runs.
UP = [
    ("identity and keys", 6),
    ("network", 20),
    ("software", 8),
    ("groups", 2),
    ("interfaces", 8),
    ("launches", 8),
    ("attachments", 8),
]
DOWN = [("hosts", 8), ("interfaces", 16), ("groups", 2), ("software", 8), ("network", 14), ("identity and keys", 5)]


def moments(kinds: list[tuple[str, int]]) -> list[tuple[int, Phase]]:
    """Numbers of calls, each before or after it is performed."""
    chosen, at, picked = random.Random(17), 0, set[int]()
    for _, count in kinds:
        numbers = range(at + 1, at + count + 1)
        picked |= {numbers[0], numbers[-1]} | {n for n in numbers if chosen.random() < 0.1}
        at += count
    return [(nth, chosen.choice(("before", "after"))) for nth in sorted(picked)]


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as cloud:
        yield cloud


@pytest.fixture
def labs(cloud: DeadlyCloud, tmp_path: Path) -> Iterator[Labs]:
    with labs_taken_down(cloud, tmp_path, overrides=FLEET) as labs:
        yield labs


def assert_whole(labs: Labs) -> None:
    assert census(labs) == WHOLE
    assert labs.changes_left() == []


def assert_gone(labs: Labs) -> None:
    removal = labs.down()
    assert (removal.leftovers, removal.lab_is_gone, labs.cloud.server.resources()) == ((), True, [])


def test_the_moments_cover_every_kind() -> None:
    at = [nth for nth, _ in moments(UP)]
    ends = [sum(count for _, count in UP[: number + 1]) for number in range(len(UP))]

    assert set(ends) <= set(at)
    assert len(list(groupby(at))) == len(at)


@pytest.mark.parametrize(
    ("nth", "phase"),
    [
        pytest.param(46, "after", id="a launch"),
        *(pytest.param(*one, marks=pytest.mark.acceptance) for one in moments(UP)),
    ],
)
def test_killed_in_up_the_next_up_and_down_are_right(labs: Labs, nth: int, phase: Phase) -> None:
    labs.killed("up", nth=nth, phase=phase)

    labs.up()

    assert_whole(labs)
    labs.killed("down", nth=nth, phase=phase)
    assert_gone(labs)


@pytest.mark.acceptance
@pytest.mark.parametrize(("nth", "phase"), moments(UP))
def test_killed_in_up_the_next_down_leaves_nothing(labs: Labs, nth: int, phase: Phase) -> None:
    labs.killed("up", nth=nth, phase=phase)

    assert_gone(labs)


@pytest.mark.acceptance
@pytest.mark.parametrize(("nth", "phase"), moments(DOWN))
def test_killed_in_down_the_next_up_builds_what_is_missing(labs: Labs, nth: int, phase: Phase) -> None:
    labs.up()
    labs.killed("down", nth=nth, phase=phase)

    labs.up()

    assert_whole(labs)
