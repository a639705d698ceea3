"""Forecast: the likely outcome of a bench, before it is run. Pure.

    plan + spreads of earlier runs (or none) ─▶ forecast ─▶ Forecast: smallest detectable effect, probability of each conclusion, by
    iterations

The standard deviation of an iteration is pooled from earlier runs of the same traffic; its uncertainty is given as a range. Without
earlier runs, the probabilities are given for a few typical standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.statistics.chances import FEW, Chances, chances, smallest_found_pct, spread_range
from enaxp.bench.statistics.inference import Location, Margin
from enaxp.traffic import Metric

MULTIPLES = (0.0, 0.5, 1.0, 2.0)  # of the margin: the true effects that are looked at
SPREADS_PCT = (1.0, 2.0, 5.0, 10.0)  # used without earlier runs
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class ForecastRow:
    """The probabilities for one number of iterations and one spread. effect_pct: the assumed true effect."""

    iterations: int
    spread_pct: float
    effect_pct: float
    chances: Chances


@dataclass(frozen=True, kw_only=True)
class ForecastPart:
    """The forecast of one primary metric of one scenario. runs: how many earlier runs the spread is estimated from. spreads_pct: the
    spreads considered, ascending. smallest_found_pct: for each spread, the smallest effect that the plan's iterations detect with
    probability 0.8."""

    scenario: str
    metric: Metric
    runs: int
    iterations_seen: int
    spreads_pct: tuple[float, ...]
    smallest_found_pct: tuple[float | None, ...]
    rows: tuple[ForecastRow, ...]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The forecast of a whole plan."""

    iterations: int
    repeats: int
    seconds: float
    usd: float | None
    margin_pct: float
    primaries: int
    parts: tuple[ForecastPart, ...]
    schema: int = SCHEMA


def forecast(
    plan: BenchPlan,
    earlier: Mapping[tuple[str, Metric], Sequence[Location]],
    *,
    seconds: float,
    usd: float | None,
) -> Forecast:
    """The forecast of a plan. `earlier`: mean and spread of the log ratios of earlier runs, by scenario and primary metric."""
    planned = sum(len(scenario.primaries) for scenario in plan.scenarios)
    return Forecast(
        iterations=plan.iterations,
        repeats=plan.repeats,
        seconds=seconds,
        usd=usd,
        margin_pct=plan.margin_pct,
        primaries=planned,
        parts=tuple(
            _part(plan, scenario.name, metric, earlier.get((scenario.name, metric), ()), planned=planned)
            for scenario in plan.scenarios
            for metric in scenario.primaries
        ),
    )


def _part(plan: BenchPlan, scenario: str, metric: Metric, earlier: Sequence[Location], *, planned: int) -> ForecastPart:
    margin, spreads = Margin.of(plan.margin_pct), _spreads(earlier)
    return ForecastPart(
        scenario=scenario,
        metric=metric,
        runs=len(earlier),
        iterations_seen=round(sum(one.degrees + 1 for one in earlier)),
        spreads_pct=tuple(100 * spread for spread in spreads),
        smallest_found_pct=tuple(
            smallest_found_pct(spread=spread, iterations=plan.iterations, planned=planned) for spread in spreads
        ),
        rows=tuple(
            ForecastRow(
                iterations=iterations,
                spread_pct=100 * spread,
                effect_pct=multiple * plan.margin_pct,
                chances=chances(
                    multiple * margin.high, spread=spread, iterations=iterations, planned=planned, margin=margin
                ),
            )
            for iterations in iterations_looked_at(plan.iterations)
            for spread in spreads
            for multiple in MULTIPLES
        ),
    )


def iterations_looked_at(iterations: int) -> tuple[int, ...]:
    """The numbers of iterations to forecast: half, once, twice and five times the plan's."""
    return tuple(sorted({max(2, iterations // 2), max(2, iterations), 2 * iterations, 5 * iterations}))


def _spreads(earlier: Sequence[Location]) -> tuple[float, ...]:
    """The spreads to consider: both ends of the range, and with enough iterations the estimate itself. s² = Σν·s² / Σν over the runs."""
    degrees = sum(one.degrees for one in earlier)
    if not degrees:
        return tuple(pct / 100 for pct in SPREADS_PCT)
    pooled = sqrt(sum(one.degrees * one.spread**2 for one in earlier) / degrees)
    low, high = spread_range(pooled, degrees=degrees)
    return (low, pooled, high) if degrees + 1 >= FEW else (low, high)
