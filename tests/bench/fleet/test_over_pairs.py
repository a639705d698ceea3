"""Over pairs: the mean effect, the next pair, how different pairs are, and which stand out."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, ttest_ind

from enaxp.bench.fleet.over_pairs import OverPairs, between_variants, over_pairs, standing_out
from enaxp.bench.statistics.inference import Margin, decide
from enaxp.bench.statistics.units import RunMean

CASES = yaml.safe_load(Path(__file__).with_name("over_pairs_cases.yaml").read_text())


def pairs(*means: float, errors: list[float | None] | None = None, iterations: int = 10) -> dict[str, RunMean]:
    return {
        f"main-{number}": RunMean(mean=mean, error=error, iterations=iterations)
        for number, (mean, error) in enumerate(zip(means, errors or [0.01] * len(means), strict=True), start=1)
    }


def half_of(ends: tuple[float, float] | None) -> float:
    assert ends is not None
    return (ends[1] - ends[0]) / 2


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_the_figures_over_pairs_are_those_of_the_table(case: dict[str, Any]) -> None:
    found = over_pairs(pairs(*case["means"], errors=case["errors"]))

    assert found.where is not None
    assert found.mean == pytest.approx(case["mean"])
    assert half_of(found.where.interval(confidence=0.95)) == pytest.approx(case["half"], rel=1e-3)
    assert half_of(found.next_pair()) == pytest.approx(case["next_half"], rel=1e-3)
    assert (found.between, found.i2) == (
        (None, None) if case["between"] is None else (pytest.approx(case["between"]), pytest.approx(case["i2"]))
    )


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_pairs_have_a_mean_and_no_interval(count: int) -> None:
    found = over_pairs(pairs(*[0.1] * count))

    assert found.mean == pytest.approx(0.1)
    assert (found.where, found.next_pair(), found.between, found.i2) == (None, None, None, None)


def test_without_any_pair_there_is_nothing() -> None:
    assert over_pairs({}) == OverPairs(pairs={}, where=None, between=None, i2=None, standing_out=())
    assert over_pairs({}).mean is None


def test_pairs_that_are_equal_differ_by_nothing() -> None:
    found = over_pairs(pairs(0.1, 0.1, 0.1, errors=[0.0, 0.0, 0.0]))

    assert (found.between, found.i2, found.next_pair()) == (0.0, 0.0, (pytest.approx(0.1), pytest.approx(0.1)))


@pytest.mark.parametrize(("iterations", "uneven"), [((10, 40), False), ((10, 41), True)])
def test_very_different_numbers_of_iterations_are_seen(iterations: tuple[int, int], uneven: bool) -> None:
    found = over_pairs(
        {str(count): RunMean(mean=0.1, error=0.01, iterations=count) for count in iterations},
    )

    assert found.is_uneven is uneven


def test_the_one_that_is_far_from_the_others_stands_out_by_their_spread() -> None:
    near = [0.01, -0.01, 0.02, 0.0]
    limit = t.ppf(1 - 0.025 / 5, 3) * statistics.stdev(near) * math.sqrt(1 + 1 / 4)
    centre = statistics.fmean(near)

    assert standing_out(pairs(*near, centre + 1.01 * limit)) == ("main-5",)
    assert standing_out(pairs(*near, centre - 1.01 * limit)) == ("main-5",)
    assert standing_out(pairs(*near, centre + 0.99 * limit)) == ()


def test_of_three_pairs_none_stands_out() -> None:
    assert standing_out(pairs(0.0, 0.0, 9.0)) == ()


def test_one_that_differs_from_equal_others_stands_out() -> None:
    assert standing_out(pairs(0.1, 0.1, 0.1, 0.2)) == ("main-4",)
    assert standing_out(pairs(0.1, 0.1, 0.1, 0.1)) == ()


def test_two_variants_are_distinguished_by_welch() -> None:
    one, other = [0.01, 0.03, -0.02], [0.10, 0.30, 0.22, 0.05, 0.15, 0.41]

    found = between_variants(one, other)

    expected = ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert found is not None
    assert found.interval(confidence=0.95) == pytest.approx((expected.low, expected.high))


def test_two_pairs_of_a_variant_are_too_few_to_tell_it_apart() -> None:
    assert between_variants([0.01, 0.03], [0.1, 0.2, 0.3]) is None


@pytest.mark.parametrize(
    ("one", "other", "has_interval"), [(3, 12, True), (12, 3, True), (3, 13, False), (4, 16, True)]
)
def test_variants_of_very_unequal_numbers_of_pairs_have_no_interval_of_their_difference(
    one: int, other: int, has_interval: bool
) -> None:
    effects = np.random.default_rng(3).normal(0, 0.02, one + other).tolist()

    assert (between_variants(effects[:one], effects[one:]) is not None) is has_interval


@given(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=64))
def test_the_next_pair_is_less_certain_than_the_mean(means: list[float]) -> None:
    found = over_pairs(pairs(*means))

    assert found.where is not None
    mean, following = half_of(found.where.interval(confidence=0.95)), half_of(found.next_pair())
    assert following >= mean
    spread = np.std(means, ddof=1)
    assert following >= t.ppf(0.975, len(means) - 1) * spread * math.sqrt(1 + 1 / len(means)) - 1e-12
    assert mean >= t.ppf(0.975, len(means) - 1) * spread / math.sqrt(len(means)) - 1e-12


@given(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=20), st.sampled_from([1, 2, 4]))
def test_a_word_over_pairs_is_what_its_widened_interval_shows(means: list[float], planned: int) -> None:
    margin = Margin.of(2)

    [found] = decide([over_pairs(pairs(*means)).sample], margin=margin, planned=planned)

    assert found.low is not None
    assert found.high is not None
    where = over_pairs(pairs(*means)).where
    assert where is not None
    assert (found.low, found.high) == where.interval(confidence=found.confidence)
    beyond = found.low > margin.high or found.high < margin.low
    within = margin.low < found.low and found.high < margin.high
    assert (found.finding in ("above", "below")) == beyond
    assert (found.finding == "within") == within


def test_in_one_fleet_of_twenty_a_pair_is_named_though_all_are_alike() -> None:
    rng = np.random.default_rng(7)

    named = sum(bool(standing_out(pairs(*rng.normal(0, 0.02, 8)))) for _ in range(2000))

    assert 0.035 < named / 2000 < 0.065
