"""The view of a bench of many pairs on a real terminal: at every height it stays in its place, the worst first, and nothing scrolls but
what was said."""

from __future__ import annotations

import re

import pytest

from tests.support.terminal import on_terminal

PAIRS = 64
AROUND = 5  # title, bar, header, what is hidden, and the line below
LOST, INVALID = "main-9", "main-7"
# One step for each line on stdin. After each it is drawn, and then the window has the step's number as its title.
PLAY = f"""
import sys
from enaxp.terminal import live
from enaxp.terminal.streams import prepare
prepare()
live.DRAWS_PER_SECOND = 50  # that much is drawn between the steps, too
from dataclasses import replace
from enaxp.bench.measuring.runner import Progress
from enaxp.terminal.console import Console
from enaxp.terminal.fleet_live import fleet_view
from tests.support.factories import a_plan, pairs_of_records, shifted

plan = a_plan(iterations=2, repeats=1)
records = pairs_of_records(plan)
names = [f"main-{{number}}" for number in range(1, {PAIRS} + 1)]
console = Console(as_json=True)

def measure(watch, number, first, last):
    for done in range(first, last):
        record = records[done]
        if names[number - 1] == "{INVALID}" and done == 2:
            record = replace(record, valid=False, reason="the client was busy")
        factor = 1 + 0.01 * number * (record.arm == "ena_express")
        watch(Progress(done=done + 1, total=len(records), seconds_left=9, record=record, histogram=shifted(factor)))

with fleet_view(console, names, title="enaxp bench, lab dev", plan=plan, at_once=len(names)) as view:
    watches = [view.watcher(name, plan, earlier=None) for name in names]

    def step(number):
        if number == 2:
            for at, watch in enumerate(watches, start=1):
                measure(watch, at, 0, 4)
        if number == 3:
            view.end("{LOST}", lost="the server does not answer, and nobody knows why " * 5)
            for at in range(8):
                watches[at](Progress(done=4, total=8, seconds_left=9, note=f"a note of pair {{at + 1}}"))
        if number == 4:
            for at, watch in enumerate(watches, start=1):
                if names[at - 1] != "{LOST}":
                    measure(watch, at, 4, 8)
                    view.end(names[at - 1])

    for line in sys.stdin:
        step(int(line))
        with view._drawing._live._lock:  # never in the midst of a view
            view._drawing.refresh()
            sys.__stderr__.write(f"\\x1b]2;{{line.strip()}}\\x07")
            sys.__stderr__.flush()
"""


def names_in(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line.startswith("main-")]


def view_in(lines: list[str]) -> list[str]:
    """From the title on, what was said above it left out. It stands there once."""
    [at] = [at for at, line in enumerate(lines) if line.startswith("enaxp bench")]
    return lines[at:]


@pytest.mark.parametrize("rows", [6, 24, 60, 80])
def test_at_every_height_it_stays_in_its_place_with_the_worst_first(rows: int) -> None:
    room = min(PAIRS, rows - AROUND)
    slowest = [f"main-{number}" for number in range(PAIRS, 0, -1)]
    wrong = [LOST, INVALID]
    expected = {
        2: [INVALID, *(name for name in slowest if name != INVALID)],
        3: [*wrong, *(name for name in slowest if name not in wrong)],
        4: [*wrong, *(name for name in slowest if name not in wrong)],
    }

    with on_terminal(PLAY, rows=rows) as (terminal, process):
        assert process.stdin is not None
        for step in (1, 2, 3, 4):
            process.stdin.write(f"{step}\n".encode())
            process.stdin.flush()
            terminal.until(str(step))

            view = view_in(terminal.lines)
            assert len(view) == 3 + room + (room < PAIRS), view
            assert len(names_in(view)) == room
            assert names_in(view) == expected.get(step, names_in(view))[:room]
            assert (view[-1] == f"… and {PAIRS - room} pairs that do better") == (room < PAIRS)
            assert all(re.fullmatch(r"  ! main-\d: a note of pair \d", line) for line in terminal.gone)
            assert terminal.cursor_is_hidden
        process.stdin.close()
        process.stdin = None
        terminal.until("")
        left, gone = view_in(terminal.lines), terminal.gone
        assert not terminal.cursor_is_hidden

    # then the last view stays, each note stands above it once, and nothing else went away
    assert names_in(left) == expected[4][:room]
    assert "63 of 64 pairs ended, 1 lost" in left[1]
    notes = [line for line in (*gone, *terminal.lines) if "a note of pair" in line]
    assert [line.split()[-1] for line in notes] == [str(number) for number in range(1, 9)]
    assert all("a note of pair" in line for line in gone)
