"""The view of a bench of many pairs: the worst first, and no higher than the terminal."""

from __future__ import annotations

import pytest
from rich.console import Console as Terminal

from enaxp.bench.measuring.runner import Progress
from enaxp.bench.planning.schedule import schedule, seconds
from enaxp.terminal.console import Console
from enaxp.terminal.fleet_live import FleetView, PairLine, fleet_view, seconds_left, view_of_pairs
from tests.support.factories import a_plan, an_effect, pairs_of_records, shifted


def drawn(lines: list[PairLine], *, height: int) -> list[str]:
    terminal = Terminal(width=120, height=height, color_system=None, force_terminal=True)
    with terminal.capture() as captured:
        terminal.print(view_of_pairs(lines, title="enaxp bench, lab dev", height=height, at_once=len(lines)))
    return captured.get().splitlines()


def a_line(name: str, pct: float | None = 0.0, **changes: object) -> PairLine:
    effects = None if pct is None else {"P50": an_effect(estimate_pct=pct)}
    return PairLine(**{"name": name, "done": 3, "total": 10, "effects": effects, **changes})  # type: ignore[arg-type]


def names_in(text: list[str]) -> list[str]:
    return [line.split()[0] for line in text if line.startswith("main-")]


def test_the_lost_come_first_then_those_with_trials_that_do_not_count_then_the_slowest() -> None:
    lines = [
        a_line("main-1", -5.0),
        a_line("main-2", 8.0),
        a_line("main-3", None),
        a_line("main-4", -9.0, invalid=2),
        a_line("main-5", -20.0, lost="no answer"),
    ]

    text = drawn(lines, height=40)

    assert names_in(text) == ["main-5", "main-4", "main-2", "main-1", "main-3"]
    assert "LOST: no answer" in "\n".join(text)


def test_pairs_that_are_alike_stay_in_the_order_of_the_fleet() -> None:
    lines = [a_line(f"main-{n}", None) for n in range(1, 13)]

    assert names_in(drawn(lines, height=40)) == [f"main-{n}" for n in range(1, 13)]


def test_a_long_reason_takes_no_room_from_the_other_columns() -> None:
    lines = [a_line("main-1", 8.0), a_line("main-2", lost="the server does not answer, " * 20)]

    text = drawn(lines, height=24)

    assert names_in(text) == ["main-2", "main-1"]
    assert "+8.0% [" in "\n".join(text)
    assert max(map(len, text)) <= 120


@pytest.mark.parametrize("height", [3, 6, 10, 24, 80])
def test_it_is_no_higher_than_the_terminal_and_says_how_many_are_hidden(height: int) -> None:
    lines = [a_line(f"main-{n}", float(n)) for n in range(1, 65)]

    text = drawn(lines, height=height)

    assert len(text) <= height
    hidden = 64 - len(names_in(text))
    assert (f"and {hidden} pairs" in "\n".join(text)) == (hidden > 0)
    if len(names_in(text)):
        assert names_in(text)[0] == "main-64"


def test_it_sums_up_what_ended_and_what_is_left() -> None:
    lines = [
        a_line("main-1", ended=True),
        a_line("main-2", lost="x", ended=True),
        a_line("main-3", seconds_left=90.0),
    ]

    # of the one that was lost nothing is to be done any more
    assert "1 of 3 pairs ended, 1 lost, 9 of 23 trials, 1 min 30 s left" in "\n".join(drawn(lines, height=24))


@pytest.mark.parametrize(("at_once", "expected"), [(1, 250.0), (2, 125.0), (4, 100.0)])
def test_pairs_that_wait_have_their_share_of_the_time_left(at_once: int, expected: float) -> None:
    lines = [a_line(f"main-{n}", seconds_left=left) for n, left in enumerate((50.0, 100.0, 100.0))]

    assert seconds_left(lines, at_once=at_once) == expected


def test_before_anything_is_measured_all_of_it_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    console, plan = Console(as_json=False), a_plan()
    monkeypatch.setattr(FleetView, "__enter__", lambda view: view)
    with fleet_view(console, ["main-1", "main-2", "main-3"], title="enaxp bench", plan=plan, at_once=1) as view:
        text = "\n".join(drawn(list(view.lines), height=24))
        left = seconds_left(view.lines, at_once=1)

    assert f"0 of {3 * len(schedule(plan))} trials" in text
    assert left == 3 * seconds(plan)


def test_what_a_pair_measures_is_shown_as_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(as_json=False)
    console.is_terminal = True
    monkeypatch.setattr(FleetView, "__enter__", lambda view: view)  # nothing is drawn here
    plan = a_plan()
    with fleet_view(console, ["main-1", "main-2"], title="enaxp bench", plan=plan, at_once=2) as view:
        watch = view.watcher("main-1", plan, earlier=None)
        for number, record in enumerate(pairs_of_records(plan), start=1):
            watch(Progress(done=number, total=12, seconds_left=5.0, record=record, histogram=shifted(1.0)))
        view.end("main-2", lost="no answer")
        text = "\n".join(drawn(list(view.lines), height=24))

    assert "12/12" in text
    assert "udp-latency" in text
    assert "LOST: no answer" in text
