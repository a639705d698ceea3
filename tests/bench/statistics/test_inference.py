"""Inference: the levels, intervals and words of a run's primaries, held against tables and formulas that were worked out elsewhere."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from enaxp.bench.statistics.inference import (
    Margin,
    RatioSample,
    decide,
    estimate,
    explore,
    fewest_for_ranks,
    interval,
)

TABLES = yaml.safe_load((Path(__file__).parent / "inference_cases.yaml").read_text())
MARGIN = Margin.of(2.0)
INF = math.inf


def sample(*ratios: float | None, **rest: object) -> RatioSample:
    return RatioSample(ratios=tuple(ratios), **rest)  # type: ignore[arg-type]


def normal(count: int, *, mean: float, sd: float, seed: int = 1) -> RatioSample:
    """Ratios with exactly this mean and standard deviation."""
    values = np.random.default_rng(seed).normal(size=count)
    values = (values - values.mean()) / values.std(ddof=1) * sd + mean
    return RatioSample(ratios=tuple(values))


@pytest.mark.parametrize(("confidence", "ranks"), TABLES["ranks"].items())
def test_the_ranks_of_the_interval_are_those_of_the_binomial_table(confidence: float, ranks: list[int]) -> None:
    for count, k in zip(range(3, 21), ranks, strict=True):
        ratios = [INF, *range(count - 1)]  # one iteration beyond measurement, the others 0, 1, 2, …

        ends = interval(sample(*ratios), confidence=confidence)

        ordered = sorted(ratios)
        assert ends == ((ordered[k - 1], ordered[count - k]) if k else None)


def test_the_rank_interval_covers_the_median_as_often_as_it_says() -> None:
    for count in range(fewest_for_ranks(0.975), 21):
        ratios = [INF, *range(1, count)]
        low, high = interval(sample(*ratios), confidence=0.975) or (0, 0)
        below, above = sum(r < low for r in ratios), sum(r > high for r in ratios)

        covered = 1 - stats.binom.cdf(below, count, 0.5) - stats.binom.cdf(above, count, 0.5)

        assert covered >= 0.975


def test_finite_ratios_have_students_interval() -> None:
    ratios = [0.01, 0.02, -0.005, 0.03]

    low, high = interval(sample(*ratios), confidence=0.975) or (0, 0)

    expected = stats.t.interval(0.975, 3, loc=np.mean(ratios), scale=stats.sem(ratios))
    assert (low, high) == pytest.approx(expected)


@pytest.mark.parametrize("case", TABLES["estimates"], ids=lambda case: str(case["ratios"]))
def test_the_estimate_is_the_mean_or_the_median_where_one_is_beyond_measurement(case: dict[str, object]) -> None:
    ratios = [None if r is None else float(r) for r in case["ratios"]]  # type: ignore[attr-defined]

    assert estimate(sample(*ratios)) == case["is"]


def test_an_unknown_ratio_may_be_anything() -> None:
    known = interval(sample(*[-0.5] * 9, -INF), confidence=0.95)
    unknown = interval(sample(*[-0.5] * 9, None), confidence=0.95)
    mostly_unknown = interval(sample(*[-0.5] * 5, *[None] * 5), confidence=0.95)

    assert known == unknown == (-0.5, -0.5)  # one of ten is left out at either end
    assert mostly_unknown == (-INF, INF)


@pytest.mark.parametrize("case", TABLES["words"], ids=lambda case: case["says"])
def test_words_of_a_run(case: dict[str, object]) -> None:
    samples = [
        normal(one["of"], mean=one["mean"], sd=one["sd"]) if "mean" in one else sample(*map(float, one["ratios"]))
        for one in case["primaries"]  # type: ignore[attr-defined]
    ]

    decisions = decide(samples, margin=MARGIN, planned=case.get("planned", len(samples)))  # type: ignore[call-overload, arg-type]

    assert [decision.finding for decision in decisions] == case["words"]
    if "confidence" in case:
        assert [round(decision.confidence, 6) for decision in decisions] == case["confidence"]


def test_the_p_value_is_the_level_at_which_the_interval_just_leaves_the_margin() -> None:
    of_ten = normal(10, mean=0.1, sd=0.1)

    [decision] = decide([of_ten], margin=MARGIN, planned=1)

    low, _ = interval(of_ten, confidence=1 - (decision.p or 0)) or (0, 0)
    assert low == pytest.approx(MARGIN.high)


def test_the_interval_of_a_firm_word_lies_in_its_zone() -> None:
    rng = np.random.default_rng(7)
    for _ in range(500):
        samples = [RatioSample(ratios=tuple(rng.normal(rng.choice([0, 0.03, -0.1]), 0.02, size=8))) for _ in range(4)]

        for decision in decide(samples, margin=MARGIN, planned=4):
            assert decision.low is not None
            assert decision.high is not None
            match decision.finding:
                case "below":
                    assert decision.high <= MARGIN.low
                case "above":
                    assert decision.low >= MARGIN.high
                case "within":
                    assert MARGIN.low <= decision.low <= decision.high <= MARGIN.high
                case "slightly-below":
                    assert decision.high < 0
                case "slightly-above":
                    assert decision.low > 0


def test_a_thin_figure_decides_nothing_and_holds_no_other_back() -> None:
    clear = normal(10, mean=0.5, sd=0.01)
    thin = RatioSample(ratios=clear.ratios, thin=True)

    decided, undecided = decide([clear, thin], margin=MARGIN, planned=2)

    assert (decided.finding, undecided.finding) == ("above", "undecided")
    assert decided.confidence == 0.975


def test_up_to_five_iterations_a_direction_needs_the_randomisation_test_as_well() -> None:
    clear = normal(5, mean=0.5, sd=0.01)
    by_chance = RatioSample(ratios=clear.ratios, randomisation_p=0.4)
    confirmed = RatioSample(ratios=clear.ratios, randomisation_p=0.001)
    ten = RatioSample(ratios=normal(10, mean=0.5, sd=0.01).ratios, randomisation_p=0.4)

    found = [decide([one], margin=MARGIN, planned=1)[0].finding for one in (clear, by_chance, confirmed, ten)]

    assert found == ["above", "undecided", "above", "above"]


def test_same_needs_no_randomisation_test() -> None:
    alike = RatioSample(ratios=normal(5, mean=0.0, sd=0.001).ratios, randomisation_p=0.001)

    assert decide([alike], margin=MARGIN, planned=1)[0].finding == "within"


def test_an_exploratory_figure_is_judged_at_its_own_level() -> None:
    of_ten = normal(10, mean=0.05, sd=0.03)

    assert explore(of_ten, margin=MARGIN).confidence == 0.95
    assert explore(of_ten, margin=MARGIN).finding == "above"


def test_a_single_iteration_has_no_interval_and_no_word() -> None:
    [decision] = decide([sample(0.5)], margin=MARGIN, planned=1)

    assert (decision.finding, decision.low, decision.high) == ("undecided", None, None)


def test_arms_that_behave_alike_are_taken_for_different_in_at_most_five_per_cent_of_runs() -> None:
    """Four scenarios of two primaries, correlated by a half. 2000 runs: 5 % and three standard deviations."""
    rng = np.random.default_rng(11)
    runs, wrong = 2000, 0
    for _ in range(runs):
        common = rng.normal(size=(4, 1, 10))
        ratios = 0.05 * (common + rng.normal(size=(4, 2, 10))) / math.sqrt(2)
        samples = [RatioSample(ratios=tuple(row)) for scenario in ratios for row in scenario]
        words = {decision.finding for decision in decide(samples, margin=MARGIN, planned=8)}
        wrong += not words <= {"undecided", "within"}

    assert wrong / runs <= 0.065
