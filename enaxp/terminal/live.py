"""Live: the view of a bench at a terminal — progress, figures and effects so far, how the intervals narrow, the time left.

    bench_view ─▶ what watches a bench: LiveView.watch, or plain_lines where there is no terminal
    Progress ─▶ LiveView.watch ─▶ Running ─▶ view_of (rich renderables) ─▶ drawn once a second and after each trial

It is drawn on stderr, below other messages, and only once a second: on the local target drawing shares this machine with what is
measured. An error in drawing never ends a run: the bench continues with plain lines.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console as Terminal
from rich.console import ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from enaxp.bench.judging.effect import Effect
from enaxp.bench.judging.running import Running, RunningScenario
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.evidence import evidence_of
from enaxp.terminal.streams import tell
from enaxp.text import MOST_TO_TELL_PCT, duration, figure, gigabits, printable
from enaxp.traffic import ARM_NAMES, THROUGHPUT, metric_label

if TYPE_CHECKING:
    from enaxp.bench.measuring.runner import BenchWatcher, Progress
    from enaxp.bench.planning.schedule import Trial
    from enaxp.bench.run_folder.records import RunFolder, TrialRecord
    from enaxp.terminal.console import Console

DRAWS_PER_SECOND = 1.0
BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 12
WIDE = 76  # columns from which on the narrowing is drawn
LINES_AROUND = 8  # lines of the view besides its table
_STYLES = {"faster": "green", "slightly-faster": "green", "slower": "red", "slightly-slower": "red", "same": "bold"}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The data of the view at one moment. `scenarios` are those that have figures, the one measured last at the end; `order` is the
    plan's.
    """

    title: str
    done: int
    total: int
    seconds_left: float
    now: str
    invalid: int
    scenarios: Sequence[RunningScenario]
    order: Sequence[str]


class Drawing:
    """A view on stderr, drawn again every second. draw: gives it for the moment and for the terminal's columns and lines."""

    def __init__(self, draw: Callable[[ConsoleDimensions], RenderableType]) -> None:
        terminal = Terminal(file=sys.stderr, markup=False, highlight=False, emoji=False)
        self._live = Live(
            console=terminal,
            refresh_per_second=DRAWS_PER_SECOND,
            get_renderable=lambda: draw(terminal.size),
            redirect_stdout=False,
        )

    def start(self) -> None:
        self._live.start()

    def refresh(self) -> None:
        """Draws now, and not only with the next second."""
        self._live.refresh()

    def end(self) -> None:
        """Ends the drawing, also on a terminal that is gone."""
        with contextlib.suppress(OSError, ValueError):
            self._live.stop()


class LiveView:
    """Draws a bench while the block is open.

    `plain` takes over when drawing fails; `running` may hold trials of an earlier session.
    """

    def __init__(self, plan: BenchPlan, *, title: str, running: Running, plain: BenchWatcher) -> None:
        self._plan = plan
        self._title = title
        self._running = running
        self._plain = plain
        self._latest: Progress | None = None
        self._told_at = time.monotonic()
        self._broken = False
        # Arms that run at once tell at once. Nothing is drawn or said while it is held: drawing has a lock of its own.
        self._lock = threading.Lock()
        self._drawing = Drawing(self._draw)

    def __enter__(self) -> LiveView:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.end()

    def watch(self, progress: Progress) -> None:
        """Takes in the runner's progress. Notes and invalid trials are also printed above the view, where they stay."""
        if self._broken:
            self._plain(progress)
            return
        try:
            self._take_in(progress)
        except Exception as fault:
            self._broken = True
            self._drawing.end()
            tell(printable(f"the live view failed ({fault!r}): going on with plain lines"))
            self._plain(progress)

    def _take_in(self, progress: Progress) -> None:
        if progress.note:
            self._plain(progress)
            return
        with self._lock:
            if progress.record is not None:
                self._running.add(progress.record, progress.histogram)
            self._latest, self._told_at = progress, time.monotonic()
        if progress.record is not None and not progress.record.valid:
            self._plain(progress)
        self._drawing.refresh()

    def _draw(self, size: ConsoleDimensions) -> RenderableType:
        if self._latest is None:
            return title_line(self._title)
        with self._lock:
            latest, since = self._latest, time.monotonic() - self._told_at
            moment = Moment(
                title=self._title,
                done=latest.done,
                total=latest.total,
                seconds_left=max(0.0, latest.seconds_left - since),
                now=what_runs(latest),
                invalid=self._running.invalid,
                scenarios=self._running.scenarios,
                order=[scenario.name for scenario in self._plan.scenarios],
            )
        return view_of(moment, size=size, pairs_planned=self._plan.iterations * self._plan.repeats)


@contextlib.contextmanager
def bench_view(console: Console, plan: BenchPlan, *, title: str, earlier: RunFolder | None) -> Iterator[BenchWatcher]:
    """A context with a progress watcher for a bench: a view that is redrawn while it runs, or plain lines without a terminal.

    `earlier` is the folder of a run that goes on.
    """
    plain = plain_lines(console)
    if not console.is_terminal:
        yield plain
        return
    running = running_of(plan, earlier=earlier)
    with LiveView(plan, title=printable(title), running=running, plain=plain) as view:
        yield view.watch


def running_of(plan: BenchPlan, *, earlier: RunFolder | None) -> Running:
    """The figures of a bench so far: none, or those in the folder of a run that goes on."""
    running = Running(plan)
    if earlier is not None:
        running.add_all(evidence_of(earlier, plan))
    return running


