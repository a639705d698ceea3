"""Effect: intervals that hold what they promise, and one word for each place an interval can lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enaxp.bench.judging.effect import (
    Code,
    Effect,
    FigurePairs,
    code_of_finding,
    improvement_pct,
    interval,
    judge_figures,
)
from enaxp.bench.statistics.inference import Finding
from enaxp.traffic import Metric

VALUES = st.floats(80, 125)
ITERATIONS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=12)
INF = math.inf


def judged(
    metric: Metric, iterations: Sequence[tuple[float, float]], *, primary: bool = True, planned: int = 2
) -> Effect:
    """The effect on one figure of a run that has so many primaries."""
    figure = FigurePairs(metric=metric, iterations=iterations, primary=primary)
    return judge_figures([figure], margin_pct=2, planned=planned)[0]


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

    codes = [judged(metric, iterations).code for metric in ("p50", "throughput")]

    assert codes == [latency, throughput]


def test_the_estimate_is_the_geometric_mean_with_the_sign_of_the_change() -> None:
    effect = judged("p50", [(100, 80), (100, 125)])

    assert effect.estimate_pct == pytest.approx(0, abs=1e-12)
    assert judged("p50", [(50, 40)] * 3).estimate_pct == pytest.approx(-20)


def test_the_interval_is_that_of_student() -> None:
    # ln ratios -1 and +1: mean 0, s = sqrt 2, s/sqrt 2 = 1, t(0.975; 1) = 12.7062
    low, high = interval([-1.0, 1.0], confidence=0.95)

    assert high == pytest.approx(100 * math.expm1(12.7062), rel=1e-4)
    assert low == pytest.approx(100 * math.expm1(-12.7062), rel=1e-4)


@given(ITERATIONS)
def test_a_primary_has_the_wider_interval_around_the_same_estimate(iterations: list[tuple[float, float]]) -> None:
    primary = judged("p50", iterations)
    exploratory = judged("p50", iterations, primary=False)

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
    latency = judged("p50", iterations).code
    throughput = judged("throughput", iterations).code
    assert throughput == opposite.get(latency, latency)


@pytest.mark.parametrize(("iterations", "estimate"), [([(100.0, 90.0)], -10), ([(100.0, 90.0), (0.0, 5.0)], -10)])
def test_one_iteration_has_an_estimate_and_no_interval(iterations: Any, estimate: float) -> None:
    effect = judged("p50", iterations)

    assert effect.estimate_pct == pytest.approx(estimate)
    assert (effect.low_pct, effect.high_pct, effect.code) == (None, None, "inconclusive")


def test_nothing_measured_is_null_and_invalid() -> None:
    effect = judged("p50", [])

    assert (effect.estimate_pct, effect.low_pct, effect.high_pct, effect.code) == (None, None, None, "invalid")


def test_iterations_that_are_all_alike_have_an_interval_of_no_width() -> None:
    effect = judged("p99", [(100, 110)] * 5)

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


@pytest.mark.parametrize(
    ("metric", "finding", "code"),
    [
        ("p99", "below", "faster"),
        ("p99", "slightly-above", "slightly-slower"),
        ("throughput", "below", "slower"),
        ("throughput", "slightly-above", "slightly-faster"),
        ("throughput", "within", "same"),
        ("mean", "undecided", "inconclusive"),
    ],
)
def test_lower_is_better_for_a_latency_and_higher_for_throughput(metric: Metric, finding: Finding, code: Code) -> None:
    assert code_of_finding(metric, finding) == code


def test_a_quantile_that_only_one_arm_has_beyond_measurement_is_judged_by_ranks() -> None:
    ena_loses, express_loses = [(INF, 30.0)] * 8, [(30.0, INF)] * 8

    for iterations, code in ((ena_loses, "faster"), (express_loses, "slower")):
        effect = judged("p99", iterations)

        assert (effect.code, effect.estimate_pct, effect.low_pct, effect.high_pct) == (code, None, None, None)
        assert effect.is_beyond
    assert judged("p99", ena_loses).grounds.beyond == {"ena": 8, "ena_express": 0}


def test_six_iterations_beyond_measurement_are_too_few_for_a_word_of_two_primaries() -> None:
    assert [judged("p99", [(INF, 30.0)] * count).code for count in (6, 7)] == ["inconclusive", "faster"]


def test_a_quantile_that_both_arms_have_beyond_measurement_decides_nothing() -> None:
    assert judged("p99", [(INF, INF)] * 20).code == "inconclusive"


def test_an_effect_is_thin_and_undecided_where_too_few_messages_lie_beyond_its_quantile() -> None:
    pairs = FigurePairs(metric="p99", iterations=around(-20, 1), primary=True, thin=True)

    [effect] = judge_figures([pairs], margin_pct=2, planned=2)

    assert (effect.code, effect.thin, effect.p_value) == ("inconclusive", True, 1.0)


def test_figures_of_an_invalid_scenario_take_no_part_in_the_words_of_the_others() -> None:
    clear, withheld = (
        around(-20, 1),
        FigurePairs(metric="p50", iterations=around(-20, 0.1), primary=True, withheld=True),
    )

    invalid, valid = judge_figures(
        [withheld, FigurePairs(metric="p50", iterations=clear, primary=True)], margin_pct=2, planned=4
    )

    assert (invalid.code, valid.code) == ("invalid", "faster")
    assert valid.confidence_pct == 100 - 5 / 4  # the first of four, not the second


def test_the_first_firm_word_of_a_run_needs_the_highest_level_and_each_next_one_less() -> None:
    figures = [FigurePairs(metric="p50", iterations=around(-20 - at, 1), primary=True) for at in range(3)]

    effects = judge_figures(figures, margin_pct=2, planned=4)

    assert [effect.code for effect in effects] == ["faster"] * 3
    assert sorted(effect.confidence_pct or 0 for effect in effects) == pytest.approx(
        [100 - 5 / 2, 100 - 5 / 3, 100 - 5 / 4]
    )


@pytest.mark.parametrize(
    ("metric", "iterations", "improvement", "conflict"),
    [
        ("p99", around(-20, 1), -3.0, True),  # a typical iteration is faster, all messages together are slower
        ("p99", around(-20, 1), 3.0, False),
        ("throughput", around(-20, 1), 3.0, True),
        ("throughput", around(-20, 1), -3.0, False),
        ("p99", around(-20, 1), None, False),
    ],
)
def test_an_improvement_that_goes_the_other_way_than_the_estimate_is_reported(
    metric: Metric, iterations: list[tuple[float, float]], improvement: float | None, conflict: bool
) -> None:
    pairs = FigurePairs(metric=metric, iterations=iterations, primary=True, improvement_pct=improvement)

    [effect] = judge_figures([pairs], margin_pct=2, planned=2)

    assert effect.contradicts_improvement(metric) is conflict
