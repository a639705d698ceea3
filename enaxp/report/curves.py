"""Curves: a scenario's latencies over all percentiles, with bands, at a few hundred exact points. Pure.

    ScenarioBlocks (trials merged by iteration) ─▶ quantiles on a grid of percentiles ─┬─▶ percentile_curve (µs, bootstrap band)
                                                                                       ├─▶ shift_curve (ENA Express against ENA, per cent)
                                                                                       └─▶ body (the cumulative share, up to P98)

Every point is an exact quantile of the merged trials; only the percentiles are sampled. Points with too few messages are marked thin, and
there is no point with fewer than ten observations beyond it. A curve ends where the lost messages begin: from there on it is beyond
measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.judging.blocks import At, ScenarioBlocks
from enaxp.bench.judging.effect import interval
from enaxp.bench.run_folder.histogram import Distribution, tail_is_thin
from enaxp.bench.statistics.inference import EXPLORATORY_CONFIDENCE
from enaxp.traffic import ARMS, QUANTILES, Arm

POINTS_PER_DECADE = 24
MOST_NINES = 6
FEWEST_BEYOND = 10
NAMED = tuple(QUANTILES.values())
BODY_TO = 0.98
RESAMPLES, SEED = 400, 1  # of the iterations, for the bands; seeded, so that a page drawn again is the same page

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A latency at a percentile. The band is a 95 % bootstrap over iterations; None with a single iteration, and for an end that is
    beyond measurement.
    """

    arm: Arm
    p: float
    us: float
    low_us: float | None
    high_us: float | None
    thin: bool


@dataclass(frozen=True, kw_only=True)
class ShiftPoint:
    """The effect of ENA Express at a percentile, in per cent of ENA, with the pointwise 95 % t-interval over the iterations."""

    p: float
    pct: float
    low_pct: float | None
    high_pct: float | None
    thin: bool


def percentile_curve(blocks: ScenarioBlocks) -> tuple[CurvePoint, ...]:
    """The latencies of both arms over the percentiles."""
    points: list[CurvePoint] = []
    for arm in ARMS:
        own, whole = list(_measured(blocks, arm).values()), blocks.whole[arm].latencies
        if whole is None:
            continue
        grid = _grid(sum(block.observations for block in own))
        values, band = _quantiles(whole, grid), _band(own, grid)
        points += [
            CurvePoint(
                arm=arm,
                p=p,
                us=values[at] / 1000,
                low_us=None if band is None else _us_if_finite(band[0][at]),
                high_us=None if band is None else _us_if_finite(band[1][at]),
                thin=tail_is_thin(p, fewest=min(block.wanted for block in own)),
            )
            for at, p in enumerate(grid)
            if math.isfinite(values[at])
        ]
    return tuple(points)


def shift_curve(blocks: ScenarioBlocks) -> tuple[ShiftPoint, ...]:
    """The effect at each percentile, by the statistic of the effects: log ratios per iteration, then their mean and t-interval."""
    ena, express = (_measured(blocks, arm) for arm in ARMS)
    both = [(block, express[at]) for at, block in ena.items() if at in express]
    if not both:
        return ()
    observations = min(sum(pair[side].observations for pair in both) for side in (0, 1))
    grid = _grid(observations)
    matrix = np.array(
        [[_quantiles(block.latencies, grid) for block in pair] for pair in both]
    )  # iteration × arm × percentile
    points = []
    for at, p in enumerate(grid):
        if not np.all(np.isfinite(matrix[:, :, at])):
            continue
        ratios = [math.log(two / one) for one, two in matrix[:, :, at].tolist() if one > 0 and two > 0]
        if not ratios:
            continue
        low, high = interval(ratios, confidence=EXPLORATORY_CONFIDENCE)
        thin = tail_is_thin(p, fewest=min(block.wanted for pair in both for block in pair))
        pct = 100 * math.expm1(sum(ratios) / len(ratios))
        points.append(ShiftPoint(p=p, pct=pct, low_pct=low, high_pct=high, thin=thin))
    return tuple(points)


