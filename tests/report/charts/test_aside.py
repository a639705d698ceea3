"""Aside: work done in another process gives what it would have given here, also where there is no other process."""

from __future__ import annotations

import os
import signal

import pytest

from enaxp.report.charts import aside as module
from enaxp.report.charts.aside import aside


def process() -> int:
    return os.getpid()


def add(one: int, *, other: int) -> int:
    return one + other


def fail(words: str) -> None:
    raise ValueError(words)


def end(parent: int) -> int:
    """Ends its process, unless that is the one that asked."""
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return parent


def test_it_is_done_in_one_process_beside_this_one() -> None:
    with aside() as beside:
        first, second, added = beside.begin(process), beside.begin(process), beside.begin(add, 2, other=3)

        assert first() == second() != os.getpid()
        assert added() == 5


def test_what_it_raises_is_raised_where_the_outcome_is_asked_for() -> None:
    with aside() as beside, pytest.raises(ValueError, match="no ink"):
        beside.begin(fail, "no ink")()


def test_when_its_process_dies_the_work_is_done_here() -> None:
    with aside() as beside:
        outcomes = [beside.begin(end, os.getpid()), beside.begin(process)]

        assert [outcome() for outcome in outcomes] == [os.getpid()] * 2
        assert beside.begin(process)() == os.getpid()


def test_where_no_process_can_be_had_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no semaphores")

    monkeypatch.setattr(module, "ProcessPoolExecutor", refuse)

    with aside() as beside:
        assert beside.begin(process)() == os.getpid()
