"""Whatever happened to a lab, in whatever order: the next `up` makes it whole, the next `down` leaves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from enaxp.errors import StateError
from tests.support.crash_harness import WHOLE, DeadlyCloud, Labs, census, deadly_cloud
from tests.support.drift_cases import DRIFT_CASES, client

pytestmark = pytest.mark.thorough

Accident = tuple[str, Callable[[Labs], object]]
# What an accident meets that strikes what is not there: nothing happens.
NOT_THERE = (StateError, KeyError, IndexError, ClientError)


@pytest.fixture(scope="module")
def cloud() -> Iterator[DeadlyCloud]:
    with deadly_cloud() as cloud:
        yield cloud


def drifted(name: str) -> Accident:
    def strike(labs: Labs) -> None:
        act, *_ = DRIFT_CASES[name]
        with contextlib.suppress(*NOT_THERE):
            act(client(labs, "ec2"), client(labs, "iam"), labs.file().state.ids())

    return name, strike


def terminated(role: str) -> Accident:
    def strike(labs: Labs) -> None:
        with contextlib.suppress(*NOT_THERE):
            client(labs, "ec2").terminate_instances(InstanceIds=[labs.file().state.ids()[f"instance/{role}"]])

    return f"instance/{role} terminated", strike


def killed(what: Any, nth: int, phase: Any, at: Any) -> Accident:
    return f"{what} killed {phase} {at} {nth}", lambda labs: labs.killed(what, nth=nth, phase=phase, at=at)


def state_lost(labs: Labs) -> None:
    for name in ("dev.json", "dev.json.bak"):
        (labs.folder / name).unlink(missing_ok=True)


def state_cut_short(labs: Labs) -> None:
    for path in labs.folder.glob("dev.json*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


WHOLE_RUNS: list[Accident] = [
    ("up", lambda labs: labs.up()),
    ("up network", lambda labs: labs.up(("network",))),
    ("down", lambda labs: labs.down()),
    ("state lost", state_lost),
    ("state cut short", state_cut_short),
]
ACCIDENTS = st.one_of(
    st.sampled_from(WHOLE_RUNS),
    st.sampled_from([drifted(name) for name in DRIFT_CASES]),
    st.sampled_from([terminated("server"), terminated("client")]),
    st.builds(
        killed,
        st.sampled_from(["up", "down"]),
        st.integers(1, 40),
        st.sampled_from(["before", "after"]),
        st.sampled_from(["call", "save"]),
    ),
)
HISTORIES = st.lists(ACCIDENTS, min_size=1, max_size=5)


def assert_up_and_down_are_right(cloud: DeadlyCloud, history: list[Accident]) -> None:
    with TemporaryDirectory() as folder:
        labs = Labs(cloud, Path(folder))
        try:
            for _, strike in history:
                strike(labs)
            labs.up()
            assert (census(labs), labs.changes_left()) == (WHOLE, [])
        finally:
            removal = labs.down()
        assert (cloud.server.resources(), removal.leftovers, removal.lab_is_gone) == ([], (), True)


# A history costs seconds, and is short already: shrinking one that fails would take longer than reading it.
FEW = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


@seed(7)
@settings(FEW, max_examples=5)
@given(history=HISTORIES)
def test_after_a_few_histories_up_and_down_are_right(cloud: DeadlyCloud, history: list[Accident]) -> None:
    assert_up_and_down_are_right(cloud, history)


@pytest.mark.acceptance
@seed(8)
@settings(FEW, max_examples=60)
@given(history=HISTORIES)
def test_after_any_history_up_and_down_are_right(cloud: DeadlyCloud, history: list[Accident]) -> None:
    assert_up_and_down_are_right(cloud, history)
