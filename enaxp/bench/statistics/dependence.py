"""Dependence: are neighbouring iterations correlated, does the effect drift with time? Reported, never corrected for. Pure.

    log ratios in iteration order ─▶ dependence_of ─▶ Dependence: trend and lag-1 correlation, each with its p-value

An interval over iterations assumes that they are independent. Both are permutation tests with 1999 seeded shuffles of the ratios (within
each half of a crossed-over run), so no distribution is assumed. They have little power below about twenty iterations: a test that finds
nothing proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.statistics.inference import RatioSample

FEWEST = 7  # iterations, below which neither test can say anything
SHUFFLES = 1999
SEED = 1  # fixed: a result that is worked out again is the same
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How the log ratios of a run depend on time: linear trend and lag-1 autocorrelation, with p-values.

    first, last: the ends of the fitted line, as log ratios. trend_p: two-sided p-value of the trend. lag_1: the lag-1 autocorrelation;
    lag_1_p: its one-sided p-value.
    """

    first: float
    last: float
    trend_p: float
    lag_1: float
    lag_1_p: float


def dependence_of(sample: RatioSample) -> Dependence | None:
    """Both tests for one figure; None with fewer than seven iterations, or if a ratio is not finite.

    Residuals c_i are d_i less the mean of its half, u_i the time likewise: trend |Σ u_i c_i|, lag-1 Σ c_i c_(i+1) / Σ c_i².
    """
    if len(sample.ratios) < FEWEST or not sample.is_finite:
        return None
    ratios = np.array(sample.finite)
    halves = np.array(sample.crossed or (False,) * len(ratios))
    groups = [np.flatnonzero(halves == half) for half in (False, True) if np.any(halves == half)]
    time = _within(np.arange(len(ratios), dtype=np.float64)[np.newaxis], groups)[0]
    rng = np.random.default_rng(SEED)
    shuffled = np.tile(ratios, (SHUFFLES + 1, 1))
    for group in groups:
        shuffled[1:, group] = rng.permuted(shuffled[1:, group], axis=1)
    residuals = _within(shuffled, groups)
    squares = (residuals**2).sum(axis=1)
    if np.ptp(ratios) == 0:  # all alike: rounding alone would be tested
        return None
    trends = residuals @ time
    lags = (residuals[:, :-1] * residuals[:, 1:]).sum(axis=1) / squares
    slope = float(trends[0] / (time @ time))
    middle = float(ratios.mean())
    return Dependence(
        first=middle + slope * float(time[0]),
        last=middle + slope * float(time[-1]),
        trend_p=_share(np.abs(trends[1:]) >= abs(trends[0]) * (1 - 1e-12)),
        lag_1=float(lags[0]),
        lag_1_p=_share(lags[1:] >= lags[0] - 1e-12),
    )


def _within(rows: _Floats, groups: list[npt.NDArray[np.intp]]) -> _Floats:
    """Each row minus the mean of each of its groups."""
    centred = rows.copy()
    for group in groups:
        centred[:, group] -= centred[:, group].mean(axis=1, keepdims=True)
    return centred


def _share(beyond: npt.NDArray[np.bool_]) -> float:
    return (1 + int(np.count_nonzero(beyond))) / (SHUFFLES + 1)
