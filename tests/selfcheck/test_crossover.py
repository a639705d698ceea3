"""The simulation of crossovers: intervals in halves hold what they promise, and are narrow where the interfaces differ."""

from __future__ import annotations

import pytest

from selfcheck.crossover import CrossoverCell, simulate


@pytest.mark.parametrize(
    "cell",
    [
        CrossoverCell(first=5, second=5, interface_pct=3.0),
        CrossoverCell(first=3, second=2, interface_pct=-3.0),
        CrossoverCell(first=7, second=3, interface_pct=3.0),
        CrossoverCell(first=5, second=5, interface_pct=3.0, interaction_pct=4.0),
    ],
    ids=lambda cell: cell.name,
)
def test_the_intervals_of_the_effect_and_of_the_interface_hold_the_truth(cell: CrossoverCell) -> None:
    found = simulate(cell, benches=1500)

    assert found.effect == pytest.approx(0.975, abs=0.013)
    assert found.interface == pytest.approx(0.975, abs=0.013)


def test_the_interfaces_own_difference_is_not_in_the_width() -> None:
    alike, unlike = (simulate(CrossoverCell(first=5, second=5, interface_pct=pct), benches=400) for pct in (0.0, 3.0))

    assert unlike.half_width_pct == pytest.approx(alike.half_width_pct, rel=0.1)
    assert unlike.alike_half_width_pct > 3 * unlike.half_width_pct
