"""The simulation of compared runs: runs of the same thing are seldom told apart, runs that differ are."""

from __future__ import annotations

import pytest

from selfcheck.runs import SPREADS_PCT, Sides, simulate


@pytest.mark.parametrize("spread_pct", SPREADS_PCT)
@pytest.mark.parametrize("sides", [Sides(base=1, run=1, earlier=5), Sides(base=3, run=3)], ids=lambda sides: sides.name)
def test_a_condition_on_the_same_thing_is_shown_in_at_most_one_comparison_of_twenty(
    sides: Sides, spread_pct: float
) -> None:
    rates = simulate(sides, spread_pct=spread_pct, comparisons=200)

    assert rates.shown["p99 slower 5%"] <= 0.05
    assert rates.shown["effect p99 slower 5%"] <= 0.05
    assert rates.shown["p99 different 0%"] <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert rates.by_iterations > 0.5  # by iterations alone most would be told apart


def test_a_change_that_is_large_against_the_spread_is_shown() -> None:
    rates = simulate(Sides(base=3, run=3), spread_pct=2, comparisons=20, change_pct=30)

    assert rates.shown["p99 slower 5%"] == rates.shown["effect p99 slower 5%"] == 1.0


def test_one_run_a_side_shows_nothing() -> None:
    rates = simulate(Sides(base=1, run=1), spread_pct=2, comparisons=5, change_pct=30)

    assert set(rates.shown.values()) == {0.0}
