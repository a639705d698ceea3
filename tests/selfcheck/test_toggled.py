"""Three orders on the same hosts, simulated: an interface that is slower by itself is taken for SRD in one, and not in the others."""

from __future__ import annotations

import pytest

from selfcheck.toggled import OrderCell, simulate


def test_an_interface_that_is_slower_by_itself_changes_nothing_where_srd_is_toggled() -> None:
    found = simulate(OrderCell(interface_pct=3.0), benches=800)

    assert found["interleaved"].share < 0.05
    assert found["toggled"].share == pytest.approx(0.975, abs=0.02)
    assert found["crossed over"].share == pytest.approx(0.975, abs=0.02)
    assert found["toggled"].half_width_pct == pytest.approx(found["interleaved"].half_width_pct, rel=0.1)


def test_a_drift_falls_on_both_arms_of_two_iterations_alike_and_slow_wandering_costs_width_not_truth() -> None:
    drifting = simulate(OrderCell(interface_pct=3.0, drift_pct=10.0), benches=800)["toggled"]
    wandering = simulate(OrderCell(interface_pct=3.0, wanders_pct=3.0, trials=20.0), benches=800)

    assert drifting.share >= 0.955
    assert wandering["toggled"].share == pytest.approx(0.975, abs=0.02)
    assert wandering["toggled"].half_width_pct > wandering["crossed over"].half_width_pct
