"""Effect: intervals that hold what they promise, and one word for each place an interval can lie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.effect import improvement_pct, interval, iterations_needed, measure_effect, minimum_detectable_pct
from enaxp.traffic import Metric

VALUES = st.floats(80, 125)
ITERATIONS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=12)


def around(change_pct: float, spread_pct: float) -> list[tuple[float, float]]:
    """Ten iterations whose ratios lie around a change, half of them above and half below."""
    return [
        (100.0, 100 * (1 + change_pct / 100) * math.exp(sign * spread_pct / 100)) for sign in (-1, 1) for _ in range(5)
    ]


@pytest.mark.parametrize(
    ("change_pct", "spread_pct", "latency", "throughput"),
    [
        (-20, 1, "faster", "slower"),
        (+20, 1, "slower", "faster"),
        (0, 0.5, "same", "same"),
        (1, 0.1, "same", "same"),  # certain, and too small to matter
        (-2.2, 1, "slightly-faster", "slightly-slower"),
        (2.2, 1, "slightly-slower", "slightly-faster"),
        (1, 5, "inconclusive", "inconclusive"),
    ],
)
def test_each_place_an_interval_can_lie_has_its_word(
    change_pct: float, spread_pct: float, latency: str, throughput: str
) -> None:
    iterations = around(change_pct, spread_pct)

    codes = [measure_effect(metric, iterations, margin_pct=2, primary=True).code for metric in ("p50", "throughput")]

    assert codes == [latency, throughput]


def test_the_estimate_is_the_geometric_mean_with_the_sign_of_the_change() -> None:
    effect = measure_effect("p50", [(100, 80), (100, 125)], margin_pct=2, primary=True)

    assert effect.estimate_pct == pytest.approx(0, abs=1e-12)
    assert measure_effect("p50", [(50, 40)] * 3, margin_pct=2, primary=True).estimate_pct == pytest.approx(-20)


def test_the_interval_is_that_of_student() -> None:
    # ln ratios -1 and +1: mean 0, s = sqrt 2, s/sqrt 2 = 1, t(0.975; 1) = 12.7062
    low, high = interval([-1.0, 1.0], confidence=0.95)

    assert high == pytest.approx(100 * math.expm1(12.7062), rel=1e-4)
    assert low == pytest.approx(100 * math.expm1(-12.7062), rel=1e-4)


@given(ITERATIONS)
def test_a_primary_has_the_wider_interval_around_the_same_estimate(iterations: list[tuple[float, float]]) -> None:
    primary = measure_effect("p50", iterations, margin_pct=2, primary=True)
    exploratory = measure_effect("p50", iterations, margin_pct=2, primary=False)

    assert primary.estimate_pct == exploratory.estimate_pct
    assert primary.low_pct <= exploratory.low_pct <= exploratory.estimate_pct + 1e-9  # type: ignore[operator]
    assert primary.high_pct >= exploratory.high_pct >= exploratory.estimate_pct - 1e-9  # type: ignore[operator]


@given(ITERATIONS)
def test_exchanging_the_arms_exchanges_the_words(iterations: list[tuple[float, float]]) -> None:
    opposite = {
        "faster": "slower",
        "slightly-faster": "slightly-slower",
        "slower": "faster",
        "slightly-slower": "slightly-faster",
    }
    ratios = [math.log(express / ena) for ena, express in iterations]
    low, high = interval(ratios, confidence=0.975)
    back_low, back_high = interval([-ratio for ratio in ratios], confidence=0.975)

    assert math.log1p(low / 100) == pytest.approx(-math.log1p(back_high / 100), abs=1e-6)  # type: ignore[operator]
    assert math.log1p(high / 100) == pytest.approx(-math.log1p(back_low / 100), abs=1e-6)  # type: ignore[operator]
    latency = measure_effect("p50", iterations, margin_pct=2, primary=True).code
    throughput = measure_effect("throughput", iterations, margin_pct=2, primary=True).code
    assert throughput == opposite.get(latency, latency)


@pytest.mark.parametrize(("iterations", "estimate"), [([(100.0, 90.0)], -10), ([(100.0, 90.0), (0.0, 5.0)], -10)])
def test_one_iteration_has_an_estimate_and_no_interval(iterations: Any, estimate: float) -> None:
    effect = measure_effect("p50", iterations, margin_pct=2, primary=True)

    assert effect.estimate_pct == pytest.approx(estimate)
    assert (effect.low_pct, effect.high_pct, effect.code) == (None, None, "inconclusive")


def test_nothing_measured_is_null_and_invalid() -> None:
    effect = measure_effect("p50", [], margin_pct=2, primary=True)

    assert (effect.estimate_pct, effect.low_pct, effect.high_pct, effect.code) == (None, None, None, "invalid")


def test_iterations_that_are_all_alike_have_an_interval_of_no_width() -> None:
    effect = measure_effect("p99", [(100, 110)] * 5, margin_pct=2, primary=True)

    assert effect.low_pct == effect.high_pct == pytest.approx(10)
    assert effect.code == "slower"


@pytest.mark.parametrize("spread_pct", [0, 2, 4])
def test_an_interval_over_iterations_holds_the_truth_as_often_as_it_says(spread_pct: float) -> None:
    """10 iterations of 10 pairs; the iterations differ by `spread_pct`, the trials in them by 3 %, with heavy tails."""
    rng = np.random.default_rng(20250411)
    between = rng.normal(0, spread_pct / 100, size=(1500, 10))
    within = 0.03 * rng.standard_t(3, size=(1500, 10, 10)).mean(axis=2)
    benches = math.log(1.05) + between + within

    held = [low <= 5 <= high for low, high in (interval(bench, confidence=0.95) for bench in benches.tolist())]  # type: ignore[operator]

    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_the_smallest_effect_that_ten_iterations_find_is_about_their_deviation() -> None:
    ratios = [0.02, -0.02] * 5  # s = 0.02108

    assert minimum_detectable_pct(ratios, confidence=0.95) == pytest.approx(0.995 * 2.108, rel=0.02)
    assert minimum_detectable_pct([0.1], confidence=0.95) is None


@pytest.mark.parametrize("spread", [0.0, 0.005, 0.02, 0.1])
def test_the_iterations_needed_are_the_fewest_that_find_the_margin(spread: float) -> None:
    ratios = [spread, -spread] * 5

    needed = iterations_needed(ratios, margin_pct=2, confidence=0.95)

    def spread_over(count: int) -> list[float]:
        """As many ratios with the same standard deviation as `ratios`."""
        values = np.linspace(-1, 1, count)
        return list(values / values.std(ddof=1) * np.std(ratios, ddof=1))

    assert needed is not None
    assert minimum_detectable_pct(spread_over(needed), confidence=0.95) <= 2 + 1e-9  # type: ignore[operator]
    if needed > 2:
        assert minimum_detectable_pct(spread_over(needed - 1), confidence=0.95) > 2  # type: ignore[operator]


def test_the_iterations_needed_are_unknown_without_a_spread_or_beyond_reason() -> None:
    assert iterations_needed([0.1], margin_pct=2, confidence=0.95) is None
    assert iterations_needed([5.0, -5.0] * 5, margin_pct=0.1, confidence=0.95) is None


@pytest.mark.parametrize(
    ("metric", "ena", "express", "expected"),
    [
        ("mean", 35.421, 51.183, -44.50),
        ("p99", 45.673, 57.892, -26.75),
        ("p50", 100, 80, 20),
        ("throughput", 10, 12, 20),
        ("throughput", 10, 8, -20),
        ("p50", None, 80, None),
        ("p50", 100, None, None),
        ("p50", 0, 80, None),
    ],
)
def test_the_improvement_is_that_of_the_guide(metric: Metric, ena: Any, express: Any, expected: float | None) -> None:
    improvement = improvement_pct(metric, ena=ena, ena_express=express)

    assert improvement == (None if expected is None else pytest.approx(expected, abs=0.005))
