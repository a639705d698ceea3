"""Trend: which runs are one series, and what is said of it."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import t

from enaxp.bench.comparing.trend import TrendSeries, series_of, trend_of
from enaxp.bench.judging.result import Result
from enaxp.bench.run_folder.records import Manifest
from enaxp.bench.statistics.changes import ChangePoint
from tests.support.factories import TCP, UDP, a_manifest, a_plan, a_run, an_effect

RESULT = a_run().result


def run_of(day: int, pct: float | None = 1.0, **changes: Any) -> tuple[Manifest, Result]:
    """A run of that day, with this effect on the P99 of every scenario."""
    manifest = a_manifest(run_id=f"202504{day:02d}-080000", started_at=f"2025-04-{day:02d}T08:00:00+00:00", **changes)
    effect = an_effect(
        estimate_pct=pct, low_pct=None if pct is None else pct - 1, high_pct=None if pct is None else pct + 1
    )
    [measured] = RESULT.scenarios.values()
    scenarios = {one.name: replace(measured, effects={"p99": effect}) for one in manifest.plan.scenarios}
    return manifest, replace(RESULT, run_id=manifest.run_id, scenarios=scenarios)


def series(*pcts: float) -> TrendSeries:
    [one], _ = series_of([run_of(day, pct) for day, pct in enumerate(pcts, start=1)], "p99")
    return one


def test_runs_of_one_traffic_and_shape_are_one_series_the_oldest_first() -> None:
    runs = [
        run_of(3),
        run_of(1),
        run_of(2, plan=a_plan(iterations=9, margin_pct=5)),
        run_of(4, plan=a_plan(repeats=5)),
        run_of(5, plan=a_plan(scenarios=(replace(UDP, message_size=1472),))),
        run_of(6, lab="prod"),
        run_of(7, target="local", isolation="processes"),
        run_of(8, plan=a_plan(scenarios=(replace(UDP, csv_name="another"), TCP))),
    ]

    found, left_out = series_of(runs, "p99")

    days = [[run.run_id[6:8] for run in one.runs] for one in found]
    assert days == [["01", "02", "03", "08"], ["04"], ["05"], ["06"], ["07"], ["08"]]
    assert left_out == {}


def test_a_run_without_the_figure_is_left_out_with_its_reason() -> None:
    found, left_out = series_of([run_of(1), run_of(2, None)], "p99")
    nothing, why = series_of([run_of(1)], "throughput")

    assert [len(one.runs) for one in found] == [1]
    assert left_out == {"dev/20250402-080000": "it has no p99 with an effect"}
    assert (nothing, list(why)) == ([], ["dev/20250401-080000"])


def test_the_spread_from_run_to_run_and_the_next_run_are_those_of_the_log_ratios() -> None:
    pcts = (1.0, 3.0, -2.0, 2.0, 0.0, 1.0, 4.0, -1.0)

    found = trend_of(series(*pcts), lambda values: [])

    logs = [math.log1p(pct / 100) for pct in pcts]
    half = t.ppf(0.975, 7) * statistics.stdev(logs) * math.sqrt(1 + 1 / 8)
    assert found.run_spread_pct == pytest.approx(100 * statistics.stdev(logs))
    assert found.mean_pct == pytest.approx(100 * math.expm1(statistics.fmean(logs)))
    assert (found.next_low_pct, found.next_high_pct) == pytest.approx(
        tuple(100 * math.expm1(statistics.fmean(logs) + sign * half) for sign in (-1, 1))
    )
    assert (found.changes, found.changes_unknown) == ((), None)


def test_a_change_parts_the_series_and_is_in_no_spread() -> None:
    found = trend_of(series(0, 1, 0, 1, 0, 20, 21, 20, 21), lambda values: [ChangePoint(at=5, p_value=0.01)])

    [change] = found.changes
    assert (change.run_id, change.p_value) == ("20250406-080000", 0.01)
    assert (change.before_pct, change.after_pct) == pytest.approx((0.4, 20.5), abs=0.01)
    assert found.mean_pct == pytest.approx(20.5, abs=0.01)
    assert found.run_spread_pct == pytest.approx(0.5, abs=0.1)
    assert found.next_low_pct is not None
    assert found.next_low_pct > 18


@pytest.mark.parametrize(
    ("count", "detect", "why"),
    [
        (7, lambda values: [ChangePoint(at=1, p_value=0.01)], "a change shows from 8 runs on, there are 7"),
        (8, None, "Otava is not there"),
    ],
)
def test_where_it_is_not_looked_for_changes_it_is_said_why(count: int, detect: Any, why: str) -> None:
    found = trend_of(series(*range(count)), detect, why_not="Otava is not there")

    assert (found.changes, found.changes_unknown) == ((), why)
    assert found.run_spread_pct is not None


def test_a_single_run_has_no_spread_and_tells_nothing_of_the_next() -> None:
    found = trend_of(series(3.0), None, why_not="")

    assert (found.mean_pct, found.run_spread_pct, found.next_low_pct) == (pytest.approx(3.0), None, None)
