"""Table: a run's result as `results.csv`, with exactly the columns of the guide. Pure.

Result + BenchPlan ─▶ one row per scenario and arm ─▶ rows of one test joined ─▶ CSV
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from enaxp.bench.judging.result import ArmFigures, Result
from enaxp.bench.planning.schedule import BenchPlan
from enaxp.traffic import ARMS, MAX, MEAN, THROUGHPUT, Arm, Metric, metric_text

# The figures of the guide, in its order: the metric, and what the guide calls it in its summary.
GUIDE_LATENCIES: Mapping[Metric, str] = {
    MEAN: "Average Latency",
    "p50": "p50 Latency",
    "p99": "p99 Latency",
    "p99_9": "p99.9 Latency",
    MAX: "Maximum Latency",
}
GUIDE_RATES: Mapping[Metric, str] = {THROUGHPUT: "Throughput"}
_SHORT = {MEAN: "Avg", MAX: "Max"}  # in the names of columns
COLUMNS = {
    **{f"{_SHORT.get(metric, metric_text(metric))}_Latency_us": metric for metric in GUIDE_LATENCIES},
    **{f"{label}_Gbps": metric for metric, label in GUIDE_RATES.items()},
}
HEADER = ("Test", "Interface", *COLUMNS)
INTERFACES: Mapping[Arm, str] = {"ena": "ENA", "ena_express": "ENA_Express"}

Row = dict[str, str]


def render_table(result: Result, plan: BenchPlan) -> str:
    """The text of `results.csv`. What was not measured is an empty cell.

    In the guide one row has a test's latency and throughput. Two scenarios with the same `csv_name` share rows in the same way, if no
    figure is lost by that.
    """
    tests: list[tuple[Row, ...]] = []
    for scenario in plan.scenarios:
        arms = result.scenarios[scenario.name].arms
        rows = tuple(_row(scenario.csv_name, arm, arms[arm]) for arm in ARMS)
        place = next((place for place, other in enumerate(tests) if _can_join(other, rows)), None)
        if place is None:
            tests.append(rows)
        else:
            tests[place] = tuple(one | _filled(other) for one, other in zip(tests[place], rows, strict=True))
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for rows in tests for row in rows)
    return text.getvalue()


def _row(test: str, arm: Arm, figures: ArmFigures) -> Row:
    measured = {column: figures.figure(metric) for column, metric in COLUMNS.items()}
    cells = {column: "" if value is None else f"{value:.3f}" for column, value in measured.items()}
    return {"Test": test, "Interface": INTERFACES[arm], **cells}


def _can_join(one: tuple[Row, ...], other: tuple[Row, ...]) -> bool:
    """Whether both are the same test, and neither measured what the other did."""
    if one[0]["Test"] != other[0]["Test"]:
        return False
    return not any(_filled(a).keys() & _filled(b).keys() & COLUMNS.keys() for a in one for b in other)


def _filled(row: Row) -> Row:
    return {column: cell for column, cell in row.items() if cell}
