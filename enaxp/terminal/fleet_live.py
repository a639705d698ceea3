"""Fleet live: the view of a bench of many pairs at a terminal — a line a pair, the worst first, as many as the terminal has lines for.

    fleet_view ─▶ what watches each pair: FleetView.watcher(name), or plain lines with the pair's name before them
    Progress of a pair ─▶ PairLine ─▶ lines_of (worst first) ─▶ drawn once a second

Lost pairs come first, then those with the most trials that do not count, then those that are slowest by their first primary: a
reader looks for what is wrong, not for what is right.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from enaxp.bench.planning.schedule import schedule, seconds
from enaxp.terminal.live import Drawing, bar_line, plain_lines, running_of, so_far, title_line
from enaxp.text import duration, printable
from enaxp.traffic import metric_label

if TYPE_CHECKING:
    from enaxp.bench.judging.effect import Effect
    from enaxp.bench.judging.running import Running
    from enaxp.bench.measuring.runner import BenchWatcher, Progress
    from enaxp.bench.planning.schedule import BenchPlan
    from enaxp.bench.run_folder.records import RunFolder
    from enaxp.terminal.console import Console

LINES_AROUND = 5  # title, bar, header, what is hidden, and the line below


@dataclass(frozen=True, kw_only=True)
class PairLine:
    """One pair as it is shown. effects: the primaries of the scenario measured last, by their label. lost: why, where it was."""

    name: str
    done: int = 0
    total: int = 0
    seconds_left: float = 0.0
    invalid: int = 0
    scenario: str = ""
    effects: Mapping[str, Effect] | None = None
    lost: str = ""
    ended: bool = False

    @property
    def worst_first(self) -> tuple[bool, int, float]:
        """By what a reader looks for: lost, not valid, slow."""
        first = next(iter((self.effects or {}).values()), None)
        pct = first.estimate_pct if first and first.estimate_pct is not None else -math.inf
        return (not self.lost, -self.invalid, -pct)


class FleetView:
    """Draws a bench of many pairs while the block is open. Safe to use from many threads.

    plan: what each pair is to do; at_once: how many are measured at a time.
    """

    def __init__(self, names: Sequence[str], *, title: str, console: Console, plan: BenchPlan, at_once: int) -> None:
        trials, takes_s = len(schedule(replace(plan, until_pct=None))), seconds(plan)
        self._lines = {name: PairLine(name=name, total=trials, seconds_left=takes_s) for name in names}
        self._title, self._console, self._at_once = title, console, at_once
        self._told_at = time.monotonic()
        self._lock = threading.Lock()
        self._drawing = Drawing(self._draw)

    def __enter__(self) -> FleetView:
        if self._console.is_terminal:
            self._drawing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._drawing.end()

    def watcher(self, name: str, plan: BenchPlan, *, earlier: RunFolder | None) -> BenchWatcher:
        """What watches one pair. `earlier`: the folder of one that goes on."""
        plain = plain_lines(self._console, of=name)
        if not self._console.is_terminal:
            return plain
        running = running_of(plan, earlier=earlier)

        def watch(progress: Progress) -> None:
            if progress.note:
                plain(progress)
                return
            try:
                self._take_in(name, progress, running)
            except Exception as fault:  # a fault in showing a pair costs it no trial
                plain(replace(progress, note=f"it cannot be shown: {fault!r}"))

        return watch

    @property
    def lines(self) -> Sequence[PairLine]:
        """Each pair as it is shown, in the order given."""
        with self._lock:
            return list(self._lines.values())

    def end(self, name: str, *, lost: str = "") -> None:
        """A pair has ended, or was lost and why."""
        with self._lock:
            self._lines[name] = replace(self._lines[name], lost=lost, ended=True, seconds_left=0.0)

    def _take_in(self, name: str, progress: Progress, running: Running) -> None:
        with self._lock:  # arms that run at once tell at once
            if progress.record is not None:
                running.add(progress.record, progress.histogram)
            latest = running.scenarios[-1] if running.scenarios else None
            self._told_at = time.monotonic()
            self._lines[name] = replace(
                self._lines[name],
                done=progress.done,
                total=progress.total,
                seconds_left=progress.seconds_left,
                invalid=running.invalid,
                scenario=latest.name if latest else "",
                effects={metric_label(m): effect for m, effect in latest.effects.items()} if latest else None,
            )

    def _draw(self, size: ConsoleDimensions) -> RenderableType:
        since = time.monotonic() - self._told_at
        return view_of_pairs(self.lines, title=self._title, height=size.height, at_once=self._at_once, since_s=since)


def view_of_pairs(
    lines: Sequence[PairLine], *, title: str, height: int, at_once: int, since_s: float = 0.0
) -> RenderableType:
    """The view of one moment, no higher than the terminal."""
    done, total = sum(line.done for line in lines), sum(line.done if line.lost else line.total for line in lines)
    left = max(0.0, seconds_left(lines, at_once=at_once) - since_s)
    lost, ended = sum(bool(line.lost) for line in lines), sum(line.ended and not line.lost for line in lines)
    told = f"{ended} of {len(lines)} pairs ended{f', {lost} lost' if lost else ''}, {done} of {total} trials, {duration(left)} left"
    parts: list[RenderableType] = [title_line(title), bar_line(done, total, told)]
    shown = sorted(lines, key=lambda line: line.worst_first)[: max(0, height - LINES_AROUND)]
    if shown:
        parts.append(_table(shown))
    if len(shown) < len(lines):
        parts.append(Text(f"… and {len(lines) - len(shown)} pairs that do better", style="dim"))
    return Group(*parts)


def seconds_left(lines: Sequence[PairLine], *, at_once: int) -> float:
    """How long all of it takes, so many pairs at a time: no less than the longest, and no less than what each of them has to do."""
    left = [line.seconds_left for line in lines]
    return max(max(left, default=0.0), sum(left) / max(1, at_once))


def _table(lines: Sequence[PairLine]) -> Table:
    labels = list(dict.fromkeys(label for line in lines for label in line.effects or {}))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("pair", no_wrap=True, overflow="ellipsis", min_width=max(len(line.name) for line in lines))
    for name in ("trials", "not valid", *(f"{label} so far" for label in labels)):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    table.add_column(
        "", no_wrap=True, overflow="ellipsis", ratio=1
    )  # why a pair was lost may be long: it gets what is left
    for line in lines:
        effects = line.effects or {}
        under_way = line.scenario or ("measures" if line.done else "waits")
        state = f"LOST: {line.lost}" if line.lost else "ended" if line.ended else under_way
        table.add_row(
            Text(line.name, style="red" if line.lost else ""),
            f"{line.done}/{line.total}",
            str(line.invalid or "-"),
            *(so_far(effects[label]) if label in effects else "-" for label in labels),
            printable(state).replace("\n", " "),
        )
    return table


@contextlib.contextmanager
def fleet_view(
    console: Console, names: Sequence[str], *, title: str, plan: BenchPlan, at_once: int
) -> Iterator[FleetView]:
    """Gives what watches each pair of a bench. plan, at_once: as FleetView has them."""
    with FleetView(names, title=printable(title), console=console, plan=plan, at_once=at_once) as view:
        yield view
