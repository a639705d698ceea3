"""Table: the guide's columns, a row for each arm, and cells left empty rather than filled with nothing measured."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from enaxp.bench.judging.result import Latencies, Result, read_result
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.bench.run_folder.records import RunFolder
from enaxp.report.table import render_table
from enaxp.traffic import Scenario

FIXTURES = Path(__file__).parent / "fixtures"
PLAN = RunFolder(FIXTURES).read_manifest().plan
RESULT = read_result(RunFolder(FIXTURES))
UDP = PLAN.scenarios[0]
UDP_RATE = Scenario(name="udp-rate", mode="throughput", protocol="udp", message_size=64, csv_name="UDP_Small")


def with_scenario(
    scenario: Scenario, *, mean_us: float | None = None, throughput_gbps: float | None = None
) -> tuple[Result, BenchPlan]:
    """The example with a second scenario, of which only these figures were measured."""
    first = RESULT.scenarios["udp-latency"]
    latencies = replace(Latencies.of(None), mean_us=mean_us)
    arm = replace(first.arms["ena"], latencies=latencies, throughput_gbps=throughput_gbps)
    second = replace(first, arms={"ena": arm, "ena_express": arm})
    result = replace(RESULT, scenarios={**RESULT.scenarios, scenario.name: second})
    return result, replace(PLAN, scenarios=(UDP, scenario))


def test_the_table_is_that_of_the_guide() -> None:
    assert render_table(RESULT, PLAN) == (
        "Test,Interface,Avg_Latency_us,p50_Latency_us,p99_Latency_us,p99.9_Latency_us,Max_Latency_us,Throughput_Gbps\n"
        "UDP_Small,ENA,35.421,34.912,45.673,50.100,59.045,\n"
        "UDP_Small,ENA_Express,51.183,50.781,57.892,49.900,66.776,\n"
    )


def test_latency_and_throughput_of_one_test_share_its_rows() -> None:
    table = render_table(*with_scenario(UDP_RATE, throughput_gbps=8.5))

    assert table.splitlines()[1:] == [
        "UDP_Small,ENA,35.421,34.912,45.673,50.100,59.045,8.500",
        "UDP_Small,ENA_Express,51.183,50.781,57.892,49.900,66.776,8.500",
    ]


def test_two_latencies_of_one_name_stay_apart() -> None:
    table = render_table(*with_scenario(replace(UDP, name="udp-again"), mean_us=1.0))

    assert [row["Avg_Latency_us"] for row in csv.DictReader(io.StringIO(table))] == [
        "35.421",
        "51.183",
        "1.000",
        "1.000",
    ]


def test_tests_of_another_name_have_rows_of_their_own_even_with_nothing_measured() -> None:
    table = render_table(*with_scenario(replace(UDP_RATE, csv_name="UDP_Large")))

    assert table.splitlines()[3:] == ["UDP_Large,ENA,,,,,,", "UDP_Large,ENA_Express,,,,,,"]
