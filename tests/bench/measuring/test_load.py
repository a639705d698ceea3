"""Load: bulk flows together take their share of what the hosts carry, and are paced so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.measuring.load import bulk_rate, with_bulk_rates
from enaxp.traffic import Background
from tests.support.factories import UDP, a_plan

FOUR = Background(protocol="tcp", flows=4, message_size=16384, share=0.65)


@pytest.mark.parametrize("baseline", [0.8, 12.5, 100.0])
def test_all_flows_together_take_their_share(baseline: float) -> None:
    sent_gbps = bulk_rate(FOUR, baseline) * FOUR.message_size * FOUR.flows * 8 / 1e9

    assert sent_gbps == pytest.approx(0.65 * baseline, rel=0.002)


def test_a_flow_sends_something_however_little_there_is() -> None:
    assert bulk_rate(FOUR, 1e-9) == 1


def test_a_plan_gets_the_rates_of_the_flows_that_have_a_share_and_no_others() -> None:
    plan = a_plan(
        scenarios=(
            UDP,
            replace(UDP, name="congested", background=FOUR),
            replace(UDP, name="full", background=replace(FOUR, share=None)),
        )
    )

    paced = with_bulk_rates(plan, lambda background: 10.0)

    assert [one.background and one.background.rate for one in paced.scenarios] == [None, bulk_rate(FOUR, 10.0), None]
    assert replace(paced.scenarios[1], background=FOUR) == plan.scenarios[1]


def test_nothing_is_measured_where_no_flow_has_a_share() -> None:
    def refuse(background: Background) -> float:
        raise AssertionError("a baseline was asked for")

    assert with_bulk_rates(a_plan(), refuse) == a_plan()
