"""Units: runs are what is counted, and where they do not tell how much runs differ, other runs do, or nobody."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind

from enaxp.bench.statistics.inference import RatioSample
from enaxp.bench.statistics.units import Difference, RunMean, copies, difference

MEANS = st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=6)


def means(*values: float, iterations: int = 10, error: float | None = None) -> list[RunMean]:
    return [RunMean(mean=value, error=error, iterations=iterations) for value in values]


def bounds(found: Difference, confidence: float = 0.975) -> tuple[float, float]:
    ends = found.interval(confidence=confidence)
    assert ends is not None
    return ends


@pytest.mark.parametrize(
    ("base", "run", "equal_variances"),
    [
        pytest.param([0.01, 0.03], [0.10, 0.30], True, id="2 + 2"),
        pytest.param([0.01, 0.03, -0.02], [0.10, 0.30, 0.22], True, id="3 + 3"),
        pytest.param([0.01, 0.03, -0.02], [0.10, 0.30, 0.22, 0.05, 0.15, 0.41], False, id="3 + 6"),
    ],
)
def test_equal_numbers_of_runs_are_pooled_and_unequal_ones_are_welch(
    base: list[float], run: list[float], equal_variances: bool
) -> None:
    found = difference(means(*base), means(*run))

    expected = ttest_ind(run, base, equal_var=equal_variances).confidence_interval(0.975)
    assert found.basis == "these runs"
    assert bounds(found) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("base", "run"), [(1, 1), (2, 1), (1, 2)])
def test_too_few_runs_take_the_spread_of_earlier_ones(base: int, run: int) -> None:
    earlier = [0.02, -0.01, 0.04, 0.00, 0.01]

    found = difference(means(*[0.5] * base), means(*[0.6] * run), earlier=means(*earlier))

    half = t.ppf(1 - 0.025 / 2, 4) * statistics.stdev(earlier) * math.sqrt(1 / base + 1 / run)
    assert (found.basis, found.told_by) == ("earlier runs", 5)
    assert bounds(found) == pytest.approx((0.1 - half, 0.1 + half))


@pytest.mark.parametrize("earlier", [0, 1, 2])
def test_below_three_earlier_runs_nothing_is_known_but_the_size(earlier: int) -> None:
    found = difference(means(0.5), means(0.6), earlier=means(*[0.01 * i for i in range(earlier)]))

    assert (found.basis, found.where, found.interval(confidence=0.9)) == ("unknown", None, None)
    assert found.estimate == pytest.approx(0.1)


def test_a_single_run_is_held_against_three_by_their_spread() -> None:
    found = difference(means(0.01, 0.03, -0.02), means(0.5))

    half = t.ppf(0.9875, 2) * statistics.stdev([0.01, 0.03, -0.02]) * math.sqrt(1 + 1 / 3)
    assert (found.basis, found.told_by) == ("these runs", 3)
    assert bounds(found)[1] - bounds(found)[0] == pytest.approx(2 * half)


def test_fewer_iterations_than_the_earlier_runs_had_make_it_wider_and_more_of_them_no_narrower() -> None:
    earlier = means(0.02, -0.01, 0.04, 0.00, error=0.01, iterations=10)

    def error(iterations: int) -> float:
        one = means(0.5, error=0.05 / math.sqrt(iterations), iterations=iterations)  # an iteration's SD is 0.05
        where = difference(one, one, earlier=earlier).where
        assert where is not None
        return where.error**2

    spread = 2 * statistics.variance([0.02, -0.01, 0.04, 0.00])
    assert error(10) == error(30) == pytest.approx(spread)
    assert error(3) == pytest.approx(spread + 2 * 0.05**2 * (1 / 3 - 1 / 10))


def test_a_run_is_one_value_however_many_iterations_it_has() -> None:
    few, many = (RunMean.of(RatioSample(ratios=(0.1, 0.3) * times)) for times in (2, 200))

    assert few is not None
    assert many is not None
    assert (few.mean, few.iterations, many.iterations) == (pytest.approx(0.2), 4, 400)
    assert bounds(difference([few, few], [many, few])) == bounds(difference([few, few], [few, few]))


def test_a_run_that_was_crossed_over_counts_by_the_mean_of_its_halves() -> None:
    crossed = RunMean.of(RatioSample(ratios=(0.1, 0.1, 0.1, 0.4), crossed=(False, False, False, True)))

    assert crossed is not None
    assert crossed.mean == pytest.approx(0.25)


@pytest.mark.parametrize("ratios", [(), (0.1, math.inf), (0.1, None)])
def test_a_figure_beyond_measurement_is_no_mean(ratios: tuple[float | None, ...]) -> None:
    assert RunMean.of(RatioSample(ratios=ratios)) is None


@given(MEANS, st.floats(-1, 1))
def test_turned_round_it_is_its_mirror_and_a_shift_of_a_side_shifts_it(values: list[float], shift: float) -> None:
    base, run = means(*values), means(*[value + shift for value in reversed(values)])

    low, high = bounds(difference(base, run))

    assert (low + high) / 2 == pytest.approx(shift, abs=1e-9)
    assert bounds(difference(run, base)) == pytest.approx((-high, -low), abs=1e-9)


def test_copies_do_not_differ() -> None:
    assert bounds(copies()) == (0.0, 0.0)


@pytest.mark.parametrize(("base", "run", "earlier"), [(1, 1, 3), (1, 1, 10), (2, 2, 0), (3, 3, 0), (1, 4, 0)])
def test_runs_of_one_thing_are_distinguished_as_seldom_as_the_level_says(base: int, run: int, earlier: int) -> None:
    chance, times = np.random.default_rng(20261130), 2000

    missed = 0
    for _ in range(times):
        sides = [means(*chance.normal(0, 0.03, count)) for count in (base, run, earlier)]
        low, high = bounds(difference(*sides[:2], earlier=sides[2]))
        missed += not low <= 0 <= high

    assert missed / times <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / times)
