"""The simulation of the words: its truths are true, and a short one of a few cells."""

from __future__ import annotations

import pytest

from selfcheck.words import CELLS, MARGIN, simulate

BY_NAME = {cell.name: cell for cell in CELLS}


def test_the_truths_of_the_cells_lie_where_their_names_say() -> None:
    apart = BY_NAME["P50 +5 %, P99 -26 %, SD 3 %"].truths()
    on_the_margin = BY_NAME["P50 exactly on the margin, SD 2 %"].truths()

    assert [MARGIN.zone(truth) for truth in apart] == ["above", "below"]
    assert on_the_margin[0] == pytest.approx(MARGIN.high)


def test_an_arm_that_loses_messages_is_never_taken_for_the_faster_one() -> None:
    rates = [
        simulate(BY_NAME[name], iterations=10, benches=60)
        for name in ("ENA loses 2 %, Express delays 2 %", "Express loses 2 %, ENA delays 2 %")
    ]

    assert [one.wrong_way for one in rates] == [0.0, 0.0]
    assert rates[0].codes["faster"] > 0.7
    assert rates[1].codes["slower"] > 0.7


def test_alike_arms_are_seldom_told_apart_even_with_four_scenarios() -> None:
    rates = simulate(BY_NAME["alike, 4 scenarios, SD 5 %"], iterations=10, benches=400)

    assert rates.wrong <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
