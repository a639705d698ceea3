"""Trend: the effect over a lab's runs, for a person at a terminal.

Trend ─▶ tell_trend
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from enaxp.report.words import label
from enaxp.text import bounds_plain, change_plain, counted, interval_plain, percent_plain
from enaxp.traffic import metric_text

if TYPE_CHECKING:
    from enaxp.bench.comparing.trend import Trend, TrendSeries
    from enaxp.terminal.console import Console


def tell_trend(console: Console, trend: Trend) -> None:
    """Prints each series, the oldest run first, with what it comes to, then the runs that are in none."""
    for series in trend.series:
        _tell_series(console, trend, series)
    if not trend.series:
        console.result(f"no run here has an effect on {metric_text(trend.metric)}")
    for name, reason in trend.left_out.items():
        console.result(f"Left out: {name}: {reason}")


def _tell_series(console: Console, trend: Trend, series: TrendSeries) -> None:
    plan = series.plan
    crossed = ", crossed over" if plan["crossover"] else ""
    shape = f"{plan['repeats']} × {plan['duration_s']:g} s, {plan['order']}{crossed}, cores {plan['cpus']}"
    local = "local, not ENA: " if series.target == "local" else ""
    console.result(f"{local}lab {series.lab}, {series.scenario}, effect at {metric_text(trend.metric)} ({shape})")
    first_of = {change.run_id for change in series.changes}
    console.table(
        ("run", "began", "iterations", "effect [interval]", "", ""),
        [
            (
                run.run_id,
                run.started_at[:16].replace("T", " "),
                str(run.iterations),
                interval_plain(run.estimate_pct, run.low_pct, run.high_pct),
                label(run.code),
                "◀ a new level" if run.run_id in first_of else "",
            )
            for run in series.runs
        ],
    )
    for line in _what_it_comes_to(series):
        console.result(line)
    console.result("")


def _what_it_comes_to(series: TrendSeries) -> list[str]:
    lines = [
        f"It changed with {one.run_id}: from {change_plain(one.before_pct)} to {change_plain(one.after_pct)} (p = {one.p_value:.3g})"
        for one in series.changes
    ]
    if series.changes_unknown:
        lines.append(f"Where it changed is not known: {series.changes_unknown}")
    elif not series.changes:
        lines.append(f"No change was found in {counted(len(series.runs), 'run')}")
    if series.run_spread_pct is None or series.mean_pct is None:
        return lines
    since = f"since {series.changes[-1].run_id} " if series.changes else ""
    lines.append(
        f"From run to run it differs by {percent_plain(series.run_spread_pct)} (standard deviation); {since}the mean is "
        f"{change_plain(series.mean_pct)}"
    )
    if series.next_low_pct is not None:
        lines.append(
            f"If nothing changes, 95% of next runs show an effect in {bounds_plain(series.next_low_pct, series.next_high_pct)}"
        )
    return lines
