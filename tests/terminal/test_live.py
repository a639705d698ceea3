"""The live view: what it shows fits the terminal and is text, it stays away where there is none, and its faults cost nothing."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from rich.console import Console as Terminal
from rich.console import ConsoleDimensions

from enaxp.bench.judging.running import Running
from enaxp.bench.measuring.runner import Progress
from enaxp.bench.planning.schedule import BenchPlan, schedule
from enaxp.terminal.console import Console
from enaxp.terminal.live import BARS, LiveView, Moment, bench_view, narrowing, view_of
from tests.support.factories import FIVE, a_plan, pairs_of_records, shifted


def a_moment(plan: BenchPlan) -> Moment:
    running = Running(plan)
    for record in pairs_of_records(plan):
        running.add(record, shifted(1 + 0.1 * (record.iteration % 3) + 0.05 * (record.arm == "ena")))
    return Moment(
        title="enaxp bench, lab dev",
        done=12,
        total=30,
        seconds_left=61,
        now="iteration 2",
        invalid=3,
        scenarios=running.scenarios,
        order=[scenario.name for scenario in plan.scenarios],
    )


def drawn(moment: Moment, *, width: int = 80, height: int = 24) -> list[str]:
    terminal = Terminal(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    with terminal.capture() as captured:
        terminal.print(view_of(moment, size=ConsoleDimensions(width, height), pairs_planned=10))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_it_shows_how_far_it_is_and_what_it_comes_to(width: int) -> None:
    text = "\n".join(drawn(a_moment(FIVE), width=width))

    assert "12 of 30 trials, 3 not valid, 1 min 01 s left" in text
    assert "udp-latency 10/10  P50" in text
    for shown in ("P99", "34.95 µs", "33.44 µs", "-4.3% [-5.2, -3"):
        assert shown in text
    assert any(bar in text for bar in BARS)


@pytest.mark.parametrize(("width", "height"), [(50, 12), (70, 24), (80, 15)])
def test_it_is_no_larger_than_the_terminal(width: int, height: int) -> None:
    plan = a_plan(scenarios=tuple(_named(number) for number in range(12)))

    lines = drawn(a_moment(plan), width=width, height=height)

    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "more scenarios" in lines[-1]


def test_the_scenario_measured_last_is_shown_and_all_keep_their_places() -> None:
    plan = a_plan(scenarios=tuple(_named(number) for number in range(12)))

    text = "\n".join(drawn(a_moment(plan), height=14))

    assert text.index("scenario-9") < text.index("scenario-10") < text.index("scenario-11")
    assert "scenario-0" not in text


def test_names_with_markup_and_escapes_are_text() -> None:
    plan = a_plan(scenarios=(_named(0, name="[red]a[/red]:boom:\x1b[31m"),))

    text = "\n".join(drawn(a_moment(plan), width=120))

    assert "[red]a[/red]:boom:\\x1b[31m" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("widths", "bars"), [([], ""), ([0.0], ""), ([5.0], "█"), ([2000.0, 40.0, 20.0, 10.0, 1.0], "█▄▄▃▁")]
)
def test_the_narrowing_is_drawn_as_bars(widths: list[float], bars: str) -> None:
    assert narrowing(widths) == bars


def test_a_fault_in_drawing_leaves_the_bench_and_its_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[Progress] = []
    view = LiveView(FIVE, title="", running=None, plain=told.append)  # type: ignore[arg-type]
    trial, record = schedule(FIVE)[0], pairs_of_records(FIVE)[0]
    ended = Progress(done=1, total=30, seconds_left=9, trial=trial, record=record)

    with view:
        for _ in range(2):
            view.watch(ended)

    assert told == [ended, ended]
    assert capsys.readouterr().err.count("the live view failed") == 1


def test_without_a_terminal_the_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    trial, record = schedule(FIVE)[0], pairs_of_records(FIVE)[0]

    with bench_view(Console(as_json=False), FIVE, title="", earlier=None) as watch:
        watch(Progress(done=1, total=30, seconds_left=9, trial=trial, record=record))

    assert "  trial   1 of 30: iteration 1, warm-up, ENA" in capsys.readouterr().err.replace("ENA Express", "ENA")


FEED = """
import sys
from enaxp.terminal.streams import prepare
prepare()
from tests.support.factories import FIVE, pairs_of_records, shifted
from enaxp.bench.measuring.runner import Progress
from enaxp.bench.planning.schedule import schedule
from enaxp.terminal.console import Console
from enaxp.terminal.live import bench_view

console = Console(as_json=True)
with bench_view(console, FIVE, title="enaxp bench", earlier=None) as watch:
    console.say("said while it runs")
    for trial, record in zip(schedule(FIVE), pairs_of_records(FIVE)):
        watch(Progress(done=trial.number, total=30, seconds_left=9, trial=trial, record=record, histogram=shifted(1)))
    watch(Progress(done=30, total=30, seconds_left=0, note="a note"))
console.document({"a": 1})
"""


@pytest.mark.parametrize(("kind", "live"), [("xterm-256color", True), ("dumb", False)])
def test_on_a_real_terminal_it_is_drawn_below_what_is_said_and_stdout_is_the_documents(kind: str, live: bool) -> None:
    screen = _screen_of_a_bench(TERM=kind)

    assert "said while it runs" in screen
    assert "! a note" in screen
    assert ("\x1b[2K" in screen) is live
    assert ("udp-latency 10/10" in screen) is live
    assert screen.endswith("\x1b[?25h") or not live  # the cursor is back


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_a_narrow_terminal_gets_narrow_lines(kind: str) -> None:
    screen = _screen_of_a_bench(TERM=kind, COLUMNS="20")

    view = [line for line in re.split(r"\r|\n|\x1b\[[0-9;?]*[A-Za-z]", screen) if "udp-latency" in line]
    assert all(len(line) <= 20 for line in view)
    assert "said while it runs" in screen


def test_no_colours_means_none() -> None:
    coloured, plain = (_screen_of_a_bench(**more) for more in ({}, {"NO_COLOR": "1"}))

    colours = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|9[0-7])[;m]")
    assert (bool(colours.search(coloured)), bool(colours.search(plain))) == (True, False)


def test_a_terminal_that_knows_ascii_alone_gets_that() -> None:
    screen = _screen_of_a_bench(PYTHONIOENCODING="ascii")

    assert "udp-latency 10/10" in screen
    assert " us" in screen


def test_a_terminal_that_is_gone_ends_no_bench() -> None:
    assert _screen_of_a_bench(gone=True) == ""


def _screen_of_a_bench(*, gone: bool = False, **variables: str) -> str:
    """What a bench draws on a terminal of its own; its document must come whole to stdout. gone: nobody holds the terminal any more."""
    leader, follower = pty.openpty()
    around = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "90", "LINES": "24", **variables}
    process = subprocess.Popen([sys.executable, "-c", FEED], stdout=subprocess.PIPE, stderr=follower, env=around)
    os.close(follower)
    if gone:
        os.close(leader)
    screen = "" if gone else _read_all(leader)
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, b'{\n  "a": 1\n}\n')
    return screen


def _read_all(leader: int) -> str:
    content = b""
    try:
        while chunk := os.read(leader, 65536):
            content += chunk
    except OSError:  # a terminal that nobody holds any more
        pass
    os.close(leader)
    return content.decode()


def _named(number: int, *, name: str | None = None):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(FIVE.scenarios[0], name=name or f"scenario-{number}")
