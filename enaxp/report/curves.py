"""Curves: what a scenario's latencies look like over all percentiles, with bands, reduced exactly to a few hundred points. Pure.

    Block (one arm in one iteration, merged) ─▶ quantiles on a grid of percentiles ─┬─▶ percentile_curve (µs, bootstrap band)
                                                                                    ├─▶ shift_curve (ENA Express against ENA, per cent)
                                                                                    └─▶ body (the cumulative share, up to P98)

Every point is an exact quantile of the merged trials; only the percentiles at which the curves are read are chosen. Points that rest on
too few observations are marked thin, and none is read where fewer than ten observations lie beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.effect import EXPLORATORY_CONFIDENCE, interval
from enaxp.bench.histogram import Distribution, merge, tail_is_thin
from enaxp.traffic import ARMS, QUANTILES, Arm

POINTS_PER_DECADE = 24
MOST_NINES = 6
FEWEST_BEYOND = 10
NAMED = tuple(QUANTILES.values())
BODY_TO = 0.98
MERGED_AT_ONCE = 8
RESAMPLES, SEED = 400, 1  # of the iterations, for the bands; seeded, so that a page drawn again is the same page

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CurveBlock:
    """The counted trials of one arm in one iteration (of one pair of hosts), merged with equal weight."""

    pair: int
    iteration: int
    trials: int
    observations: int
    merged: Distribution


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A latency at a percentile. The band is that of resampled iterations (95 %); None with a single iteration."""

    arm: Arm
    p: float
    us: float
    low_us: float | None
    high_us: float | None
    thin: bool


@dataclass(frozen=True, kw_only=True)
class ShiftPoint:
    """What ENA Express changes at a percentile, in per cent of ENA, with the t-interval over the iterations (95 %, pointwise)."""

    p: float
    pct: float
    low_pct: float | None
    high_pct: float | None
    thin: bool


CurveBlocks = Mapping[Arm, Sequence[CurveBlock]]


def merged(blocks: Sequence[CurveBlock]) -> Distribution:
    """All of an arm's trials with equal weight, as `result.json` has them. Merged a few at a time, for the sake of memory."""
    parts = [(block.merged, block.trials) for block in blocks]
    while len(parts) > 1:
        groups = [parts[start : start + MERGED_AT_ONCE] for start in range(0, len(parts), MERGED_AT_ONCE)]
        parts = [
            (
                merge([one for one, _ in group], weights=[trials for _, trials in group]),
                sum(trials for _, trials in group),
            )
            for group in groups
        ]
    return parts[0][0]


def percentile_curve(blocks: CurveBlocks, whole: Mapping[Arm, Distribution]) -> tuple[CurvePoint, ...]:
    """The latencies of both arms over the percentiles; `whole` is each arm `merged`."""
    points: list[CurvePoint] = []
    for arm, own in blocks.items():
        if not own:
            continue
        observations = sum(block.observations for block in own)
        grid = _grid(observations)
        values, band = _quantiles(whole[arm], grid), _band(own, grid)
        points += [
            CurvePoint(
                arm=arm,
                p=p,
                us=values[at] / 1000,
                low_us=None if band is None else band[0][at] / 1000,
                high_us=None if band is None else band[1][at] / 1000,
                thin=tail_is_thin(p, observations=observations, iterations=len(own)),
            )
            for at, p in enumerate(grid)
        ]
    return tuple(points)


def shift_curve(blocks: CurveBlocks) -> tuple[ShiftPoint, ...]:
    """The effect at each percentile, by the statistic of the effects: log ratios per iteration, then their mean and t-interval."""
    places = {arm: {(block.pair, block.iteration): block for block in blocks[arm]} for arm in ARMS}
    both = [(ena, places["ena_express"][at]) for at, ena in places["ena"].items() if at in places["ena_express"]]
    if not both:
        return ()
    observations = min(sum(pair[side].observations for pair in both) for side in (0, 1))
    grid = _grid(observations)
    matrix = np.array(
        [[_quantiles(block.merged, grid) for block in pair] for pair in both]
    )  # iteration × arm × percentile
    points = []
    for at, p in enumerate(grid):
        ratios = [math.log(express / ena) for ena, express in matrix[:, :, at].tolist() if ena > 0 and express > 0]
        if not ratios:
            continue
        low, high = interval(ratios, confidence=EXPLORATORY_CONFIDENCE)
        thin = tail_is_thin(p, observations=observations, iterations=len(both))
        pct = 100 * math.expm1(sum(ratios) / len(ratios))
        points.append(ShiftPoint(p=p, pct=pct, low_pct=low, high_pct=high, thin=thin))
    return tuple(points)


def body(whole: Mapping[Arm, Distribution]) -> tuple[CurvePoint, ...]:
    """The cumulative share up to P98, evenly in the share: where most messages are."""
    grid = [step / 200 for step in range(1, round(BODY_TO * 200) + 1)]
    return tuple(
        CurvePoint(arm=arm, p=p, us=value / 1000, low_us=None, high_us=None, thin=False)
        for arm, distribution in whole.items()
        for p, value in zip(grid, _quantiles(distribution, grid), strict=True)
    )


def _grid(observations: int) -> list[float]:
    """Percentiles evenly in the number of nines, with the named ones, as far as ten observations lie beyond."""
    steps = [1 - 10 ** (-step / POINTS_PER_DECADE) for step in range(1, MOST_NINES * POINTS_PER_DECADE + 1)]
    wanted = sorted({round(p, 9) for p in (0.01, *NAMED, *steps)})
    return [p for p in wanted if observations * (1 - p) >= FEWEST_BEYOND - 1e-6] or [0.5]


def _quantiles(distribution: Distribution, grid: Sequence[float]) -> list[float]:
    """The nearest-rank quantiles in ns, as `Distribution.quantile` gives them one by one."""
    read: list[float] = _read(distribution.values.astype(np.float64), np.cumsum(distribution.shares), grid).tolist()
    return read


def _read(values: _Floats, cumulated: _Floats, grid: Sequence[float]) -> _Floats:
    reached = np.searchsorted(cumulated, np.asarray(grid) - 1e-12)
    return values[np.minimum(reached, len(values) - 1)]


def _band(blocks: Sequence[CurveBlock], grid: Sequence[float]) -> tuple[list[float], list[float]] | None:
    """Where 95 % of the merges of resampled iterations lie at each percentile; None with fewer than two.

    For drawing only: with few iterations a bootstrap is too narrow to judge by. It is read on the values that the iterations have at
    the grid's percentiles, which is as fine as the drawing.
    """
    if len(blocks) < 2:
        return None
    values = np.unique(np.concatenate([_quantiles(block.merged, grid) for block in blocks]))
    cumulated = np.array([_cumulated_at(block.merged, values) for block in blocks])
    trials = np.array([block.trials for block in blocks], dtype=np.float64)
    draws = np.random.default_rng(SEED).multinomial(len(blocks), [1 / len(blocks)] * len(blocks), size=RESAMPLES)
    drawn = np.array([_read(values, (weights / weights.sum()) @ cumulated, grid) for weights in draws * trials])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return low.tolist(), high.tolist()


def _cumulated_at(distribution: Distribution, values: _Floats) -> _Floats:
    """The share of a distribution at or below each of the values."""
    cumulated = np.concatenate(([0.0], np.cumsum(distribution.shares)))
    return cumulated[np.searchsorted(distribution.values, values, side="right")]
