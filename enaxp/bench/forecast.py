"""Forecast: what a bench is likely to say, before it is run. Pure.

    plan + spreads of earlier runs (or none) ─▶ forecast ─▶ Forecast: smallest effect found, chances of each word, by iterations

The spread of an iteration is taken from earlier runs of the same traffic, pooled. What they do not know of it is told as a range. Without
any, the chances are told for a few spreads that hosts have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from enaxp.bench.chances import FEW, Chances, chances, smallest_found_pct, spread_range
from enaxp.bench.inference import Location, Margin
from enaxp.bench.schedule import BenchPlan
from enaxp.traffic import Metric

MULTIPLES = (0.0, 0.5, 1.0, 2.0)  # of the margin: the true effects that are looked at
SPREADS_PCT = (1.0, 2.0, 5.0, 10.0)  # where no earlier run tells one
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class ForecastRow:
    """The chances at one number of iterations and one spread. effect_pct: the true effect that is assumed."""

    iterations: int
    spread_pct: float
    effect_pct: float
    chances: Chances


@dataclass(frozen=True, kw_only=True)
class ForecastPart:
    """One primary of one scenario. runs: how many earlier runs its spread is from; spreads_pct: those that are told, from the lowest to
    the highest. smallest_found_pct: by spread, the smallest effect that the plan's iterations find four times in five."""

    scenario: str
    metric: Metric
    runs: int
    iterations_seen: int
    spreads_pct: tuple[float, ...]
    smallest_found_pct: tuple[float | None, ...]
    rows: tuple[ForecastRow, ...]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A whole plan."""

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
    """The forecast of a plan. `earlier`: where the log ratios of earlier runs lie, by scenario and primary."""
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
    """Half of the plan's iterations, as many, twice and five times as many."""
    return tuple(sorted({max(2, iterations // 2), max(2, iterations), 2 * iterations, 5 * iterations}))


def _spreads(earlier: Sequence[Location]) -> tuple[float, ...]:
    """The spreads to look at: both ends of the range, and from enough iterations what was seen itself. s² = Σν·s² / Σν over the runs."""
    degrees = sum(one.degrees for one in earlier)
    if not degrees:
        return tuple(pct / 100 for pct in SPREADS_PCT)
    pooled = sqrt(sum(one.degrees * one.spread**2 for one in earlier) / degrees)
    low, high = spread_range(pooled, degrees=degrees)
    return (low, pooled, high) if degrees + 1 >= FEW else (low, high)
