"""The study of skew: what is given stands beside what is needed, and differences without an interval are told so."""

from __future__ import annotations

from selfcheck.fleets import skewed
from selfcheck.skew import VARIANTS, allowances, covers, differences, needed


def test_more_is_needed_the_further_pairs_lie_to_one_side() -> None:
    near, far = (needed(5, spread=spread, fleets=20_000) for spread in (2, 5))

    assert near[0] < far[0]
    assert near[1] < far[1]


def test_variants_that_are_equally_skewed_need_no_widening() -> None:
    found = covers(5, 5, draws=(skewed, skewed), spreads=(3, 3), fleets=400)

    assert found[0] >= 0.95
    assert found == sorted(found)


def test_each_number_of_pairs_and_each_two_variants_have_a_line() -> None:
    lines, between = list(allowances(20_000)), list(differences(20))

    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| 3", "| 4"]
    assert len(between) == 2 + 3 * len(VARIANTS)
    assert any("3 and 16 | no interval" in line for line in between)