def body(blocks: ScenarioBlocks) -> tuple[CurvePoint, ...]:
    """The cumulative distribution up to P98, where most messages are, at evenly spaced shares."""
    grid = [step / 200 for step in range(1, round(BODY_TO * 200) + 1)]
    return tuple(
        CurvePoint(arm=arm, p=p, us=value / 1000, low_us=None, high_us=None, thin=False)
        for arm in ARMS
        if (whole := blocks.whole[arm].latencies) is not None
        for p, value in zip(grid, _quantiles(whole, grid), strict=True)
        if math.isfinite(value)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    """A block with latencies."""

    trials: int
    observations: int
    wanted: int
    latencies: Distribution


def _measured(blocks: ScenarioBlocks, arm: Arm) -> dict[At, _Measured]:
    """The arm's blocks with latencies, in iteration order."""
    return {
        at: _Measured(
            trials=block.trials,
            observations=block.observations or 0,
            wanted=block.wanted or 0,
            latencies=block.latencies,
        )
        for at, block in blocks.blocks[arm].items()
        if block.latencies is not None
    }


def _grid(observations: int) -> list[float]:
    """Percentiles evenly spaced in the number of nines, and the named ones, as long as ten observations lie beyond."""
    steps = [1 - 10 ** (-step / POINTS_PER_DECADE) for step in range(1, MOST_NINES * POINTS_PER_DECADE + 1)]
    wanted = sorted({round(p, 9) for p in (0.01, *NAMED, *steps)})
    return [p for p in wanted if observations * (1 - p) >= FEWEST_BEYOND - 1e-6] or [0.5]


def _quantiles(distribution: Distribution, grid: Sequence[float]) -> list[float]:
    """The nearest-rank quantiles in ns, as `Distribution.quantile` gives them one by one; +∞ beyond measurement."""
    values, cumulated = _cumulated(distribution)
    read: list[float] = _read(values, cumulated, grid).tolist()
    return read


def _cumulated(distribution: Distribution) -> tuple[_Floats, _Floats]:
    """The values in ns and the share at or below each; lost messages are at +∞."""
    values, shares = distribution.values.astype(np.float64), distribution.shares
    if distribution.lost:
        values, shares = np.append(values, np.inf), np.append(shares, distribution.lost)
    return values, np.cumsum(shares)


def _read(values: _Floats, cumulated: _Floats, grid: Sequence[float]) -> _Floats:
    reached = np.searchsorted(cumulated, np.asarray(grid) - 1e-12)
    return values[np.minimum(reached, len(values) - 1)]


def _band(blocks: Sequence[_Measured], grid: Sequence[float]) -> tuple[list[float], list[float]] | None:
    """The bootstrap band at each percentile: the range of 95 % of the merges of resampled iterations; None with fewer than two.

    For drawing only: with few iterations a bootstrap is too narrow for conclusions. It is evaluated at the iterations' values at the
    grid's percentiles, which is as fine as the drawing.
    """
    if len(blocks) < 2:
        return None
    values = np.unique(np.concatenate([_quantiles(block.latencies, grid) for block in blocks]))
    cumulated = np.array([_cumulated_at(block.latencies, values) for block in blocks])
    trials = np.array([block.trials for block in blocks], dtype=np.float64)
    draws = np.random.default_rng(SEED).multinomial(len(blocks), [1 / len(blocks)] * len(blocks), size=RESAMPLES)
    drawn = np.array([_read(values, (weights / weights.sum()) @ cumulated, grid) for weights in draws * trials])
    with np.errstate(invalid="ignore"):  # between two that are beyond measurement nothing can be interpolated
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low.tolist(), high.tolist()


def _us_if_finite(ns: float) -> float | None:
    return ns / 1000 if math.isfinite(ns) else None


def _cumulated_at(distribution: Distribution, values: _Floats) -> _Floats:
    """The share of a distribution at or below each of the values."""
    own, shares = _cumulated(distribution)
    cumulated = np.concatenate(([0.0], shares))
    return cumulated[np.searchsorted(own, values, side="right")]
