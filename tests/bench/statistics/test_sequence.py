"""Sequence: the widths of the published formula, and an interval that holds the truth however often it is looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest

from enaxp.bench.statistics.inference import RatioSample, interval
from enaxp.bench.statistics.sequence import half_width_factor, watched_interval


@pytest.mark.parametrize(
    ("count", "factor"), [(3, None), (4, 4.30), (5, 2.91), (7, 1.99), (10, 1.47), (15, 1.10), (20, 0.92), (30, 0.73)]
)
def test_the_half_width_in_standard_deviations_is_that_of_the_table(count: int, factor: float | None) -> None:
    found = half_width_factor(count, degrees=count - 1, level=0.025)

    assert found == (None if factor is None else pytest.approx(factor, abs=0.006))


def test_looked_at_after_each_iteration_it_misses_the_truth_far_less_often_than_a_t_interval() -> None:
    runs = np.random.default_rng(1).normal(size=(400, 20)).tolist()

    def misses(run: list[float], *, watched: bool) -> bool:
        for count in range(3, len(run) + 1):
            sample = RatioSample(ratios=tuple(run[:count]))
            ends = watched_interval(sample, level=0.025) if watched else interval(sample, confidence=0.975)
            if ends is not None and not ends[0] <= 0 <= ends[1]:
                return True
        return False

    assert sum(misses(run, watched=True) for run in runs) <= 0.025 * 400
    assert sum(misses(run, watched=False) for run in runs) > 0.08 * 400


def test_crossed_over_it_is_centred_between_the_halves() -> None:
    first, second = [0.11, 0.12, 0.13, 0.12], [0.01, 0.02, 0.03, 0.02]
    sample = RatioSample(ratios=(*first, *second), crossed=(False,) * 4 + (True,) * 4)

    ends = watched_interval(sample, level=0.025)

    assert ends is not None
    assert (ends[0] + ends[1]) / 2 == pytest.approx(0.07)
    pooled = math.sqrt((np.var(first, ddof=1) + np.var(second, ddof=1)) / 2)
    factor = half_width_factor(8, degrees=6, level=0.025)
    assert factor is not None
    assert (ends[1] - ends[0]) / 2 == pytest.approx(pooled * factor)
