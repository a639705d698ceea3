"""Skew: intervals over pairs are as much wider than Student's t as skewed pairs need, and not much more."""

from __future__ import annotations

import pytest

from enaxp.bench.fleet.skew import allowance_of_mean, allowance_of_next_pair
from selfcheck.skew import needed


@pytest.mark.parametrize(
    ("pairs", "mean", "next_pair"),
    [(3, 1.125, 1.13), (4, 1.25, 1.13), (5, 1.28, 1.13), (8, 1.28, 1.1), (16, 1.28, 1.0), (20, 1.25, 1.0), (64, 1.078125, 1.0)],
)  # fmt: skip
def test_the_allowance_is_that_of_the_table(pairs: int, mean: float, next_pair: float) -> None:
    assert allowance_of_mean(pairs) == pytest.approx(mean)
    assert allowance_of_next_pair(pairs) == pytest.approx(next_pair)


@pytest.mark.parametrize("pairs", [3, 4, 5, 7, 8, 12, 16, 24, 40, 64])
@pytest.mark.parametrize("spread", [2, 3])
def test_it_is_enough_for_skewed_pairs_to_be_held_as_often_as_is_claimed(pairs: int, spread: float) -> None:
    mean, next_pair = needed(pairs, spread=spread, fleets=20_000)

    assert allowance_of_mean(pairs) >= mean
    assert allowance_of_next_pair(pairs) >= next_pair


@pytest.mark.parametrize("pairs", [3, 5, 8, 16, 32, 64])
def test_it_is_at_most_a_tenth_more_than_that(pairs: int) -> None:
    mean, next_pair = needed(pairs, spread=3, fleets=20_000)

    assert allowance_of_mean(pairs) <= mean + 0.1
    assert allowance_of_next_pair(pairs) <= max(1.0, next_pair + 0.1)
