"""Dependence: do neighbouring iterations resemble each other, does the effect move with time? Told, never corrected. Pure.

    log ratios in the order of the iterations ─▶ dependence_of ─▶ Dependence: trend and lag-1 correlation, each with its p-value

An interval over iterations counts them as independent. Both tests are by 1999 seeded shuffles of the ratios (within the halves of a run
that was crossed over), so that they need no shape. They find little before about twenty iterations: their silence proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from enaxp.bench.inference import RatioSample

FEWEST = 7  # iterations, below which neither test can say anything
SHUFFLES = 1999
SEED = 1  # fixed: a result that is worked out again is the same
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How the log ratios of a run depend on time.

    first, last: the ends of the line fitted to them, as log ratios; trend_p: two-sided. lag_1: the correlation of each with the one
    after it; lag_1_p: of one so large.
    """

    first: float
    last: float
    trend_p: float
    lag_1: float
    lag_1_p: float


def dependence_of(sample: RatioSample) -> Dependence | None:
    """The tests of one figure; None with fewer than seven iterations, or where a ratio is not finite.

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
    """Each row less the mean of each of its groups."""
    centred = rows.copy()
    for group in groups:
        centred[:, group] -= centred[:, group].mean(axis=1, keepdims=True)
    return centred


def _share(beyond: npt.NDArray[np.bool_]) -> float:
    return (1 + int(np.count_nonzero(beyond))) / (SHUFFLES + 1)
