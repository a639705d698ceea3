"""Dependence: found where there is some, told seldom where there is none, never before seven iterations."""

from __future__ import annotations

import numpy as np
import pytest

from enaxp.bench.statistics.dependence import dependence_of
from enaxp.bench.statistics.inference import RatioSample


def rates(runs: np.ndarray, *, crossed: bool = False, level: float = 0.0125) -> tuple[float, float]:  # type: ignore[type-arg]
    """The shares of runs in which a trend, and a lag-1 correlation, is told at this level."""
    half = runs.shape[1] // 2
    flags = tuple(at >= half for at in range(runs.shape[1])) if crossed else ()
    found = [dependence_of(RatioSample(ratios=tuple(run), crossed=flags)) for run in runs.tolist()]
    told = [one for one in found if one is not None]
    return np.mean([one.trend_p <= level for one in told]), np.mean([one.lag_1_p <= level for one in told])


def autoregressive(rho: float, *, runs: int, iterations: int) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(2)
    values = rng.normal(size=(runs, iterations))
    for at in range(1, iterations):
        values[:, at] = rho * values[:, at - 1] + np.sqrt(1 - rho**2) * values[:, at]
    return values


@pytest.mark.parametrize("crossed", [False, True])
def test_independent_iterations_are_seldom_told_to_depend(crossed: bool) -> None:
    trend, lag = rates(np.random.default_rng(3).normal(size=(600, 10)), crossed=crossed)

    assert max(trend, lag) < 0.0125 + 3 * (0.0125 / 600) ** 0.5


def test_iterations_that_resemble_their_neighbours_are_found_in_long_runs() -> None:
    assert rates(autoregressive(0.6, runs=200, iterations=30))[1] > 0.6


def test_an_effect_that_moves_is_found_with_where_it_went_from_and_to() -> None:
    drift = np.linspace(0, 0.10, 12) + np.random.default_rng(4).normal(0, 0.01, size=12)

    found = dependence_of(RatioSample(ratios=tuple(drift)))

    assert found is not None
    assert found.trend_p < 0.01
    slope, start = np.polyfit(np.arange(12), drift, 1)
    assert (found.first, found.last) == pytest.approx((start, start + 11 * slope))


def test_the_step_between_the_halves_of_a_crossover_is_no_trend() -> None:
    noise = np.random.default_rng(5).normal(0, 0.01, size=(200, 10))
    stepped = np.where(np.arange(10) < 5, 0.08, -0.08) + noise

    assert rates(stepped, crossed=True)[0] < 0.05
    assert rates(stepped, crossed=False)[0] > 0.9


def test_fewer_than_seven_iterations_and_figures_beyond_measurement_are_not_tested() -> None:
    assert dependence_of(RatioSample(ratios=(0.1,) * 6)) is None
    assert dependence_of(RatioSample(ratios=(0.1, 0.2, float("inf"), 0.1, 0.2, 0.1, 0.2))) is None
    assert dependence_of(RatioSample(ratios=(0.1,) * 10)) is None  # all alike: nothing to shuffle