def plain_lines(console: Console, *, of: str = "") -> BenchWatcher:
    """Gives what prints a line after each trial, and before it one that is replaced. of: which pair of many it is, before each line."""
    of = f"{of}: " if of else ""

    def watch(progress: Progress) -> None:
        trial, record = progress.trial, progress.record
        if progress.note:
            console.say(f"  ! {of}{progress.note}")
        elif trial is not None and record is None:
            console.transient(
                f"  {of}trial {trial.number} of {progress.total}: {_place(trial)} … {duration(progress.seconds_left)} left"
            )
        elif trial is not None and record is not None:
            console.say(
                f"  {of}trial {trial.number:>3} of {progress.total}: {_place(trial):<38} {_measured(record)}   "
                f"{duration(progress.seconds_left)} left"
            )

    return watch


def _place(trial: Trial) -> str:
    what = "warm-up" if trial.discarded else f"repeat {trial.repeat}"
    return f"iteration {trial.iteration}, {what}, {_of_what(trial)}"


def _of_what(trial: Trial) -> str:
    """The arm, or in a control the interfaces that carry it."""
    if not trial.control:
        return ARM_NAMES[trial.arm]
    return f"control, {'second' if trial.home == 'ena_express' else 'first'} interfaces"


def _measured(record: TrialRecord) -> str:
    """A trial's figures in a few words, or the reason why it does not count."""
    if not record.valid:
        return f"INVALID: {record.reason}"
    if record.sockperf is not None and record.sockperf.percentiles_us:
        percentiles = record.sockperf.percentiles_us
        return f"P50 {percentiles.get('50')} µs, P99 {percentiles.get('99')} µs"
    return "valid" if record.throughput_gbps is None else gigabits(record.throughput_gbps)


def view_of(moment: Moment, *, size: ConsoleDimensions, pairs_planned: int) -> RenderableType:
    """The view of one moment, no higher than the terminal."""
    parts: list[RenderableType] = [
        title_line(moment.title),
        _how_far(moment),
        Text(f"now: {moment.now}", style="dim", overflow="ellipsis", no_wrap=True),
    ]
    fitting = max(1, (size.height - LINES_AROUND) // 2)
    shown = sorted(moment.scenarios[-fitting:], key=lambda scenario: moment.order.index(scenario.name))
    if shown:
        parts += [Text(""), _table(shown, pairs_planned=pairs_planned, with_bars=size.width >= WIDE)]
    if hidden := len(moment.scenarios) - len(shown):
        parts.append(Text(f"… and {hidden} more scenarios", style="dim"))
    return Group(*parts)


def what_runs(progress: Progress) -> str:
    """The trial under way, or the one that has just ended."""
    trial = progress.trial
    if trial is None:
        return "getting ready"
    return f"{trial.scenario.name}, {_place(trial)}"


def narrowing(widths_pct: Sequence[float]) -> str:
    """The width of the interval after each iteration, as a bar chart: the widest is the highest."""
    latest = [
        math.log1p(width) for width in widths_pct[-MOST_BARS:]
    ]  # the first, from two iterations, is beyond all others
    widest = max(latest, default=0.0)
    if widest <= 0:
        return ""
    return "".join(BARS[min(len(BARS) - 1, int(width / widest * len(BARS)))] for width in latest)


def _how_far(moment: Moment) -> RenderableType:
    """The bar, what is done, and how long the rest takes, on one line."""
    invalid = f", {moment.invalid} not valid" if moment.invalid else ""
    told = f"{moment.done} of {moment.total} trials{invalid}, {duration(moment.seconds_left)} left"
    return bar_line(moment.done, moment.total, told)


def title_line(title: str) -> Text:
    """The first line of a view."""
    return Text(title, style="bold", overflow="ellipsis", no_wrap=True)


def bar_line(done: int, total: int, told: str) -> RenderableType:
    """A progress bar, with words behind it on the same line."""
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    line.add_row(ProgressBar(total=max(1, total), completed=done), Text(told))
    return line


def _table(scenarios: Sequence[RunningScenario], *, pairs_planned: int, with_bars: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", overflow="ellipsis", no_wrap=True)
    for name in ("", "ENA", "ENA Express", "change so far", "")[: 5 if with_bars else 4]:
        table.add_column(name, no_wrap=True, justify="right" if name.startswith("ENA") else "left")
    for scenario in scenarios:
        for place, (metric, figures) in enumerate(scenario.figures.items()):
            effect = scenario.effects[metric]
            cells = (
                Text(f"{printable(scenario.name)} {scenario.pairs}/{pairs_planned}" if place == 0 else ""),
                Text("" if metric == THROUGHPUT else metric_label(metric)),
                *(Text(figure(metric, figures[arm])) for arm in ARM_NAMES),
                Text(so_far(effect), style=_STYLES.get(effect.code, "")),
                Text(narrowing(scenario.widths_pct.get(metric, ())), style="dim"),
            )
            table.add_row(*cells if with_bars else cells[:-1])
    return table


def so_far(effect: Effect) -> str:
    """An effect while it is being measured: `+3.1% [-0.2, +6.5]`."""
    if effect.estimate_pct is None:
        return "-"
    if effect.low_pct is None or effect.high_pct is None:
        return f"{_change(effect.estimate_pct)}%"
    return f"{_change(effect.estimate_pct)}% [{_change(effect.low_pct)}, {_change(effect.high_pct)}]"


def _change(pct: float) -> str:
    return f"{pct:+.1f}" if pct <= MOST_TO_TELL_PCT else f">+{MOST_TO_TELL_PCT}"
