"""Aside: work done in another process gives what it would have given here, also where there is no other process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from enaxp.report.charts import aside as module
from enaxp.report.charts.aside import aside


def process() -> int:
    return os.getpid()


def add(one: int, *, other: int) -> int:
    return one + other


def fail(words: str) -> None:
    raise ValueError(words)


def chatter() -> str:
    print("for nobody", flush=True)
    return "told"


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
        raise OSError("no memory")

    monkeypatch.setattr(module.subprocess, "Popen", refuse)

    with aside() as beside:
        assert beside.begin(process)() == os.getpid()


def test_what_the_work_prints_is_no_outcome(capfd: pytest.CaptureFixture[str]) -> None:
    with aside() as beside:
        assert beside.begin(chatter)() == "told"

    assert capfd.readouterr().out == ""


def test_work_that_nobody_waits_for_holds_up_nobody() -> None:
    with aside() as beside:
        first = beside.begin(process)
        waiting = [beside.begin(time.sleep, 3600) for _ in range(3)]
        assert first() != os.getpid()

    assert len(waiting) == 3


def test_a_file_in_the_current_folder_is_not_imported_for_a_library(folder: Path) -> None:
    for name in ("pickle", "enaxp", "vl_convert"):
        (folder / f"{name}.py").write_text("open('imported', 'w')")

    with aside() as beside:
        assert beside.begin(process)() != os.getpid()

    assert not (folder / "imported").exists()
