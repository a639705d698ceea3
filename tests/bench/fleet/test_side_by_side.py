"""Side by side: what fails of one pair stops no other, and Ctrl-C reaches all of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from enaxp.bench.fleet.side_by_side import pairs_at_once, plan_of_pair, side_by_side
from enaxp.ending import ENDING
from tests.support.factories import a_plan


def test_each_pair_has_an_order_of_its_own_that_follows_from_the_seed() -> None:
    seeds = {name: plan_of_pair(a_plan(seed=7), name).seed for name in ("main-1", "main-2", "far-1")}

    assert len(set(seeds.values())) == 3
    assert seeds["main-1"] == plan_of_pair(a_plan(seed=7), "main-1").seed
    assert seeds["main-1"] != plan_of_pair(a_plan(seed=8), "main-1").seed


@pytest.mark.parametrize(
    ("asked", "is_local", "expected"), [(None, False, 8), (None, True, 1), (3, False, 3), (3, True, 3)]
)
def test_all_pairs_run_side_by_side_but_on_one_computer_one_after_the_other(
    asked: int | None, is_local: bool, expected: int
) -> None:
    assert pairs_at_once(asked, pairs=8, is_local=is_local) == expected


def test_what_one_pair_raises_stops_no_other() -> None:
    done = []

    def fail() -> None:
        raise ValueError("lost")

    outcomes = side_by_side(
        {"main-1": fail, "main-2": lambda: done.append("main-2")}, at_once=1, stop=threading.Event()
    )

    assert done == ["main-2"]
    assert isinstance(outcomes["main-1"], ValueError)
    assert outcomes["main-2"] is None


def test_no_more_than_asked_for_run_at_once() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1

    side_by_side({f"main-{n}": work for n in range(8)}, at_once=2, stop=threading.Event())

    assert most <= 2


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as in a foreground program: what runs in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.usefixtures("interruptible")
def test_one_interrupt_ends_all_that_run_and_lets_none_begin(number: signal.Signals) -> None:
    stop, begun = threading.Event(), threading.Event()
    ended: list[str] = []

    def work() -> None:
        begun.set()
        stop.wait(30)
        ended.append("ended")

    def interrupt() -> None:
        begun.wait(30)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    outcomes = side_by_side({"main-1": work, "main-2": work}, at_once=1, stop=stop)

    assert ended == ["ended"]
    assert outcomes == {"main-1": None}
