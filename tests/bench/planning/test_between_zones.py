"""About how much a plan moves between two zones, which AWS bills."""

from __future__ import annotations

from dataclasses import replace

import pytest

from enaxp.bench.planning.between_zones import bytes_a_second, gigabytes_of
from enaxp.config import load_config
from enaxp.lab.cost import usd_between_zones
from enaxp.traffic import Scenario
from tests.support.factories import FIVE

SCENARIOS = load_config().scenarios


def test_a_throughput_scenario_moves_what_the_hosts_carry_which_costs_112_usd_an_hour() -> None:
    an_hour = bytes_a_second(SCENARIOS["tcp-bulk"], link_gbps=12.5) * 3600 / 1e9

    assert an_hour == pytest.approx(5625)
    assert usd_between_zones(an_hour) == pytest.approx(112.5)


@pytest.mark.parametrize(
    ("name", "most_mbps"),
    [("udp-latency", 50), ("udp-load@1000", 3), ("udp-load@100000", 250)],
)
def test_latency_moves_little(name: str, most_mbps: float) -> None:
    rate = bytes_a_second(SCENARIOS[name], link_gbps=12.5)

    assert 0 < rate * 8 / 1e6 < most_mbps


def test_bulk_flows_beside_a_probe_are_counted() -> None:
    with_bulk: Scenario = SCENARIOS["congested"]
    alone = replace(with_bulk, background=None)

    more = bytes_a_second(with_bulk, link_gbps=10) - bytes_a_second(alone, link_gbps=10)

    assert more == pytest.approx(0.65 * 10e9 / 8)


def test_a_plan_moves_as_much_as_all_its_trials_of_both_arms() -> None:
    one = replace(FIVE, scenarios=(SCENARIOS["tcp-bulk"],), iterations=2, repeats=3, duration_s=10.0)

    assert gigabytes_of(one, link_gbps=8.0) == pytest.approx(2 * 2 * 3 * 10)
