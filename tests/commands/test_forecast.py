"""Forecast: what a bench is likely to say, from the lab's earlier runs, or for several spreads where there are none."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from enaxp.bench.planning.forecast import MULTIPLES, SPREADS_PCT, forecast, iterations_looked_at
from enaxp.commands.forecast import earlier_locations
from enaxp.terminal.console import Console
from enaxp.terminal.runs import tell_forecast
from enaxp.traffic import Background
from selfcheck.made_run import UDP, Made, make_run
from tests.support.factories import a_plan

PLAN = a_plan(iterations=8, repeats=3, scenarios=(UDP,))


def test_without_earlier_runs_the_chances_are_reported_for_several_spreads() -> None:
    [p50, _] = forecast(PLAN, {}, seconds=600, usd=None).parts

    assert (p50.runs, p50.spreads_pct) == (0, SPREADS_PCT)
    assert len(p50.rows) == len(iterations_looked_at(8)) * len(SPREADS_PCT) * len(MULTIPLES)
    smallest = [one for one in p50.smallest_found_pct if one is not None]
    assert smallest == sorted(smallest)


def test_the_spread_is_that_of_the_iterations_of_earlier_runs_of_the_same_traffic(tmp_path: Path) -> None:
    one = make_run(tmp_path, Made(iterations=6, repeats=2, observations=800, scenarios=(UDP,)))
    other = make_run(tmp_path, Made(iterations=4, repeats=2, observations=800, scenarios=(UDP,), seed=5), lab="made")

    found = earlier_locations([one, other], (UDP,))
    [p50, _] = forecast(PLAN, found, seconds=600, usd=1.5).parts

    assert (p50.runs, p50.iterations_seen) == (2, 10)
    low, pooled, high = p50.spreads_pct
    assert low < pooled < high
    spreads = [where.spread for where in found["udp-latency", "p50"]]
    assert pooled == pytest.approx(100 * math.sqrt((5 * spreads[0] ** 2 + 3 * spreads[1] ** 2) / 8))
    assert min(spreads) <= pooled / 100 <= max(spreads)


def test_other_traffic_of_the_same_name_tells_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path, Made(iterations=3, repeats=1, observations=500, scenarios=(UDP,)))

    assert earlier_locations([run], (replace(UDP, message_size=1472),)) == {}
    assert earlier_locations([run], (UDP,)) != {}


def test_the_rate_of_bulk_flows_does_not_make_other_traffic_of_it() -> None:
    loaded = replace(UDP, background=Background(protocol="tcp", flows=4, message_size=16384, share=0.65, rate=100))

    assert loaded.as_asked == replace(loaded, background=replace(loaded.background, rate=7)).as_asked  # type: ignore[type-var]


def test_it_is_reported_with_minutes_cost_and_the_chance_of_each_word(capsys: pytest.CaptureFixture[str]) -> None:
    tell_forecast(Console(as_json=False), forecast(PLAN, {}, seconds=600, usd=1.5))

    told = capsys.readouterr().out
    assert "8 iterations of 3 pairs take about 10 min 00 s, about 1.50 USD" in told
    assert "udp-latency, P99: no earlier run tells how much iterations vary" in told
    assert "an effect of" in told
    assert "firm word" in told
