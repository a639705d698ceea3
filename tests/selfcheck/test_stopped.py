"""The simulation of runs that are stopped for what they show."""

from __future__ import annotations

from selfcheck.stopped import stopped_wrongly


def test_stopping_at_the_first_direction_is_wrong_as_seldom_as_a_whole_run_is() -> None:
    shares = [stopped_wrongly(iterations=10, sd_pct=5, runs=50, watched=watched) for watched in (True, False)]

    assert shares[0] <= 0.05 + 3 * (0.05 * 0.95 / 50) ** 0.5
    assert shares[0] < shares[1]
